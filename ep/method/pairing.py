"""One-to-one pairs of two sets of unit rows, so that the sum of their cosines is largest; in
bounded memory.

An auction (Bertsekas): rows of the smaller set bid for rows of the larger, which keep a price. It
runs on each row's nearest few; then every other pair is looked at once, in blocks, and where the
prices would have let a row gain, that pair joins and the auction goes on. When none is left the
pairing is the best of all, to within `TOLERANCE` a pair. The room knows unit rows and nothing of
dictionaries.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, Int64

from ep.method.auction import auction

TOLERANCE = 1e-5
NEAREST = 48
"""Pairs a row starts with on either side; more are found where they matter."""
JOIN = 8
BLOCK_BYTES = 128 * 2**20


class Pairs(NamedTuple):
    """m = min(K_a, K_b) pairs: row `first[i]` of a belongs to row `second[i]` of b; ordered by
    `first`.
    """

    first: Int64[np.ndarray, " m"]
    second: Int64[np.ndarray, " m"]
    cosine: Float32[np.ndarray, " m"]


def pair(
    a: Float32[np.ndarray, "a d"],
    b: Float32[np.ndarray, "b d"],
    told: Callable[[float], None] = lambda share: None,
) -> Pairs:
    """The one-to-one pairing of unit rows with the largest sum of cosines (protocol 7.1).

    told(share): how far it is, rising to 1; what it raises ends the work.
    """
    if len(a) > len(b):
        turned = pair(b, a, told)
        order = np.argsort(turned.second, kind="stable")
        return Pairs(turned.second[order], turned.first[order], turned.cosine[order])
    rows, columns = _candidates(a, b, min(NEAREST, len(b)), told)
    for turn in range(1, 2 + len(b)):
        listed = _listed(a, b, rows, columns)
        chosen, value, prices = auction(*listed, len(b), TOLERANCE)
        more_rows, more_columns = _gains(a, b, prices, value)
        told(1 - 0.5 / (1 + turn))
        if not len(more_rows):
            break
        rows, columns = np.concatenate([rows, more_rows]), np.concatenate([columns, more_columns])
    first = np.arange(len(a), dtype=np.int64)
    told(1.0)
    return Pairs(first, chosen, np.einsum("kd,kd->k", a, b[chosen]).astype(np.float32))


def counterpart(
    a: Float32[np.ndarray, "a d"], b: Float32[np.ndarray, "b d"]
) -> tuple[Int64[np.ndarray, " a"], Float32[np.ndarray, " a"]]:
    """For each row of a its nearest row of b, many-to-one, and their cosine (protocol 7.4); in
    blocks.
    """
    found, cosine = np.empty(len(a), np.int64), np.empty(len(a), np.float32)
    step = max(1, BLOCK_BYTES // (4 * len(b)))
    for start in range(0, len(a), step):
        block = a[start : start + step] @ b.T
        at = np.argmax(block, axis=1)
        found[start : start + step], cosine[start : start + step] = (
            at,
            block[np.arange(len(block)), at],
        )
    return found, np.clip(cosine, -1, 1)


def _candidates(
    a: np.ndarray, b: np.ndarray, k: int, told: Callable[[float], None]
) -> tuple[np.ndarray, np.ndarray]:
    """Each row's k nearest in the other set, from both sides, as (rows of a, rows of b)."""
    parts = []
    step = max(1, BLOCK_BYTES // (4 * max(len(a), len(b))))
    for side, (x, y) in enumerate(((a, b), (b, a))):
        nearest = min(k, len(y))
        for start in range(0, len(x), step):
            block = x[start : start + step] @ y.T
            near = np.argpartition(block, -nearest, axis=1)[:, -nearest:]
            here = np.repeat(np.arange(start, start + len(block)), nearest)
            parts.append((here, near.ravel()) if side == 0 else (near.ravel(), here))
            told(0.25 * side + 0.25 * min(1.0, (start + step) / len(x)))
    rows, columns = (np.concatenate(part) for part in zip(*parts, strict=True))
    return rows.astype(np.int64), columns.astype(np.int64)


def _listed(
    a: np.ndarray, b: np.ndarray, rows: np.ndarray, columns: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The pairs by row: where each row starts, their columns, their cosines in float64; doubles
    once.
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
    """Pairs, not bid for so far, by which a row would gain more than the tolerance; the best few of
    each such row.
    """
    rows, columns = [], []
    step = max(1, BLOCK_BYTES // (8 * len(b)))
    k = min(JOIN, len(b))
    for start in range(0, len(a), step):
        gain = (a[start : start + step] @ b.T).astype(np.float64) - prices
        best = gain.max(axis=1) > value[start : start + step] + 2 * TOLERANCE
        for row in np.flatnonzero(best):
            near = np.argpartition(gain[row], -k)[-k:]
            rows.append(np.full(k, start + row))
            columns.append(near)
    if not rows:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    return np.concatenate(rows).astype(np.int64), np.concatenate(columns).astype(np.int64)
