"""The inner loops of the search on the CPU, compiled: codes for the int8 screen, and the decision
behind any screen.

The same law as ep.method.nearest (the fold adds the same numbers in the same order, so the bits
agree), in one pass over the products of a screen and without a list of candidates: rivals cost one
folded cosine each, however many. Of all searching only this file needs numba.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import no_type_check

import numpy as np
from numba import njit

FEWEST_ROWS = 128  # a thread's share below which handing it over costs more than it saves
CHUNK = 32  # products looked at together: a chunk whose largest cannot win is never opened


def over_rows(work: Callable[[slice], object], n: int, threads: int) -> None:
    """work(slice) on `threads` threads, the slices making up n rows; the loops below let go of
    Python's lock.
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
    return ThreadPoolExecutor(threads, thread_name_prefix="search")


# nnan and nsz let the compiler take maxima eight at a time; unlike full fastmath they never reorder
# an addition.
@njit(cache=True, nogil=True, fastmath={"nnan", "nsz"})
@no_type_check
def fold_pair(a, b, scratch):
    """ep.method.nearest.folded_cosine of one pair of rows. scratch: (at least (d + 1) // 2,)
    float64.
    """
    d = len(a)
    if d == 1:
        return np.float64(a[0]) * np.float64(b[0])
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


@njit(cache=True, nogil=True, fastmath=True)
@no_type_check
def rough_cosine(a, b):
    """A float32 dot product, summed in any order: right up to ep.method.nearest.rounding_bound."""
    total = np.float32(0)
    for j in range(len(a)):
        total += a[j] * b[j]
    return total


@njit(cache=True, nogil=True)
@no_type_check
def challenge(products, unit, slack, x, tile, first, floor, bound, cosine, region):
    """Let the exemplars of one tile challenge the rows' best so far, in place; ep.method.search
    says what is what.

    bound: of rough_cosine, which thins the rivals a coarse screen leaves, so that about one fold a
    row is computed.
    """
    k = products.shape[1]
    tops = np.empty((k + CHUNK - 1) // CHUNK, products.dtype)
    scratch = np.empty((x.shape[1] + 1) // 2)
    rivals, rough = np.empty(k, np.int64), np.empty(k)
    for r in range(len(products)):
        margin = slack[r] + 1e-12  # the rounding of the next lines
        top = chunk_tops(products[r], tops)
        bar = (max(cosine[r], floor, unit[r] * top - margin) - margin) / unit[r]
        n = 0
        for c in range(len(tops)):
            if tops[c] >= bar:
                for j in range(c * CHUNK, min(c * CHUNK + CHUNK, k)):
                    if products[r, j] >= bar:
                        rivals[n] = j
                        n += 1
        least = max(cosine[r], floor)
        if n > 1:
            for i in range(n):
                rough[i] = rough_cosine(x[r], tile[rivals[i]])
                least = max(least, rough[i] - bound)
        for i in range(n):
            if n > 1 and rough[i] + bound < least:
                continue
            exact = fold_pair(x[r], tile[rivals[i]], scratch)
            # strictly nearer: a tie stays with the older region
            if exact > cosine[r] and exact >= floor:
                cosine[r] = exact
                region[r] = first + rivals[i]


@njit(cache=True, nogil=True)
@no_type_check
def mix(row, signs, parts, mixed):
    """Signs, then a Hadamard transform across `parts` equal parts of the row, into mixed; see
    ep.method.codes.
    """
    d, width = len(row), len(mixed)
    for j in range(d):
        mixed[j] = row[j] * signs[j]
    mixed[d:] = np.float32(0)
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
    """Numbers of one mixed row under a scale; returns the squared length of what they miss, summed
    in any order.
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
    """The largest absolute entry.

    Without their sign bit floats order as integers do, whose maximum is much faster.
    """
    bits = mixed.view(np.int32)
    largest = np.zeros(1, np.int32)
    for j in range(len(bits)):
        largest[0] = max(largest[0], bits[j] & np.int32(0x7FFFFFFF))
    return largest.view(np.float32)[0]


@njit(cache=True, nogil=True)
@no_type_check
def encode(rows, signs, parts, scale, numbers, step, largest, missed):
    """Codes of unit rows (ep.method.codes): numbers (n, width) int8; step, largest, missed (n,)
    float64, all written.

    scale: the common scale, or 0 for each row's own.
    """
    mixed = np.empty(numbers.shape[1], np.float32)
    shrink = np.float32(1 / np.sqrt(parts))  # a power of 2: exact
    for r in range(len(rows)):
        mix(rows[r], signs, parts, mixed)
        mixed *= shrink
        top = largest_of(mixed)
        one = np.float32(scale) if scale > 0 else max(top / np.float32(127), np.float32(1e-30))
        missed[r] = np.sqrt(np.float64(round_row(mixed, one, numbers[r])))
        largest[r] = top
        step[r] = one
