"""A table fitted to given row and column sums.

Plain arithmetic: it knows nothing of dictionaries.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64

FIT_ROUNDS = 200


def fit(
    table: Float64[np.ndarray, "n m"],
    rows: Float64[np.ndarray, " n"],
    columns: Float64[np.ndarray, " m"],
) -> Float64[np.ndarray, "n m"]:
    """The table nearest to a given one with these row and column sums (which have one total),
    nowhere negative.

    Iterative proportional fitting (Deming and Stephan 1940); what a finite number of rounds leaves
    over is rounded away as by Altschuler, Weed and Rigollet (2017), so that the sums hold exactly.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        for _ in range(FIT_ROUNDS):
            table = table * np.nan_to_num(rows / table.sum(1), posinf=0.0)[:, None]
            table = table * np.nan_to_num(columns / table.sum(0), posinf=0.0)
        table = table * np.minimum(1, np.nan_to_num(rows / table.sum(1), posinf=0.0))[:, None]
        table = table * np.minimum(1, np.nan_to_num(columns / table.sum(0), posinf=0.0))
    missing = np.maximum(rows - table.sum(1), 0), np.maximum(columns - table.sum(0), 0)
    total = missing[0].sum()
    return table + np.outer(*missing) / total if total > 0 else table
