"""Pairing the regions of two dictionaries one to one, compared with scipy on the dense matrix.

    python -m benchmarks.matching [K]

Both pair the same synthetic exemplars: K rows of 256 dimensions in groups, and a noisy copy of them
in another order. Both must reach the same sum of cosines. The rival is scipy's
linear_sum_assignment on all K² cosines; computing these is included in the time of both. A second
row pairs K = 20,000 without the rival and states the seconds and the additional memory; there the
dense matrix takes 1.6 GB in float32, and scipy, which works in float64, more than twice as much.
"""

from __future__ import annotations

import json
import resource
import sys
from time import perf_counter
from typing import Any

import numpy as np

from ep.method.pairing import pair

WIDTH, GROUP = 256, 50
RIVAL_K, LARGE_K = 3_000, 20_000


def run(large: int = LARGE_K) -> list[dict[str, Any]]:
    """Return two rows: the ratio at K = 3,000, and seconds and memory at `large`."""
    pair(*made(100))  # compiles the code
    return [against_scipy(RIVAL_K), alone(large)]


def against_scipy(size: int) -> dict[str, Any]:
    """Return the row with the rival's time over ours."""
    from scipy.optimize import linear_sum_assignment

    a, b = made(size)
    linear_sum_assignment(np.eye(3))
    start = perf_counter()
    ours = pair(a, b)
    between = perf_counter()
    cosine = a @ b.T
    row, column = linear_sum_assignment(cosine, maximize=True)
    end = perf_counter()
    gap = float(cosine[row, column].sum(dtype=np.float64) - ours.cosine.sum(dtype=np.float64))
    return {
        "what": f"one-to-one pairs, K = {size:,} × {WIDTH}: scipy on the dense matrix over the "
        "auction, seconds",
        "ratio": round((end - between) / (between - start), 2),
        "seconds": round(between - start, 2),
        "scipy_seconds": round(end - between, 2),
        "gap_in_summed_cosine": round(abs(gap), 4),
    }


def alone(size: int) -> dict[str, Any]:
    """Return the row with seconds and additional memory, without the rival."""
    a, b = made(size)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = perf_counter()
    found = pair(a, b)
    seconds = perf_counter() - start
    memory = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    return {
        "what": f"one-to-one pairs, K = {size:,} × {WIDTH}: memory above the start against one "
        "dense float64 matrix",
        "ratio": round(memory / (8 * size * size / 2**20), 3),
        "target": 0.5,
        "at_most": True,
        "seconds": round(seconds, 1),
        "megabytes": round(memory),
        "mean_cosine": round(float(found.cosine.mean()), 3),
    }


def made(size: int, noise: float = 0.5, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return two sets of unit rows (size, 256).

    The first has directions in groups of about 50; the second is a noisy copy in another order.
    """
    rng = np.random.default_rng(seed)
    middles = rng.normal(size=(size // GROUP + 1, WIDTH))
    first = middles[rng.integers(0, len(middles), size)] + 0.8 * rng.normal(size=(size, WIDTH))
    second = (first + noise * rng.normal(size=first.shape))[rng.permutation(size)]
    unit = [rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (first, second)]
    return unit[0].astype(np.float32), unit[1].astype(np.float32)


if __name__ == "__main__":
    for result in run(int(sys.argv[1]) if len(sys.argv) > 1 else LARGE_K):
        print(json.dumps(result))
