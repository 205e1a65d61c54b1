"""The auction behind a one-to-one pairing, as compiled loops.

Needs numba, as the compiled loops of the search do.
"""

from __future__ import annotations

from typing import no_type_check

import numpy as np
from numba import njit

WAITING = -2.0
"""The value reported for a row without a column.

It lies below −1, the least a row can gain from a column that nobody has bid for: such a column
costs 0, and a cosine is at least −1.
"""


@no_type_check
@njit(cache=True, nogil=True)
def auction(starts, columns, worth, n_columns, tolerance):
    """Assign each row one column by an auction in which rows bid for columns.

    A row without a column bids for the one with the largest worth − price. Its bid raises the price
    by the lead over the second choice plus the tolerance; the previous owner of the column becomes
    free and bids again. Prices start at 0, so that a column nobody has bid for costs 0.

    starts: (rows + 1,) int64; row i may have the columns `columns[starts[i]:starts[i + 1]]`.
    columns: (pairs,) int64, the listed columns, row after row.
    worth: (pairs,) float64, the worth of each listed column to its row, at least −1.
    n_columns: number of columns.
    tolerance: smallest amount by which a bid raises a price.
    Returns chosen (rows,) int64, the column of each row or −1; value (rows,), worth − price of that
    column or `WAITING`; prices (n_columns,).
    """
    n_rows = len(starts) - 1
    prices, owner = np.zeros(n_columns), np.full(n_columns, -1, np.int64)
    chosen, value = np.full(n_rows, -1, np.int64), np.full(n_rows, WAITING)
    # The stack holds the rows that still have to bid, row 0 on top; each is on it at most once.
    stack, top = np.arange(n_rows)[::-1].copy(), n_rows
    while top > 0:
        top -= 1
        row = stack[top]
        best, second, choice = -np.inf, -np.inf, -1
        for k in range(starts[row], starts[row + 1]):
            gain = worth[k] - prices[columns[k]]
            if gain > best:
                second, best, choice = best, gain, k
            elif gain > second:
                second = gain
        if choice < 0 or best < -1.0 - tolerance:
            # A column outside the list that nobody has bid for would gain the row more. It stays
            # unassigned, and the caller lists more columns for it.
            continue
        column = columns[choice]
        # Unlisted columns count as second choices with a gain of −1: no bid goes beyond them.
        second = max(second, -1.0 - tolerance)
        prices[column] += best - second + tolerance
        previous = owner[column]
        if previous >= 0:
            chosen[previous] = -1
            stack[top] = previous
            top += 1
        owner[column], chosen[row] = row, column
    # Prices may have risen since a row's last bid, so values are computed only now.
    for row in range(n_rows):
        if chosen[row] >= 0:
            for k in range(starts[row], starts[row + 1]):
                if columns[k] == chosen[row]:
                    value[row] = worth[k] - prices[chosen[row]]
    return chosen, value, prices
