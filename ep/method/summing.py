"""Sums of directions per region, compiled: the only part of the bookkeeping whose cost grows with
the width.

Only this file of the bookkeeping needs numba, and only a build imports it.
"""

from __future__ import annotations

from typing import no_type_check

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
@no_type_check
def add_rows(sums: np.ndarray, region: np.ndarray, rows: np.ndarray) -> None:
    """sums[region[i]] += rows[i] for each i in order, in place. sums (K, d) float64, region (n,),
    rows (n, d) float32.

    One addition after the other in stream order: the same bits however the stream is cut into
    batches.
    """
    for i in range(len(rows)):
        total = sums[region[i]]
        row = rows[i]
        for j in range(len(row)):
            total[j] += row[j]
