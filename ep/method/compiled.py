"""The inner loops of the search on the CPU, compiled: the int8 codes and the exact decision.

The rule is that of ep.method.nearest: the fold adds the same numbers in the same order, so the bits
agree. One pass over the products of a screen decides, without a list of candidates in memory; each
candidate costs one folded cosine. Of the modules that search, only this one needs numba.
"""

from __future__ import annotations

from typing import no_type_check

import numpy as np
from numba import njit

CHUNK = 32  # products compared together: a chunk whose largest product cannot win is skipped


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
    # Slices instead of sums of indices: only then does the compiler compute eight at a time.
    half = (d + 1) // 2
    rest = d - half
    a_upper, b_upper = a[half:], b[half:]
    for j in range(rest):
        scratch[j] = np.float64(a[j]) * np.float64(b[j]) + np.float64(a_upper[j]) * np.float64(
            b_upper[j]
        )
    if rest < half:
        scratch[rest] = np.float64(a[rest]) * np.float64(b[rest])
    while half > 1:
        n = half
        half = (n + 1) // 2
        upper = scratch[half:n]
        for j in range(n - half):
            scratch[j] += upper[j]
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
def challenge_row(products, unit, slack, x, tile, first, floor, bound, best, winner, work):
    """Compare some exemplars with one row's best so far; return the best cosine and its region.

    products: (k,) of a screen, for tile[:k]. unit, slack: of this row. best, winner: the best so
        far. work: scratch from `scratch_for`. The others are as for `challenge`.
    """
    tops, candidates, rough, scratch = work
    k = len(products)
    tops = tops[: (k + CHUNK - 1) // CHUNK]
    # The best exemplar of the tile surely reaches unit·top − margin. An exemplar that lies more
    # than the margin below that, below the best so far or below the floor cannot win. The bar
    # is in units of the products.
    margin = slack + 1e-12  # 1e-12 covers the rounding of the next two lines
    top = chunk_tops(products, tops)
    bar = (max(best, floor, unit * top - margin) - margin) / unit
    n = 0
    if top >= bar:
        for c in range(len(tops)):
            if tops[c] >= bar:
                for j in range(c * CHUNK, min(c * CHUNK + CHUNK, k)):
                    if products[j] >= bar:
                        candidates[n] = j
                        n += 1
    # with several candidates, a float32 product discards those that surely lose to another
    least = max(best, floor)
    if n > 1:
        for i in range(n):
            rough[i] = rough_cosine(x, tile[candidates[i]])
            least = max(least, rough[i] - bound)
    for i in range(n):
        if n > 1 and rough[i] + bound < least:
            continue
        exact = fold_pair(x, tile[candidates[i]], scratch)
        # only strictly nearer exemplars win: a tie stays with the older region
        if exact > best and exact >= floor:
            best = exact
            winner = first + candidates[i]
    return best, winner


@njit(cache=True, nogil=True)
@no_type_check
def scratch_for(products, x):
    """Return arrays for `challenge_row` on any row of `products` (b, k), of rows x (b, d)."""
    k = products.shape[1]
    return (
        np.empty((k + CHUNK - 1) // CHUNK, products.dtype),
        np.empty(k, np.int64),
        np.empty(k),
        np.empty((x.shape[1] + 1) // 2),
    )


@njit(cache=True, nogil=True)
@no_type_check
def challenge(products, unit, slack, x, tile, first, floor, bound, cosine, region):
    """Compare one tile of exemplars with each row's best so far; update cosine and region in place.

    The parameters are those of ep.method.search.challenge, and `bound` is that of `rough_cosine`.
    It thins the candidates that a coarse screen leaves, so that about one fold per row is computed.
    """
    work = scratch_for(products, x)
    for r in range(len(products)):
        cosine[r], region[r] = challenge_row(
            products[r],
            unit[r],
            slack[r],
            x[r],
            tile,
            first,
            floor,
            bound,
            cosine[r],
            region[r],
            work,
        )


@njit(cache=True, nogil=True)
@no_type_check
def first_come(products, unit, slack, x, threshold, bound):
    """Return which of some rows become founders: (f,) int64.

    The first row does, then always the next one that joins none of the founders before it.

    products: (u, u) of a screen, of the rows x (u, d) with themselves; (u, 0) without a screen.
    unit, slack: (u,). threshold: θ. bound: that of `rough_cosine`.
    """
    u, screened = len(x), products.shape[1] > 0
    founders, unclear = np.empty(u, np.int64), np.empty(u, np.int64)
    scratch = np.empty((x.shape[1] + 1) // 2)
    bar, n = 1.0 - threshold, 0
    for row in range(u):
        m, joins = 0, False
        if screened:
            margin = slack[row] + 1e-12
            for i in range(n):
                estimate = unit[row] * products[row, founders[i]]
                if estimate - margin > bar:
                    joins = True
                    break
                if estimate + margin >= bar:
                    unclear[m] = founders[i]
                    m += 1
        else:
            m = n
            unclear[:n] = founders[:n]
        if not joins:
            for i in range(m):
                if rough_cosine(x[row], x[unclear[i]]) + bound + 1e-12 < bar:
                    continue
                # in the form of the rule, so that rounding cannot decide otherwise
                if 1.0 - fold_pair(x[row], x[unclear[i]], scratch) <= threshold:
                    joins = True
                    break
        if not joins:
            founders[n] = row
            n += 1
    return founders[:n].copy()


@njit(cache=True, nogil=True)
@no_type_check
def challenge_founders(
    products, unit, slack, x, start, at, tile, first, floor, bound, cosine, region
):
    """Compare each row with the founders before it; update cosine and region in place.

    products: (b, f) of a screen. unit, slack, cosine, region: (b,). x: (b, d).
    at: (f,) rising positions of the founders; x[0] is at position `start`.
    tile: (f, d) the founders, with the ids first, first + 1, … The others are as for `challenge`.
    """
    work = scratch_for(products, x)
    n = 0
    for r in range(len(products)):
        while n < len(at) and at[n] < start + r:
            n += 1
        if n:
            cosine[r], region[r] = challenge_row(
                products[r, :n],
                unit[r],
                slack[r],
                x[r],
                tile,
                first,
                floor,
                bound,
                cosine[r],
                region[r],
                work,
            )


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
    # Two levels of the transform at a time: of four entries `run` apart, the first two and the last
    # two become sum and difference, then the first and the third, the second and the fourth.
    run = width // parts
    while run < width:
        for start in range(0, width, 4 * run):
            first = mixed[start : start + run]
            second = mixed[start + run : start + 2 * run]
            third = mixed[start + 2 * run : start + 3 * run]
            fourth = mixed[start + 3 * run : start + 4 * run]
            for j in range(run):
                a = first[j] + second[j]
                b = first[j] - second[j]
                c = third[j] + fourth[j]
                e = third[j] - fourth[j]
                first[j] = a + c
                second[j] = b + e
                third[j] = a - c
                fourth[j] = b - e
        run *= 4


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
    largest = np.int32(0)
    for j in range(len(bits)):
        largest = max(largest, bits[j] & np.int32(0x7FFFFFFF))
    return np.array([largest], np.int32).view(np.float32)[0]


@njit(cache=True, nogil=True)
@no_type_check
def encode(rows, signs, parts, scale, numbers, step, largest, missed):
    """Write the codes of unit rows (see ep.method.codes) into the last four arguments.

    rows: (n, d) float32.
    signs: (d,) float32, ±1.
    parts: parts mixed together.
    scale: the common scale, or 0 for a separate scale for each row.
    numbers: (n, width) int8.
    step, largest, missed: (n,) float64, as in ep.method.codes.Coder; step is the scale.
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
