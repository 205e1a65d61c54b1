"""The float64 decision behind a screen, compiled: which screened exemplars could win, and which of them does.

The same law as ep.method.nearest (the fold adds the same numbers in the same order, so the bits agree), in one pass
over the products of a screen and without a list of candidates: rivals cost one folded cosine each, however many.
Only this file needs numba, and only a search on the CPU imports it.
"""

from __future__ import annotations

from typing import no_type_check

import numpy as np
from numba import njit

CHUNK = 32  # products looked at together: a chunk whose largest cannot win is never opened


# nnan and nsz let the compiler take maxima eight at a time; unlike full fastmath they never reorder an addition.
@njit(cache=True, nogil=True, fastmath={"nnan", "nsz"})
@no_type_check
def fold_pair(a, b, scratch):
    """ep.method.nearest.folded_cosine of one pair of rows. scratch: (at least (d + 1) // 2,) float64."""
    d = len(a)
    if d == 1:
        return np.float64(a[0]) * np.float64(b[0])
    half = (d + 1) // 2
    rest = d - half
    for j in range(rest):
        scratch[j] = np.float64(a[j]) * np.float64(b[j]) + np.float64(a[j + half]) * np.float64(b[j + half])
    if rest < half:
        scratch[rest] = np.float64(a[rest]) * np.float64(b[rest])
    while half > 1:
        n = half
        half = (n + 1) // 2
        for j in range(n - half):
            scratch[j] += scratch[j + half]
    return scratch[0]


@njit(cache=True, nogil=True)
@no_type_check
def fold_pairs(a, b, row, column):
    """folded_cosine of a[row[i]] and b[column[i]] for every i: (pairs,) float64."""
    out = np.empty(len(row))
    scratch = np.empty((a.shape[1] + 1) // 2)
    for i in range(len(row)):
        out[i] = fold_pair(a[row[i]], b[column[i]], scratch)
    return out


@njit(cache=True, nogil=True, fastmath={"nnan", "nsz"})
@no_type_check
def chunk_tops(row, tops):
    """The largest product of every chunk of a row, into tops; returns the largest of all."""
    full = len(row) // CHUNK
    for c in range(full):
        top = row[c * CHUNK]
        for j in range(c * CHUNK, c * CHUNK + CHUNK):
            top = max(top, row[j])
        tops[c] = top
    if full < len(tops):
        top = row[full * CHUNK]
        for j in range(full * CHUNK, len(row)):
            top = max(top, row[j])
        tops[full] = top
    return tops.max()


@njit(cache=True, nogil=True)
@no_type_check
def challenge(products, unit, slack, x, tile, first, floor, cosine, region):
    """Let the exemplars of one tile challenge the rows' best so far, in place; ep.method.search says what is what."""
    tops = np.empty((products.shape[1] + CHUNK - 1) // CHUNK, products.dtype)
    scratch = np.empty((x.shape[1] + 1) // 2)
    for r in range(len(products)):
        margin = slack[r] + 1e-12  # the rounding of the next lines
        top = chunk_tops(products[r], tops)
        bar = (max(cosine[r], floor, unit[r] * top - margin) - margin) / unit[r]
        for c in range(len(tops)):
            if tops[c] < bar:
                continue
            for j in range(c * CHUNK, min(c * CHUNK + CHUNK, products.shape[1])):
                if products[r, j] < bar:
                    continue
                exact = fold_pair(x[r], tile[j], scratch)
                if exact > cosine[r] and exact >= floor:  # strictly nearer: a tie stays with the older region
                    cosine[r] = exact
                    region[r] = first + j
                    bar = max(bar, (exact - margin) / unit[r])
