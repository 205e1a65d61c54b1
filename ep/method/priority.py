"""Seeded sampling keys: a pseudo-random number for each event, computed from its stream index.

The events with the smallest keys are a uniform sample. It depends on the seed and the stream, but
neither on the division of the stream into batches nor on the order in which batches are merged.
"""

from __future__ import annotations

import numpy as np

from ep.shapes import Int64, UInt64

GOLDEN = 0x9E3779B97F4A7C15
"""2⁶⁴ divided by the golden ratio: the increment of splitmix64."""


def sampling_keys(seed: int, index: Int64[np.ndarray, " n"]) -> UInt64[np.ndarray, " n"]:
    """Return the sampling key of each event.

    The keys are the outputs of the splitmix64 generator that `seed` selects, at the positions
    `index`.
    """
    # mixing the seed as well keeps the sequences of neighbouring seeds apart
    start = mix(np.array([(seed * GOLDEN + GOLDEN) % 2**64], np.uint64))
    return mix(start + index.astype(np.uint64) * np.uint64(GOLDEN))


def mix(z: np.ndarray) -> np.ndarray:
    """Apply the finaliser of splitmix64, a bijection of the 64-bit integers.

    Source: Steele, Lea and Flood (2014).
    """
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))
