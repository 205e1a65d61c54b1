"""Who comes second: for each region, which other exemplars its Voronoi members are nearly nearest
to.

A member's *rival* is the exemplar it would belong to if its own were not there; its margin is the
distance to the rival less the distance to its own, and a member whose margin is below a tenth of θ
is *contested*. A second search costs as much as the first, so where dictionary and stream are large
a seeded share of the members is examined, drawn from their places in the stream alone: neither the
cut into batches nor an interruption shows. It knows no exemplars and no files.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float64, Int64

from ep.method.counting import PairCounter
from ep.method.growing import exactly_rows, with_rows
from ep.method.priority import priorities

RIVALS = 4
CONTESTED_WITHIN = 0.1
"""A member is contested when its margin is less than this share of θ."""
LOTS = 0x52
"""Keeps the lots drawn here apart from those of the excerpts, which have the same seed."""


def share_within(budget: float, n: int, size: int, width: int) -> float:
    """The share of n activations for which `budget` multiply-adds search `size` exemplars in
    `width` dimensions.
    """
    return min(1.0, budget / max(1.0, float(n) * size * width))


class Rivals:
    """Counts the rivals of each region's members.

    threshold: θ in (0, 2). share: of the members to examine, in [0, 1]. seed: of the draw.
    """

    def __init__(self, threshold: float, share: float = 1.0, seed: int = 0) -> None:
        self.threshold = threshold
        self.share = share
        self.seed = seed
        self._seen = np.empty(0, np.int64)
        self._contested = np.empty(0, np.int64)
        self._pairs = PairCounter()

    def examines(self, index: Int64[np.ndarray, " n"]) -> Bool[np.ndarray, " n"]:
        """Which activations of the stream are to be looked at."""
        lots = priorities(self.seed + LOTS, index) >> np.uint64(11)
        return lots.astype(np.float64) * 2.0**-53 < self.share

    def observe(
        self,
        region: Int64[np.ndarray, " n"],
        rival: Int64[np.ndarray, " n"],
        margin: Float64[np.ndarray, " n"],
    ) -> None:
        """Counts examined members in. rival: −1 where there is no second exemplar. margin: d₂ − d₁,
        at least 0.
        """
        if not len(region):
            return
        rows = int(region.max()) + 1
        self._seen, self._contested = with_rows(self._seen, rows), with_rows(self._contested, rows)
        close = (rival >= 0) & (margin < CONTESTED_WITHIN * self.threshold)
        np.add.at(self._seen, region, 1)
        np.add.at(self._contested, region[close], 1)
        self._pairs.add(region, rival)

    def columns(self, n_regions: int) -> dict[str, np.ndarray]:
        """rival_ids and rival_counts (K, 4), most frequent first, ties to the older; rival_seen and
        contested (K,).
        """
        ids, counts = self._pairs.top(n_regions, RIVALS)
        return {
            "rival_ids": ids,
            "rival_counts": counts,
            "rival_seen": exactly_rows(self._seen, n_regions),
            "contested": exactly_rows(self._contested, n_regions),
        }

    def state(self) -> dict[str, np.ndarray]:
        """Plain arrays; `from_state` continues as if never stopped."""
        state = {
            "threshold": np.array(self.threshold),
            "share": np.array(self.share),
            "seed": np.array(self.seed),
        }
        state |= {"seen": self._seen.copy(), "contested": self._contested.copy()}
        return state | {f"pairs:{name}": array for name, array in self._pairs.state().items()}

    @classmethod
    def from_state(cls, state: dict[str, np.ndarray]) -> Rivals:
        rivals = cls(float(state["threshold"]), float(state["share"]), int(state["seed"]))
        rivals._seen, rivals._contested = state["seen"].copy(), state["contested"].copy()
        rivals._pairs = PairCounter.from_state(
            {name: state[f"pairs:{name}"] for name in ("keys", "counts")}
        )
        return rivals
