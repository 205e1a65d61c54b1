"""Counts of each region's members in the regions of the coarser dictionaries of the same build.

The counts are exact, over the whole second pass. For every coarser percentile, the four regions
with the most members are stored. The input is the region ids of both dictionaries, batch by batch;
exemplars are not needed.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ep.method.counting import PairCounter
from ep.shapes import Int64

HOMES = 4
"""Coarser regions stored for each region and percentile."""
FARTHER = 8
"""How many coarser percentiles are counted, at most, beyond the next one."""


class Homes:
    """Counts of (region, coarser region) pairs for each coarser percentile.

    percentiles: the coarser percentiles of the build, in any order; at most the nine smallest are
        counted.
    """

    def __init__(self, percentiles: tuple[float, ...] = ()) -> None:
        self._pairs = {p: PairCounter() for p in sorted(percentiles)[: 1 + FARTHER]}

    @property
    def percentiles(self) -> tuple[float, ...]:
        """The coarser percentiles that are counted, the next one first."""
        return tuple(self._pairs)

    def observe(
        self, region: Int64[np.ndarray, " n"], coarser: Mapping[float, Int64[np.ndarray, " n"]]
    ) -> None:
        """Add n activations.

        region: (n,), their regions in this dictionary.
        coarser: their regions (n,) in each coarser dictionary, by percentile.
        """
        for percentile, pairs in self._pairs.items():
            pairs.add(region, coarser[percentile])

    def columns(self, n_regions: int) -> dict[str, np.ndarray]:
        """Return the arrays to store for a dictionary of `n_regions` regions.

        coarser_ids, coarser_counts: (K, 4), for the next coarser percentile.
        farther_ids, farther_counts: (K, 8, 4), for the percentiles beyond it.

        Regions with the most members come first, ties go to the older region; −1 and 0 pad the
        rest. Arrays that would describe no percentile are left out.
        """
        columns: dict[str, np.ndarray] = {}
        tops = [pairs.top(n_regions, HOMES) for pairs in self._pairs.values()]
        if tops:
            columns["coarser_ids"], columns["coarser_counts"] = tops[0]
        if len(tops) > 1:
            ids = np.full((n_regions, FARTHER, HOMES), -1, np.int32)
            counts = np.zeros((n_regions, FARTHER, HOMES), np.uint32)
            for place, top in enumerate(tops[1:]):
                ids[:, place], counts[:, place] = top
            columns |= {"farther_ids": ids, "farther_counts": counts}
        return columns

    def state(self) -> dict[str, np.ndarray]:
        """Return plain arrays, from which `from_state` continues exactly."""
        state: dict[str, np.ndarray] = {"percentiles": np.array(self.percentiles)}
        for place, pairs in enumerate(self._pairs.values()):
            state |= {f"{place}:{name}": array for name, array in pairs.state().items()}
        return state

    @classmethod
    def from_state(cls, state: dict[str, np.ndarray]) -> Homes:
        """Restore the counts from the arrays of `state`."""
        homes = cls(tuple(state["percentiles"].tolist()))
        for place, percentile in enumerate(homes.percentiles):
            parts = {name: state[f"{place}:{name}"] for name in ("keys", "counts")}
            homes._pairs[percentile] = PairCounter.from_state(parts)
        return homes
