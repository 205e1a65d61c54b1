"""The nearest exemplar, exactly: the rule that every search obeys, and a plain numpy search.

The rule. The cosine of two float32 vectors is the float64 number that `folded_cosine` returns: the
d products (each exact in float64, since 24 + 24 bits fit in 53) are summed by adding the upper half
to the lower half until one number is left. These are elementwise additions only, so the result
depends on the two vectors alone: not on the rest of the batch, the library, the number of threads
or the device. The nearest exemplar of an activation is the one with the largest cosine, the older
one (smaller id) on a tie, and its distance is 1 − cosine.

A float32 product only screens, and never decides: every exemplar that could still win, given
`rounding_bound`, is evaluated again in float64. This module needs numpy only and depends neither on
thresholds nor on how the exemplars were chosen; ep.method.search applies the same rule faster.
"""

from __future__ import annotations

import math

import numpy as np

from ep.errors import ActivationError
from ep.shapes import Float, Float64, Int64

NORM_TOLERANCE = 1e-3  # unit rows may have norms this far above 1; the bounds below allow for it
UNIT_ROUNDOFF = {np.dtype(np.float32): 2.0**-24, np.dtype(np.float64): 2.0**-53}
ROWS_AT_A_TIME = 1024  # with TILE this bounds the memory of a search: 8 MB of products
TILE = 2048
CROWDED = 32  # with more survivors than this, a float64 product thins a row's candidates first
PAIR_NUMBERS = 1 << 17  # float64 numbers in memory at a time during the recheck (1 MB)


def fold(products):
    """Sum the last axis by repeatedly adding its upper half to its lower half.

    products: numpy array or torch tensor (..., d); it is overwritten.
    """
    n = products.shape[-1]
    while n > 1:
        half = (n + 1) // 2
        products[..., : n - half] += products[..., half:n]
        n = half
    return products[..., 0]


def folded_cosine(
    a: Float[np.ndarray, "n d"], b: Float[np.ndarray, "n d"]
) -> Float64[np.ndarray, " n"]:
    """Return the row-by-row cosines of unit rows by the rule of this module.

    The bits of each cosine are the same in every batch.
    """
    return fold(a.astype(np.float64) * b)


def rounding_bound(width: int, dtype: np.dtype | type = np.float32) -> float:
    """Return the largest possible difference between a dot product of unit rows and its fold.

    width: d.
    dtype: the arithmetic of the dot product, whose terms may be added in any order.

    Any order of n products and additions, fused or not, errs by at most gamma_n · Σ|x_i y_i|, where
    gamma_n = n u / (1 − n u) and u is the unit roundoff (Higham, Accuracy and Stability of
    Numerical Algorithms, section 3.1), and Σ|x_i y_i| <= |x||y| by Cauchy-Schwarz. The same holds
    for the fold with n = its depth. The last term covers underflow.
    """
    steps = width * UNIT_ROUNDOFF[np.dtype(dtype)]
    depth = math.ceil(math.log2(width)) * UNIT_ROUNDOFF[np.dtype(np.float64)] if width > 1 else 0.0
    return (steps / (1 - steps) + depth / (1 - depth)) * (1 + NORM_TOLERANCE) ** 2 + 1e-30


def nearest_exemplar(
    directions: np.ndarray, exemplars: np.ndarray
) -> tuple[Float64[np.ndarray, " n"], Int64[np.ndarray, " n"]]:
    """Return the nearest exemplar of every direction, by the rule of this module (protocol 3.1).

    directions: (n, d) float32, unit rows, or zero rows, whose cosine with everything is 0.
    exemplars: (K, d) float32, unit rows, oldest first.
    Returns cosine (n,) float64, not clamped, and region (n,) int64; −inf and −1 without exemplars.

    Memory is bounded. Raises ActivationError if the widths differ.
    """
    if directions.ndim != 2 or exemplars.ndim != 2 or directions.shape[1] != exemplars.shape[1]:
        raise ActivationError(
            f"directions of shape {directions.shape} do not fit exemplars of shape "
            f"{exemplars.shape}: both must be (rows, width) of one width"
        )
    cosine = np.full(len(directions), -np.inf)
    region = np.full(len(directions), -1, np.int64)
    for start in range(0, len(directions), ROWS_AT_A_TIME):
        rows = slice(start, start + ROWS_AT_A_TIME)
        for first in range(0, len(exemplars), TILE):
            _challenge(
                directions[rows], exemplars[first : first + TILE], first, cosine[rows], region[rows]
            )
    return cosine, region


def _challenge(
    x: np.ndarray, tile: np.ndarray, first: int, cosine: np.ndarray, region: np.ndarray
) -> None:
    """Compare one tile of exemplars with each row's best so far; update cosine and region in place.

    x: (b, d) rows.
    tile: (k, d) exemplars with the ids first, first + 1, …
    cosine, region: (b,), the best so far.
    """
    row, column = _survivors(x @ tile.T, cosine, rounding_bound(x.shape[1], np.float32))
    crowded = np.flatnonzero(np.bincount(row, minlength=len(x)) > CROWDED)
    if len(crowded):
        # These exemplars are too alike for float32 products to tell them apart. A float64 product
        # leaves far fewer candidates.
        products = x[crowded].astype(np.float64) @ tile.T.astype(np.float64)
        r, c = _survivors(products, cosine[crowded], rounding_bound(x.shape[1], np.float64))
        others = ~np.isin(row, crowded)
        row, column = np.concatenate([row[others], crowded[r]]), np.concatenate([column[others], c])
        order = np.lexsort((column, row))  # the reduceat below needs the pairs row by row
        row, column = row[order], column[order]
    if len(row) == 0:
        return
    exact = pair_cosines(x, tile, row, column)
    starts = np.flatnonzero(np.r_[True, row[1:] != row[:-1]])
    best = np.maximum.reduceat(exact, starts)
    is_best = exact == np.repeat(best, np.diff(np.r_[starts, len(row)]))
    # Ties go to the older region: to the smallest id within the tile, and to the region of an
    # earlier tile, since `better` is strict.
    oldest = np.minimum.reduceat(np.where(is_best, column, len(tile)), starts)
    better = best > cosine[row[starts]]
    cosine[row[starts][better]] = best[better]
    region[row[starts][better]] = first + oldest[better]


def _survivors(
    products: np.ndarray, cosine: np.ndarray, bound: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return the (row, column) pairs, row by row, that may still win.

    These are the products not surely below the row's best so far or the best of these products.

    products: (b, k), within `bound` of the folded cosines.
    cosine: (b,), the best so far.
    """
    # The winner's cosine is at least the largest product less the bound, and its own product may be
    # smaller than its cosine by the bound once more.
    at_least = np.maximum(cosine, products.max(1).astype(np.float64) - bound) - bound
    # the cast must not round upwards
    at_least = np.nextafter(at_least.astype(products.dtype), -np.inf)
    row, column = np.nonzero(products >= at_least[:, None])
    return row, column


def pair_cosines(
    a: Float[np.ndarray, "n d"], b: Float[np.ndarray, "m d"], row: np.ndarray, column: np.ndarray
) -> Float64[np.ndarray, " pairs"]:
    """Return the folded cosine of a[row[i]] and b[column[i]] for every i, in bounded memory."""
    step = max(1, PAIR_NUMBERS // a.shape[1])
    parts = [
        folded_cosine(a[row[i : i + step]], b[column[i : i + step]])
        for i in range(0, len(row), step)
    ]
    return np.concatenate(parts) if parts else np.empty(0)
