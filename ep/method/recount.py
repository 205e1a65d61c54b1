"""Counts the members of given exemplars over a stream, as the second pass of a build does.

The exemplars need not be founders: those of a refined dictionary are not. Everything is exact and
the same for every division of the stream into batches; see `ep.method.draft`.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ep.config import RIVAL_BUDGET
from ep.method.assignment import Assignment
from ep.method.coarser import Homes
from ep.method.leaders import Leaders
from ep.method.members import ArrivalMembers, Events, VoronoiMembers
from ep.method.rivals import Rivals, share_within
from ep.shapes import Bool, Float32, Int64


def index_of(exemplars: Float32[np.ndarray, "K d"], threshold: float) -> Leaders:
    """Return the exact search among exemplars (K, d), unit rows, the first ones winning ties."""
    state = {
        "threshold": np.array(threshold),
        "n_seen": np.array(0),
        "exemplars": exemplars,
        "founded_at": np.zeros(len(exemplars), np.int64),
    }
    return Leaders.from_state(state)


class Tally:
    """Sums of directions over the members nearest to each exemplar, for figures.

    exemplars: (K, d) unit rows.
    threshold: θ.
    """

    def __init__(self, exemplars: Float32[np.ndarray, "K d"], threshold: float) -> None:
        self.exemplars = exemplars
        self.leaders = index_of(exemplars, threshold)
        self.sums = ArrivalMembers(exemplars.shape[1])

    def observe(
        self, rows: Float32[np.ndarray, "n d"], keep: Bool[np.ndarray, " n"] | None = None
    ) -> Assignment:
        """Add a batch; return the nearest exemplar of each row.

        rows: (n, d) unit directions. keep: (n,) which of them count; None for all.
        """
        assignment = self.leaders.assign(rows)
        if keep is None:
            self.sums.observe(assignment, rows)
        else:
            self.sums.observe(Assignment(*(c[keep] for c in assignment)), rows[keep])
        return assignment

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the arrays that figures need, with every exemplar's own row.

        A region without a member counts 0 and has its exemplar as its mean.
        """
        found = self.sums.columns()
        size, seen = len(self.exemplars), len(found["count_arrival"])
        count, coherence = np.zeros(size, np.int64), np.zeros(size, np.float32)
        mean = self.exemplars.copy()
        count[:seen], coherence[:seen] = found["count_arrival"], found["coherence"]
        has = count[:seen] > 0
        mean[:seen][has] = found["mean_directions"][has]
        return {
            "exemplars": self.exemplars,
            "count_arrival": count,
            "coherence": coherence,
            "mean_directions": mean,
        }


class Recount:
    """Voronoi members, excerpts, rivals and coarser regions of given exemplars.

    exemplars: (K, d) unit rows. threshold: θ. context: longest passage in tokens. seed: of the
    excerpts and of the members whose rivals are examined. n: activations of the stream. coarser:
    the exemplars (K', d) of coarser dictionaries, by percentile.
    """

    def __init__(
        self,
        exemplars: Float32[np.ndarray, "K d"],
        threshold: float,
        context: int,
        seed: int,
        n: int,
        coarser: Mapping[float, np.ndarray] | None = None,
    ) -> None:
        self.tally = Tally(exemplars, threshold)
        self.voronoi = VoronoiMembers(threshold, context=context, seed=seed)
        share = share_within(RIVAL_BUDGET, n, *exemplars.shape)
        self.rivals = Rivals(threshold, share, seed)
        self.coarser = {p: index_of(rows, threshold) for p, rows in (coarser or {}).items()}
        self.homes = Homes(tuple(self.coarser))

    def observe(self, rows: Float32[np.ndarray, "n d"], events: Events) -> Int64[np.ndarray, " n"]:
        """Add a batch of members; return the region of each."""
        assignment = self.tally.observe(rows)
        region = assignment.region
        self.voronoi.observe(assignment, events)
        examined = self.rivals.examines(events.index)
        rival, margin = self.tally.leaders.runner_up(rows[examined], region[examined])
        self.rivals.observe(region[examined], rival, margin)
        homes = {p: leaders.assign(rows).region for p, leaders in self.coarser.items()}
        self.homes.observe(region, homes)
        return region

    def columns(self) -> dict[str, np.ndarray]:
        """Return every array of the recounted members; see `docs/format.md`."""
        size = len(self.tally.exemplars)
        return self.voronoi.columns(size) | self.rivals.columns(size) | self.homes.columns(size)
