"""How many regions a domain needs in all, estimated from those that a part of it founded.

The regions of a dictionary are treated as the species of a sample. Nothing here knows of models or
texts. What the estimates assume, and where they fail, is said beside each of them: none of them can
see past the end of a curve that still rises like a power of n.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, log, log2, sqrt

import numpy as np

from ep.studies.rates import Rate, Z

POINTS = 96
"""Points of a curve."""
FITTED_FROM = 16
"""A law is fitted to the last part of a curve, from n / 16 on."""
MOST_TIMES = 3.0
"""A limit of more than so many times the regions known is called out of reach."""
STRAIGHT = 0.9
"""From this exponent on, a curve is called straight: nothing can be said of its end."""
WINDOW_SHARE, LEAST_WINDOW = 0.1, 200
"""The new-region rate is counted over this share of the activations, but at least so many."""


@dataclass(frozen=True)
class Interval:
    """An estimate of a number of regions with its interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Chao:
    """A lower bound of the number of regions in all, from those that were met once and twice.

    once, twice: regions with one and with two members (or passages). n: members (or passages).
    total: the bound with its 95 % interval.
    """

    once: int
    twice: int
    n: int
    total: Interval


def chao(counts: np.ndarray, n: int) -> Chao:
    """Return Chao's bound K + (n−1)/n · f₁²/2f₂ with his log-normal 95 % interval.

    counts: (K,) members of each region, or passages that have one, each at least 1.
    n: members in all for Chao1; passages in all for Chao2.

    Without regions met twice it is K + (n−1)/n · f₁(f₁−1)/2. The variance assumes independent
    draws: passages nearly are, tokens of one passage are not, so that Chao1's interval is too
    narrow. Sources: Chao 1984 (Scand. J. Statist. 11) and 1987 (Biometrics 43); variance and
    interval as in Colwell et al. 2012 (J. Plant Ecol. 5), equations 5 to 8.
    """
    once, twice = (int(np.sum(counts == number)) for number in (1, 2))
    known, share = len(counts), (n - 1) / max(1, n)
    if twice:
        ratio = once / twice
        unseen = share * once**2 / (2 * twice)
        variance = twice * (share / 2 * ratio**2 + share**2 * ratio**3 + share**2 / 4 * ratio**4)
    else:
        unseen = share * once * (once - 1) / 2
        variance = share * once * (once - 1) / 2 + share**2 * once * (2 * once - 1) ** 2 / 4
        variance -= share**2 * once**4 / (4 * (known + unseen)) if known else 0.0
    total = known + unseen
    if unseen <= 0 or variance <= 0:
        return Chao(once, twice, n, Interval(total, total, total))
    factor = exp(Z * sqrt(log(1 + variance / unseen**2)))
    return Chao(once, twice, n, Interval(total, known + unseen / factor, known + unseen * factor))


@dataclass(frozen=True)
class Curve:
    """K after so many activations: seen (m,) in rising order, regions (m,)."""

    seen: np.ndarray
    regions: np.ndarray


def curve_of(founded_at: np.ndarray, n: int) -> Curve:
    """Return the curve of a clustering at points that are evenly spaced, and on a log scale too.

    founded_at: (K,) stream indices of the founders, rising. n: activations streamed.
    """
    points = np.concatenate(
        [np.linspace(1, n, POINTS // 2), np.geomspace(1, n, POINTS // 2), [n / 4, n / 2, n]]
    )
    seen = np.unique(np.round(points).astype(np.int64))
    return Curve(seen, np.searchsorted(founded_at, seen).astype(np.int64))


def recent(founded_at: np.ndarray, n: int) -> Rate:
    """Return the rate of new regions over the last activations, which has a Wilson interval."""
    window = min(n, max(LEAST_WINDOW, round(WINDOW_SHARE * n)))
    return Rate(len(founded_at) - int(np.searchsorted(founded_at, n - window)), window)


@dataclass(frozen=True)
class Growth:
    """What two laws say of a curve.

    exponent: log₂ K(n)/K(n/2), the b of K = a·nᵇ over the last doubling.
    heaps: a, b of K = a·nᵇ, which has no limit.
    limit: L of K = L(1 − exp(−(n/s)ᵇ)), b ≤ 1; low and high are its least and largest value over
        the orders of the passages. It is a range over orders, not a confidence interval.
    errors: relative error of K(n) as predicted from the first half by the two laws, in this order.
    """

    exponent: float
    heaps: tuple[float, float]
    limit: Interval
    errors: tuple[float, float]
    regions: int

    @property
    def reason(self) -> str:
        """Why there is no limit to be seen; "" where there is one."""
        if self.exponent >= STRAIGHT:
            return f"still grows like n^{self.exponent:.2f}"
        if self.limit.high > MOST_TIMES * self.regions:
            return f"the fitted limit lies beyond {MOST_TIMES:g} K"
        if abs(self.errors[1]) > abs(self.errors[0]):
            return "a law without a limit predicts the second half better"
        return ""


def growth_of(curves: Sequence[Curve]) -> Growth:
    """Fit both laws to a curve.

    curves: K in the order of the stream, then in other orders of its passages.
    """
    seen, k = curves[0].seen.astype(np.float64), curves[0].regions.astype(np.float64)
    n, known = float(seen[-1]), float(k[-1])
    exponent = log2(max(1.0, known) / max(1.0, float(np.interp(n / 2, seen, k))))
    limits = [_saturating(*_part(one, n))[0] for one in curves]
    half = _part(curves[0], n / 2)
    a, b = _heaps(*half)
    total, scale, shape = _saturating(*half)
    errors = (a * n**b / known - 1, total * -np.expm1(-((n / scale) ** shape)) / known - 1)
    return Growth(
        exponent,
        _heaps(*_part(curves[0], n)),
        Interval(limits[0], min(limits), max(limits)),
        (float(errors[0]), float(errors[1])),
        int(known),
    )


def _part(curve: Curve, end: float) -> tuple[np.ndarray, np.ndarray]:
    """The points from end / FITTED_FROM to `end`, at which there is a region."""
    inside = (curve.seen <= end) & (curve.seen >= end / FITTED_FROM) & (curve.regions > 0)
    return curve.seen[inside].astype(np.float64), curve.regions[inside].astype(np.float64)


def _heaps(seen: np.ndarray, k: np.ndarray) -> tuple[float, float]:
    """Least squares of log K = log a + b log n (Heaps 1978)."""
    if len(seen) < 2:
        return (float(k[-1]) if len(k) else 0.0), 0.0
    b, log_a = np.polyfit(np.log(seen), np.log(k), 1)
    return exp(float(log_a)), float(b)


def _saturating(seen: np.ndarray, k: np.ndarray) -> tuple[float, float, float]:
    """Least squares of log K = log L(1 − exp(−(n/s)ᵇ)) with 0 < b ≤ 1; returns L, s, b."""
    from scipy.optimize import least_squares

    if len(seen) < 4:
        known = float(k[-1]) if len(k) else 0.0
        return known, 1.0, 1.0

    def misses(at: np.ndarray) -> np.ndarray:
        total, scale, shape = at
        inside = -np.expm1(-np.exp(np.minimum(shape * (np.log(seen) - scale), 50.0)))
        return np.asarray(total + np.log(np.maximum(inside, 1e-300)) - np.log(k))

    most = log(float(k[-1]))
    found = least_squares(
        misses,
        [most + 0.5, log(float(seen[-1])), 0.8],
        bounds=([most - 0.1, -5.0, 0.05], [most + log(1e4), 60.0, 1.0]),
    )
    total, scale, shape = found.x
    return exp(float(total)), exp(float(scale)), float(shape)
