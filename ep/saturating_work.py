"""What is computed of each text of a study: its regions, those of its halves, and distances."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ep.method.draft import Draft
from ep.method.laws import CosineLaw
from ep.method.leaders import Leaders
from ep.method.metrics import Metric
from ep.saturating_rows import BLOCK, Text, blocks, interleaved
from ep.studies.rates import Rate
from ep.studies.saturation import curve_of
from ep.studies.saturation_result import Joint

ORDERS = 2
"""Other orders of the passages in which a text is partitioned as well."""


@dataclass(frozen=True, eq=False)
class Order:
    """The regions of a text in one order of its passages, all (K,).

    founded_at: indices of the founders in that order. members, passages: arrival members, and
    passages that have one. A region is met when it is founded, so it is these that count how often
    it was met: Voronoi members include activations from before there was a region.
    """

    founded_at: np.ndarray
    members: np.ndarray
    passages: np.ndarray


@dataclass(frozen=True, eq=False)
class Founded:
    """The regions of one text.

    draft: with arrival and Voronoi members. exemplars: (K, w) rows of the metric; the first `early`
    are those of the first half. late: (k, w) exemplars of the second half, partitioned alone.
    orders: that of the stream, then others. n_passages: of the activations.
    """

    draft: Draft
    exemplars: np.ndarray
    early: int
    late: np.ndarray
    orders: tuple[Order, ...]
    n_passages: int


def founded_of(
    draft: Draft, metric: Metric, text: Text, layer: int, n: int
) -> Generator[None, None, Founded]:
    """Partition the first n activations of a text; yields after each block.

    draft: an empty one that stops at n.
    """
    x, events = text.rows(layer), text.events[layer]
    for part in blocks(n):
        draft.stream(metric.rows(x[part]), events[part])
        yield
    for part in blocks(n):
        draft.reassign(metric.rows(x[part]), events[part])
        yield
    half, leaders = n // 2, draft.leaders
    late = _empty(draft)
    for part in blocks(2 * half, half):
        late.partial_fit(metric.rows(x[part]))
        yield
    orders = []
    for order in (np.arange(n), *text.orders(layer, n, ORDERS)):
        other, regions = _empty(draft), []
        for part in blocks(n):
            regions.append(other.partial_fit(metric.rows(x[order[part]])).region)
            yield
        orders.append(Order(other.founded_at, *_members(regions, events.passage[order])))
    return Founded(
        draft,
        leaders.exemplars,
        int(np.searchsorted(leaders.founded_at, half)),
        late.exemplars,
        tuple(orders),
        len(np.unique(events.passage[:n])),
    )


def _members(regions: list[np.ndarray], passage: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return how many members, and passages with members, each region has."""
    region = np.concatenate(regions)
    pairs = np.unique(np.stack([region, passage], axis=1), axis=0)
    return np.bincount(region), np.bincount(pairs[:, 0])


def _empty(draft: Draft) -> Leaders:
    leaders = draft.leaders
    return draft.law.leaders(leaders.threshold, draft.width, leaders.device)


def joint_of(
    leaders: Leaders,
    metric: Metric,
    rows: list[np.ndarray],
    names: Sequence[str],
    turns: Sequence[str],
    n: int,
) -> Joint:
    """Partition the first n activations of each text, one of each in turn.

    leaders: an empty clustering. rows: raw activations of the texts, in the order of `turns`.
    names: of the texts, in the order of the result.
    """
    count, region = len(rows), []
    for x in interleaved(rows, n):
        region.append(leaders.partial_fit(metric.rows(x)).region)
    joined = np.concatenate(region)
    has = np.zeros((len(leaders), count), bool)
    has[joined, np.arange(len(joined)) % count] = True
    only = has.sum(axis=1) == 1
    alone = {name: int((only & has[:, turns.index(name)]).sum()) for name in names}
    curve = curve_of(leaders.founded_at, count * n)
    return Joint(curve, alone, int(has.all(axis=1).sum()))


class Reach:
    """How near the activations of the texts come to some exemplars.

    law, threshold, metric: how rows are compared. rows: raw activations by text. n: how many of
    each count; their first half is the first n // 2.
    """

    def __init__(
        self,
        law: CosineLaw,
        threshold: float,
        metric: Metric,
        rows: Mapping[str, np.ndarray],
        n: int,
    ) -> None:
        self.law, self.threshold, self.metric = law, threshold, metric
        self._rows, self._n, self._half = rows, n, n // 2

    def early(self, exemplars: np.ndarray, name: str) -> np.ndarray:
        """Return the best score (k,) of each exemplar with the first half of a text."""
        return self._best(exemplars, name, 0, self._half)

    def late(self, exemplars: np.ndarray, name: str) -> np.ndarray:
        """Return the same for the second half."""
        return self._best(exemplars, name, self._half, 2 * self._half)

    def whole(self, exemplars: np.ndarray, name: str) -> np.ndarray:
        """Return the same for all n."""
        return self._best(exemplars, name, 0, self._n)

    def joins(self, score: np.ndarray) -> np.ndarray:
        """Return which exemplars an activation is within θ of."""
        return self.law.joins(score, self.threshold)

    def apart(self, *scores: np.ndarray) -> Rate:
        """Return the rate of exemplars, in one or several lists, that none is within θ of."""
        beyond = ~self.joins(np.concatenate(scores))
        return Rate(int(beyond.sum()), len(beyond))

    def _best(self, exemplars: np.ndarray, name: str, start: int, end: int) -> np.ndarray:
        best = np.full(len(exemplars), np.inf)
        for part in blocks(end, start):
            rows = self.metric.rows(self._rows[name][part])
            for first in range(0, len(exemplars), BLOCK):
                ours = slice(first, first + BLOCK)
                _, nearest = self.law.nearest(exemplars[ours], rows)
                score = self.law.scores(exemplars[ours], rows, nearest[:, None])[:, 0]
                best[ours] = np.minimum(best[ours], score)
        return best
