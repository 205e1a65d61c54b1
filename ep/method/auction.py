"""The auction behind a one-to-one pairing, compiled.

Like the search's loops, it needs numba and nothing else.
"""

from __future__ import annotations

from typing import no_type_check

import numpy as np
from numba import njit

WAITING = -2.0
"""The value of a row that found nothing worth its price: below −1, what any row gets from an
unwanted column.
"""


@no_type_check
@njit(cache=True, nogil=True)
def auction(starts, columns, worth, n_columns, tolerance):
    """Rows bid for columns: row i may have `columns[starts[i]:starts[i + 1]]`, worth as much.

    A row without a column bids for the one with the largest worth − price, raising the price by the
    lead over its second choice and the tolerance; whoever had it looks again. Prices start at 0, so
    a column nobody wanted costs 0. Returns chosen (rows,) int64, −1 for none; value (rows,): worth
    − price of the chosen; prices (columns,).
    """
    n_rows = len(starts) - 1
    prices, owner = np.zeros(n_columns), np.full(n_columns, -1, np.int64)
    chosen, value = np.full(n_rows, -1, np.int64), np.full(n_rows, WAITING)
    stack, top = np.arange(n_rows)[::-1].copy(), n_rows
    while top > 0:
        top -= 1
        row = stack[top]
        best, second, at = -np.inf, -np.inf, -1
        for k in range(starts[row], starts[row + 1]):
            gain = worth[k] - prices[columns[k]]
            if gain > best:
                second, best, at = best, gain, k
            elif gain > second:
                second = gain
        if at < 0 or best < -1.0 - tolerance:
            # every column it may have is dearer than one nobody wants: more must be listed
            continue
        column = columns[at]
        second = max(second, -1.0 - tolerance)
        prices[column] += best - second + tolerance
        loser = owner[column]
        if loser >= 0:
            chosen[loser] = -1
            stack[top] = loser
            top += 1
        owner[column], chosen[row] = row, column
    for row in range(n_rows):
        if chosen[row] >= 0:
            for k in range(starts[row], starts[row + 1]):
                if columns[k] == chosen[row]:
                    value[row] = worth[k] - prices[chosen[row]]
    return chosen, value, prices
