"""One-to-one pairs of two sets of unit rows with the largest sum of cosines, in bounded memory.

The method is an auction (Bertsekas): rows of the smaller set bid for rows of the larger, whose
prices rise. It first runs on each row's nearest few. Then every other pair is checked once, in
blocks; pairs by which a row would gain at the current prices are added, and the auction runs again.
When no such pair is left, the pairing is the best possible, to within `TOLERANCE` for each pair.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ep.method.auction import auction
from ep.shapes import Float32, Int64

TOLERANCE = 1e-5
"""Least amount by which a bid raises a price; bounds the loss in the sum of cosines per pair."""
NEAREST = 48
"""Pairs listed for each row of either set at the start; more are added where they matter."""
JOIN = 8
"""Pairs added for each row that could gain."""
BLOCK_BYTES = 128 * 2**20


class Pairs(NamedTuple):
    """m = min(K_a, K_b) one-to-one pairs, ordered by `first`.

    first: (m,) rows of a.
    second: (m,) rows of b, the partner of each.
    cosine: (m,) their cosines.
    """

    first: Int64[np.ndarray, " m"]
    second: Int64[np.ndarray, " m"]
    cosine: Float32[np.ndarray, " m"]


def pair(
    a: Float32[np.ndarray, "a d"],
    b: Float32[np.ndarray, "b d"],
    report: Callable[[float], None] = lambda share: None,
) -> Pairs:
    """Return the one-to-one pairing of unit rows with the largest sum of cosines (protocol 7.1).

    a, b: (K_a, d) and (K_b, d) unit rows.
    report: called with the share done so far, which rises to 1; an exception it raises ends the
        work.
    """
    if len(a) > len(b):
        swapped = pair(b, a, report)
        order = np.argsort(swapped.second, kind="stable")
        return Pairs(swapped.second[order], swapped.first[order], swapped.cosine[order])
    rows, columns = _candidates(a, b, min(NEAREST, len(b)), report)
    # Every attempt lists at least one new column for each row that could gain; the loop normally
    # ends with the break.
    for attempt in range(1, 2 + len(b)):
        listed = _listed(a, b, rows, columns)
        chosen, value, prices = auction(*listed, len(b), TOLERANCE)
        more_rows, more_columns = _gains(a, b, prices, value)
        report(1 - 0.5 / (1 + attempt))
        if not len(more_rows):
            break
        rows, columns = np.concatenate([rows, more_rows]), np.concatenate([columns, more_columns])
    first = np.arange(len(a), dtype=np.int64)
    report(1.0)
    return Pairs(first, chosen, np.einsum("kd,kd->k", a, b[chosen]).astype(np.float32))


def counterpart(
    a: Float32[np.ndarray, "a d"], b: Float32[np.ndarray, "b d"]
) -> tuple[Int64[np.ndarray, " a"], Float32[np.ndarray, " a"]]:
    """Return the nearest row of b for each row of a, and their cosine (protocol 7.4).

    Several rows of a may have the same counterpart. The work is done in blocks.
    """
    nearest, cosine = np.empty(len(a), np.int64), np.empty(len(a), np.float32)
    step = max(1, BLOCK_BYTES // (4 * len(b)))
    for start in range(0, len(a), step):
        block = a[start : start + step] @ b.T
        best = np.argmax(block, axis=1)
        nearest[start : start + step], cosine[start : start + step] = (
            best,
            block[np.arange(len(block)), best],
        )
    return nearest, np.clip(cosine, -1, 1)


def _candidates(
    a: np.ndarray, b: np.ndarray, k: int, report: Callable[[float], None]
) -> tuple[np.ndarray, np.ndarray]:
    """Return the starting pairs: each row's k nearest in the other set, for the rows of both sets.

    Returns (rows of a, rows of b), in which a pair may occur twice.
    """
    parts = []
    step = max(1, BLOCK_BYTES // (4 * max(len(a), len(b))))
    for side, (x, y) in enumerate(((a, b), (b, a))):
        nearest = min(k, len(y))
        for start in range(0, len(x), step):
            block = x[start : start + step] @ y.T
            near = np.argpartition(block, -nearest, axis=1)[:, -nearest:]
            own = np.repeat(np.arange(start, start + len(block)), nearest)
            parts.append((own, near.ravel()) if side == 0 else (near.ravel(), own))
            report(0.25 * side + 0.25 * min(1.0, (start + step) / len(x)))
    rows, columns = (np.concatenate(part) for part in zip(*parts, strict=True))
    return rows.astype(np.int64), columns.astype(np.int64)


def _listed(
    a: np.ndarray, b: np.ndarray, rows: np.ndarray, columns: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the pairs sorted by row, each once, in the form that `auction` takes.

    Returns starts (len(a) + 1,), columns (pairs,) and the cosines (pairs,) in float64.
    """
    key = np.unique(rows * len(b) + columns)
    rows, columns = key // len(b), key % len(b)
    cosines = np.empty(len(key))
    step = max(1, BLOCK_BYTES // (16 * a.shape[1]))
    for start in range(0, len(key), step):
        part = slice(start, start + step)
        cosines[part] = np.einsum("kd,kd->k", a[rows[part]], b[columns[part]], dtype=np.float64)
    starts = np.searchsorted(rows, np.arange(len(a) + 1))
    return starts.astype(np.int64), columns, cosines


def _gains(
    a: np.ndarray, b: np.ndarray, prices: np.ndarray, value: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return pairs, not listed so far, by which a row would gain more than the tolerance.

    prices: (len(b),) and value: (len(a),), as the auction returned them.
    Returns (rows of a, rows of b), the best few of each such row.
    """
    rows, columns = [], []
    step = max(1, BLOCK_BYTES // (8 * len(b)))
    k = min(JOIN, len(b))
    for start in range(0, len(a), step):
        gain = (a[start : start + step] @ b.T).astype(np.float64) - prices
        # A listed column gains at most one tolerance more than the chosen one. The second tolerance
        # covers the rounding of the float32 product.
        can_gain = gain.max(axis=1) > value[start : start + step] + 2 * TOLERANCE
        for row in np.flatnonzero(can_gain):
            near = np.argpartition(gain[row], -k)[-k:]
            rows.append(np.full(k, start + row))
            columns.append(near)
    if not rows:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    return np.concatenate(rows).astype(np.int64), np.concatenate(columns).astype(np.int64)
