"""Calibration: the metric of the activations and one distance threshold θ for each percentile.

It reads the same batches twice: `MetricSum` accumulates the first pass, `Thresholds` measures
pairwise distances in the second, and `calibrate` runs both. Memory is bounded by one batch and does
not grow with the number of pairs. Source: protocol sections 1.1 to 1.4.

What a batch is (in the paper, the activations of 128 prompts) is the caller's choice. Under
`protocol="paper"` θ depends on it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, get_args

import numpy as np

from ep.config import CalibrationProtocol, MetricName
from ep.errors import ActivationError, ConfigError
from ep.method.geometry import EPS
from ep.method.laws import law_of
from ep.method.metrics import DEFAULT, Metric, name_of
from ep.method.moments import MetricSum
from ep.method.percentiles import cosines, pair_percentiles
from ep.method.priority import sampling_keys
from ep.method.threads import one_thread

SAMPLE = 4096
"""Rows of the stream whose pairs determine θ under `protocol="global"`: 8.4 million pairs."""
SMALLEST_THRESHOLD = 1e-6
"""θ must exceed this: float32 does not resolve directions that are closer."""


@dataclass(frozen=True)
class Calibration:
    """The result of a calibration: what the clustering of a layer needs before it starts.

    metric: the space of the directions, with the centre c.
    thresholds: θ of each percentile in (0, 100), a cosine distance in (0, 2) or, where the metric
        keeps lengths, a Euclidean distance above 0 in typical norms.
    n_activations: number of activations measured.
    n_batches: number of batches they came in.
    protocol: "paper" or "global".
    typical_norm: median of ‖x − c‖, in the units of x. A mean would be pulled up several times by
        the few massive activations of large models.
    metric_norm: median of ‖A(x − c)‖, the length in the space of the metric; the same where A is
        the identity.
    """

    metric: Metric
    thresholds: dict[float, float]
    n_activations: int
    n_batches: int
    protocol: str
    typical_norm: float
    metric_norm: float

    @property
    def center(self) -> np.ndarray:
        """The centre c, (d,) float32, which is subtracted from every activation."""
        return self.metric.center

    def provenance(self) -> dict[str, Any]:
        """Return the entries of a file's provenance that describe its metric.

        There are none for the metric of the paper: its files stay as they always were.
        """
        if self.metric.name == DEFAULT:
            return {}
        found: dict[str, Any] = {"metric": self.metric.name}
        if not self.metric.is_plain:
            found["metric_norm"] = self.metric_norm
        if self.metric.matrix is not None:
            found["metric_shrinkage"] = self.metric.shrinkage
        return found

    def state(self) -> dict[str, np.ndarray]:
        """Return the calibration as plain arrays, from which `from_state` restores it."""
        state = {name: np.array(getattr(self, name)) for name in SCALARS}
        return state | {
            **self.metric.arrays(),
            "metric": np.array(self.metric.name),
            "shrinkage": np.array(self.metric.shrinkage),
            "percentiles": np.array(list(self.thresholds)),
            "values": np.array(list(self.thresholds.values())),
        }

    @classmethod
    def from_state(cls, state: dict[str, np.ndarray]) -> Calibration:
        """Restore a calibration from the arrays of `state`."""
        thresholds = dict(zip(state["percentiles"].tolist(), state["values"].tolist(), strict=True))
        # states of builds from before there was a choice lack what concerns the metric
        name = name_of({"metric": str(state["metric"])} if "metric" in state else {})
        scalars = {"metric_norm": state["typical_norm"], **state}
        return cls(
            metric=Metric.from_arrays(
                name, state, float(state.get("shrinkage", 0)), float(state["typical_norm"])
            ),
            thresholds=thresholds,
            **{name: scalars[name].item() for name in SCALARS},
        )


SCALARS = ("n_activations", "n_batches", "protocol", "typical_norm", "metric_norm")
"""The fields of `Calibration` that are stored as one value each."""


def calibrate(
    batches: Iterable[np.ndarray],
    percentiles: Sequence[float | int] = (1, 2, 4, 8, 10),
    protocol: CalibrationProtocol = "paper",
    seed: int = 0,
    metric: MetricName = DEFAULT,
) -> Calibration:
    """Compute the metric and one θ for each percentile.

    batches: raw activations, arrays (n, d) in an iterable that can be read twice.
    percentiles: percentiles of the pairwise distances, in (0, 100); a larger one gives a larger θ
        and so fewer, wider regions.
    protocol: "paper" averages the percentile of the distances within each batch over the batches
        (protocol 1.2), so that θ depends on how the activations are batched. "global" takes the
        percentile over all pairs of 4,096 activations drawn from the whole stream, which does not.
    seed: seed of that draw.
    metric: name of the metric, whose origin, spread and covariance are measured.

    Raises ConfigError for a percentile outside (0, 100), an unknown protocol or metric, or batches
    that can be read only once. Raises ActivationError if the activations are not finite, differ in
    width, are fewer than two, or do not vary enough for a θ.
    """
    _checked_settings(percentiles, protocol)
    if isinstance(batches, Iterator):
        raise ConfigError(
            "calibration reads its batches twice and was given a one-shot "
            f"{type(batches).__name__}: pass a list, or an object whose iteration starts again"
        )
    sums: MetricSum | None = None
    for x in batches:
        sums = sums or MetricSum(np.shape(x)[-1] if np.ndim(x) else 0, metric)
        sums.update(x)
    if sums is None:
        raise ActivationError("calibration was given no activations: it needs at least two")
    thresholds = Thresholds(sums.metric(), percentiles, protocol, seed)
    for x in batches:
        thresholds.update(x)
    if thresholds.n_activations != sums.n_activations:
        raise ConfigError(
            f"the batches contained {sums.n_activations} activations the first time and "
            f"{thresholds.n_activations} the second time: pass a list, or an object whose "
            "iteration starts again"
        )
    return thresholds.calibration()


class Thresholds:
    """One θ for each percentile, computed from the pairwise distances of a stream of batches.

    metric: the space of the directions, or the centre (d,) for the metric of the paper.
    percentiles, protocol, seed: as for `calibrate`.
    """

    def __init__(
        self,
        metric: Metric | np.ndarray,
        percentiles: Sequence[float | int] = (1, 2, 4, 8, 10),
        protocol: CalibrationProtocol = "paper",
        seed: int = 0,
    ) -> None:
        self.percentiles = _checked_settings(percentiles, protocol)
        self.metric = (
            metric if isinstance(metric, Metric) else Metric(np.asarray(metric, np.float32))
        )
        self.protocol = protocol
        self.n_activations = self.n_batches = 0
        self._seed = seed
        # ‖x − c‖ and ‖A(x − c)‖ of every activation, 4 bytes each
        self._norms: list[np.ndarray] = []
        self._lengths: list[np.ndarray] = []
        self._sums = np.zeros(len(self.percentiles))
        self._measured = 0  # batches with at least one pair, whose percentiles `_sums` adds up
        self._keys = np.empty(0, np.uint64)
        self._law = law_of(self.metric.name)
        self._between = cosines if self._law.extra == 0 else self._law.distances
        self._rows = np.empty((0, len(self.metric.center) + self._law.extra), np.float32)

    def update(self, x: np.ndarray) -> None:
        """Add one batch of raw activations x (n, d).

        Under "paper" the result depends on the division of the stream into batches.
        """
        rows = self.metric.rows(x)
        if not len(rows):
            return
        if self.metric.is_plain:
            # û·(x − c) is ‖x − c‖
            unit = rows[:, : rows.shape[1] - self._law.extra]
            norms = np.einsum("nd,nd->n", unit, x - self.metric.center, dtype=np.float64)
        else:
            norms = np.linalg.norm(x.astype(np.float64) - self.metric.center, axis=1)
            self._lengths.append(self.metric.lengths(x).astype(np.float32))
        self._norms.append(norms.astype(np.float32))
        if self.protocol == "global":
            self._sample(rows)
        elif len(rows) > 1:
            with one_thread():
                self._sums += pair_percentiles(rows, self.percentiles, self._between)
            self._measured += 1
        self.n_activations += len(rows)
        self.n_batches += 1

    def _sample(self, rows: np.ndarray) -> None:
        """Keep the rows with the smallest sampling keys of the stream so far, in order of key."""
        keys = sampling_keys(
            self._seed, np.arange(self.n_activations, self.n_activations + len(rows))
        )
        if len(self._keys) == SAMPLE:
            # the sample is full: only keys below its largest one, the last, can still enter
            enters = keys < self._keys[-1]
            rows, keys = rows[enters], keys[enters]
        keys = np.concatenate([self._keys, keys])
        order = np.argsort(keys)[:SAMPLE]
        self._keys, self._rows = keys[order], np.concatenate([self._rows, rows])[order]

    def state(self) -> dict[str, np.ndarray]:
        """Return what was measured as plain arrays, from which `restore` continues exactly."""
        none = np.empty(0, np.float32)
        return {
            "n": np.array([self.n_activations, self.n_batches, self._measured]),
            "norms": np.concatenate([none, *self._norms]),
            "lengths": np.concatenate([none, *self._lengths]),
            "sums": self._sums,
            "keys": self._keys,
            "rows": self._rows,
        }

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Replace what was measured by the `state` of others with the same settings."""
        self.n_activations, self.n_batches, self._measured = state["n"].tolist()
        self._norms, self._lengths = [state["norms"]], [state["lengths"]]
        self._sums, self._keys, self._rows = state["sums"], state["keys"], state["rows"]

    @property
    def typical_norm(self) -> float:
        """The median of ‖x − c‖ over the activations so far, in the units of x; 0 without any."""
        return _median(self._norms)

    def thresholds(self) -> dict[float, float]:
        """Return {percentile: θ}.

        Raises ActivationError if no pair was measured, or if a θ is out of its range.
        """
        if self.protocol == "global" and len(self._rows) > 1:
            with one_thread():
                values = pair_percentiles(self._rows, self.percentiles, self._between)
        elif self._measured:
            values = self._sums / self._measured  # the mean over batches with at least one pair
        else:
            raise ActivationError(
                f"calibration was given {self.n_activations} activations in {self.n_batches} "
                "batches: it needs at least two in one batch"
            )
        if self._law.extra:  # lengths were measured in the units of x, which are known only now
            values = values / max(self.typical_norm, EPS)
        most = self._law.most
        for percentile, value in zip(self.percentiles, values.tolist(), strict=True):
            if not SMALLEST_THRESHOLD < value < most:
                raise ActivationError(
                    f"θ at percentile {percentile:g} is {value:.3g}, outside (0, {most:g}): that "
                    "share of the activation pairs is all alike; calibrate on more varied text or "
                    "use a larger percentile"
                )
        return dict(zip(self.percentiles, values.tolist(), strict=True))

    def calibration(self) -> Calibration:
        """Return the result of the calibration; its arrays are read-only."""
        thresholds, metric = self.thresholds(), self.metric
        if self._law.extra:
            metric = replace(metric, unit=self.typical_norm)
        return Calibration(
            metric,
            thresholds,
            self.n_activations,
            self.n_batches,
            self.protocol,
            self.typical_norm,
            _median(self._lengths) or self.typical_norm,
        )


def _median(parts: list[np.ndarray]) -> float:
    values = np.concatenate([np.empty(0, np.float32), *parts])
    return float(np.median(values)) if len(values) else 0.0


def _checked_settings(percentiles: Sequence[float | int], protocol: str) -> tuple[float, ...]:
    """Return the percentiles sorted, each once; raise ConfigError if a setting is invalid."""
    if protocol not in get_args(CalibrationProtocol):
        raise ConfigError(
            f"calibration protocol {protocol!r} is unknown: expected one of "
            f"{', '.join(get_args(CalibrationProtocol))}"
        )
    invalid = [p for p in percentiles if not 0 < p < 100]
    if invalid or not len(percentiles):
        problem = f"percentile {invalid[0]!r} was given" if invalid else "no percentile was given"
        raise ConfigError(
            f"{problem}: expected one or more numbers between 0 and 100, both excluded"
        )
    return tuple(sorted({float(p) for p in percentiles}))
