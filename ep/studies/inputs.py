"""Regions of two dictionaries related through what they read: the same positions, and the round trip of passages.

Needs no shared space: two models of any widths read the same texts, and each position has a region in either
dictionary (protocol A4, W20). Knows arrays of region ids and nothing of models and texts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int64

from ep.errors import RequestError
from ep.studies.rates import wilson

PERMUTATIONS = 2000
SHUFFLES = 50


@dataclass(frozen=True, eq=False)
class Together:
    """How n shared positions fall in both dictionaries: one row a pair of regions that share any, most first.

    a, b: (m,) region ids; both: (m,) shared positions. of_a, of_b: (K_a,), (K_b,) positions in each region.
    best_a: (K_a,) the region of B that shares most with each, −1 where nothing was read; best_b the reverse.
    agreement: share of positions whose two regions are each other's best. chance: the same when one side is shuffled.
    """

    a: Int64[np.ndarray, " m"]
    b: Int64[np.ndarray, " m"]
    both: Int64[np.ndarray, " m"]
    of_a: Int64[np.ndarray, " K"]
    of_b: Int64[np.ndarray, " L"]
    best_a: Int64[np.ndarray, " K"]
    best_b: Int64[np.ndarray, " L"]
    agreement: float
    chance: float

    @property
    def n(self) -> int:
        return int(self.of_a.sum())

    @property
    def overlap(self) -> np.ndarray:
        """(m,) shared positions over those in either region, in [0, 1]."""
        return self.both / (self.of_a[self.a] + self.of_b[self.b] - self.both)

    @property
    def mutual(self) -> Bool[np.ndarray, " m"]:
        """Whether each row's regions are each other's best."""
        return np.asarray((self.best_a[self.a] == self.b) & (self.best_b[self.b] == self.a))


def together(
    first: Int64[np.ndarray, " n"], second: Int64[np.ndarray, " n"], sizes: tuple[int, int], seed: int = 0
) -> Together:
    """The co-assignment of n positions. first, second: the region of each in A and in B; sizes: K of both.

    RequestError when nothing was read.
    """
    if not len(first) or len(first) != len(second):
        raise RequestError("the two models shared no positions: give texts that both can read")
    a, b, both = _table(first, second, sizes[1])
    order = np.lexsort((b, a, -both))
    a, b, both = a[order], b[order], both[order]
    best_a, best_b = _best(a, b, sizes[0]), _best(b, a, sizes[1])
    rng = np.random.default_rng(seed)
    shuffled = [_agreement(first, rng.permutation(second), sizes) for _ in range(SHUFFLES)]
    of_a, of_b = (
        np.bincount(ids, minlength=size).astype(np.int64) for ids, size in zip((first, second), sizes, strict=True)
    )
    mutual = (best_a[a] == b) & (best_b[b] == a)
    return Together(
        a, b, both, of_a, of_b, best_a, best_b, float(both[mutual].sum() / len(first)), float(np.mean(shuffled))
    )


def _table(first: np.ndarray, second: np.ndarray, width: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    keys, both = np.unique(first * width + second, return_counts=True)
    return keys // width, keys % width, both.astype(np.int64)


def _best(here: np.ndarray, there: np.ndarray, size: int) -> np.ndarray:
    """The first `there` of each `here`, in rows ordered from most shared to least."""
    best = np.full(size, -1, np.int64)
    ids, at = np.unique(here, return_index=True)
    best[ids] = there[at]
    return best


def _agreement(first: np.ndarray, second: np.ndarray, sizes: tuple[int, int]) -> float:
    a, b, both = _table(first, second, sizes[1])
    order = np.lexsort((b, a, -both))
    a, b, both = a[order], b[order], both[order]
    mutual = (_best(a, b, sizes[0])[a] == b) & (_best(b, a, sizes[1])[b] == a)
    return float(both[mutual].sum() / len(first))


@dataclass(frozen=True, eq=False)
class RoundTrip:
    """Which regions of A are found again by way of B (protocol A4).

    regions: (n,) of A; there: (n,) the region of B that A's founding passage falls in; back: (n,) the region of A that
    the founding passage of that one falls in. null_mean, null_most: of the returns when `there` is permuted.
    """

    regions: Int64[np.ndarray, " n"]
    there: Int64[np.ndarray, " n"]
    back: Int64[np.ndarray, " n"]
    null_mean: float
    null_most: int

    @property
    def returns(self) -> Bool[np.ndarray, " n"]:
        return np.asarray(self.back == self.regions)

    @property
    def hits(self) -> int:
        return int(self.returns.sum())

    @property
    def interval(self) -> tuple[float, float]:
        """The share that returns: 95 % Wilson interval."""
        return wilson(self.hits, len(self.regions))


def round_trip(
    regions: Int64[np.ndarray, " n"], there: Int64[np.ndarray, " n"], back: Int64[np.ndarray, " n"], seed: int = 0
) -> RoundTrip:
    """The round trip of n regions, and what chance returns: the same legs joined to one another at random."""
    if not len(regions):
        raise RequestError("no region has a founding passage here: the round trip needs files that store passages")
    rng = np.random.default_rng(seed)
    null = np.array([int((back[rng.permutation(len(back))] == regions).sum()) for _ in range(PERMUTATIONS)])
    return RoundTrip(regions, there, back, float(null.mean()), int(null.max()))
