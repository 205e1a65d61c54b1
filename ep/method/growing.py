"""Arrays with one row per region that grow while regions are being founded."""

from __future__ import annotations

import numpy as np


def with_rows(array: np.ndarray, rows: int, fill: int = 0) -> np.ndarray:
    """Return `array`, or a longer copy if it has fewer than `rows` rows.

    A copy is at least half as long again, so that repeated growth stays cheap; its new rows are
    filled with `fill`.
    """
    if rows <= len(array):
        return array
    capacity = max(rows, len(array) + len(array) // 2, 16)
    grown = np.zeros((capacity, *array.shape[1:]), array.dtype)
    grown[: len(array)] = array
    if fill:
        grown[len(array) :] = fill
    return grown


def exactly_rows(array: np.ndarray, rows: int, fill: int = 0) -> np.ndarray:
    """Return a copy of the first `rows` rows, padded with `fill` if the array is shorter."""
    return with_rows(array, rows, fill)[:rows].copy()
