"""The percentile, coarse to fine, at which two activations first fall into different regions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ep.method.dictionary import Dictionary
from ep.shapes import Float


@dataclass(frozen=True)
class Rung:
    """Two activations in the dictionary of one percentile.

    percentile: p.
    regions: the region of each activation.
    distances: of each to the exemplar of its region.
    threshold: θ of the dictionary.
    """

    percentile: float
    regions: tuple[int, int]
    distances: tuple[float, float]
    threshold: float

    @property
    def apart(self) -> bool:
        """Whether the two activations are in different regions."""
        return self.regions[0] != self.regions[1]


def part(
    ladder: Sequence[Dictionary], a: Float[np.ndarray, " d"], b: Float[np.ndarray, " d"]
) -> tuple[Rung, ...]:
    """Return the regions of two raw activations on every rung of a ladder, coarse to fine.

    ladder: dictionaries of one layer, coarse to fine.
    a, b: (d,) the activations.
    """
    rungs = []
    for dictionary in ladder:
        assigned = dictionary.assign(np.stack([a, b]))
        (one, two), (near, far) = assigned.region.tolist(), assigned.distance.tolist()
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
    """Return the coarsest rung on which the two are apart, or None without one."""
    return next((rung for rung in rungs if rung.apart), None)


def apart_for_good(rungs: Sequence[Rung]) -> Rung | None:
    """Return the coarsest rung from which on the two are apart on every finer one.

    None when they share a region on the finest rung. Regions of different percentiles do not nest:
    activations may part, meet again, and part once more.
    """
    coarsest = None
    for rung in reversed(rungs):
        if not rung.apart:
            break
        coarsest = rung
    return coarsest


def cosine(dictionary: Dictionary, a: Float[np.ndarray, " d"], b: Float[np.ndarray, " d"]) -> float:
    """Return the cosine of two activations in the dictionary's metric, in [−1, 1]."""
    one, two = dictionary.metric.directions(np.stack([a, b])).astype(np.float64)
    return float(np.clip(one @ two, -1, 1))
