"""The member of each region that some score prefers, such as the one nearest to its mean.

It is found in one pass over the members, and is the same for every division of the stream into
batches: among equal scores the earlier member stays.
"""

from __future__ import annotations

import numpy as np

from ep.method.members import Events
from ep.method.priority import sampling_keys
from ep.shapes import Float32, Float64, Int64

PLACE = ("passage", "position", "token")
"""The fields of `Events` that say where a member was read."""
SEED_OFFSET = 0x5A
"""Added to the seed, so that the draw differs from those of excerpts and rivals."""


class Preferred:
    """The best member so far of each of K regions.

    size: K. width: d.

    Attributes: score (K,) float64, −inf without a member; rows (K, d) float32 unit directions;
    place, the arrays (K,) of `PLACE` by name.
    """

    def __init__(self, size: int, width: int) -> None:
        self.score = np.full(size, -np.inf)
        self.rows = np.zeros((size, width), np.float32)
        self.place = {name: np.zeros(size, np.int64) for name in PLACE}

    def observe(
        self,
        region: Int64[np.ndarray, " n"],
        score: Float64[np.ndarray, " n"],
        rows: Float32[np.ndarray, "n d"],
        events: Events,
    ) -> None:
        """Add n members, which come later in the stream than those before.

        region: (n,) of each. score: (n,) larger is better. rows: (n, d) unit directions.
        """
        # by region, then the best score; the sort is stable, so equal scores stay in stream order
        order = np.lexsort((-score, region))
        first = np.ones(len(order), bool)
        first[1:] = region[order][1:] != region[order][:-1]
        best = order[first]
        best = best[score[best] > self.score[region[best]]]
        own = region[best]
        self.score[own], self.rows[own] = score[best], rows[best]
        for name, column in self.place.items():
            column[own] = getattr(events, name)[best]

    @property
    def is_known(self) -> np.ndarray:
        """Which regions have had a member, (K,) bool."""
        return self.score > -np.inf


def nearness(
    rows: Float32[np.ndarray, "n d"],
    region: Int64[np.ndarray, " n"],
    means: Float32[np.ndarray, "K d"],
) -> Float64[np.ndarray, " n"]:
    """Return the cosine of each member with the mean direction of its region, in float64."""
    return np.einsum("nd,nd->n", rows, means[region], dtype=np.float64)


def draw(seed: int, index: Int64[np.ndarray, " n"]) -> Float64[np.ndarray, " n"]:
    """Return scores by which `Preferred` keeps a uniformly drawn member of each region.

    index: (n,) in the activation stream.
    """
    return -(sampling_keys(seed + SEED_OFFSET, index) >> np.uint64(11)).astype(np.float64)
