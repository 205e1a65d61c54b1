"""Rivals: for each region, the other exemplars that come second for its Voronoi members.

A member's *rival* is the exemplar it would be nearest to if its own did not exist. Its margin is
the distance to the rival less the distance to its own exemplar, and a member with a margin below a
tenth of θ is *contested*. Finding the rivals costs as much as finding the nearest exemplars. Where
dictionary and stream are large, only a seeded sample of the members is examined; it depends on
their stream indices only, not on batches or interruptions. The input is region ids and margins;
exemplars are not needed.
"""

from __future__ import annotations

import numpy as np

from ep.method.counting import PairCounter
from ep.method.growing import exactly_rows, with_rows
from ep.method.priority import sampling_keys
from ep.shapes import Bool, Float64, Int64

RIVALS = 4
"""Rivals stored for each region."""
CONTESTED_WITHIN = 0.1
"""A member is contested when its margin is below this share of θ."""
SEED_OFFSET = 0x52
"""Added to the seed, so that the sampling keys differ from those of the excerpts."""


def share_within(budget: float, n: int, size: int, width: int) -> float:
    """Return the share of the activations that can be examined within a budget.

    budget: multiply-adds that may be spent.
    n: number of activations.
    size: number of exemplars to search for each.
    width: number of dimensions.
    """
    return min(1.0, budget / max(1.0, float(n) * size * width))


class Rivals:
    """Counts of the rivals of each region's members.

    threshold: θ.
    share: share of the members to examine, in [0, 1].
    seed: seed of the sample of members.
    """

    def __init__(self, threshold: float, share: float = 1.0, seed: int = 0) -> None:
        self.threshold = threshold
        self.share = share
        self.seed = seed
        self._seen = np.empty(0, np.int64)
        self._contested = np.empty(0, np.int64)
        self._pairs = PairCounter()

    def examines(self, index: Int64[np.ndarray, " n"]) -> Bool[np.ndarray, " n"]:
        """Return which activations are in the sample: (n,) bool, by stream index."""
        # the upper 53 bits of a key as a number in [0, 1), exact in float64
        keys = sampling_keys(self.seed + SEED_OFFSET, index) >> np.uint64(11)
        return keys.astype(np.float64) * 2.0**-53 < self.share

    def observe(
        self,
        region: Int64[np.ndarray, " n"],
        rival: Int64[np.ndarray, " n"],
        margin: Float64[np.ndarray, " n"],
    ) -> None:
        """Add n examined members.

        region: (n,) region of each.
        rival: (n,) second nearest region, −1 where there is none.
        margin: (n,) distance to the rival less distance to the own exemplar, at least 0.
        """
        if not len(region):
            return
        rows = int(region.max()) + 1
        self._seen, self._contested = with_rows(self._seen, rows), with_rows(self._contested, rows)
        is_contested = (rival >= 0) & (margin < CONTESTED_WITHIN * self.threshold)
        np.add.at(self._seen, region, 1)
        np.add.at(self._contested, region[is_contested], 1)
        self._pairs.add(region, rival)

    def columns(self, n_regions: int) -> dict[str, np.ndarray]:
        """Return the rival arrays of a dictionary of `n_regions` regions.

        rival_ids, rival_counts: (K, 4), the most frequent rival first, ties to the older region.
        rival_seen: (K,) members examined.
        contested: (K,) contested members among them.
        """
        ids, counts = self._pairs.top(n_regions, RIVALS)
        return {
            "rival_ids": ids,
            "rival_counts": counts,
            "rival_seen": exactly_rows(self._seen, n_regions),
            "contested": exactly_rows(self._contested, n_regions),
        }

    def state(self) -> dict[str, np.ndarray]:
        """Return plain arrays, from which `from_state` continues exactly."""
        state = {
            "threshold": np.array(self.threshold),
            "share": np.array(self.share),
            "seed": np.array(self.seed),
        }
        state |= {"seen": self._seen.copy(), "contested": self._contested.copy()}
        return state | {f"pairs:{name}": array for name, array in self._pairs.state().items()}

    @classmethod
    def from_state(cls, state: dict[str, np.ndarray]) -> Rivals:
        """Restore the counts from the arrays of `state`."""
        rivals = cls(float(state["threshold"]), float(state["share"]), int(state["seed"]))
        rivals._seen, rivals._contested = state["seen"].copy(), state["contested"].copy()
        rivals._pairs = PairCounter.from_state(
            {name: state[f"pairs:{name}"] for name in ("keys", "counts")}
        )
        return rivals
