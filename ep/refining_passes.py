"""The passes of a refinement over activations: the new exemplars, then their members and figures.

The first pass finds for each region the member nearest to its mean, where exemplars are replaced.
The second counts the members of the new exemplars. Over a whole stream both also add up the sums of
the origin's regions and of a control, so that figures before and after rest on the same members.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ep.errors import EPError, ModelError
from ep.method.central import PLACE, Preferred, draw, nearness
from ep.method.dictionary import Dictionary
from ep.method.members import Events
from ep.method.recount import Recount, Tally, index_of
from ep.method.refine import Plan
from ep.progress import Report
from ep.rereading import Reader
from ep.storage.file import header
from ep.storage.file import open as open_dictionary
from ep.storage.schema import SUFFIX
from ep.studies.refinement import figures

LEAST_AGREEMENT = 0.5
"""Share of the origin's regions whose counts must come out as stored; fewer mean another model."""
_RANDOM_MEMBER = "a random member of each region as its exemplar"
_RANDOM_PLAN = "as many regions, drawn at random"


class Passes:
    """What is read again for a refinement.

    origin: the dictionary. plan: what becomes of its regions. arrays: those of the new regions,
    added up. reanchor: whether exemplars are replaced. control: a plan to compare with, if any.

    Attributes after `run`: moved, the number of regions with another exemplar; drawn, the control's
    exemplars where exemplars were replaced; figures, over a whole stream; agreement, the share of
    the origin's regions whose counts the stream gives again; has_homes, whether coarser regions
    were counted again.
    """

    def __init__(
        self,
        origin: Dictionary,
        plan: Plan,
        arrays: Mapping[str, np.ndarray],
        reanchor: bool,
        control: Plan | None,
    ) -> None:
        self.origin, self.plan, self.control = origin, plan, control
        self.reanchor = reanchor
        self.exemplars = np.asarray(arrays["exemplars"])
        self.means = np.asarray(arrays["mean_directions"])
        self.moved = 0
        self.agreement: float | None = None
        self.has_homes = False
        self.drawn: np.ndarray | None = None
        self.figures: dict[str, Any] = {}

    @property
    def control_is(self) -> str:
        """What the control is, in words."""
        return _RANDOM_PLAN if self.drawn is None else _RANDOM_MEMBER

    def run(self, reader: Reader, report: Report) -> dict[str, np.ndarray]:
        """Read the activations and return the arrays that they decide."""
        found = self._anchor(reader, report) if self.reanchor else {}
        return found | self._count(reader, report)

    def _batches(
        self, reader: Reader, report: Report, what: str
    ) -> Iterator[tuple[np.ndarray, Events]]:
        total = int(self.origin.info.get("n_activations") or 0) if reader.is_whole else 0
        for rows, events in reader.read():
            yield rows, events
            done = int(events.index[-1]) + 1 if len(events) else 0
            report(what, min(1.0, done / total) if total else None)

    def _keep(self, region: np.ndarray) -> np.ndarray:
        """Return which activations have a place, by their region in the origin (n,)."""
        return self.plan.target[region] >= 0

    # -- the first pass ----------------------------------------------------------------------------

    def _anchor(self, reader: Reader, report: Report) -> dict[str, np.ndarray]:
        """Replace each exemplar by the member nearest to its region's mean.

        The members are those of the exemplars before. A region of which no member is read keeps its
        exemplar.
        """
        theta, size = self.origin.threshold, len(self.plan)
        before, seed = index_of(self.exemplars, theta), int(self.origin.info.get("seed") or 0)
        of_origin = index_of(self.origin.exemplars, theta)
        best, random = (Preferred(size, self.origin.width) for _ in range(2))
        for rows, events in self._batches(reader, report, "finding the most central members"):
            keep = np.flatnonzero(self._keep(of_origin.assign(rows).region))
            rows, events = rows[keep], events[keep]
            region = before.assign(rows).region
            best.observe(region, nearness(rows, region, self.means), rows, events)
            random.observe(region, draw(seed, events.index), rows, events)
        has = best.is_known
        exemplars = np.where(has[:, None], best.rows, self.exemplars).astype(np.float32)
        self.moved = int((exemplars != self.exemplars).any(1).sum())
        self.drawn = np.where(has[:, None], random.rows, self.exemplars).astype(np.float32)
        if self.plan.changes:
            self.drawn = None  # more than one rule ran: no one control stands for them
        self.exemplars = exemplars
        cosine = np.einsum("kd,kd->k", exemplars, self.means, dtype=np.float64)
        found = {"exemplars": exemplars, "exemplar_mean_cosine": cosine.astype(np.float32)}
        return found | self._founders(best)

    def _founders(self, best: Preferred) -> dict[str, np.ndarray]:
        """Return where the new exemplars were read, in the place of the founders."""
        names = {name: f"founder_{name}" for name in PLACE}
        if "founder_passage" not in self.origin:
            return {}
        own = {name: self.origin.column(stored)[self.plan.kept] for name, stored in names.items()}
        return {
            stored: np.where(best.is_known, best.place[name], own[name]).astype(own[name].dtype)
            for name, stored in names.items()
        }

    # -- the second pass ---------------------------------------------------------------------------

    def _count(self, reader: Reader, report: Report) -> dict[str, np.ndarray]:
        """Count the members of the new exemplars; over stored members alone, only excerpts."""
        info, theta = self.origin.info, self.origin.threshold
        recount = Recount(
            self.exemplars,
            theta,
            int(info.get("context") or 128),
            int(info.get("seed") or 0),
            int(info.get("n_activations") or 0),
            _coarser(self.origin) if reader.is_whole else {},
        )
        before = Tally(self.origin.exemplars, theta)
        other = self._other_exemplars()
        control = None if other is None else Tally(other, theta)
        left_out = None if self.control is None else self.control.target < 0
        for rows, events in self._batches(reader, report, "counting members again"):
            region = before.observe(rows).region
            keep = np.flatnonzero(self._keep(region))
            recount.observe(rows[keep], events[keep])
            if control is not None:
                control.observe(rows, None if left_out is None else ~left_out[region])
        if not reader.is_whole:
            columns = recount.columns()
            return {n: a for n, a in columns.items() if n.startswith("excerpt_")}
        self.has_homes = bool(recount.coarser)
        self._compare(before)
        self.figures = {
            "basis": "members nearest over the whole stream",
            "before": figures(before.arrays()),
            "after": figures(recount.tally.arrays()),
        }
        if control is not None:
            self.figures |= {
                "control": figures(control.arrays()),
                "control_is": self.control_is,
            }
        return recount.columns()

    def _other_exemplars(self) -> np.ndarray | None:
        """Return the exemplars of the control, if there is one."""
        if self.drawn is not None:
            return self.drawn
        return None if self.control is None else self.origin.exemplars[self.control.kept]

    def _compare(self, before: Tally) -> None:
        """Compare the counts of the origin's regions with the stored ones.

        Raises ModelError where most differ: then model or text are others.
        """
        if "count_voronoi" not in self.origin or self.origin.info.get("refined"):
            return
        same = before.arrays()["count_arrival"] == self.origin.column("count_voronoi")
        self.agreement = round(float(same.mean()), 4)
        if self.agreement < LEAST_AGREEMENT:
            raise ModelError(
                f"only {self.agreement:.0%} of the regions have their stored counts on this stream:"
                " this is another model, or its weights are others"
            )


def recounted(
    arrays: Mapping[str, np.ndarray], passes: Passes, is_whole: bool
) -> dict[str, np.ndarray]:
    """Return the arrays without those that belong to exemplars, or to counts, of before.

    passes: after `run`. is_whole: whether members were counted again over the whole stream.
    """
    found = dict(arrays)
    gone: tuple[str, ...] = ()
    if passes.reanchor:
        gone += ("distance_sum", "distance_square_sum")
        if not is_whole:
            gone += ("mean_distance", "max_distance", "distance_histogram", "rival_", "contested")
    if is_whole and not passes.has_homes:
        gone += ("coarser_", "farther_")
    found = {name: array for name, array in found.items() if not name.startswith(gone)}
    if passes.reanchor and "coherence" in found and "count_arrival" in found:
        # Σ(1 − û·e) over the arrival members, whose sum is N·c·m
        along = found["coherence"].astype(np.float64) * found["exemplar_mean_cosine"]
        found["distance_sum"] = np.maximum(found["count_arrival"] * (1 - along), 0)
    return found


def _coarser(origin: Dictionary) -> dict[float, np.ndarray]:
    """Return the exemplars of the coarser dictionaries of the origin's build, by percentile.

    They are looked for beside its file; there are none unless all are there.
    """
    info = origin.info
    next_one, farther = info.get("coarser_percentile"), info.get("farther_percentiles") or []
    wanted = {float(p) for p in [next_one, *farther] if p is not None}
    if origin.path is None or not wanted:
        return {}
    found: dict[float, np.ndarray] = {}
    for path in sorted(Path(origin.path).parent.glob(f"*{SUFFIX}")):
        try:
            other, _, _ = header(path)
            same = all(other.get(n) == info.get(n) for n in ("family", "layer"))
            if same and other.get("percentile") in wanted:
                found.setdefault(float(other["percentile"]), open_dictionary(path).exemplars)
        except EPError:
            continue
    return found if set(found) == wanted else {}
