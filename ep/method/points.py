"""Euclidean distances of activations that keep their length, exactly, and the nearest exemplar.

A row is (d + 1) float32 numbers: a unit direction u and a length l ≥ 0, in typical norms, for the
point l·u (`ep.method.metrics.Metric.rows`). The rule, which every search obeys: the squared
distance of two rows is the float64 number

    F = fold((l·u − m·v)²)          fold: see ep.method.nearest

and their distance is √F. The products l·u are exact (24 + 24 bits fit in 53), and all else is
elementwise, so F depends on the two rows alone: not on the rest of the batch, the library or the
number of threads. The nearest exemplar has the smallest F, the older one on a tie.

A matrix product only screens: with P the float32 product of u and v, F lies within `slack` of

    E = l²|u|² + m²|v|² − 2lm·P

and every exemplar that could still win is decided by F. This module needs numpy only.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from ep.errors import ActivationError
from ep.method.nearest import (
    CROWDED,
    PAIR_NUMBERS,
    ROWS_AT_A_TIME,
    TILE,
    UNIT_ROUNDOFF,
    fold,
    rounding_bound,
)
from ep.shapes import Bool, Float32, Float64, Int64

SCREEN_NUMBERS = 1 << 18
"""Estimates in memory at a time (2 MB each of a few arrays)."""
FLOAT32, FLOAT64 = np.dtype(np.float32), np.dtype(np.float64)


class Points(NamedTuple):
    """Rows taken apart; a part of them is `taken`.

    direction: (n, d) float32. length: (n,) float64. square: (n,) float64, l²|u|² to rounding.
    """

    direction: np.ndarray
    length: np.ndarray
    square: np.ndarray

    def taken(self, part: slice | np.ndarray) -> Points:
        """Return some of the points."""
        return Points(*(column[part] for column in self))


def points(rows: Float32[np.ndarray, "n w"]) -> Points:
    """Return rows (n, d + 1) as points."""
    direction = np.ascontiguousarray(rows[:, :-1], np.float32)
    length = rows[:, -1].astype(np.float64)
    norms = np.einsum("nd,nd->n", direction, direction, dtype=np.float64)
    return Points(direction, length, length * length * norms)


def squared(a: Points, b: Points) -> Float64[np.ndarray, " n"]:
    """Return F of the points row by row, by the rule of this module."""
    gap = a.direction.astype(np.float64) * a.length[:, None]
    gap -= b.direction.astype(np.float64) * b.length[:, None]
    return np.asarray(fold(np.multiply(gap, gap, out=gap)))


def pair_squares(a: Points, b: Points, row: np.ndarray, column: np.ndarray) -> np.ndarray:
    """Return F of a[row[i]] and b[column[i]] for every i, (pairs,) float64, in bounded memory."""
    out = np.empty(len(row))
    step = max(1, PAIR_NUMBERS // a.direction.shape[1])
    for i in range(0, len(row), step):
        part = slice(i, i + step)
        out[part] = squared(a.taken(row[part]), b.taken(column[part]))
    return out


def screen(
    x: Points, y: Points, dtype: np.dtype = FLOAT32
) -> tuple[Float64[np.ndarray, "b k"], Float64[np.ndarray, "b k"]]:
    """Return estimates E of all F, and the slack within which F surely lies of each.

    dtype: the arithmetic of the product.

    With β = `rounding_bound`, |P − u·v| ≤ β, which moves E by at most 2lm·β. Everything else is
    float64: sums of d products in |u|², four operations in E, and in F three for each term and the
    depth of the fold, each a share 2⁻⁵³ of at most 2(l² + m²)·1.001². `rest` is several times that.
    """
    d = x.direction.shape[1]
    rest = (d + 32) * 8 * UNIT_ROUNDOFF[FLOAT64]
    cross = np.multiply.outer(x.length, 2 * y.length)
    slack = cross * rounding_bound(d, dtype)
    slack += (rest * x.length**2)[:, None]
    slack += rest * y.length**2
    cross *= x.direction.astype(dtype, copy=False) @ y.direction.astype(dtype, copy=False).T
    estimate = np.subtract(x.square[:, None], cross, out=cross)
    estimate += y.square
    return estimate, slack


def challenge(
    x: Points,
    tile: Points,
    first: int,
    square: Float64[np.ndarray, " b"],
    region: Int64[np.ndarray, " b"],
    ceiling: float = math.inf,
    hidden: Bool[np.ndarray, "b k"] | None = None,
) -> None:
    """Compare one tile of exemplars with each row's best so far; update square and region in place.

    x: b rows. tile: k exemplars with the ids first, first + 1, …, younger than those in `region`.
    square, region: (b,), the best so far.
    ceiling: exemplars with a larger F never win.
    hidden: (b, k), which exemplars do not count for which row.
    """
    step = max(1, SCREEN_NUMBERS // len(tile.length))
    for start in range(0, len(x.length), step):
        part = slice(start, start + step)
        mask = None if hidden is None else hidden[part]
        _challenge(x.taken(part), tile, first, square[part], region[part], ceiling, mask)


def _challenge(
    x: Points,
    tile: Points,
    first: int,
    square: np.ndarray,
    region: np.ndarray,
    ceiling: float,
    hidden: np.ndarray | None,
) -> None:
    bar = np.minimum(square, ceiling)
    row, column = _survivors(x, tile, bar, hidden, FLOAT32)
    crowded = np.flatnonzero(np.bincount(row, minlength=len(x.length)) > CROWDED)
    if len(crowded):
        # too alike for float32 to tell apart: a float64 product leaves far fewer candidates
        mask = None if hidden is None else hidden[crowded]
        r, c = _survivors(x.taken(crowded), tile, bar[crowded], mask, FLOAT64)
        others = ~np.isin(row, crowded)
        row, column = np.concatenate([row[others], crowded[r]]), np.concatenate([column[others], c])
        order = np.lexsort((column, row))  # the reduceat below needs the pairs row by row
        row, column = row[order], column[order]
    exact = pair_squares(x, tile, row, column)
    inside = exact <= ceiling
    row, column, exact = row[inside], column[inside], exact[inside]
    if not len(row):
        return
    starts = np.flatnonzero(np.r_[True, row[1:] != row[:-1]])
    best = np.minimum.reduceat(exact, starts)
    is_best = exact == np.repeat(best, np.diff(np.r_[starts, len(row)]))
    oldest = np.minimum.reduceat(np.where(is_best, column, len(tile.length)), starts)
    better = best < square[row[starts]]  # strictly: a tie stays with the older region
    square[row[starts][better]] = best[better]
    region[row[starts][better]] = first + oldest[better]


def _survivors(
    x: Points, tile: Points, bar: np.ndarray, hidden: np.ndarray | None, dtype: np.dtype
) -> tuple[np.ndarray, np.ndarray]:
    """Return the (row, column) pairs, row by row, that may still win.

    bar: (b,) squared distances that a winner does not exceed.
    """
    estimate, slack = screen(x, tile, dtype)
    if hidden is not None:
        estimate[hidden] = np.inf
    bar = np.minimum(bar, (estimate + slack).min(axis=1))
    row, column = np.nonzero(np.subtract(estimate, slack, out=estimate) <= bar[:, None])
    if hidden is not None:
        seen = ~hidden[row, column]
        row, column = row[seen], column[seen]
    return row, column


def nearest_point(
    rows: np.ndarray, exemplars: np.ndarray
) -> tuple[Float64[np.ndarray, " n"], Int64[np.ndarray, " n"]]:
    """Return the nearest exemplar of every row, by the rule of this module.

    rows: (n, d + 1) float32. exemplars: (K, d + 1) float32, oldest first.
    Returns F (n,) float64 and region (n,) int64; infinity and −1 without exemplars.

    Memory is bounded. Raises ActivationError if the widths differ.
    """
    if rows.ndim != 2 or exemplars.ndim != 2 or rows.shape[1] != exemplars.shape[1]:
        raise ActivationError(
            f"rows of shape {rows.shape} do not fit exemplars of shape {exemplars.shape}: both "
            "must be (rows, width + 1) of one width"
        )
    return search(points(rows), tiles(points(exemplars)))


def tiles(exemplars: Points) -> Iterator[tuple[int, Points]]:
    """Yield exemplars in tiles, each with the id of its first."""
    for first in range(0, len(exemplars.length), TILE):
        yield first, exemplars.taken(slice(first, first + TILE))


def search(
    x: Points,
    exemplars: Iterator[tuple[int, Points]],
    ceiling: float = math.inf,
    excluded: Int64[np.ndarray, " n"] | None = None,
) -> tuple[Float64[np.ndarray, " n"], Int64[np.ndarray, " n"]]:
    """Return F and the id of the nearest exemplar of every row; infinity and −1 where there is
    none.

    exemplars: as `tiles` gives them.
    ceiling: exemplars with a larger F do not count.
    excluded: (n,) one id for each row that does not count.
    """
    square = np.full(len(x.length), np.inf)
    region = np.full(len(x.length), -1, np.int64)
    for first, tile in exemplars:
        ids = np.arange(first, first + len(tile.length))
        for start in range(0, len(region), ROWS_AT_A_TIME):
            part = slice(start, start + ROWS_AT_A_TIME)
            hidden = None if excluded is None else excluded[part, None] == ids
            challenge(x.taken(part), tile, first, square[part], region[part], ceiling, hidden)
    return square, region


def distances(
    rows: Float32[np.ndarray, "n w"], others: Float32[np.ndarray, "m w"]
) -> Float32[np.ndarray, "n m"]:
    """Return the distance of every pair of rows, from float64 products: (n, m) float32."""
    x, y = points(rows), points(others)
    estimate, slack = screen(x, y, FLOAT64)
    # what lies within the slack of 0 is 0: a point is not away from itself
    estimate[estimate <= slack] = 0
    return np.sqrt(estimate).astype(np.float32)
