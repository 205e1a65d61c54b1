"""Where two activations part: the percentile, coarse to fine, at which they first fall into
different regions.

Plain activations in; it knows no text, no model and no screen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from ep.method.dictionary import Dictionary
from ep.method.geometry import directions


@dataclass(frozen=True)
class Rung:
    """Two activations at one percentile: the region and distance of each."""

    percentile: float
    regions: tuple[int, int]
    distances: tuple[float, float]
    threshold: float

    @property
    def apart(self) -> bool:
        return self.regions[0] != self.regions[1]


def part(
    ladder: Sequence[Dictionary], a: Float[np.ndarray, " d"], b: Float[np.ndarray, " d"]
) -> tuple[Rung, ...]:
    """Where two raw activations (d,) fall on every rung of a ladder, coarse to fine."""
    rungs = []
    for dictionary in ladder:
        found = dictionary.assign(np.stack([a, b]))
        (one, two), (near, far) = found.region.tolist(), found.distance.tolist()
        rungs.append(
            Rung(
                float(dictionary.info.get("percentile") or 0),
                (one, two),
                (near, far),
                dictionary.threshold,
            )
        )
    return tuple(rungs)


def first_apart(rungs: Sequence[Rung]) -> Rung | None:
    """The coarsest rung whose regions differ, or None where every one holds both."""
    return next((rung for rung in rungs if rung.apart), None)


def apart_for_good(rungs: Sequence[Rung]) -> Rung | None:
    """The coarsest rung from which on every finer one holds them apart, or None where the finest
    holds both.

    Regions of different percentiles do not nest: activations may part, meet again, and part once
    more.
    """
    found = None
    for rung in reversed(rungs):
        if not rung.apart:
            break
        found = rung
    return found


def cosine(dictionary: Dictionary, a: Float[np.ndarray, " d"], b: Float[np.ndarray, " d"]) -> float:
    """The cosine of the two activations about the dictionary's centre, in [-1, 1]."""
    one, two = directions(np.stack([a, b]), dictionary.center).astype(np.float64)
    return float(np.clip(one @ two, -1, 1))
