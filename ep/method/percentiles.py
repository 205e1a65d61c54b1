"""Exact percentiles of all pairwise distances of a set of rows, in bounded memory.

A distance 1 − cos computed in float32 is always a multiple of 2⁻²⁴, hence an integer number of
steps. Counting these integers inside a narrow window around each percentile gives its exact value.
A sample of the rows estimates where the windows lie; if a window turns out not to contain its
percentile, it is widened and the pairs are counted again.

Distances without a bound are rounded down to such steps of a scale, a power of two above the
percentiles that are asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from ep.shapes import Float32, Float64

DIRECT_PAIRS = 2_000_000
"""Up to this many pairs are simply sorted."""
SAMPLE_ROWS = 1024
"""Rows, about, whose pairs estimate where the windows lie."""
MARGIN = (0.3, 0.1)
"""Half the width of a window, in percent of the pairs: (constant, share of the percentile)."""
BLOCK_VALUES = 2**21
"""Distances in memory at a time."""
STEP = 2.0**24
"""Steps in a distance of 1."""
LOWEST, HIGHEST = -(2**16), 2**25 + 2**16
"""The range of a distance in steps, with room for rounding: cosines leave [−1, 1] by a few 10⁻⁷."""
Between = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""A function that returns the float32 distances (n, m) of every pair of rows (n, w) and (m, w)."""


def cosines(a: Float32[np.ndarray, "n d"], b: Float32[np.ndarray, "m d"]) -> np.ndarray:
    """Return the cosine distance 1 − a·b of every pair of unit rows, not clamped, in float32."""
    out = a @ b.T
    return np.subtract(1.0, out, out=out)


def pair_percentiles(
    rows: Float32[np.ndarray, "n d"],
    percentiles: Sequence[float | int],
    between: Between = cosines,
) -> Float64[np.ndarray, " p"]:
    """Return percentiles of the n(n−1)/2 distances of the rows, with linear interpolation.

    rows: (n, d) unit rows, or what `between` takes, n ≥ 2.
    percentiles: each in (0, 100).
    between: the distance.
    Returns (p,) float64, equal to numpy's percentiles of the float32 distances, which are not
    clamped (protocol 1.2). Those of any distance but `cosines` are equal to a step of the scale.

    The time is that of half a matrix product of the rows with themselves, if no window has to be
    widened; the memory is a few windows of counters.
    """
    n_pairs = len(rows) * (len(rows) - 1) // 2
    if n_pairs <= DIRECT_PAIRS:
        return np.percentile(
            np.concatenate([block.ravel() for block in _pairs(rows, between)]).astype(float),
            percentiles,
        )
    step, guessed = _guess(rows, percentiles, between)
    windows = [
        _Window(percentile / 100 * (n_pairs - 1), *bounds)
        for percentile, bounds in zip(percentiles, guessed, strict=True)
    ]
    while open_windows := [window for window in windows if not window.contains_rank]:
        # distances above every open window need no counting
        top = max(window.stop for window in open_windows) / step
        for pairs in _pairs(rows, between):
            if between is not cosines:  # far beyond the percentiles, but still above them
                np.minimum(pairs, (HIGHEST - 1) / step, out=pairs)
            # exact for cosines, of which every distance is a whole number of steps
            steps = (pairs[pairs < top] * step).astype(np.int32)
            for window in open_windows:
                window.add(steps)
        for window in open_windows:
            window.close()
    return np.array([window.value() for window in windows]) / step


class _Window:
    """Counters of the distances in start ≤ steps < stop, a range meant to contain a given rank.

    rank: place of the percentile among the sorted distances, from 0; it need not be whole.
    start, stop: the range in steps.
    """

    def __init__(self, rank: float, start: int, stop: int) -> None:
        self.rank = rank
        self.contains_rank = False
        self._open(start, stop)

    def _open(self, start: int, stop: int) -> None:
        """Start counting from zero, on the given range."""
        self.start, self.stop = max(start, LOWEST), min(stop, HIGHEST)
        self.below = 0
        self.counts = np.zeros(self.stop - self.start, np.int64)
        self._pending: list[np.ndarray] = []
        self._n_pending = 0

    def add(self, steps: np.ndarray) -> None:
        """Count distances, given in steps.

        They are collected until there are as many as counters, so that large windows stay cheap.
        """
        not_below = steps >= self.start
        self.below += len(steps) - int(np.count_nonzero(not_below))
        self._pending.append(steps[not_below & (steps < self.stop)])
        self._n_pending += len(self._pending[-1])
        if self._n_pending > max(len(self.counts), BLOCK_VALUES):
            self._flush()

    def _flush(self) -> None:
        """Add the collected distances to the counters."""
        self.counts += np.bincount(
            np.concatenate(self._pending) - self.start, minlength=len(self.counts)
        )
        self._pending, self._n_pending = [], 0

    def close(self) -> None:
        """End one count of all pairs.

        If the rank lies outside the window, the window is widened for the next count.
        """
        self._flush()
        # from here on `counts` is cumulative; the rank and its upper neighbour must lie inside
        np.cumsum(self.counts, out=self.counts)
        self.contains_rank = (
            self.below <= int(self.rank) and np.ceil(self.rank) < self.below + self.counts[-1]
        )
        if not self.contains_rank:
            self._open(self.start - 4 * len(self.counts), self.stop + 4 * len(self.counts))

    def value(self) -> float:
        """Return the distance at the rank in steps, interpolated between its neighbours."""
        # the step at a rank is the first whose cumulative count exceeds it
        low, high = np.searchsorted(
            self.counts, np.array([np.floor(self.rank), np.ceil(self.rank)]) - self.below, "right"
        )
        return float(self.start + low + (self.rank % 1) * (high - low))


def _guess(
    rows: np.ndarray, percentiles: Sequence[float | int], between: Between
) -> tuple[float, list[tuple[int, int]]]:
    """Return the steps in a distance of 1, and the window estimated for each percentile.

    They come from the pairs of evenly spaced rows.
    """
    sample = rows[:: max(1, len(rows) // SAMPLE_ROWS)]
    pairs = np.concatenate(list(_pairs(sample, between)))
    bounds = []
    for percentile in percentiles:
        margin = MARGIN[0] + MARGIN[1] * min(percentile, 100 - percentile)
        bounds.append(
            np.percentile(pairs, (max(0, percentile - margin), min(100, percentile + margin)))
        )
    step = STEP
    if between is not cosines:
        # the range is twice this power of two above the percentiles, for windows to widen in
        largest = max(float(high) for _, high in bounds)
        step /= 2.0 ** (np.ceil(np.log2(largest)) if largest > 0 else 0)
    return step, [(int(low * step) - 1, int(high * step) + 2) for low, high in bounds]


def _pairs(rows: np.ndarray, between: Between = cosines) -> Iterator[np.ndarray]:
    """Yield the distance of every pair once, as flat float32 arrays."""
    step = max(1, BLOCK_VALUES // len(rows))
    for start in range(0, len(rows), step):
        block = rows[start : start + step]
        # pairs inside the block, then pairs with the rows after it: every pair once
        yield between(block, block)[np.triu_indices(len(block), 1)]
        if start + step < len(rows):
            yield between(block, rows[start + step :]).reshape(-1)
