"""Seeded lots: a pseudo-random number for every event of a stream, drawn from its place in the
stream alone.

Keeping the events with the smallest lots is a uniform sample that depends on the seed and the
stream, and not on how the stream is cut into batches or in which order the batches are merged.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Int64, UInt64

GOLDEN = 0x9E3779B97F4A7C15


def priorities(seed: int, index: Int64[np.ndarray, " n"]) -> UInt64[np.ndarray, " n"]:
    """The lot of each event: splitmix64 of its index in the stream, in a stream of lots chosen by
    the seed.
    """
    start = mix(np.array([(seed * GOLDEN + GOLDEN) % 2**64], np.uint64))
    return mix(start + index.astype(np.uint64) * np.uint64(GOLDEN))


def mix(z: np.ndarray) -> np.ndarray:
    """The finaliser of splitmix64 (Steele, Lea and Flood 2014): a bijection of the 64-bit
    integers.
    """
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))
