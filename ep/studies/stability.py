"""The strength D of a region, and how well it predicts that another seed finds the region again.

D = log10(N·c²) with N arrival members and coherence c, so 10^D = ‖Σû‖²/N: the agreement of the
members, in members. Two dictionaries of one setting and different streams are matched one to one by
their mean directions. The cosine of a region with its partner measures how well it was found again.
Paper appendix A.7, protocol 6.1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ep.errors import RequestError
from ep.method.dictionary import Dictionary
from ep.method.pairing import pair
from ep.shapes import Float32, Float64, Int64, Num

QUINTILES = 5
"""Groups of equal size, by D, whose mean cosines are compared."""
DRAWS = 1000
"""Bootstrap draws behind an interval."""
FEWEST = 10
"""Fewest pairs for which ranks and fifths are meaningful."""


def strength(
    count: Num[np.ndarray, " K"], coherence: Num[np.ndarray, " K"]
) -> Float64[np.ndarray, " K"]:
    """Return D = log10(N·c²) of every region.

    count: (K,) N, arrival members, at least 1.
    coherence: (K,) c = ‖Σû‖/N in [0, 1]; c = 0 gives −inf.
    """
    with np.errstate(divide="ignore"):
        squared = np.asarray(coherence, np.float64) ** 2
        return np.asarray(np.log10(np.asarray(count, np.float64) * squared), np.float64)


def strengths(dictionary: Dictionary) -> Float64[np.ndarray, " K"] | None:
    """Return D of every region, or None when the file lacks arrival counts or coherence."""
    if "count_arrival" not in dictionary or "coherence" not in dictionary:
        return None
    return strength(dictionary.column("count_arrival"), dictionary.column("coherence"))


def share_below(values: Num[np.ndarray, " K"], region: int) -> float:
    """Return the percentile of one value among all, in [0, 1].

    values: (K,) a value for every region.
    region: id of the one.

    It is the share of the others below it, where equals count half; 0.5 without others.
    """
    # "below" and "equal" are counted among the others only, so K equal values give 0.5
    others = np.delete(np.asarray(values, np.float64), region)
    if not len(others):
        return 0.5
    return float(
        ((others < values[region]).sum() + 0.5 * (others == values[region]).sum()) / len(others)
    )


@dataclass(frozen=True, eq=False)
class Matching:
    """One-to-one pairs of regions of two dictionaries with the largest sum of cosines.

    first, second: (m,) region ids, m = the smaller K.
    cosine: (m,) of their mean directions, in [−1, 1].
    """

    first: Int64[np.ndarray, " m"]
    second: Int64[np.ndarray, " m"]
    cosine: Float32[np.ndarray, " m"]

    def __len__(self) -> int:
        return len(self.first)


def match(first: Num[np.ndarray, "K d"], second: Num[np.ndarray, "L e"]) -> Matching:
    """Return the best one-to-one pairing of unit rows.

    Raises RequestError when the widths differ.
    """
    if first.shape[1] != second.shape[1]:
        raise RequestError(
            f"directions of {first.shape[1]} and of {second.shape[1]} dimensions were given: "
            "match dictionaries of one model and layer"
        )
    return Matching(*pair(np.asarray(first, np.float32), np.asarray(second, np.float32)))


@dataclass(frozen=True)
class Relation:
    """The relation between D and being found again, over n pairs.

    n: number of pairs.
    spearman: rank correlation of D with the cosine, in [−1, 1].
    interval: its 95 % bootstrap interval (low, high).
    fifths: (mean cosine, number of pairs) from the weakest fifth by D to the strongest.
    median: of all cosines.
    sizes: K of both dictionaries.
    """

    n: int
    spearman: float
    interval: tuple[float, float]
    fifths: tuple[tuple[float, int], ...]
    median: float
    sizes: tuple[int, int]


def relate(first: Dictionary, second: Dictionary, seed: int = 0) -> Relation:
    """Relate D of the first dictionary's regions to the cosine with their partners in the second.

    Both should be of one model, layer, percentile and corpus, from streams of different order. A
    dictionary compared with itself gives cosine 1 throughout and no rank correlation (NaN). Raises
    RequestError for fewer than ten pairs, and when the first file lacks counts or coherence.
    """
    values = strengths(first)
    if values is None:
        raise RequestError(
            "the first dictionary has no arrival counts or coherence, so D is not known: build it "
            "again"
        )
    pairs = match(first.raw_basis("mean"), second.raw_basis("mean"))
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
    """Return the rank correlation, with mean ranks for ties; NaN when one side does not vary."""
    from scipy.stats import rankdata

    # centred ranks, which are multiples of ½ and so exact
    a, b = (rankdata(v) - (len(v) + 1) / 2 for v in (x, y))
    size = np.sqrt(float(a @ a) * float(b @ b))
    return float(a @ b) / size if size else float("nan")


def _interval(x: np.ndarray, y: np.ndarray, seed: int) -> tuple[float, float]:
    """Return the 95 % bootstrap interval of the rank correlation, over pairs."""
    rng = np.random.default_rng(seed)
    draws = (rng.integers(0, len(x), len(x)) for _ in range(DRAWS))
    values = [spearman(x[draw], y[draw]) for draw in draws]
    low, high = np.quantile(values, (0.025, 0.975))
    return float(low), float(high)
