"""Regions of two dictionaries related through what they read: the same positions, and the round
trip of passages.

Needs no shared space: two models of any widths read the same texts, and each position has a region
in either dictionary (protocol A4, W20). Knows arrays of region ids and nothing of models and texts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
from jaxtyping import Bool, Int64

from ep.errors import RequestError
from ep.studies.rates import wilson

PERMUTATIONS = 2000
SHUFFLES = 50


def ends(tokens: Sequence[str] | Sequence[bytes]) -> Int64[np.ndarray, " t"]:
    """Where in the text each token ends, counted in what tokens are made of; spaces before the text
    do not count.

    Some tokenizers put a space before the first word: without it two cuts of one text end at the
    same places.
    """
    whole = _joined(tokens)
    space = len(whole) - len(whole.lstrip())
    return np.array(list(accumulate(map(len, tokens))), np.int64) - space


def meeting(
    first: Sequence[str] | Sequence[bytes], second: Sequence[str] | Sequence[bytes]
) -> tuple[Int64[np.ndarray, " n"], Int64[np.ndarray, " n"]]:
    """The tokens of two cuts of one text at which both have read the same: ids in the first and in
    the second.

    One of the two may be cut short. Nothing where they do not spell the same text, capitals aside.
    """
    one, other = (_joined(tokens).lstrip().lower() for tokens in (first, second))
    n = min(len(one), len(other))
    none = np.zeros(0, np.int64)
    if one[:n] != other[:n]:
        return none, none
    _, here, there = np.intersect1d(_last(ends(first)), _last(ends(second)), return_indices=True)
    at, beside = (np.flatnonzero(_is_last(ends(tokens))) for tokens in (first, second))
    return at[here], beside[there]


def _joined(tokens: Sequence[str] | Sequence[bytes]) -> str | bytes:
    return (b"" if tokens and isinstance(tokens[0], bytes) else "").join(tokens)  # type: ignore[arg-type]


def _is_last(at: np.ndarray) -> np.ndarray:
    """Whether each token is the last to end where it ends, inside the text: empty tokens say
    nothing new.
    """
    return np.asarray((at > 0) & (np.append(at[1:], -1) != at))


def _last(at: np.ndarray) -> np.ndarray:
    return np.asarray(at[_is_last(at)])


@dataclass(frozen=True, eq=False)
class Together:
    """How n shared positions fall in both dictionaries: one row a pair of regions that share any,
    most first.

    a, b: (m,) region ids; both: (m,) shared positions. of_a, of_b: (K_a,), (K_b,) positions in each
    region.
    best_a: (K_a,) the region of B that shares most with each, −1 where nothing was read; best_b the
    reverse.
    agreement: share of positions whose two regions are each other's best. chance: the same when one
    side is shuffled.
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
    first: Int64[np.ndarray, " n"],
    second: Int64[np.ndarray, " n"],
    sizes: tuple[int, int],
    seed: int = 0,
) -> Together:
    """The co-assignment of n positions. first, second: the region of each in A and in B; sizes: K
    of both.

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
        np.bincount(ids, minlength=size).astype(np.int64)
        for ids, size in zip((first, second), sizes, strict=True)
    )
    mutual = (best_a[a] == b) & (best_b[b] == a)
    return Together(
        a,
        b,
        both,
        of_a,
        of_b,
        best_a,
        best_b,
        float(both[mutual].sum() / len(first)),
        float(np.mean(shuffled)),
    )


def _table(
    first: np.ndarray, second: np.ndarray, width: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
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

    regions: (n,) of A; there: (n,) the region of B that A's founding passage falls in; back: (n,)
    the region of A that the founding passage of that one falls in. null_mean, null_most: of the
    returns when `there` is permuted.
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
    regions: Int64[np.ndarray, " n"],
    there: Int64[np.ndarray, " n"],
    back: Int64[np.ndarray, " n"],
    seed: int = 0,
) -> RoundTrip:
    """The round trip of n regions, and what chance returns: the same legs joined to one another at
    random.
    """
    if not len(regions):
        raise RequestError(
            "no region has a founding passage here: the round trip needs files that store passages"
        )
    rng = np.random.default_rng(seed)
    null = np.array(
        [int((back[rng.permutation(len(back))] == regions).sum()) for _ in range(PERMUTATIONS)]
    )
    return RoundTrip(regions, there, back, float(null.mean()), int(null.max()))
