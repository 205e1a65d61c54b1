"""Which activations a build leaves out: the first tokens of a passage, those of outsize norm, and
those that are not finite.

What is left out counts nowhere: not towards a budget, not in a centre or a threshold, and it is a
member of no region. All drafts of a layer share one sieve, which is exact for every division of the
stream into batches, because it decides on each activation alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from ep.method.members import Events
from ep.shapes import Bool, Float32, Int64, Integer


class LeftOut(NamedTuple):
    """How many activations were left out, and why."""

    first: int = 0
    """Those at the first positions of their passage."""
    norm: int = 0
    """Those of a larger norm than the limit, further on in their passage."""
    not_finite: int = 0
    """Those with NaN or infinite values, further on in their passage."""
    passage: int = -1
    """Id of the first passage with values that are not finite; −1 without any."""

    def plus(self, later: LeftOut) -> LeftOut:
        """Return the counts of this part of a stream and of a later one together."""
        first, norm, not_finite = (a + b for a, b in zip(self[:3], later[:3], strict=True))
        return LeftOut(
            first, norm, not_finite, self.passage if self.passage >= 0 else later.passage
        )

    def facts(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Return the counts as entries of a file's provenance; {} where nothing could be left out.

        settings: those that leave activations out, see `BuildConfig.sifting`.
        """
        counts = {"first": self.first, "norm": self.norm} if settings or self.not_finite else {}
        if self.not_finite:
            counts |= {"not_finite": self.not_finite, "first_not_finite": self.passage}
        return {"left_out": counts} if counts else {}


@dataclass(frozen=True, eq=False)
class Sifted:
    """The activations of one layer and batch that are kept, and what was left out between them.

    x: (n, d) raw activations that are kept.
    events: (n,) their origins; `index` counts from 0 those that are kept.
    rows: (n,) their indices among all m of the batch.
    reason: (m,) 0 for those that are kept, 1 at the first positions, 2 beyond the limit, 3 where
        values are not finite.
    whole: (m, d) all activations of the batch.
    position: (m,) of all activations, in the model's input.
    passage: (m,) of all activations, ids.
    """

    x: Float32[np.ndarray, "n d"]
    events: Events
    rows: Int64[np.ndarray, " n"]
    reason: Integer[np.ndarray, " m"]
    whole: Float32[np.ndarray, "m d"]
    position: Integer[np.ndarray, " m"]
    passage: Integer[np.ndarray, " m"]

    def __len__(self) -> int:
        return len(self.rows)

    def until(self, count: int) -> Sifted:
        """Return the batch cut off behind its `count`-th kept activation, if it has as many."""
        if count > len(self):
            return self
        end = int(self.rows[count - 1]) + 1 if count else 0
        return Sifted(
            self.x[:count],
            self.events[:count],
            self.rows[:count],
            self.reason[:end],
            self.whole[:end],
            self.position[:end],
            self.passage[:end],
        )

    def starting_at(self, index: int) -> Sifted:
        """Return the same batch, `index` kept activations further on in the stream."""
        return replace(self, events=self.events.starting_at(index))

    @property
    def left_out(self) -> LeftOut:
        """How many activations of the batch are not kept."""
        first, norm, not_finite = (int((self.reason == reason).sum()) for reason in (1, 2, 3))
        passage = int(self.passage[np.argmax(self.reason == 3)]) if not_finite else -1
        return LeftOut(first, norm, not_finite, passage)

    @property
    def is_finite(self) -> Bool[np.ndarray, " m"]:
        """Which of all activations are finite; those at the first positions included."""
        return finite(self.whole)


@dataclass(frozen=True)
class Sieve:
    """Which activations of a layer a build leaves out.

    start: the first position of the model's input that is kept; positions count BOS.
    limit: the largest norm ‖x‖ that is kept, in the units of x.
    """

    start: int = 0
    limit: float = np.inf

    def reasons(
        self, x: Float32[np.ndarray, "m d"], position: Integer[np.ndarray, " m"]
    ) -> Integer[np.ndarray, " m"]:
        """Return why each activation is left out, see `Sifted.reason`."""
        reason = (position < self.start).astype(np.uint8)
        reason[(reason == 0) & ~finite(x)] = 3
        if np.isfinite(self.limit):
            kept = reason == 0
            reason[kept] = 2 * (lengths(x[kept]) > self.limit)
        return reason

    def sift(self, x: Float32[np.ndarray, "m d"], events: Events) -> Sifted:
        """Return the activations of a batch that are kept; x is not copied if all are."""
        reason = self.reasons(x, events.position)
        if not reason.any():
            return Sifted(x, events, np.arange(len(x)), reason, x, events.position, events.passage)
        rows = np.flatnonzero(reason == 0)
        kept = events[rows].numbered()
        return Sifted(x[rows], kept, rows, reason, x, events.position, events.passage)


def first_kept(skip_first: int, has_bos: bool) -> int:
    """Return the first position of a model's input that is kept: BOS is not one of those skipped.

    skip_first: the setting of a build. has_bos: whether the model's input begins with a BOS.
    """
    return skip_first + has_bos if skip_first else 0


def sieve_of(info: Mapping[str, Any], has_bos: bool) -> Sieve:
    """Return the sieve with which a dictionary was built, from its provenance.

    has_bos: whether its model's input begins with a BOS.
    """
    limit = info.get("norm_limit")
    start = first_kept(int(info.get("skip_first") or 0), has_bos)
    return Sieve(start, np.inf if limit is None else float(limit))


def left_out(
    info: Mapping[str, Any], x: Float32[np.ndarray, "t d"], outside: Bool[np.ndarray, " t"]
) -> Bool[np.ndarray, " t"]:
    """Return which tokens of one prompt are no part of a dictionary.

    info: its provenance. x: the prompt's raw activations. outside: True at BOS.
    """
    sieve = sieve_of(info, bool(len(outside)) and bool(outside[0]))
    return np.asarray(outside, bool) | (sieve.reasons(x, np.arange(len(x))) > 0)


def finite(x: Float32[np.ndarray, "n d"]) -> Bool[np.ndarray, " n"]:
    """Return which activations have finite values alone."""
    is_finite: np.ndarray = np.isfinite(x).all(axis=1)
    return is_finite


def lengths(x: Float32[np.ndarray, "n d"]) -> np.ndarray:
    """Return the norms ‖x‖ (n,), summed in float64."""
    return np.sqrt(np.einsum("nd,nd->n", x, x, dtype=np.float64))
