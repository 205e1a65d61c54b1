"""Dictionaries under construction, one for each layer and percentile of a build.

A draft combines the parts of the method: leaders, arrival members, the stopping rule, Voronoi
members, their rivals and the coarser regions. All drafts of a build read the same stream.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ep.config import RIVAL_BUDGET, MetricName
from ep.method.assignment import Assignment
from ep.method.coarser import Homes
from ep.method.laws import law_of
from ep.method.members import Events, VoronoiMembers
from ep.method.metrics import DEFAULT
from ep.method.rivals import Rivals, share_within
from ep.method.saturation import StopRule
from ep.method.sieve import LeftOut, Sifted

if TYPE_CHECKING:
    from ep.method.rows import Rows

GROWTH_POINTS = 256
"""Largest number of points of the growth curve."""
FOUNDER = ("passage", "position", "token")
"""The fields of `Events` that are stored for each founder."""


class Draft:
    """A dictionary under construction, from two passes over the same stream.

    Pass the stream to `stream` until `stop_reason` is set, then pass the same activations to
    `reassign`.

    threshold: θ.
    width: d.
    context: the longest passage in tokens.
    rule: when to stop the first pass.
    seed: seed of the excerpts and of the members whose rivals are examined.
    device: "cpu" or "cuda".
    rival_budget: multiply-adds that finding the rivals may cost.
    metric: name of the metric, which says how rows are compared.
    """

    def __init__(
        self,
        threshold: float,
        width: int,
        context: int,
        rule: StopRule,
        seed: int = 0,
        device: str = "cpu",
        rival_budget: float = RIVAL_BUDGET,
        metric: MetricName = DEFAULT,
    ) -> None:
        self.rule = rule
        self.width = width
        self.seed = seed
        self.rival_budget = rival_budget
        self.law = law_of(metric)
        self.leaders = self.law.leaders(threshold, width, device)
        self.arrival = self.law.arrival(width)
        self.voronoi = VoronoiMembers(threshold, context=context, seed=seed)
        self.rivals: Rivals | None = None
        self.homes: Homes | None = None
        self.reach = 0
        """Number of activations that `reassign` assigns at least, even if fewer were streamed here.

        Finer drafts that streamed more need these regions; see `nest`.
        """
        self.stop_reason: str | None = None
        self.left_out = LeftOut()
        """What the stream held beside the activations that were streamed; see `sieve.py`."""
        self.growth: list[tuple[int, int]] = []
        self._quiet_batches = 0
        self._founders: dict[str, list[np.ndarray]] = {name: [] for name in FOUNDER}

    def __len__(self) -> int:
        return len(self.leaders)

    @property
    def n_seen(self) -> int:
        """Number of activations streamed so far."""
        return self.leaders.n_seen

    # -- first pass: founding regions --------------------------------------------------------------

    def stream(self, rows: np.ndarray | Rows, events: Events) -> None:
        """Cluster one batch, as far as the stopping rule allows.

        rows: (n, d) unit directions, or rows of the metric, or what `law.shared` makes of either.
        events: their origins.
        """
        before, start = len(self.leaders), 0
        while start < len(rows) and self.stop_reason is None:
            part = slice(start, start + self.rule.allowed(self.n_seen, len(rows) - start))
            self._cluster(rows[part], events[part])
            start = part.stop
            self.stop_reason = self.rule.reason(self.n_seen, self.leaders.founded_at, 0)
        if start:
            self._quiet_batches = 0 if len(self.leaders) > before else self._quiet_batches + 1
            self._record_growth()
        if self.stop_reason is None:
            self.stop_reason = self.rule.reason(
                self.n_seen, self.leaders.founded_at, self._quiet_batches
            )

    def leave_out(self, batch: Sifted, streamed: int) -> None:
        """Count what a batch left out, up to the last activation that was streamed of it.

        streamed: how many of the batch's activations `stream` has taken.
        """
        read = batch if self.stop_reason is None else batch.until(streamed)
        self.left_out = self.left_out.plus(read.left_out)

    def _cluster(self, rows: np.ndarray | Rows, events: Events) -> None:
        assignment = self.leaders.partial_fit(rows)
        self.arrival.observe(assignment, np.asarray(rows))
        if assignment.is_new.any():
            for name in FOUNDER:
                self._founders[name].append(getattr(events, name)[assignment.is_new])

    def _record_growth(self) -> None:
        self.growth.append((self.n_seen, len(self.leaders)))
        # drop every second point of the older half: memory stays bounded, the curve keeps its shape
        if len(self.growth) > GROWTH_POINTS:
            self.growth = (
                self.growth[1 : GROWTH_POINTS // 2 : 2] + self.growth[GROWTH_POINTS // 2 :]
            )

    def newest(self, count: int) -> dict[str, np.ndarray]:
        """Return where the last `count` exemplars stand: passage, position and token, (n,) each.

        n is smaller where there are fewer regions; the newest comes last.
        """
        found = {}
        for name, parts in self._founders.items():
            tail: list[np.ndarray] = []
            while sum(map(len, tail)) < count and len(tail) < len(parts):
                tail.insert(0, parts[-1 - len(tail)])
            joined = _joined(tail)
            found[name] = joined[max(0, len(joined) - count) :]
        return found

    # -- second pass: Voronoi members --------------------------------------------------------------

    def reassign(self, rows: np.ndarray | Rows, events: Events) -> np.ndarray:
        """Assign a batch of the same stream to the finished exemplars (protocol 2.4, W17).

        Returns the region of each row (n,) int64. The result is shorter where the batch goes beyond
        both the activations streamed here and `reach`.
        """
        start = self._start(events)
        rows = rows[: max(0, max(self.n_seen, self.reach) - start)]
        assignment = self.leaders.assign(rows)
        # only rows that this draft streamed are its members; the others serve finer drafts
        streamed = slice(0, max(0, self.n_seen - start))
        members = Assignment(*(column[streamed] for column in assignment))
        self.voronoi.observe(members, events[streamed])
        self._look_up_rivals(rows[streamed], members.region, events[streamed])
        return assignment.region

    def _look_up_rivals(self, rows: np.ndarray | Rows, region: np.ndarray, events: Events) -> None:
        if self.rivals is None:  # K and n are final now, and so is the share to examine
            share = share_within(self.rival_budget, self.n_seen, len(self), rows.shape[1])
            self.rivals = Rivals(self.leaders.threshold, share, self.seed)
        examined = self.rivals.examines(events.index)
        rival, margin = self.leaders.runner_up(rows[examined], region[examined])
        self.rivals.observe(region[examined], rival, margin)

    def nest(self, region: np.ndarray, coarser: Mapping[float, np.ndarray], events: Events) -> None:
        """Count in which regions of the coarser drafts this draft's members lie.

        region: the result of `reassign` for the batch.
        coarser: the result of `reassign` of each coarser draft for the same batch, by percentile.
        events: the origins of the batch.
        """
        streamed = slice(0, max(0, self.n_seen - self._start(events)))
        self.homes = self.homes or Homes(tuple(coarser))
        self.homes.observe(
            region[streamed],
            {percentile: regions[streamed] for percentile, regions in coarser.items()},
        )

    def _start(self, events: Events) -> int:
        return int(events.index[0]) if len(events) else self.n_seen

    # -- results and state -------------------------------------------------------------------------

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the exemplars, the mean directions and every column that needs no model."""
        founders = {f"founder_{name}": _joined(parts) for name, parts in self._founders.items()}
        columns = {
            **self.law.columns(self.leaders.exemplars),
            "founded_at": self.leaders.founded_at,
            **founders,
        }
        columns |= self.arrival.columns()
        if self.voronoi.n_seen:
            columns |= self.voronoi.columns(len(self))
        if self.rivals is not None:
            columns |= self.rivals.columns(len(self))
        if self.homes is not None:
            columns |= self.homes.columns(len(self))
        columns["exemplar_mean_cosine"] = np.einsum(
            "kd,kd->k", columns["exemplars"], columns["mean_directions"], dtype=np.float32
        )
        return columns

    def state(self) -> dict[str, np.ndarray]:
        """Return plain arrays, from which `restore` continues exactly."""
        parts: dict[str, Any] = {
            "leaders": self.leaders,
            "arrival": self.arrival,
            "voronoi": self.voronoi,
        }
        parts |= {"rivals": self.rivals, "homes": self.homes}
        started = {key: part for key, part in parts.items() if part is not None}
        state = {
            f"{key}.{name}": array
            for key, part in started.items()
            for name, array in part.state().items()
        }
        state |= {f"founders.{name}": _joined(arrays) for name, arrays in self._founders.items()}
        state["growth"] = np.array(self.growth, np.int64).reshape(-1, 2)
        state["left_out"] = np.array(self.left_out)
        state["quiet"] = np.array(self._quiet_batches)
        state["stop_reason"] = np.array(self.stop_reason or "")
        return state

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Replace the content by a `state` of a draft with the same settings."""

        def part(name: str) -> dict[str, np.ndarray]:
            return {
                key.split(".", 1)[1]: array
                for key, array in state.items()
                if key.startswith(name + ".")
            }

        self.leaders = self.leaders.from_state(part("leaders"), device=self.leaders.device)
        self.arrival = self.arrival.from_state(part("arrival"))
        self.voronoi = VoronoiMembers.from_state(part("voronoi"))
        self.rivals = Rivals.from_state(part("rivals")) if part("rivals") else None
        self.homes = Homes.from_state(part("homes")) if part("homes") else None
        self._founders = {name: [part("founders")[name]] for name in FOUNDER}
        self.growth = [(int(n), int(k)) for n, k in state["growth"]]
        self.left_out = LeftOut(*state["left_out"].tolist())
        self._quiet_batches = int(state["quiet"])
        self.stop_reason = str(state["stop_reason"]) or None


def _joined(parts: list[np.ndarray]) -> np.ndarray:
    return np.concatenate(parts) if parts else np.empty(0, np.int64)


class Drafts(dict[tuple[int, float], Draft]):
    """The drafts of one build by layer and percentile, which one stream feeds.

    Layers may differ in what is left out of the stream, so their numbers of activations may differ.
    """

    def unfinished(self) -> dict[tuple[int, float], Draft]:
        """The drafts whose stopping rule is not met yet."""
        return {key: draft for key, draft in self.items() if draft.stop_reason is None}

    def streamed(self, layer: int | None = None) -> int:
        """Activations streamed to the draft that has the most, of one layer or of all."""
        return max((draft.n_seen for draft in self._of(layer)), default=0)

    def assigned(self, layer: int | None = None) -> int:
        """The same for the second pass."""
        return max((draft.voronoi.n_seen for draft in self._of(layer)), default=0)

    def are_assigned(self) -> bool:
        """Return whether the second pass has reached all that was streamed, in every layer."""
        return all(self.assigned(layer) >= self.streamed(layer) for layer, _ in self)

    def _of(self, layer: int | None) -> list[Draft]:
        return [draft for (own, _), draft in self.items() if layer in (own, None)]
