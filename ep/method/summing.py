"""Sums of directions per region, as a compiled loop.

It is the only part of the members' statistics whose cost grows with the width, and the only one
that needs numba; only a build imports it.
"""

from __future__ import annotations

from typing import no_type_check

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
@no_type_check
def add_rows(sums: np.ndarray, region: np.ndarray, rows: np.ndarray) -> None:
    """Add each row to its region's sum, in place: sums[region[i]] += rows[i].

    sums: (K, d) float64.
    region: (n,) integer region ids.
    rows: (n, d) float32.
    """
    # one row after the other, in stream order: the sums have the same bits for every division of
    # the stream into batches
    for i in range(len(rows)):
        total = sums[region[i]]
        row = rows[i]
        for j in range(len(row)):
            total[j] += row[j]
