"""Shares with confidence intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np

Z = 1.96
"""Standard normal quantile of a two-sided 95 % interval."""


def wilson(hits: int, n: int, z: float = Z) -> tuple[float, float]:
    """Return the Wilson score interval (low, high) of the share of `hits` among n > 0.

    It always contains the share itself, also under rounding.
    """
    share, square = hits / n, z * z / n
    middle = (share + square / 2) / (1 + square)
    half = z / (1 + square) * sqrt(share * (1 - share) / n + square / (4 * n))
    return min(share, max(0.0, middle - half)), max(share, min(1.0, middle + half))


@dataclass(frozen=True)
class Rate:
    """The rate of `hits` among n; it has no value when n = 0."""

    hits: int
    n: int

    @property
    def value(self) -> float | None:
        """The share hits / n in [0, 1], or None when n = 0."""
        return self.hits / self.n if self.n else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """The 95 % Wilson interval (low, high), or None when n = 0."""
        return wilson(self.hits, self.n) if self.n else None

    def __str__(self) -> str:
        if not self.n:
            return "– (n = 0)"
        low, high = wilson(self.hits, self.n)
        return f"{self.hits / self.n:.2f} ({low:.2f} to {high:.2f}, n = {self.n})"


def rate_of(values: Sequence[bool] | np.ndarray) -> Rate:
    """Return the rate of True in a list of booleans."""
    return Rate(int(np.sum(values)), len(values))


def balanced(
    hits: int, positives: int, rejected: int, negatives: int
) -> tuple[float, float, float]:
    """Return (value, low, high) of balanced accuracy; 0.5 is chance.

    hits, positives: how many of the positives were recognised; positives > 0.
    rejected, negatives: how many of the negatives were rejected; negatives > 0.

    The value is the mean of the two shares. Their Wilson intervals are combined by the
    square-and-add rule (Newcombe 1998), so the interval is never wider than [0, 1] and narrows with
    both counts.
    """
    recall, specificity = hits / positives, rejected / negatives
    (recall_low, recall_high), (specificity_low, specificity_high) = (
        wilson(hits, positives),
        wilson(rejected, negatives),
    )
    value = (recall + specificity) / 2
    low = value - sqrt((recall - recall_low) ** 2 + (specificity - specificity_low) ** 2) / 2
    high = value + sqrt((recall_high - recall) ** 2 + (specificity_high - specificity) ** 2) / 2
    return value, max(0.0, low), min(1.0, high)
