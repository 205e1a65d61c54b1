"""Calibration: the centre of the activations and the distance threshold θ of every percentile asked
for.

Two passes over the same batches: `CenterSum` sums the first, `Thresholds` measures pairwise
distances in the second; `calibrate` does both. Memory is bounded by one batch and never holds its
pairs. Protocol sections 1.1 to 1.4.

The room knows arrays, not models: what a batch is (the paper: the activations of 128 prompts) is
the caller's choice, and part of the meaning of θ under `protocol="paper"`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ep.errors import ActivationError, ConfigError
from ep.method.geometry import EPS, checked, directions, refuse_not_finite
from ep.method.percentiles import pair_percentiles
from ep.method.priority import priorities

PROTOCOLS = ("paper", "global")
SAMPLE = 4096
"""Rows of the stream whose pairs decide θ under `protocol="global"`: 8.4 million pairs."""
SMALLEST_THRESHOLD = 1e-6
"""Below this float32 directions cannot be told apart."""
BLOCK_ROWS = 128


@dataclass(frozen=True)
class Calibration:
    """What clustering needs to know of a layer before it starts.

    center: (d,) float32, the centre c. thresholds: percentile in (0, 100) → θ, a cosine distance in
    (0, 2).
    n_activations, n_batches: what was measured. protocol: "paper" or "global".
    typical_norm: mean ‖x − c‖, in units of x.
    """

    center: np.ndarray
    thresholds: dict[float, float]
    n_activations: int
    n_batches: int
    protocol: str
    typical_norm: float

    def state(self) -> dict[str, np.ndarray]:
        """The calibration as plain arrays, for `from_state`."""
        state = {name: np.array(getattr(self, name)) for name in ("center", *SCALARS)}
        return state | {
            "percentiles": np.array(list(self.thresholds)),
            "values": np.array(list(self.thresholds.values())),
        }

    @classmethod
    def from_state(cls, state: dict[str, np.ndarray]) -> Calibration:
        thresholds = dict(zip(state["percentiles"].tolist(), state["values"].tolist(), strict=True))
        return cls(
            center=state["center"],
            thresholds=thresholds,
            **{name: state[name].item() for name in SCALARS},
        )


SCALARS = ("n_activations", "n_batches", "protocol", "typical_norm")


def calibrate(
    batches: Iterable[np.ndarray],
    percentiles: Sequence[float | int] = (1, 2, 4, 8, 10),
    protocol: str = "paper",
    seed: int = 0,
) -> Calibration:
    """The centre and one θ per percentile from a re-iterable of raw activation batches (n, d).

    protocol: "paper", the mean over batches of the percentile of the distances within each batch
    (protocol 1.2), which depends on how the activations are batched; "global", the percentile over
    all pairs of 4,096 activations drawn with `seed` from the whole stream, which does not. A larger
    percentile gives a larger θ and so fewer, wider regions.

    Raises ConfigError for a percentile outside (0, 100), an unknown protocol or batches that can be
    read only once, ActivationError for activations that are not finite, change width, are fewer
    than two or are all alike.
    """
    _checked_settings(percentiles, protocol)
    if isinstance(batches, Iterator):
        raise ConfigError(
            "calibration reads its batches twice and was given a one-shot "
            f"{type(batches).__name__}: "
            "pass a list, or an object whose iteration starts again"
        )
    total: CenterSum | None = None
    for x in batches:
        total = total or CenterSum(np.shape(x)[-1] if np.ndim(x) else 0)
        total.update(x)
    if total is None:
        raise ActivationError("calibration was given no activations: it needs at least two")
    distances = Thresholds(total.center(), percentiles, protocol, seed)
    for x in batches:
        distances.update(x)
    if distances.n_activations != total.n_activations:
        raise ConfigError(
            f"the batches held {total.n_activations} activations when read first and "
            f"{distances.n_activations} the "
            "second time: pass a list, or an object whose iteration starts again"
        )
    return distances.calibration()


class CenterSum:
    """The running sums behind the centre, in float64: the same for every batching, to rounding."""

    def __init__(self, width: int) -> None:
        self.width = width
        self.n_activations = 0
        self._sums = np.zeros((2, width))

    def update(self, x: np.ndarray) -> None:
        """Counts raw activations x (n, width) in.

        ActivationError when they are not finite or of another width.
        """
        x = checked(x, self.width)
        for start in range(0, len(x), BLOCK_ROWS):
            block = x[start : start + BLOCK_ROWS].astype(np.float64)
            norms = np.sqrt(np.einsum("nd,nd->n", block, block))
            if not np.isfinite(norms).all():
                refuse_not_finite(block, start)
            self._sums += np.stack([1 / (norms + EPS), np.ones(len(block))]) @ block
        self.n_activations += len(x)

    def center(self) -> np.ndarray:
        """c = ρ·g (d,) float32: g the direction of the mean of x/‖x‖, ρ the mean of x·g (protocol
        1.1).

        Every activation counts alike for the direction, whatever its norm. ActivationError below
        two activations.
        """
        if self.n_activations < 2:
            raise ActivationError(
                f"calibration was given {self.n_activations} activations: it needs at least two"
            )
        unit_mean, mean = self._sums / self.n_activations
        g = unit_mean / (np.linalg.norm(unit_mean) + EPS)
        return ((mean @ g) * g).astype(np.float32)


class Thresholds:
    """The pairwise distances of a stream of batches, boiled down to one θ per percentile."""

    def __init__(
        self,
        center: np.ndarray,
        percentiles: Sequence[float | int] = (1, 2, 4, 8, 10),
        protocol: str = "paper",
        seed: int = 0,
    ) -> None:
        self.percentiles = _checked_settings(percentiles, protocol)
        self.center = np.asarray(center, np.float32)
        self.protocol = protocol
        self.n_activations = self.n_batches = 0
        self._seed = seed
        self._norms = 0.0
        self._sums = np.zeros(len(self.percentiles))
        self._measured = 0
        self._keys = np.empty(0, np.uint64)
        self._rows = np.empty((0, len(self.center)), np.float32)

    def update(self, x: np.ndarray) -> None:
        """Counts one batch of raw activations x (n, d) in; under "paper" its cut is part of the
        result.
        """
        rows = directions(x, self.center)
        if not len(rows):
            return
        self._norms += float(np.einsum("nd,nd->", rows, x - self.center, dtype=np.float64))
        if self.protocol == "global":
            self._sample(rows)
        elif len(rows) > 1:
            self._sums += pair_percentiles(rows, self.percentiles)
            self._measured += 1
        self.n_activations += len(rows)
        self.n_batches += 1

    def _sample(self, rows: np.ndarray) -> None:
        """Keeps the rows with the smallest lots of the stream so far."""
        keys = priorities(self._seed, np.arange(self.n_activations, self.n_activations + len(rows)))
        if len(self._keys) == SAMPLE:
            small = keys < self._keys[-1]
            rows, keys = rows[small], keys[small]
        keys = np.concatenate([self._keys, keys])
        order = np.argsort(keys)[:SAMPLE]
        self._keys, self._rows = keys[order], np.concatenate([self._rows, rows])[order]

    @property
    def typical_norm(self) -> float:
        """The mean of ‖x − c‖ so far, in units of x."""
        return self._norms / max(1, self.n_activations)

    def thresholds(self) -> dict[float, float]:
        """{percentile: θ}. ActivationError when there are no pairs to measure, or the activations
        are all alike.
        """
        if self.protocol == "global" and len(self._rows) > 1:
            values = pair_percentiles(self._rows, self.percentiles)
        elif self._measured:
            values = self._sums / self._measured
        else:
            raise ActivationError(
                f"calibration was given {self.n_activations} activations in {self.n_batches} "
                "batches: "
                "it needs at least two in one batch"
            )
        for percentile, value in zip(self.percentiles, values.tolist(), strict=True):
            if not SMALLEST_THRESHOLD < value < 2:
                raise ActivationError(
                    f"θ of percentile {percentile:g} came out as {value:.3g}, outside (0, 2): that "
                    "share of the "
                    "activation pairs is all alike; calibrate on more varied text or ask for a "
                    "larger percentile"
                )
        return dict(zip(self.percentiles, values.tolist(), strict=True))

    def calibration(self) -> Calibration:
        """Everything measured, frozen."""
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
    """The percentiles in order, each once, or ConfigError."""
    if protocol not in PROTOCOLS:
        raise ConfigError(f"calibration protocol {protocol!r} is unknown: use 'paper' or 'global'")
    bad = [p for p in percentiles if not 0 < p < 100]
    if bad or not len(percentiles):
        given = f"percentile {bad[0]!r} was given" if bad else "no percentile was given"
        raise ConfigError(f"{given}: expected one or more numbers between 0 and 100, both excluded")
    return tuple(sorted({float(p) for p in percentiles}))
