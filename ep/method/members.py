"""Statistics of each region's members: counts, sums, histograms, tokens and excerpts.

The two kinds of membership are kept apart (protocol 2.4): *arrival* members joined their region
when they streamed in; *Voronoi* members are those nearest to its exemplar in the finished
dictionary, from a second assignment of the same stream. All statistics are vectorised over a batch,
seeded, and identical to the bit for every division of the stream into batches, because sums add one
member after the other. Models and files do not appear here: an event is a few numbers.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np

from ep.method.assignment import Assignment
from ep.method.counting import PairCounter
from ep.method.excerpts import ExcerptSlots
from ep.method.geometry import directions
from ep.method.growing import exactly_rows, with_rows
from ep.shapes import Float32, Int64, Integer, UInt64

DISTANCE_BINS = 32
"""Bins of the distance histogram, on [0, θ]."""
POSITION_BINS = 16
"""Bins of the position histogram, on [0, context]."""


@dataclass(frozen=True)
class Events:
    """The origins of n activations; a slice or a choice of events is events.

    passage: (n,) id of the passage.
    position: (n,) index in the model's input, where BOS is 0.
    token: (n,) id of the token at that position.
    next_token: (n,) id of the token after it, −1 at the end of the passage.
    fold: (n,) hash of the tokens up to that position, equal for events that read alike.
    index: (n,) index in the activation stream.
    """

    passage: Integer[np.ndarray, " n"]
    position: Integer[np.ndarray, " n"]
    token: Integer[np.ndarray, " n"]
    next_token: Integer[np.ndarray, " n"]
    fold: UInt64[np.ndarray, " n"]
    index: Int64[np.ndarray, " n"]

    def __len__(self) -> int:
        return len(self.passage)

    def starting_at(self, index: int) -> Events:
        """Return the same events, `index` places further on in the stream."""
        return replace(self, index=self.index + index)

    def numbered(self) -> Events:
        """Return the same events with indices that count them from 0."""
        return replace(self, index=np.arange(len(self)))

    def __getitem__(self, part: slice | Int64[np.ndarray, " m"]) -> Events:
        return Events(*(getattr(self, field.name)[part] for field in fields(self)))


class ArrivalMembers:
    """Counts and sums over the arrival members of each region.

    The sums of directions are float64, because a float32 sum over a large region would lose
    members; they take 8·K·d bytes.

    width: d.
    """

    def __init__(self, width: int) -> None:
        self.width = width
        self.n_seen = 0
        self._n_regions = 0
        self._directions = np.empty((0, width))
        self._counts = np.empty(0, np.int64)
        self._distances = np.empty((0, 2))  # sum of the distances, sum of their squares

    def observe(self, assignment: Assignment, rows: Float32[np.ndarray, "n d"]) -> None:
        """Add one batch.

        assignment: regions and distances of n activations.
        rows: (n, d) their unit directions.
        """
        if not len(rows):
            return
        from ep.method.summing import add_rows

        region = assignment.region
        self._n_regions = max(self._n_regions, int(region.max()) + 1)
        self._directions = with_rows(self._directions, self._n_regions)
        self._counts = with_rows(self._counts, self._n_regions)
        self._distances = with_rows(self._distances, self._n_regions)
        # add_rows and np.add.at add in stream order, one member after the other, so that the float
        # sums do not depend on the batches; counts are exact in any order
        add_rows(self._directions, region, self._summands(rows))
        np.add.at(self._counts, region, 1)
        distance = assignment.distance.astype(np.float64)
        np.add.at(self._distances.reshape(-1), 2 * region, distance)
        np.add.at(self._distances.reshape(-1), 2 * region + 1, distance**2)
        self.n_seen += len(rows)

    def _summands(self, rows: Float32[np.ndarray, "n d"]) -> np.ndarray:
        """Return what each row adds to the sums of its region."""
        return rows

    def columns(self) -> dict[str, np.ndarray]:
        """Return the arrays of the arrival members.

        mean_directions: (K, d) float32, the direction of Σû.
        count_arrival: (K,) number of members N.
        coherence: (K,) ‖Σû‖/N, in [0, 1].
        distance_sum: (K,) Σd over the members.
        distance_square_sum: (K,) Σd².
        """
        sums, counts = self._directions[: self._n_regions], self._counts[: self._n_regions]
        lengths = np.sqrt(np.einsum("kd,kd->k", sums, sums))
        distances = self._distances[: self._n_regions]
        # the sums are of centred directions already; rounding may lengthen one beyond its count
        return {
            "mean_directions": directions(sums, np.zeros(self.width, np.float32)),
            "count_arrival": counts.copy(),
            "coherence": np.minimum(lengths / np.maximum(counts, 1), 1).astype(np.float32),
            "distance_sum": distances[:, 0].copy(),
            "distance_square_sum": distances[:, 1].copy(),
        }

    def state(self) -> dict[str, np.ndarray]:
        """Return plain arrays, from which `from_state` continues exactly."""
        return {
            "directions": self._directions[: self._n_regions].copy(),
            "counts": self._counts[: self._n_regions].copy(),
            "distances": self._distances[: self._n_regions].copy(),
            "n_seen": np.array(self.n_seen),
        }

    @classmethod
    def from_state(cls, state: dict[str, np.ndarray]) -> ArrivalMembers:
        """Restore the sums from the arrays of `state`."""
        members = cls(state["directions"].shape[1])
        members._directions = state["directions"].copy()
        members._counts = state["counts"].copy()
        members._distances = state["distances"].copy()
        members._n_regions = len(members._counts)
        members.n_seen = int(state["n_seen"])
        return members


class VoronoiMembers:
    """Counts, histograms, tokens and excerpts of the Voronoi members of each region.

    threshold: θ, the range of the distance histogram.
    context: the longest passage in tokens, the range of the position histogram.
    seed: seed of the excerpts.
    """

    def __init__(self, threshold: float, context: int, seed: int = 0) -> None:
        self.threshold = threshold
        self.context = context
        self.seed = seed
        self.n_seen = 0
        self._distance_sum = np.empty(0)
        self._distance_max = np.empty(0, np.float32)
        self._by_distance = np.empty((0, DISTANCE_BINS), np.uint32)
        self._by_position = np.empty((0, POSITION_BINS), np.uint32)
        self._tokens, self._next_tokens = PairCounter(), PairCounter()
        self._excerpts = ExcerptSlots(threshold, seed)

    def observe(self, assignment: Assignment, events: Events) -> None:
        """Add one batch.

        assignment: regions and distances of n activations.
        events: their origins.
        """
        if not len(events):
            return
        region, distance = assignment.region, assignment.distance
        self._grow(int(region.max()) + 1)
        np.add.at(self._distance_sum, region, distance.astype(np.float64))
        np.maximum.at(self._distance_max, region, distance)
        # the last bin of each histogram takes whatever lies beyond its range
        distance_bin = np.minimum(
            (distance * (DISTANCE_BINS / self.threshold)).astype(np.int64), DISTANCE_BINS - 1
        )
        position_bin = np.minimum(
            events.position.astype(np.int64) * POSITION_BINS // self.context, POSITION_BINS - 1
        )
        np.add.at(
            self._by_distance.reshape(-1), region * DISTANCE_BINS + distance_bin, np.uint32(1)
        )
        np.add.at(
            self._by_position.reshape(-1), region * POSITION_BINS + position_bin, np.uint32(1)
        )
        self._tokens.add(region, events.token)
        self._next_tokens.add(region, events.next_token)
        self._excerpts.offer(
            region, distance, events.fold, events.index, events.passage, events.position
        )
        self.n_seen += len(events)

    def _grow(self, rows: int) -> None:
        for name in PER_REGION:
            setattr(self, name, with_rows(getattr(self, name), rows))

    def columns(self, n_regions: int) -> dict[str, np.ndarray]:
        """Return the arrays of the Voronoi members for a dictionary of `n_regions` regions.

        A region without Voronoi members has zeros.
        """
        distance_sum, furthest, by_distance, by_position = (
            exactly_rows(getattr(self, name), n_regions) for name in PER_REGION
        )
        # every member is in exactly one bin
        counts = by_distance.sum(axis=1, dtype=np.int64)
        token_ids, token_counts = self._tokens.top(n_regions)
        next_ids, next_counts = self._next_tokens.top(n_regions)
        return {
            "count_voronoi": counts,
            "mean_distance": (distance_sum / np.maximum(counts, 1)).astype(np.float32),
            "max_distance": furthest,
            "distance_histogram": by_distance,
            "position_histogram": by_position,
            "token_ids": token_ids,
            "token_counts": token_counts,
            "next_ids": next_ids,
            "next_counts": next_counts,
            **self._excerpts.columns(n_regions),
        }

    def state(self) -> dict[str, np.ndarray]:
        """Return plain arrays, from which `from_state` continues exactly."""
        state = {name: getattr(self, name).copy() for name in PER_REGION}
        state |= {name: np.array(getattr(self, name)) for name in SETTINGS}
        for name in ("_tokens", "_next_tokens", "_excerpts"):
            state |= {f"{name}:{key}": array for key, array in getattr(self, name).state().items()}
        return state

    @classmethod
    def from_state(cls, state: dict[str, np.ndarray]) -> VoronoiMembers:
        """Restore the statistics from the arrays of `state`."""

        def part(name: str) -> dict[str, np.ndarray]:
            return {
                key.split(":")[1]: array
                for key, array in state.items()
                if key.startswith(name + ":")
            }

        members = cls(float(state["threshold"]), int(state["context"]), int(state["seed"]))
        members.n_seen = int(state["n_seen"])
        for name in PER_REGION:
            setattr(members, name, state[name].copy())
        members._tokens = PairCounter.from_state(part("_tokens"))
        members._next_tokens = PairCounter.from_state(part("_next_tokens"))
        members._excerpts.restore(part("_excerpts"))
        return members


SETTINGS = ("threshold", "context", "seed", "n_seen")
"""Attributes of `VoronoiMembers` that are one number each."""
PER_REGION = ("_distance_sum", "_distance_max", "_by_distance", "_by_position")
"""Attributes of `VoronoiMembers` with one row per region; also names in its state."""
