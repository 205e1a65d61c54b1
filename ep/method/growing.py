"""Arrays with a row per region, while regions are still being founded."""

from __future__ import annotations

import numpy as np


def with_rows(array: np.ndarray, rows: int, fill: int = 0) -> np.ndarray:
    """The array itself when it has that many rows; otherwise a copy at least half as long again,
    filled up.
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
    """A copy of the first `rows` rows, filled up where the array is shorter."""
    return with_rows(array, rows, fill)[:rows].copy()
