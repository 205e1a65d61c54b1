"""Calibration: the centre of the activations and one distance threshold θ for each percentile.

It reads the same batches twice: `CenterSum` accumulates the first pass, `Thresholds` measures
pairwise distances in the second, and `calibrate` runs both. Memory is bounded by one batch and does
not grow with the number of pairs. Source: protocol sections 1.1 to 1.4.

What a batch is (in the paper, the activations of 128 prompts) is the caller's choice. Under
`protocol="paper"` θ depends on it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import get_args

import numpy as np

from ep.config import CalibrationProtocol
from ep.errors import ActivationError, ConfigError
from ep.method.geometry import EPS, checked, directions, refuse_not_finite
from ep.method.percentiles import pair_percentiles
from ep.method.priority import sampling_keys

SAMPLE = 4096
"""Rows of the stream whose pairs determine θ under `protocol="global"`: 8.4 million pairs."""
SMALLEST_THRESHOLD = 1e-6
"""θ must exceed this: float32 does not resolve directions that are closer."""
BLOCK_ROWS = 128
"""Rows converted to float64 at a time."""


@dataclass(frozen=True)
class Calibration:
    """The result of a calibration: what the clustering of a layer needs before it starts.

    center: (d,) float32, the centre c.
    thresholds: θ of each percentile in (0, 100), a cosine distance in (0, 2).
    n_activations: number of activations measured.
    n_batches: number of batches they came in.
    protocol: "paper" or "global".
    typical_norm: median of ‖x − c‖, in the units of x. A mean would be pulled up several times by
        the few massive activations of large models.
    """

    center: np.ndarray
    thresholds: dict[float, float]
    n_activations: int
    n_batches: int
    protocol: str
    typical_norm: float

    def state(self) -> dict[str, np.ndarray]:
        """Return the calibration as plain arrays, from which `from_state` restores it."""
        state = {name: np.array(getattr(self, name)) for name in ("center", *SCALARS)}
        return state | {
            "percentiles": np.array(list(self.thresholds)),
            "values": np.array(list(self.thresholds.values())),
        }

    @classmethod
    def from_state(cls, state: dict[str, np.ndarray]) -> Calibration:
        """Restore a calibration from the arrays of `state`."""
        thresholds = dict(zip(state["percentiles"].tolist(), state["values"].tolist(), strict=True))
        return cls(
            center=state["center"],
            thresholds=thresholds,
            **{name: state[name].item() for name in SCALARS},
        )


SCALARS = ("n_activations", "n_batches", "protocol", "typical_norm")
"""The fields of `Calibration` that are stored as one value each."""


def calibrate(
    batches: Iterable[np.ndarray],
    percentiles: Sequence[float | int] = (1, 2, 4, 8, 10),
    protocol: CalibrationProtocol = "paper",
    seed: int = 0,
) -> Calibration:
    """Compute the centre and one θ for each percentile.

    batches: raw activations, arrays (n, d) in an iterable that can be read twice.
    percentiles: percentiles of the pairwise distances, in (0, 100); a larger one gives a larger θ
        and so fewer, wider regions.
    protocol: "paper" averages the percentile of the distances within each batch over the batches
        (protocol 1.2), so that θ depends on how the activations are batched. "global" takes the
        percentile over all pairs of 4,096 activations drawn from the whole stream, which does not.
    seed: seed of that draw.

    Raises ConfigError for a percentile outside (0, 100), an unknown protocol, or batches that can
    be read only once. Raises ActivationError if the activations are not finite, differ in width,
    are fewer than two, or do not vary enough for a θ in (0, 2).
    """
    _checked_settings(percentiles, protocol)
    if isinstance(batches, Iterator):
        raise ConfigError(
            "calibration reads its batches twice and was given a one-shot "
            f"{type(batches).__name__}: pass a list, or an object whose iteration starts again"
        )
    center_sum: CenterSum | None = None
    for x in batches:
        center_sum = center_sum or CenterSum(np.shape(x)[-1] if np.ndim(x) else 0)
        center_sum.update(x)
    if center_sum is None:
        raise ActivationError("calibration was given no activations: it needs at least two")
    thresholds = Thresholds(center_sum.center(), percentiles, protocol, seed)
    for x in batches:
        thresholds.update(x)
    if thresholds.n_activations != center_sum.n_activations:
        raise ConfigError(
            f"the batches contained {center_sum.n_activations} activations the first time and "
            f"{thresholds.n_activations} the second time: pass a list, or an object whose "
            "iteration starts again"
        )
    return thresholds.calibration()


class CenterSum:
    """Running float64 sums from which the centre is computed.

    The division of the activations into batches changes the result by rounding only.

    width: d, the number of dimensions of the activations.
    """

    def __init__(self, width: int) -> None:
        self.width = width
        self.n_activations = 0
        self._sums = np.zeros((2, width))

    def update(self, x: np.ndarray) -> None:
        """Add a batch of raw activations x (n, width).

        Raises ActivationError if they are not finite or have another width.
        """
        x = checked(x, self.width)
        for start in range(0, len(x), BLOCK_ROWS):
            block = x[start : start + BLOCK_ROWS].astype(np.float64)
            norms = np.sqrt(np.einsum("nd,nd->n", block, block))
            if not np.isfinite(norms).all():
                refuse_not_finite(block, start)
            # row 0 of the sums accumulates x/‖x‖, row 1 accumulates x
            self._sums += np.stack([1 / (norms + EPS), np.ones(len(block))]) @ block
        self.n_activations += len(x)

    def center(self) -> np.ndarray:
        """Return the centre c = ρ·g, (d,) float32 (protocol 1.1).

        g is the direction of the mean of x/‖x‖, in which every activation counts equally, whatever
        its norm; ρ is the mean of x·g. Raises ActivationError for fewer than two activations.
        """
        if self.n_activations < 2:
            raise ActivationError(
                f"calibration was given {self.n_activations} activations: it needs at least two"
            )
        unit_mean, mean = self._sums / self.n_activations
        # g comes from the unit vectors, so that activations with large norms do not dominate it
        g = unit_mean / (np.linalg.norm(unit_mean) + EPS)
        return ((mean @ g) * g).astype(np.float32)


class Thresholds:
    """One θ for each percentile, computed from the pairwise distances of a stream of batches.

    center: (d,), the centre c.
    percentiles, protocol, seed: as for `calibrate`.
    """

    def __init__(
        self,
        center: np.ndarray,
        percentiles: Sequence[float | int] = (1, 2, 4, 8, 10),
        protocol: CalibrationProtocol = "paper",
        seed: int = 0,
    ) -> None:
        self.percentiles = _checked_settings(percentiles, protocol)
        self.center = np.asarray(center, np.float32)
        self.protocol = protocol
        self.n_activations = self.n_batches = 0
        self._seed = seed
        self._norms: list[np.ndarray] = []  # ‖x − c‖ of every activation, 4 bytes each
        self._sums = np.zeros(len(self.percentiles))
        self._measured = 0  # batches with at least one pair, whose percentiles `_sums` adds up
        self._keys = np.empty(0, np.uint64)
        self._rows = np.empty((0, len(self.center)), np.float32)

    def update(self, x: np.ndarray) -> None:
        """Add one batch of raw activations x (n, d).

        Under "paper" the result depends on the division of the stream into batches.
        """
        rows = directions(x, self.center)
        if not len(rows):
            return
        # û·(x − c) is ‖x − c‖
        norms = np.einsum("nd,nd->n", rows, x - self.center, dtype=np.float64)
        self._norms.append(norms.astype(np.float32))
        if self.protocol == "global":
            self._sample(rows)
        elif len(rows) > 1:
            self._sums += pair_percentiles(rows, self.percentiles)
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

    @property
    def typical_norm(self) -> float:
        """The median of ‖x − c‖ over the activations so far, in the units of x; 0 without any."""
        return float(np.median(np.concatenate(self._norms))) if self._norms else 0.0

    def thresholds(self) -> dict[float, float]:
        """Return {percentile: θ}.

        Raises ActivationError if no pair was measured, or if a θ does not lie in (0, 2).
        """
        if self.protocol == "global" and len(self._rows) > 1:
            values = pair_percentiles(self._rows, self.percentiles)
        elif self._measured:
            values = self._sums / self._measured  # the mean over batches with at least one pair
        else:
            raise ActivationError(
                f"calibration was given {self.n_activations} activations in {self.n_batches} "
                "batches: it needs at least two in one batch"
            )
        for percentile, value in zip(self.percentiles, values.tolist(), strict=True):
            if not SMALLEST_THRESHOLD < value < 2:
                raise ActivationError(
                    f"θ at percentile {percentile:g} is {value:.3g}, outside (0, 2): that share of "
                    "the activation pairs is all alike; calibrate on more varied text or use a "
                    "larger percentile"
                )
        return dict(zip(self.percentiles, values.tolist(), strict=True))

    def calibration(self) -> Calibration:
        """Return the result of the calibration; its centre is read-only."""
        self.center.setflags(write=False)
        return Calibration(
            self.center,
            self.thresholds(),
            self.n_activations,
            self.n_batches,
            self.protocol,
            self.typical_norm,
        )


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
