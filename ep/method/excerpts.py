"""The excerpts of each region: its nearest members, a sample over all distances, and its farthest.

Each region has seven slots: near (8 places, smallest distances first), five bands of equal width on
[0, θ] (2 places each, a seeded uniform sample of the band's members) and far (6 places, largest
distances first). A context appears at most once in a slot. The selection depends on the stream and
the seed only, not on the division of the stream into batches.
"""

from __future__ import annotations

import numpy as np

from ep.method.growing import with_rows
from ep.method.priority import sampling_keys
from ep.shapes import Float32, Int64, Integer, UInt64

BANDS = 5
CAPACITY = np.array([8, *[2] * BANDS, 6])
"""Places of each slot: near, the bands, far."""
NEAR, FAR = 0, BANDS + 1
SLOTS = len(CAPACITY)
START = np.concatenate([[0], np.cumsum(CAPACITY)])
"""The first place of each slot within a region's row of places, and the end of the last slot."""
PLACES = int(START[-1])
SLOT_OF_PLACE = np.repeat(np.arange(SLOTS), CAPACITY)
BAND_NAME = np.array([0, *[1] * BANDS, 2], np.uint8)
"""The stored `excerpt_band` of each slot: 0 near, 1 spread, 2 far."""
EMPTY = 2**64 - 1
"""The key of an empty place: larger than every key, so that an empty slot accepts any event."""
HALF = np.uint64(32)
FIELDS = {
    "key": "u8",
    "fold": "u8",
    "index": "i8",
    "passage": "i8",
    "position": "i4",
    "distance": "f4",
}
"""The fields of a stored event and their dtypes.

A smaller key takes precedence within a slot; the other fields describe the event as `Events` does.
"""
EVENT = np.dtype(list(FIELDS.items()))


class ExcerptSlots:
    """The events selected so far for each region.

    threshold: θ.
    seed: seed of the sample within each band.
    """

    def __init__(self, threshold: float, seed: int = 0) -> None:
        self.threshold = threshold
        self.seed = seed
        self._stored = np.empty((0, PLACES), EVENT)
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
        """Offer one batch of n members for selection.

        region: (n,) region of each member.
        distance: (n,) distance to the region's exemplar.
        fold: (n,) hash of the context; members with equal hashes count as one context.
        index: (n,) place in the activation stream.
        passage, position: (n,) where the activation was taken.
        """
        if not len(region):
            return
        rows = int(region.max()) + 1
        if rows > len(self._stored):
            self._worst = with_rows(self._worst, rows, EMPTY)
            self._stored = _empty_places(self._stored, len(self._worst))
        # The bits of floats that are not negative sort like the numbers; −0 would not.
        distance = np.maximum(distance, 0) + np.float32(0)
        keys = sampling_keys(self.seed, index)
        nearness = distance.view(np.uint32).astype(np.uint64) << HALF
        band = np.minimum((distance * (BANDS / self.threshold)).astype(np.int64), BANDS - 1)
        # Each event competes in three slots, where the smallest keys win. The upper half of a near
        # or far key is the distance, the lower half decides between equal distances.
        candidates = (
            (np.full(len(region), NEAR), nearness | (keys >> HALF)),
            (1 + band, keys >> np.uint64(1)),  # the shift keeps it below EMPTY
            (np.full(len(region), FAR), (np.uint64(2**63) - nearness) | (keys >> HALF)),
        )
        from ep.method.selecting import select

        fields = dict(
            zip(list(FIELDS)[1:], (fold, index, passage, position, distance), strict=True)
        )
        for slot, key in candidates:
            # equal keys still qualify: the stream index decides between them
            qualified = np.flatnonzero(key <= self._worst[region, slot])
            events = np.empty(len(qualified), EVENT)
            events["key"] = key[qualified]
            for name, values in fields.items():
                events[name] = values[qualified]
            of_events = region[qualified], slot[qualified]
            select(self._stored, self._worst, *of_events, events, START)

    def columns(self, n_regions: int) -> dict[str, np.ndarray]:
        """Return the excerpt arrays of a dictionary of `n_regions` regions.

        Each region lists near, then spread, then far. A context listed as near is not repeated as
        far, and neither is repeated in the spread, so that a region with few members lists each of
        them once. Near and spread are sorted by distance, far starts with the farthest.
        """
        stored = _empty_places(self._stored, n_regions)[:n_regions].reshape(-1)
        region, place = np.divmod(np.flatnonzero(stored["key"] != EMPTY), PLACES)
        stored = stored[stored["key"] != EMPTY]
        band = BAND_NAME[SLOT_OF_PLACE[place]]
        # of each context, the event in near, else in far, else in the spread
        precedence = np.array([0, 2, 1])[band]
        order = np.lexsort((precedence, stored["fold"], region))
        first = np.ones(len(order), bool)
        first[1:] = (region[order][1:] != region[order][:-1]) | (
            stored["fold"][order][1:] != stored["fold"][order][:-1]
        )
        order = np.sort(order[first])
        region, band, stored = region[order], band[order], stored[order]
        # far is sorted from the farthest inwards
        sort_distance = np.where(band == 2, -stored["distance"], stored["distance"])
        order = np.lexsort((stored["index"], sort_distance, band, region))
        region, band, stored = region[order], band[order], stored[order]
        return {
            "excerpt_offsets": np.searchsorted(region, np.arange(n_regions + 1)).astype(np.int64),
            "excerpt_passage": stored["passage"].copy(),
            "excerpt_position": stored["position"].copy(),
            "excerpt_distance": stored["distance"].copy(),
            "excerpt_band": band,
        }

    def state(self) -> dict[str, np.ndarray]:
        """Return plain arrays, from which `restore` continues exactly."""
        state = {f"kept_{name}": self._stored[name].copy() for name in FIELDS}
        return state | {"worst": self._worst.copy()}

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Replace all events by those of a `state` with the same threshold and seed."""
        self._worst = state["worst"].copy()
        self._stored = np.empty((len(self._worst), PLACES), EVENT)
        for name in FIELDS:
            self._stored[name] = state[f"kept_{name}"]


def _empty_places(stored: np.ndarray, rows: int) -> np.ndarray:
    """Return `stored`, or a copy padded with empty places if it has fewer than `rows` rows."""
    if rows <= len(stored):
        return stored
    grown = np.zeros((rows, PLACES), EVENT)
    grown["key"] = EMPTY
    grown[: len(stored)] = stored
    return grown
