"""Shares with their intervals: how sure a count of so many can make anybody."""

from __future__ import annotations

from math import sqrt

Z = 1.96
"""Two-sided 95 %."""


def wilson(hits: int, n: int, z: float = Z) -> tuple[float, float]:
    """The Wilson score interval of a share of `hits` among `n` > 0; it holds the share itself."""
    share, square = hits / n, z * z / n
    middle = (share + square / 2) / (1 + square)
    half = z / (1 + square) * sqrt(share * (1 - share) / n + square / (4 * n))
    return min(share, max(0.0, middle - half)), max(share, min(1.0, middle + half))


def balanced(hits: int, positives: int, rejected: int, negatives: int) -> tuple[float, float, float]:
    """(value, low, high) of balanced accuracy: the mean of the shares of positives found and negatives rejected.

    Each share has its Wilson interval; the two are combined by the square-and-add rule (Newcombe 1998), so that the
    interval is never wider than [0, 1] and narrows with both counts. 0.5 is chance. Both counts must be positive.
    """
    found, kept = hits / positives, rejected / negatives
    (found_low, found_high), (kept_low, kept_high) = wilson(hits, positives), wilson(rejected, negatives)
    value = (found + kept) / 2
    low = value - sqrt((found - found_low) ** 2 + (kept - kept_low) ** 2) / 2
    high = value + sqrt((found_high - found) ** 2 + (kept_high - kept) ** 2) / 2
    return value, max(0.0, low), min(1.0, high)
