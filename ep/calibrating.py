"""What a build measures on the head of its stream, before it founds the first region.

The head is read once for each phase, from what the first one stored:

    norms       the median norm, where outsize activations are left out
    moments     the centre, and what else the metric needs (protocol 1.1)
    distances   θ of each percentile of the distances between directions (protocol 1.2)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from ep.errors import ActivationError, CorpusError
from ep.method.calibration import Calibration, Thresholds
from ep.method.moments import MetricSum
from ep.method.outliers import Measured, Norms, Outliers, Spread
from ep.method.sieve import Sieve, Sifted
from ep.reporting import Counts
from ep.resuming import Arrays, named, part
from ep.streaming import Stream

NORMS, MOMENTS, DISTANCES, DONE = range(4)
HOPELESS = 4_096
"""A layer whose first so many activations are all not finite is refused: its model is broken."""


class Layer:
    """What is measured of one layer."""

    def __init__(self, stream: Stream, sieve: Sieve) -> None:
        config = stream.config
        self.sieve = sieve
        self.done = 0
        """Activations measured in this phase."""
        self.norms = Norms(sieve.start, stream.bos)
        self.outliers: Outliers | None = None
        self.moments = MetricSum(stream.model.width, config.metric)
        self.thresholds: Thresholds | None = None
        self.spread: Spread | None = None
        self._stream = stream

    def update(self, phase: int, batch: Sifted) -> None:
        """Measure a batch."""
        self.done += len(batch)
        if self.outliers is None:
            self.norms.update(batch)
        if phase == MOMENTS:
            self.moments.update(batch.x)
        elif phase == DISTANCES:
            assert self.thresholds is not None and self.spread is not None
            self.thresholds.update(batch.x)
            self.spread.update(batch.x)

    def end(self, phase: int) -> None:
        """Compute what the next phase needs."""
        config, self.done = self._stream.config, 0
        if self.outliers is None:
            self.outliers = self.norms.outliers()
        if phase == NORMS:
            assert config.norm_cap is not None
            self.sieve = replace(self.sieve, limit=config.norm_cap * self.outliers.median)
        elif phase == MOMENTS:
            self._begin_distances()

    def _begin_distances(self) -> None:
        config, metric = self._stream.config, self.moments.metric()
        self.thresholds = Thresholds(metric, config.percentiles, config.protocol, config.seed)
        self.spread = Spread(metric.center)

    def state(self) -> dict[str, np.ndarray]:
        """Return what was measured as plain arrays."""
        state = {"done": np.array(self.done), "limit": np.array(self.sieve.limit)}
        state |= named("norms.", self.norms.state()) | named("moments.", self.moments.state())
        if self.thresholds is not None and self.spread is not None:
            state |= named("thresholds.", self.thresholds.state())
            state |= named("spread.", self.spread.state())
        return state

    def restore(self, state: Arrays, phase: int) -> None:
        """Continue from the `state` of a phase."""
        self.done, limit = int(state["done"]), float(state["limit"])
        self.norms.restore(part(state, "norms."))
        if phase > NORMS and (self._stream.config.norm_cap or phase > MOMENTS):
            self.outliers = self.norms.outliers()
        self.sieve = replace(self.sieve, limit=limit)
        self.moments.restore(part(state, "moments."))
        if phase == DISTANCES:
            self._begin_distances()
            assert self.thresholds is not None and self.spread is not None
            self.thresholds.restore(part(state, "thresholds."))
            self.spread.restore(part(state, "spread."))


class Calibrating:
    """The calibration of a build, which can be stopped between two batches and continued."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.phase = MOMENTS if stream.config.norm_cap is None else NORMS
        self.phases = DONE - self.phase
        self.length = 0
        """Activations that every phase measures; 0 before the end of the first."""
        self.counts = Counts()
        """What was read in this phase."""
        self.layers = {layer: Layer(stream, sieve) for layer, sieve in stream.sieves.items()}

    @property
    def done(self) -> int:
        """Activations measured in all phases so far; each of them measures the same."""
        earlier = self.phases - (DONE - self.phase)
        return earlier * self.length + self._now + self.stream.ahead

    @property
    def total(self) -> int | None:
        """What `done` will reach; None before the end of the first phase has told."""
        return self.phases * self.length if self.length else None

    @property
    def _now(self) -> int:
        """Activations measured in this phase, of the layer that has the fewest."""
        return min(one.done for one in self.layers.values())

    @property
    def _budget(self) -> int:
        return self.stream.config.calibration_budget

    def run(self) -> Iterator[None]:
        """Measure batch by batch, yielding after each part and batch.

        Under protocol "paper" θ is a mean over whole batches, so the last batch is not cut. Under
        protocol "global" θ must not depend on the batch size, so the last batch is cut at the
        budget. Raises CorpusError where no activation is kept.
        """
        while self.phase < DONE:
            yield from self._read_head()
            self._check()
            self.length = self.length or self._now
            for one in self.layers.values():
                one.end(self.phase)
            self.stream.sieves = {layer: one.sieve for layer, one in self.layers.items()}
            self.phase, self.counts = self.phase + 1, Counts()

    def _read_head(self) -> Iterator[None]:
        if self._is_enough():
            return
        for item in self.stream.batches(self.counts.passages):
            if item is not None:
                batch, harvest = item
                for layer, kept in self.stream.sifted(harvest).items():
                    self._measure(self.layers[layer], kept)
                self.counts.add(batch)
            yield
            if self._is_enough():
                break

    def _measure(self, layer: Layer, kept: Sifted) -> None:
        """Give a layer its share of a batch; layers may differ in what is left out."""
        missing = self._budget - layer.done
        if missing > 0:
            is_paper = self.stream.config.protocol == "paper"
            layer.update(self.phase, kept if is_paper else kept.until(missing))
            if layer.norms.hopeless >= HOPELESS:
                raise self._not_finite(layer)

    def _is_enough(self) -> bool:
        return all(one.done >= self._budget for one in self.layers.values())

    def _check(self) -> None:
        """Raise CorpusError where no activation of a layer is kept, ActivationError where none is
        finite.
        """
        if self._now:
            return
        for one in self.layers.values():
            if one.norms.hopeless and not one.norms.outliers().n:
                raise self._not_finite(one)
        skipped = self.stream.config.skip_first
        if skipped and any(one.norms.outliers().n for one in self.layers.values()):
            raise CorpusError(
                f"nothing is left: --skip-first {skipped} leaves out every token that could be "
                "read; choose a smaller number, or longer passages"
            )
        raise CorpusError(
            "the text gave no activations: no passage has tokens beside BOS and template"
        )

    def _not_finite(self, layer: Layer) -> ActivationError:
        number = next(n for n, one in self.layers.items() if one is layer)
        model = self.stream.model
        return ActivationError(
            f"layer {number} of {model.name}: no activation is finite (computed in {model.dtype}); "
            "give --dtype float32, or another layer"
        )

    def calibrations(self) -> dict[int, Calibration]:
        """The calibration of each layer, once all phases are done."""
        found = {layer: one.thresholds for layer, one in self.layers.items()}
        return {layer: one.calibration() for layer, one in found.items() if one is not None}

    def measured(self) -> dict[int, Measured]:
        """What else was measured of each layer, once all phases are done."""
        return {
            layer: Measured(one.outliers, one.spread.largest(), one.sieve)
            for layer, one in self.layers.items()
            if one.outliers is not None and one.spread is not None
        }

    def state(self) -> dict[str, np.ndarray]:
        """Return what was measured as plain arrays, from which `restore` continues exactly."""
        state = {"phase": np.array(self.phase), "length": np.array(self.length)}
        state |= self.counts.state()
        for layer, one in self.layers.items():
            state |= named(f"layer.{layer}.", one.state())
        return state

    def restore(self, state: Arrays) -> None:
        """Continue from the `state` of a calibration with the same settings."""
        self.phase, self.length = int(state["phase"]), int(state["length"])
        self.counts = Counts.from_state(state)
        for layer, one in self.layers.items():
            one.restore(part(state, f"layer.{layer}."), self.phase)
        self.stream.sieves = {layer: one.sieve for layer, one in self.layers.items()}
