"""The fit of a table to given row and column sums."""

from __future__ import annotations

import numpy as np

from ep.shapes import Float64

FIT_ROUNDS = 200
"""Rounds of proportional fitting."""


def fit(
    table: Float64[np.ndarray, "n m"],
    rows: Float64[np.ndarray, " n"],
    columns: Float64[np.ndarray, " m"],
) -> Float64[np.ndarray, "n m"]:
    """Return the table nearest to a given one that has these row and column sums.

    table: (n, m) non-negative.
    rows, columns: the sums, which have the same total.

    The result is non-negative. The method is iterative proportional fitting (Deming and Stephan
    1940). What remains after a finite number of rounds is rounded away as by Altschuler, Weed and
    Rigollet (2017), so that the sums hold exactly.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        for _ in range(FIT_ROUNDS):
            table = table * np.nan_to_num(rows / table.sum(1), posinf=0.0)[:, None]
            table = table * np.nan_to_num(columns / table.sum(0), posinf=0.0)
        # Shrink rows and columns that are too large, so that only positive amounts are missing.
        table = table * np.minimum(1, np.nan_to_num(rows / table.sum(1), posinf=0.0))[:, None]
        table = table * np.minimum(1, np.nan_to_num(columns / table.sum(0), posinf=0.0))
    missing = np.maximum(rows - table.sum(1), 0), np.maximum(columns - table.sum(0), 0)
    # Both missing parts have the same total, so this outer product has them as its sums.
    total = missing[0].sum()
    return table + np.outer(*missing) / total if total > 0 else table
