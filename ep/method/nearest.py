"""The nearest exemplar, exactly: the law every search here obeys, and the plain numpy search that
states it.

The law. The cosine of two float32 vectors is the float64 number `folded_cosine` gives: the d
products (each exact in float64, since 24 + 24 bits fit in 53) summed by folding the upper half onto
the lower half until one number is left. Only elementwise additions occur, so the result depends on
the two vectors alone: not on the batch around them, the library, the number of threads or the
device. An activation's nearest exemplar is the one of largest cosine, the older (smaller id) on a
tie, and its distance is 1 - cosine.

A float32 product only screens. It never decides: every exemplar that could win by `rounding_bound`
is looked at again in float64. This room knows neither thresholds nor how exemplars came to be, and
needs nothing but numpy; ep.method.search is the same law at speed.
"""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float, Float64, Int64

from ep.errors import ActivationError

NORM_TOLERANCE = 1e-3  # rows are unit vectors: norms at most this far above 1 (bounds below use it)
UNIT_ROUNDOFF = {np.dtype(np.float32): 2.0**-24, np.dtype(np.float64): 2.0**-53}
ROWS_AT_A_TIME = 1024  # with TILE this bounds the memory of a search: 8 MB of products
TILE = 2048
CROWDED = 32  # survivors a row may bring to the float64 recheck before a float64 product thins them
PAIR_NUMBERS = 1 << 17  # float64 numbers held at a time by the recheck (1 MB)


def fold(products):
    """Sum the last axis by folding its upper half onto its lower half (numpy arrays and torch
    tensors; overwrites).
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
    """The law: row-by-row cosines of unit rows in float64, the same bits in any batch.

    See the module docstring.
    """
    return fold(a.astype(np.float64) * b)


def rounding_bound(width: int, dtype: np.dtype | type = np.float32) -> float:
    """Largest difference between a dot product of unit rows computed in `dtype`, in any order, and
    the folded cosine.

    Any order of n products and additions, fused or not, errs by at most gamma_n * sum|x_i y_i| with
    gamma_n = n u / (1 - n u) and u the unit roundoff (Higham, Accuracy and Stability, section 3.1),
    and sum|x_i y_i| <= |x||y| by Cauchy-Schwarz. The fold errs likewise with n = its depth. The
    last term covers underflow.
    """
    steps = width * UNIT_ROUNDOFF[np.dtype(dtype)]
    depth = math.ceil(math.log2(width)) * UNIT_ROUNDOFF[np.dtype(np.float64)] if width > 1 else 0.0
    return (steps / (1 - steps) + depth / (1 - depth)) * (1 + NORM_TOLERANCE) ** 2 + 1e-30


def nearest_exemplar(
    directions: np.ndarray, exemplars: np.ndarray
) -> tuple[Float64[np.ndarray, " n"], Int64[np.ndarray, " n"]]:
    """The nearest exemplar of every direction, by the law of this module.

    directions: (n, d) float32, unit rows (or zero, whose cosine with everything is 0).
    exemplars: (K, d) float32, unit rows, oldest first. Returns cosine (n,) float64 and region (n,)
    int64; with no exemplars, -inf and -1. Memory is bounded. Raises ActivationError if the widths
    differ. Source: protocol 3.1 (without its clamp).
    """
    if directions.ndim != 2 or exemplars.ndim != 2 or directions.shape[1] != exemplars.shape[1]:
        raise ActivationError(
            f"directions of shape {directions.shape} do not fit exemplars of shape "
            f"{exemplars.shape}; "
            "both must be (rows, width) of one width"
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
    """Let the exemplars of one tile (ids from `first` on) challenge the rows' best so far, in
    place.
    """
    row, column = _survivors(x @ tile.T, cosine, rounding_bound(x.shape[1], np.float32))
    crowded = np.flatnonzero(np.bincount(row, minlength=len(x)) > CROWDED)
    if len(crowded):
        # Near-duplicates a float32 product cannot tell apart: a float64 product leaves only the
        # real rivals.
        products = x[crowded].astype(np.float64) @ tile.T.astype(np.float64)
        r, c = _survivors(products, cosine[crowded], rounding_bound(x.shape[1], np.float64))
        calm = ~np.isin(row, crowded)
        row, column = np.concatenate([row[calm], crowded[r]]), np.concatenate([column[calm], c])
        order = np.lexsort((column, row))
        row, column = row[order], column[order]
    if len(row) == 0:
        return
    exact = pair_cosines(x, tile, row, column)
    starts = np.flatnonzero(np.r_[True, row[1:] != row[:-1]])
    best = np.maximum.reduceat(exact, starts)
    is_best = exact == np.repeat(best, np.diff(np.r_[starts, len(row)]))
    oldest = np.minimum.reduceat(np.where(is_best, column, len(tile)), starts)
    better = best > cosine[row[starts]]  # strictly: a tie stays with the older region
    cosine[row[starts][better]] = best[better]
    region[row[starts][better]] = first + oldest[better]


def _survivors(
    products: np.ndarray, cosine: np.ndarray, bound: float
) -> tuple[np.ndarray, np.ndarray]:
    """(row, column) pairs, row by row, that may beat both the row's best so far and the best of
    these products.
    """
    at_least = np.maximum(cosine, products.max(1).astype(np.float64) - bound) - bound
    # the cast must not round the bar upwards
    at_least = np.nextafter(at_least.astype(products.dtype), -np.inf)
    row, column = np.nonzero(products >= at_least[:, None])
    return row, column


def pair_cosines(
    a: Float[np.ndarray, "n d"], b: Float[np.ndarray, "m d"], row: np.ndarray, column: np.ndarray
) -> Float64[np.ndarray, " pairs"]:
    """folded_cosine of a[row[i]] and b[column[i]] for every i, in bounded memory."""
    step = max(1, PAIR_NUMBERS // a.shape[1])
    parts = [
        folded_cosine(a[row[i : i + step]], b[column[i : i + step]])
        for i in range(0, len(row), step)
    ]
    return np.concatenate(parts) if parts else np.empty(0)
