"""Exact percentiles of all pairwise cosine distances of a set of directions, without holding the
pairs.

1 − cos, computed in float32, is always a whole multiple of 2⁻²⁴: a distance is an integer, and
counting integers inside a narrow window around each percentile gives its exact value. A sample of
the rows says where the windows lie; should it err, the windows are opened and the pairs counted
again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Float32, Float64

DIRECT_PAIRS = 2_000_000
"""Up to here the pairs are simply sorted."""
SAMPLE_ROWS = 1024
MARGIN = (0.3, 0.1)
"""Half the width of a window, in percent of the pairs: a constant, and a share of the
percentile.
"""
BLOCK_VALUES = 2**21
STEP = 2.0**24
LOWEST, HIGHEST = -(2**16), 2**25 + 2**16
"""The range of a distance in steps, with room for rounding: cosines leave [−1, 1] by a few 10⁻⁷."""


def pair_percentiles(
    rows: Float32[np.ndarray, "n d"], percentiles: Sequence[float | int]
) -> Float64[np.ndarray, " p"]:
    """The percentiles of the n(n−1)/2 distances 1 − a·b of unit rows, n ≥ 2, with linear
    interpolation.

    Equal to numpy's percentile of the float32 distances, which are not clamped (protocol 1.2). Time
    is one matrix product of the rows with themselves, halved; memory a few windows of counters.
    """
    n_pairs = len(rows) * (len(rows) - 1) // 2
    if n_pairs <= DIRECT_PAIRS:
        return np.percentile(
            np.concatenate([block.ravel() for block in _pairs(rows)]).astype(float), percentiles
        )
    windows = [
        _Window(share / 100 * (n_pairs - 1), *ends) for share, ends in _guess(rows, percentiles)
    ]
    while open_windows := [window for window in windows if not window.holds_rank]:
        top = max(window.stop for window in open_windows) / STEP
        for pairs in _pairs(rows):
            steps = (pairs[pairs < top] * STEP).astype(np.int32)
            for window in open_windows:
                window.add(steps)
        for window in open_windows:
            window.close()
    return np.array([window.value() for window in windows])


class _Window:
    """Counters of the distances start ≤ steps < stop, around the one of the given rank."""

    def __init__(self, rank: float, start: int, stop: int) -> None:
        self.rank = rank
        self.holds_rank = False
        self._open(start, stop)

    def _open(self, start: int, stop: int) -> None:
        self.start, self.stop = max(start, LOWEST), min(stop, HIGHEST)
        self.below = 0
        self.counts = np.zeros(self.stop - self.start, np.int64)
        self._waiting: list[np.ndarray] = []
        self._n_waiting = 0

    def add(self, steps: np.ndarray) -> None:
        """Counts distances in; they wait until there are as many as counters, so that large windows
        stay cheap.
        """
        not_below = steps >= self.start
        self.below += len(steps) - int(np.count_nonzero(not_below))
        self._waiting.append(steps[not_below & (steps < self.stop)])
        self._n_waiting += len(self._waiting[-1])
        if self._n_waiting > max(len(self.counts), BLOCK_VALUES):
            self._flush()

    def _flush(self) -> None:
        self.counts += np.bincount(
            np.concatenate(self._waiting) - self.start, minlength=len(self.counts)
        )
        self._waiting, self._n_waiting = [], 0

    def close(self) -> None:
        """Ends a count: either the rank lies inside, or the window opens wider for the next one."""
        self._flush()
        np.cumsum(self.counts, out=self.counts)
        self.holds_rank = (
            self.below <= int(self.rank) and np.ceil(self.rank) < self.below + self.counts[-1]
        )
        if not self.holds_rank:
            self._open(self.start - 4 * len(self.counts), self.stop + 4 * len(self.counts))

    def value(self) -> float:
        """The distance of that rank, interpolated between its neighbours."""
        low, high = np.searchsorted(
            self.counts, np.array([np.floor(self.rank), np.ceil(self.rank)]) - self.below, "right"
        )
        return (self.start + low + (self.rank % 1) * (high - low)) / STEP


def _guess(
    rows: np.ndarray, percentiles: Sequence[float | int]
) -> Iterator[tuple[float, tuple[int, int]]]:
    """Each percentile with the window it should lie in, from the pairs of evenly spaced rows."""
    sample = rows[:: max(1, len(rows) // SAMPLE_ROWS)]
    pairs = np.concatenate(list(_pairs(sample)))
    for share in percentiles:
        margin = MARGIN[0] + MARGIN[1] * min(share, 100 - share)
        low, high = np.percentile(pairs, (max(0, share - margin), min(100, share + margin)))
        yield share, (int(low * STEP) - 1, int(high * STEP) + 2)


def _pairs(rows: np.ndarray) -> Iterator[np.ndarray]:
    """The distances of every pair once, as flat float32 pieces."""
    step = max(1, BLOCK_VALUES // len(rows))
    for start in range(0, len(rows), step):
        block = rows[start : start + step]
        within = np.subtract(1.0, block @ block.T)
        yield within[np.triu_indices(len(block), 1)]
        if start + step < len(rows):
            across = block @ rows[start + step :].T
            yield np.subtract(1.0, across, out=across).reshape(-1)
