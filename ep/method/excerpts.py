"""Which members of a region are shown: the nearest, a fair sample over the whole range of
distances, the farthest.

Each region has 7 slots: near (8 places, smallest distance first), 5 bands that cut [0, θ] evenly (2
places each, a seeded uniform sample of the band), far (6 places, largest distance first). Within a
slot every context appears once. What is kept depends on the stream and the seed alone, not on how
the stream is cut into batches.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32, Int64, Integer, UInt64

from ep.method.growing import with_rows
from ep.method.priority import priorities

BANDS = 5
CAPACITY = np.array([8, *[2] * BANDS, 6])
NEAR, FAR = 0, BANDS + 1
SLOTS = len(CAPACITY)
START = np.concatenate([[0], np.cumsum(CAPACITY)])
PLACES = int(START[-1])
SLOT_OF_PLACE = np.repeat(np.arange(SLOTS), CAPACITY)
BAND_NAME = np.array([0, *[1] * BANDS, 2], np.uint8)
EMPTY = 2**64 - 1
HALF = np.uint64(32)
FIELDS = {
    "key": "u8",
    "fold": "u8",
    "index": "i8",
    "passage": "i8",
    "position": "i4",
    "distance": "f4",
}
EVENT = np.dtype(list(FIELDS.items()))


class ExcerptSlots:
    """The kept events of every region. threshold: θ in (0, 2). seed: of the sample over the
    bands.
    """

    def __init__(self, threshold: float, seed: int = 0) -> None:
        self.threshold = threshold
        self.seed = seed
        self._kept = np.empty((0, PLACES), EVENT)
        self._worst = np.empty((0, SLOTS), np.uint64)

    def offer(
        self,
        region: Int64[np.ndarray, " n"],
        distance: Float32[np.ndarray, " n"],
        fold: UInt64[np.ndarray, " n"],
        index: Int64[np.ndarray, " n"],
        passage: Integer[np.ndarray, " n"],
        position: Integer[np.ndarray, " n"],
    ) -> None:
        """Offers one batch of members: region and distance of each, its context's fold key, stream
        index and place.
        """
        if not len(region):
            return
        rows = int(region.max()) + 1
        if rows > len(self._kept):
            self._worst = with_rows(self._worst, rows, EMPTY)
            self._kept = _empty_places(self._kept, len(self._worst))
        # no negative zero: the bits must sort like the numbers
        distance = np.maximum(distance, 0) + np.float32(0)
        lots = priorities(self.seed, index)
        nearness = distance.view(np.uint32).astype(np.uint64) << HALF
        band = np.minimum((distance * (BANDS / self.threshold)).astype(np.int64), BANDS - 1)
        # each event competes in three slots; smaller keys win, equal distances are decided by lot
        rivals = (
            (np.full(len(region), NEAR), nearness | (lots >> HALF)),
            (1 + band, lots >> np.uint64(1)),  # below EMPTY
            (np.full(len(region), FAR), (np.uint64(2**63) - nearness) | (lots >> HALF)),
        )
        chosen, slots = [], []
        for slot, key in rivals:
            hopeful = np.flatnonzero(key <= self._worst[region, slot])
            events = np.empty(len(hopeful), EVENT)
            for name, values in zip(
                FIELDS, (key, fold, index, passage, position, distance), strict=True
            ):
                events[name] = values[hopeful]
            chosen.append(events)
            slots.append(region[hopeful] * SLOTS + slot[hopeful])
        self._merge(np.concatenate(slots), np.concatenate(chosen))

    def _merge(self, slot: np.ndarray, events: np.ndarray) -> None:
        """Lets the events compete with those kept in the same slots (numbered region · SLOTS +
        slot).
        """
        if not len(events):
            return
        touched = np.unique(slot)
        kept_at = _places(touched)
        kept = self._kept.reshape(-1)[kept_at]
        holder = np.repeat(touched, CAPACITY[touched % SLOTS])
        slot = np.concatenate([holder[kept["key"] != EMPTY], slot])
        events = np.concatenate([kept[kept["key"] != EMPTY], events])

        order = np.lexsort((events["index"], events["key"], events["fold"], slot))
        slot, events = slot[order], events[order]
        first = np.ones(len(events), bool)  # of its context in its slot, best key first
        first[1:] = (slot[1:] != slot[:-1]) | (events["fold"][1:] != events["fold"][:-1])
        slot, events = slot[first], events[first]

        order = np.lexsort((events["index"], events["key"], slot))
        slot, events = slot[order], events[order]
        rank = np.arange(len(slot)) - np.searchsorted(slot, slot)
        inside = rank < CAPACITY[slot % SLOTS]
        slot, events, rank = slot[inside], events[inside], rank[inside]

        flat = self._kept.reshape(-1)
        flat["key"][kept_at] = EMPTY
        flat[slot // SLOTS * PLACES + START[slot % SLOTS] + rank] = events
        last = touched // SLOTS * PLACES + START[touched % SLOTS + 1] - 1
        self._worst.reshape(-1)[touched] = flat["key"][last]

    def columns(self, n_regions: int) -> dict[str, np.ndarray]:
        """The excerpt arrays of a dictionary of n regions, each region's near, then spread, then
        far.

        A context already shown as near is not shown again as far, nor one of these again in the
        spread: a region with few members lists each of them once. Near and spread are sorted by
        distance, far from the farthest.
        """
        kept = _empty_places(self._kept, n_regions)[:n_regions].reshape(-1)
        region, place = np.divmod(np.flatnonzero(kept["key"] != EMPTY), PLACES)
        kept = kept[kept["key"] != EMPTY]
        band = BAND_NAME[SLOT_OF_PLACE[place]]
        precedence = np.array([0, 2, 1])[band]
        order = np.lexsort((precedence, kept["fold"], region))
        first = np.ones(len(order), bool)
        first[1:] = (region[order][1:] != region[order][:-1]) | (
            kept["fold"][order][1:] != kept["fold"][order][:-1]
        )
        order = np.sort(order[first])
        region, band, kept = region[order], band[order], kept[order]
        outward = np.where(band == 2, -kept["distance"], kept["distance"])
        order = np.lexsort((kept["index"], outward, band, region))
        region, band, kept = region[order], band[order], kept[order]
        return {
            "excerpt_offsets": np.searchsorted(region, np.arange(n_regions + 1)).astype(np.int64),
            "excerpt_passage": kept["passage"].copy(),
            "excerpt_position": kept["position"].copy(),
            "excerpt_distance": kept["distance"].copy(),
            "excerpt_band": band,
        }

    def state(self) -> dict[str, np.ndarray]:
        """Plain arrays; `from_state` continues as if never stopped."""
        state = {f"kept_{name}": self._kept[name].copy() for name in FIELDS}
        return state | {"worst": self._worst.copy()}

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Takes over a state made with the same threshold and seed."""
        self._worst = state["worst"].copy()
        self._kept = np.empty((len(self._worst), PLACES), EVENT)
        for name in FIELDS:
            self._kept[name] = state[f"kept_{name}"]


def _places(slots: np.ndarray) -> np.ndarray:
    """The flat places of the given slots, slot after slot."""
    counts = CAPACITY[slots % SLOTS]
    within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    return np.repeat(slots // SLOTS * PLACES + START[slots % SLOTS], counts) + within


def _empty_places(kept: np.ndarray, rows: int) -> np.ndarray:
    """The kept events with room for that many regions."""
    if rows <= len(kept):
        return kept
    grown = np.zeros((rows, PLACES), EVENT)
    grown["key"] = EMPTY
    grown[: len(kept)] = kept
    return grown
