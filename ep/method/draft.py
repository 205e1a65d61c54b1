"""A dictionary in the making: one layer, one percentile, fed the same stream as its siblings.

It joins the parts of the method (leaders, arrival members, stopping rule, Voronoi members and their
rivals) and knows no model or file.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ep.config import RIVAL_BUDGET
from ep.method.assignment import Assignment
from ep.method.coarser import Homes
from ep.method.leaders import Leaders
from ep.method.members import ArrivalMembers, Events, VoronoiMembers
from ep.method.rivals import Rivals, share_within
from ep.method.saturation import StopRule

GROWTH_POINTS = 256
FOUNDER = ("passage", "position", "token")


class Draft:
    """Feed `stream` until `stop_reason` is set, then feed the same activations again to `reassign`.

    threshold: θ in (0, 2). width: d. context: longest passage in tokens. rule: when to stop. seed:
    of the excerpts and of the draw of members whose rivals are looked up. rival_budget:
    multiply-adds that may cost.
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
    ) -> None:
        self.rule = rule
        self.seed = seed
        self.rival_budget = rival_budget
        self.leaders = Leaders(threshold, width=width, device=device)
        self.arrival = ArrivalMembers(width)
        self.voronoi = VoronoiMembers(threshold, context=context, seed=seed)
        self.rivals: Rivals | None = None
        self.homes: Homes | None = None
        self.reach = 0
        """Activations another draft needs this one's regions for, however few it streamed itself;
        see `nest`.
        """
        self.stop_reason: str | None = None
        self.growth: list[tuple[int, int]] = []
        self._quiet = 0
        self._founders: dict[str, list[np.ndarray]] = {name: [] for name in FOUNDER}

    def __len__(self) -> int:
        return len(self.leaders)

    @property
    def n_seen(self) -> int:
        return self.leaders.n_seen

    # -- first pass: found regions -----------------------------------------------------------------

    def stream(self, rows: np.ndarray, events: Events) -> None:
        """Cluster one batch of unit rows (n, d), as far as the stopping rule allows."""
        before, start = len(self.leaders), 0
        while start < len(rows) and self.stop_reason is None:
            part = slice(start, start + self.rule.allowed(self.n_seen, len(rows) - start))
            self._found(rows[part], events[part])
            start = part.stop
            self.stop_reason = self.rule.reason(self.n_seen, self.leaders.founded_at, 0)
        if start:
            self._quiet = 0 if len(self.leaders) > before else self._quiet + 1
            self._note_growth()
        if self.stop_reason is None:
            self.stop_reason = self.rule.reason(self.n_seen, self.leaders.founded_at, self._quiet)

    def _found(self, rows: np.ndarray, events: Events) -> None:
        assignment = self.leaders.partial_fit(rows)
        self.arrival.observe(assignment, rows)
        if assignment.is_new.any():
            for name in FOUNDER:
                self._founders[name].append(getattr(events, name)[assignment.is_new])

    def _note_growth(self) -> None:
        self.growth.append((self.n_seen, len(self.leaders)))
        # thin the older half of the curve: memory stays flat, the shape stays
        if len(self.growth) > GROWTH_POINTS:
            self.growth = (
                self.growth[1 : GROWTH_POINTS // 2 : 2] + self.growth[GROWTH_POINTS // 2 :]
            )

    # -- second pass: who is nearest in the end ----------------------------------------------------

    def reassign(self, rows: np.ndarray, events: Events) -> np.ndarray:
        """Give a batch of the same stream to the finished exemplars (protocol 2.4, W17).

        Returns the region of every row (n,) int64; shorter where the batch goes beyond what this
        draft streamed and what `reach` asks for.
        """
        start = self._start(events)
        rows = rows[: max(0, max(self.n_seen, self.reach) - start)]
        assignment = self.leaders.assign(rows)
        own = slice(0, max(0, self.n_seen - start))
        cut = Assignment(*(column[own] for column in assignment))
        self.voronoi.observe(cut, events[own])
        self._look_up_rivals(rows[own], cut.region, events[own])
        return assignment.region

    def _look_up_rivals(self, rows: np.ndarray, region: np.ndarray, events: Events) -> None:
        if self.rivals is None:  # K and n are final now, and so is the share
            share = share_within(self.rival_budget, self.n_seen, len(self), rows.shape[1])
            self.rivals = Rivals(self.leaders.threshold, share, self.seed)
        chosen = self.rivals.examines(events.index)
        rival, margin = self.leaders.runner_up(rows[chosen], region[chosen])
        self.rivals.observe(region[chosen], rival, margin)

    def nest(self, region: np.ndarray, coarser: Mapping[float, np.ndarray], events: Events) -> None:
        """Count in which regions of the coarser drafts this one's members lie.

        region: what `reassign` gave for the batch of `events`; coarser: what it gave for each
        coarser draft, by percentile.
        """
        own = slice(0, max(0, self.n_seen - self._start(events)))
        self.homes = self.homes or Homes(tuple(coarser))
        self.homes.observe(
            region[own], {percentile: regions[own] for percentile, regions in coarser.items()}
        )

    def _start(self, events: Events) -> int:
        return int(events.index[0]) if len(events) else self.n_seen

    # -- results and state -------------------------------------------------------------------------

    def arrays(self) -> dict[str, np.ndarray]:
        """Exemplars, mean directions and every column that needs no model."""
        founders = {f"founder_{name}": _joined(parts) for name, parts in self._founders.items()}
        columns = {
            "exemplars": self.leaders.exemplars,
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
        """Everything needed to go on as if never interrupted."""
        parts: dict[str, Any] = {
            "leaders": self.leaders,
            "arrival": self.arrival,
            "voronoi": self.voronoi,
        }
        parts |= {"rivals": self.rivals, "homes": self.homes}
        begun = {part: owner for part, owner in parts.items() if owner is not None}
        state = {
            f"{part}.{name}": array
            for part, owner in begun.items()
            for name, array in owner.state().items()
        }
        state |= {f"founders.{name}": _joined(arrays) for name, arrays in self._founders.items()}
        state["growth"] = np.array(self.growth, np.int64).reshape(-1, 2)
        state["quiet"] = np.array(self._quiet)
        state["stop_reason"] = np.array(self.stop_reason or "")
        return state

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Take over a state made by `state` with the same settings."""

        def part(name: str) -> dict[str, np.ndarray]:
            return {
                key.split(".", 1)[1]: array
                for key, array in state.items()
                if key.startswith(name + ".")
            }

        self.leaders = Leaders.from_state(part("leaders"), device=self.leaders.device)
        self.arrival = ArrivalMembers.from_state(part("arrival"))
        self.voronoi = VoronoiMembers.from_state(part("voronoi"))
        self.rivals = Rivals.from_state(part("rivals")) if part("rivals") else None
        self.homes = Homes.from_state(part("homes")) if part("homes") else None
        self._founders = {name: [part("founders")[name]] for name in FOUNDER}
        self.growth = [(int(n), int(k)) for n, k in state["growth"]]
        self._quiet = int(state["quiet"])
        self.stop_reason = str(state["stop_reason"]) or None


def _joined(parts: list[np.ndarray]) -> np.ndarray:
    return np.concatenate(parts) if parts else np.empty(0, np.int64)
