"""Will a region be found again? Its strength D, and what D says of the same region in a build of
another seed.

D = log10(N·c²) with N arrival members and coherence c, so 10^D = ‖Σû‖²/N: the members' agreement,
in members. Two dictionaries of one setting and different streams are matched one to one by their
mean directions; the cosine of a region with its partner is how far it was found again. Paper
appendix A.7, protocol 6.1. Knows no model and no screen.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64, Int64, Num

from ep.errors import RequestError
from ep.method.dictionary import Dictionary
from ep.method.pairing import pair

QUINTILES = 5
DRAWS = 1000
"""Bootstrap draws behind an interval."""
FEWEST = 10
"""Pairs below which ranks and fifths say nothing."""


def strength(
    count: Num[np.ndarray, " K"], coherence: Num[np.ndarray, " K"]
) -> Float64[np.ndarray, " K"]:
    """D = log10(N·c²) of every region.

    count: N, members at arrival, at least 1. coherence: c = ‖Σû‖/N in [0, 1]; c = 0 gives −inf.
    """
    with np.errstate(divide="ignore"):
        squared = np.asarray(coherence, np.float64) ** 2
        return np.asarray(np.log10(np.asarray(count, np.float64) * squared), np.float64)


def strengths(dictionary: Dictionary) -> Float64[np.ndarray, " K"] | None:
    """D of every region of a dictionary; None when the file lacks arrival counts or coherence."""
    if "count_arrival" not in dictionary or "coherence" not in dictionary:
        return None
    return strength(dictionary.column("count_arrival"), dictionary.column("coherence"))


def share_below(values: Num[np.ndarray, " K"], region: int) -> float:
    """The percentile of one value among all: share of the others below it, equals counting half, in
    [0, 1].
    """
    others = np.delete(np.asarray(values, np.float64), region)
    if not len(others):
        return 0.5
    return float(
        ((others < values[region]).sum() + 0.5 * (others == values[region]).sum()) / len(others)
    )


@dataclass(frozen=True, eq=False)
class Matching:
    """Regions of two dictionaries paired one to one so that the sum of cosines is largest.

    first, second: (m,) region ids, m = the smaller K. cosine: (m,) of their mean directions, in
    [−1, 1].
    """

    first: Int64[np.ndarray, " m"]
    second: Int64[np.ndarray, " m"]
    cosine: Float32[np.ndarray, " m"]

    def __len__(self) -> int:
        return len(self.first)


def match(first: Num[np.ndarray, "K d"], second: Num[np.ndarray, "L e"]) -> Matching:
    """The best one-to-one pairing of unit rows. RequestError when the widths differ."""
    if first.shape[1] != second.shape[1]:
        raise RequestError(
            f"directions of {first.shape[1]} and of {second.shape[1]} dimensions were given: "
            "match dictionaries of one model and layer"
        )
    return Matching(*pair(np.asarray(first, np.float32), np.asarray(second, np.float32)))


@dataclass(frozen=True)
class Relation:
    """How D goes with being found again, over n pairs.

    spearman in [−1, 1] with its 95 % bootstrap interval (low, high); fifths: (mean cosine, n) of
    the pairs from the weakest fifth by D to the strongest; median: of all cosines. sizes: K of both
    dictionaries.
    """

    n: int
    spearman: float
    interval: tuple[float, float]
    fifths: tuple[tuple[float, int], ...]
    median: float
    sizes: tuple[int, int]


def relate(first: Dictionary, second: Dictionary, seed: int = 0) -> Relation:
    """D of the first dictionary's regions against the cosine with their partners in the second.

    Both of one model, layer, percentile and corpus, from streams of different order; a dictionary
    against itself gives cosine 1 throughout and no rank correlation (NaN). RequestError when there
    are fewer than ten pairs or no counts.
    """
    values = strengths(first)
    if values is None:
        raise RequestError(
            "the first dictionary holds no arrival counts or coherence, so it has no D: build it "
            "anew"
        )
    pairs = match(first.mean_directions, second.mean_directions)
    if len(pairs) < FEWEST:
        raise RequestError(
            f"only {len(pairs)} regions could be paired: at least {FEWEST} are needed"
        )
    x, y = values[pairs.first], pairs.cosine.astype(np.float64)
    order = np.argsort(x, kind="stable")
    return Relation(
        n=len(pairs),
        spearman=spearman(x, y),
        interval=_interval(x, y, seed),
        fifths=tuple(
            (float(y[part].mean()), len(part)) for part in np.array_split(order, QUINTILES)
        ),
        median=float(np.median(y)),
        sizes=(len(first), len(second)),
    )


def spearman(x: Num[np.ndarray, " n"], y: Num[np.ndarray, " n"]) -> float:
    """Rank correlation, equal values sharing their mean rank; NaN when one side does not vary."""
    from scipy.stats import rankdata

    a, b = (rankdata(v) - (len(v) + 1) / 2 for v in (x, y))
    size = np.sqrt(float(a @ a) * float(b @ b))
    return float(a @ b) / size if size else float("nan")


def _interval(x: np.ndarray, y: np.ndarray, seed: int) -> tuple[float, float]:
    """The middle 95 % of the rank correlation over pairs drawn again with replacement."""
    rng = np.random.default_rng(seed)
    draws = (rng.integers(0, len(x), len(x)) for _ in range(DRAWS))
    values = [spearman(x[draw], y[draw]) for draw in draws]
    low, high = np.quantile(values, (0.025, 0.975))
    return float(low), float(high)
