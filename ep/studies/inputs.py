"""Regions of two dictionaries related through shared texts: same positions, and a round trip.

No common space is needed: two models of any widths read the same texts, and each position has a
region in either dictionary (protocol A4, W20). Everything is computed from arrays of region ids.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np

from ep.errors import RequestError
from ep.shapes import Bool, Int64
from ep.studies.rates import wilson

PERMUTATIONS = 2000
"""Random pairings behind the null of a round trip."""
SHUFFLES = 50
"""Shuffles behind the chance agreement of shared positions."""


def ends(tokens: Sequence[str] | Sequence[bytes]) -> Int64[np.ndarray, " t"]:
    """Return where in the text each token ends, in characters or bytes, as the tokens are given.

    Spaces before the text are not counted. Some tokenizers put a space before the first word;
    without it, two tokenisations of one text end at the same places.
    """
    text = _joined(tokens)
    space = len(text) - len(text.lstrip())
    return np.array(list(accumulate(map(len, tokens))), np.int64) - space


def meeting(
    first: Sequence[str] | Sequence[bytes], second: Sequence[str] | Sequence[bytes]
) -> tuple[Int64[np.ndarray, " n"], Int64[np.ndarray, " n"]]:
    """Return the tokens of two tokenisations at which both have read the same part of one text.

    The result is the indices in the first and in the second. One of the two may be cut short. Both
    are empty where the texts differ in more than case.
    """
    first_text, second_text = (_joined(tokens).lstrip().lower() for tokens in (first, second))
    n = min(len(first_text), len(second_text))
    empty = np.zeros(0, np.int64)
    if first_text[:n] != second_text[:n]:
        return empty, empty
    _, in_first, in_second = np.intersect1d(
        _last(ends(first)), _last(ends(second)), return_indices=True
    )
    first_last, second_last = (np.flatnonzero(_is_last(ends(tokens))) for tokens in (first, second))
    return first_last[in_first], second_last[in_second]


def _joined(tokens: Sequence[str] | Sequence[bytes]) -> str | bytes:
    """Return the text that tokens spell, as str or bytes."""
    return (b"" if tokens and isinstance(tokens[0], bytes) else "").join(tokens)  # type: ignore[arg-type]


def _is_last(places: np.ndarray) -> np.ndarray:
    """Return whether each token is the last to end at its place, and ends inside the text.

    Tokens without characters of their own end where the token before them does.
    """
    return np.asarray((places > 0) & (np.append(places[1:], -1) != places))


def _last(places: np.ndarray) -> np.ndarray:
    """Return the distinct places at which tokens end."""
    return np.asarray(places[_is_last(places)])


@dataclass(frozen=True, eq=False)
class CoAssignment:
    """How n shared positions fall into the regions of dictionaries A and B.

    a, b, both: (m,) ids of the pairs of regions that share positions, and how many they share, most
        first.
    of_a: (K_a,) positions in each region of A.
    of_b: (K_b,) the same for B.
    best_a: (K_a,) the region of B that shares most with each region of A, −1 where there are no
        positions.
    best_b: (K_b,) the reverse.
    agreement: share of the positions whose two regions are each other's best, in [0, 1].
    chance: the same when the regions of B are shuffled over the positions.
    information: the adjusted mutual information of the two partitions: 1 for equal ones, about 0
        for unrelated ones, whatever their numbers of regions.
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
    information: float

    @property
    def n(self) -> int:
        """Number of shared positions."""
        return int(self.of_a.sum())

    @property
    def overlap(self) -> np.ndarray:
        """(m,) shared positions over those in either region, in [0, 1]."""
        return self.both / (self.of_a[self.a] + self.of_b[self.b] - self.both)

    @property
    def mutual(self) -> Bool[np.ndarray, " m"]:
        """(m,) whether the regions of each pair are each other's best."""
        return np.asarray((self.best_a[self.a] == self.b) & (self.best_b[self.b] == self.a))


def co_assignment(
    first: Int64[np.ndarray, " n"],
    second: Int64[np.ndarray, " n"],
    sizes: tuple[int, int],
    seed: int = 0,
) -> CoAssignment:
    """Return how n positions fall into the regions of two dictionaries.

    first, second: (n,) the region of each position in A and in B.
    sizes: K of both.
    seed: of the shuffles.

    Raises RequestError when there are no positions.
    """
    if not len(first) or len(first) != len(second):
        raise RequestError("the two models shared no positions: give texts that both can read")
    from sklearn.metrics import adjusted_mutual_info_score

    a, b, both = _table(first, second, sizes[1])
    order = np.lexsort((b, a, -both))
    a, b, both = a[order], b[order], both[order]
    best_a, best_b = _best(a, b, sizes[0]), _best(b, a, sizes[1])
    rng = np.random.default_rng(seed)
    # shuffling keeps the number of positions in every region of either side
    shuffled = [_agreement(first, rng.permutation(second), sizes) for _ in range(SHUFFLES)]
    of_a, of_b = (
        np.bincount(ids, minlength=size).astype(np.int64)
        for ids, size in zip((first, second), sizes, strict=True)
    )
    mutual = (best_a[a] == b) & (best_b[b] == a)
    return CoAssignment(
        a,
        b,
        both,
        of_a,
        of_b,
        best_a,
        best_b,
        float(both[mutual].sum() / len(first)),
        float(np.mean(shuffled)),
        float(adjusted_mutual_info_score(first, second)),
    )


def _table(
    first: np.ndarray, second: np.ndarray, width: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the distinct pairs (a, b) of region ids and how often each occurs."""
    # one integer per pair, which is faster than unique rows
    keys, both = np.unique(first * width + second, return_counts=True)
    return keys // width, keys % width, both.astype(np.int64)


def _best(own: np.ndarray, other: np.ndarray, size: int) -> np.ndarray:
    """Return the counterpart (size,) of each region that shares most with it, −1 for none.

    own, other: ids of the pairs, ordered from most shared positions to least.
    """
    best = np.full(size, -1, np.int64)
    ids, row = np.unique(own, return_index=True)  # the first, and so the best, row of each
    best[ids] = other[row]
    return best


def _agreement(first: np.ndarray, second: np.ndarray, sizes: tuple[int, int]) -> float:
    """Return the share of positions whose two regions are each other's best."""
    a, b, both = _table(first, second, sizes[1])
    order = np.lexsort((b, a, -both))
    a, b, both = a[order], b[order], both[order]
    mutual = (_best(a, b, sizes[0])[a] == b) & (_best(b, a, sizes[1])[b] == a)
    return float(both[mutual].sum() / len(first))


@dataclass(frozen=True, eq=False)
class RoundTrip:
    """Regions of A that are returned to by way of B (protocol A4).

    regions: (n,) of A.
    there: (n,) the region of B that the founding passage of each falls in.
    back: (n,) the region of A that the founding passage of that one falls in.
    null_mean, null_most: mean and largest number of returns when `back` is permuted.
    """

    regions: Int64[np.ndarray, " n"]
    there: Int64[np.ndarray, " n"]
    back: Int64[np.ndarray, " n"]
    null_mean: float
    null_most: int

    @property
    def returns(self) -> Bool[np.ndarray, " n"]:
        """(n,) whether the trip ends where it began."""
        return np.asarray(self.back == self.regions)

    @property
    def hits(self) -> int:
        """Number of regions that are returned to."""
        return int(self.returns.sum())

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % Wilson interval of the share that is returned to."""
        return wilson(self.hits, len(self.regions))


def round_trip(
    regions: Int64[np.ndarray, " n"],
    there: Int64[np.ndarray, " n"],
    back: Int64[np.ndarray, " n"],
    seed: int = 0,
) -> RoundTrip:
    """Return the round trip of n regions beside its null, in which `back` is permuted.

    regions, there, back: see `RoundTrip`.
    seed: of the permutations.

    Raises RequestError without regions.
    """
    if not len(regions):
        raise RequestError(
            "no region has a founding passage here: the round trip needs files that store passages"
        )
    rng = np.random.default_rng(seed)
    # the way back of another region: it keeps how often each region is returned to
    null = np.array(
        [int((back[rng.permutation(len(back))] == regions).sum()) for _ in range(PERMUTATIONS)]
    )
    return RoundTrip(regions, there, back, float(null.mean()), int(null.max()))
