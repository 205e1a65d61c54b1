"""Where a region's members lie in the coarser dictionaries of its build: exact counts over the
whole second pass.

For every coarser percentile the four regions that hold most of the members are kept. It knows no
exemplars: region ids of both dictionaries come in, batch by batch.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from jaxtyping import Int64

from ep.method.counting import PairCounter

HOMES = 4
FARTHER = 8
"""Coarser percentiles beyond the next one that are kept."""


class Homes:
    """Counts (region, coarser region) pairs for each coarser percentile. percentiles: the coarser
    ones, any order.
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
        """Counts n activations in: their region here, and in each coarser dictionary."""
        for percentile, pairs in self._pairs.items():
            pairs.add(region, coarser[percentile])

    def columns(self, n_regions: int) -> dict[str, np.ndarray]:
        """coarser_ids and coarser_counts (K, 4) of the next percentile, farther_* (K, 8, 4) of
        those beyond it.

        Most members first, ties to the older; −1 and 0 where there is nothing. Only what there is
        to say.
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
        """Plain arrays; `from_state` continues as if never stopped."""
        state: dict[str, np.ndarray] = {"percentiles": np.array(self.percentiles)}
        for place, pairs in enumerate(self._pairs.values()):
            state |= {f"{place}:{name}": array for name, array in pairs.state().items()}
        return state

    @classmethod
    def from_state(cls, state: dict[str, np.ndarray]) -> Homes:
        homes = cls(tuple(state["percentiles"].tolist()))
        for place, percentile in enumerate(homes.percentiles):
            parts = {name: state[f"{place}:{name}"] for name in ("keys", "counts")}
            homes._pairs[percentile] = PairCounter.from_state(parts)
        return homes
