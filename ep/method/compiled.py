"""The inner loops of the search on the CPU, compiled: the int8 codes and the exact decision.

The rule is that of ep.method.nearest: the fold adds the same numbers in the same order, so the bits
agree. One pass over the products of a screen decides, without a list of candidates in memory; each
candidate costs one folded cosine. Of the modules that search, only this one needs numba.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import no_type_check

import numpy as np
from numba import njit

FEWEST_ROWS = 128  # a thread with fewer rows than this costs more than it saves
CHUNK = 32  # products compared together: a chunk whose largest product cannot win is skipped


def over_rows(work: Callable[[slice], object], n: int, threads: int) -> None:
    """Run `work` on slices that cover n rows, on up to `threads` threads.

    The compiled loops below release Python's global interpreter lock, so the threads run in
    parallel.
    """
    threads = min(threads, n // FEWEST_ROWS)
    if threads < 2:
        work(slice(0, n))
        return
    edges = [n * i // threads for i in range(threads + 1)]
    shares = [slice(a, b) for a, b in zip(edges[:-1], edges[1:], strict=True)]
    others = [_pool(threads - 1).submit(work, share) for share in shares[1:]]
    work(shares[0])
    for other in others:
        other.result()


@lru_cache(maxsize=4)
def _pool(threads: int) -> ThreadPoolExecutor:
    """Return the pool of worker threads, which is kept between calls."""
    return ThreadPoolExecutor(threads, thread_name_prefix="search")


# nnan and nsz let the compiler take maxima eight at a time; unlike full fastmath they never reorder
# an addition.
@njit(cache=True, nogil=True, fastmath={"nnan", "nsz"})
@no_type_check
def fold_pair(a, b, scratch):
    """Return ep.method.nearest.folded_cosine of one pair of rows.

    a, b: (d,) float32.
    scratch: at least (d + 1) // 2 float64 numbers, overwritten.
    """
    d = len(a)
    if d == 1:
        return np.float64(a[0]) * np.float64(b[0])
    # The first level of the fold multiplies as well. For odd d the middle entry has no partner.
    half = (d + 1) // 2
    rest = d - half
    for j in range(rest):
        scratch[j] = np.float64(a[j]) * np.float64(b[j]) + np.float64(a[j + half]) * np.float64(
            b[j + half]
        )
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
    """Return the folded cosine of a[row[i]] and b[column[i]] for every i: (pairs,) float64."""
    out = np.empty(len(row))
    scratch = np.empty((a.shape[1] + 1) // 2)
    for i in range(len(row)):
        out[i] = fold_pair(a[row[i]], b[column[i]], scratch)
    return out


@njit(cache=True, nogil=True, fastmath={"nnan", "nsz"})
@no_type_check
def chunk_tops(row, tops):
    """Write the largest product of every chunk of a row into `tops`; return the largest of all."""
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


@njit(cache=True, nogil=True, fastmath=True)
@no_type_check
def rough_cosine(a, b):
    """Return a float32 dot product, summed in any order.

    It differs from the folded cosine by at most ep.method.nearest.rounding_bound.
    """
    total = np.float32(0)
    for j in range(len(a)):
        total += a[j] * b[j]
    return total


@njit(cache=True, nogil=True)
@no_type_check
def challenge(products, unit, slack, x, tile, first, floor, bound, cosine, region):
    """Compare one tile of exemplars with each row's best so far; update cosine and region in place.

    The parameters are those of ep.method.search.challenge, and `bound` is that of `rough_cosine`.
    It thins the candidates that a coarse screen leaves, so that about one fold per row is computed.
    """
    k = products.shape[1]
    tops = np.empty((k + CHUNK - 1) // CHUNK, products.dtype)
    scratch = np.empty((x.shape[1] + 1) // 2)
    candidates, rough = np.empty(k, np.int64), np.empty(k)
    for r in range(len(products)):
        # The best exemplar of the tile surely reaches unit·top − margin. An exemplar that lies more
        # than the margin below that, below the best so far or below the floor cannot win. The bar
        # is in units of the products.
        margin = slack[r] + 1e-12  # 1e-12 covers the rounding of the next two lines
        top = chunk_tops(products[r], tops)
        bar = (max(cosine[r], floor, unit[r] * top - margin) - margin) / unit[r]
        n = 0
        for c in range(len(tops)):
            if tops[c] >= bar:
                for j in range(c * CHUNK, min(c * CHUNK + CHUNK, k)):
                    if products[r, j] >= bar:
                        candidates[n] = j
                        n += 1
        # with several candidates, a float32 product discards those that surely lose to another
        least = max(cosine[r], floor)
        if n > 1:
            for i in range(n):
                rough[i] = rough_cosine(x[r], tile[candidates[i]])
                least = max(least, rough[i] - bound)
        for i in range(n):
            if n > 1 and rough[i] + bound < least:
                continue
            exact = fold_pair(x[r], tile[candidates[i]], scratch)
            # only strictly nearer exemplars win: a tie stays with the older region
            if exact > cosine[r] and exact >= floor:
                cosine[r] = exact
                region[r] = first + candidates[i]


@njit(cache=True, nogil=True)
@no_type_check
def mix(row, signs, parts, mixed):
    """Mix one row into `mixed`: random signs, then a Hadamard transform across `parts` equal parts.

    See ep.method.codes; the transform is not yet scaled by 1/√parts.
    """
    d, width = len(row), len(mixed)
    for j in range(d):
        mixed[j] = row[j] * signs[j]
    mixed[d:] = np.float32(0)
    # one level of the transform at a time: entries `run` apart become their sum and difference
    run = width // parts
    while run < width:
        for start in range(0, width, 2 * run):
            first = mixed[start : start + run]
            second = mixed[start + run : start + 2 * run]
            for j in range(run):
                a = first[j]
                b = second[j]
                first[j] = a + b
                second[j] = a - b
        run *= 2


@njit(cache=True, nogil=True, fastmath=True)
@no_type_check
def round_row(mixed, step, numbers):
    """Round one mixed row to whole multiples of `step` and write the multiples into `numbers`.

    Returns the squared length of the rounding error, summed in any order.
    """
    missed = np.float32(0)
    inverse = np.float32(1) / step
    for j in range(len(mixed)):
        q = min(max(np.rint(mixed[j] * inverse), np.float32(-127)), np.float32(127))
        numbers[j] = np.int8(q)
        off = mixed[j] - q * step
        missed += off * off
    return missed


@njit(cache=True, nogil=True)
@no_type_check
def largest_of(mixed):
    """Return the largest absolute entry.

    Without their sign bit, floats are ordered like the integers with the same bits, for which the
    maximum is much faster.
    """
    bits = mixed.view(np.int32)
    largest = np.zeros(1, np.int32)
    for j in range(len(bits)):
        largest[0] = max(largest[0], bits[j] & np.int32(0x7FFFFFFF))
    return largest.view(np.float32)[0]


@njit(cache=True, nogil=True)
@no_type_check
def encode(rows, signs, parts, scale, numbers, step, largest, missed):
    """Write the codes of unit rows (see ep.method.codes) into the last four arguments.

    rows: (n, d) float32.
    signs: (d,) float32, ±1.
    parts: parts mixed together.
    scale: the common scale, or 0 for a separate scale for each row.
    numbers: (n, width) int8.
    step, largest, missed: (n,) float64, as in ep.method.codes.Encoded.
    """
    mixed = np.empty(numbers.shape[1], np.float32)
    shrink = np.float32(1 / np.sqrt(parts))  # a power of 2, so that scaling is exact
    for r in range(len(rows)):
        mix(rows[r], signs, parts, mixed)
        mixed *= shrink
        widest = largest_of(mixed)
        row_scale = (
            np.float32(scale) if scale > 0 else max(widest / np.float32(127), np.float32(1e-30))
        )
        missed[r] = np.sqrt(np.float64(round_row(mixed, row_scale, numbers[r])))
        largest[r] = widest
        step[r] = row_scale
