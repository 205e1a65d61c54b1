"""The drafts of all layers and percentiles of one build, which one stream feeds."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from ep.config import BuildConfig
from ep.method.calibration import Calibration
from ep.method.draft import Draft, Drafts
from ep.method.laws import law_of
from ep.method.members import Events
from ep.method.saturation import StopRule
from ep.method.sieve import Sifted
from ep.reporting import Key

T = TypeVar("T")
Parts = Mapping[int, Sifted]
"""What is kept of one batch, by layer."""


class Ladder:
    """The drafts of one build: empty until `begin`, then fed batch by batch, twice.

    width: d. context: the longest passage in tokens. device: of the model.
    """

    def __init__(self, config: BuildConfig, width: int, context: int, device: str) -> None:
        self.config = config
        self.drafts = Drafts()
        self.calibrations: Mapping[int, Calibration] = {}
        self._width, self._context = width, context
        self._device = device if device.startswith("cuda") else "cpu"  # mps has no float64
        self._workers = ThreadPoolExecutor(os.cpu_count() or 1)

    def begin(self, calibrations: Mapping[int, Calibration]) -> None:
        """Create an empty draft for every layer and percentile."""
        config, self.calibrations = self.config, calibrations
        rule = StopRule(config.tokens, config.stop_rate, config.stop_window, config.quiet_batches)
        for layer in config.layers:
            for percentile in config.percentiles:
                self.drafts[layer, percentile] = Draft(
                    calibrations[layer].thresholds[percentile],
                    width=self._width,
                    context=self._context,
                    rule=rule,
                    seed=config.seed,
                    rival_budget=config.rival_budget,
                    metric=config.metric,
                    device=self._device,
                )

    def stream(self, parts: Parts) -> bool:
        """Feed a batch to every draft whose stopping rule is not met yet; return if some remain."""
        unfinished = self.drafts.unfinished()
        before = {key: draft.n_seen for key, draft in unfinished.items()}
        self._feed(Draft.stream, unfinished, parts)
        for key, draft in unfinished.items():
            draft.leave_out(parts[key[0]], draft.n_seen - before[key])
        return bool(self.drafts.unfinished())

    def end_stream(self) -> None:
        """Note that the text ended for the drafts that would have taken more."""
        for draft in self.drafts.unfinished().values():
            draft.stop_reason = "end of text"

    def begin_assignment(self) -> None:
        """Let coarser drafts assign as far as finer ones.

        A coarser draft may have stopped earlier in the stream than a finer one. It assigns the
        finer one's activations all the same, so that every member gets a coarser region.
        """
        for (layer, finer), above in self._coarser().items():
            for p in above:
                draft = self.drafts[layer, p]
                draft.reach = max(draft.reach, self.drafts[layer, finer].n_seen)

    def assign(self, parts: Parts) -> bool:
        """Assign a batch of the same stream; return whether more must be assigned."""
        regions = self._feed(Draft.reassign, self.drafts, parts)
        for (layer, finer), above in self._coarser().items():
            if above:
                self.drafts[layer, finer].nest(
                    regions[layer, finer],
                    {p: regions[layer, p] for p in above},
                    parts[layer].events,
                )
        return not self.drafts.are_assigned()

    def close(self) -> None:
        """Stop the threads."""
        self._workers.shutdown()

    def _coarser(self) -> dict[Key, tuple[float, ...]]:
        """The coarser percentiles of each draft."""
        return {key: self.config.coarser(key[1]) for key in self.drafts}

    def _feed(
        self,
        step: Callable[[Draft, Any, Events], T],
        drafts: Mapping[Key, Draft],
        parts: Parts,
    ) -> dict[Key, T]:
        """Call `step` with one batch on every draft, in parallel: the drafts are independent.

        The directions of the batch, and what the search makes of them alone, are computed once for
        each layer.
        """
        layers, law = {layer for layer, _ in drafts}, law_of(self.config.metric)
        rows = {
            layer: law.shared(self.calibrations[layer].metric.rows(parts[layer].x), self._device)
            for layer in layers
        }
        futures = {
            key: self._workers.submit(step, draft, rows[key[0]], parts[key[0]].events)
            for key, draft in drafts.items()
        }
        return {key: future.result() for key, future in futures.items()}
