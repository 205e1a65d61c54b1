"""Shares with their intervals: how sure a count of so many can make anybody."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np

Z = 1.96
"""Two-sided 95 %."""


def wilson(hits: int, n: int, z: float = Z) -> tuple[float, float]:
    """The Wilson score interval of a share of `hits` among `n` > 0; it holds the share itself."""
    share, square = hits / n, z * z / n
    middle = (share + square / 2) / (1 + square)
    half = z / (1 + square) * sqrt(share * (1 - share) / n + square / (4 * n))
    return min(share, max(0.0, middle - half)), max(share, min(1.0, middle + half))


@dataclass(frozen=True)
class Rate:
    """hits of n, with the 95 % Wilson interval; n = 0 has no rate."""

    hits: int
    n: int

    @property
    def value(self) -> float | None:
        return self.hits / self.n if self.n else None

    @property
    def interval(self) -> tuple[float, float] | None:
        return wilson(self.hits, self.n) if self.n else None

    def __str__(self) -> str:
        if not self.n:
            return "– (n = 0)"
        low, high = wilson(self.hits, self.n)
        return f"{self.hits / self.n:.2f} ({low:.2f} to {high:.2f}, n = {self.n})"


def rate_of(values: Sequence[bool] | np.ndarray) -> Rate:
    """The rate of a list of yes and no."""
    return Rate(int(np.sum(values)), len(values))


def balanced(
    hits: int, positives: int, rejected: int, negatives: int
) -> tuple[float, float, float]:
    """(value, low, high) of balanced accuracy: the mean of the shares of positives found and
    negatives rejected.

    Each share has its Wilson interval; the two are combined by the square-and-add rule (Newcombe
    1998), so that the interval is never wider than [0, 1] and narrows with both counts. 0.5 is
    chance. Both counts must be positive.
    """
    found, kept = hits / positives, rejected / negatives
    (found_low, found_high), (kept_low, kept_high) = (
        wilson(hits, positives),
        wilson(rejected, negatives),
    )
    value = (found + kept) / 2
    low = value - sqrt((found - found_low) ** 2 + (kept - kept_low) ** 2) / 2
    high = value + sqrt((found_high - found) ** 2 + (kept_high - kept) ** 2) / 2
    return value, max(0.0, low), min(1.0, high)
