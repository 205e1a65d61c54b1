"""The moments of a calibration sample, from which a metric is made: centre, spread, covariance.

Running float64 sums in bounded memory: (d,) numbers for the centre and the spread, (d, d) for the
covariance. The division of the activations into batches changes the result by rounding only.
Source: protocol section 1.1 for the centre.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ep.config import METRICS, MetricName
from ep.errors import ActivationError, ConfigError
from ep.method.geometry import EPS, checked, refuse_not_finite
from ep.method.metrics import DEFAULT, Metric
from ep.shapes import Float64

BLOCK_ROWS = 128
"""Rows converted to float64 at a time."""
LEAST_SPREAD = 1e-7
"""A dimension whose spread is up to this share of its mean does not vary: float32 has no more."""
LEAST_SHRINKAGE = 1e-4
"""The smallest share of the identity in the correlations, so that they can be inverted."""


class CenterSum:
    """Running float64 sums from which the centre is computed.

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


class MetricSum(CenterSum):
    """Running float64 sums from which a metric is computed.

    width: d.
    metric: the metric's name.

    The standardised and the whitened metric are taken about the mean: unlike the centre c, it moves
    with the activations under every linear map, and so do their partitions.
    """

    def __init__(self, width: int, metric: MetricName = DEFAULT) -> None:
        if metric not in METRICS:
            raise ConfigError(f"metric {metric!r} is unknown: expected one of {', '.join(METRICS)}")
        super().__init__(width)
        self.name = metric
        # sums of x − p and of its products, with the first activation as the pivot p: close to the
        # mean, so that the difference of the two sums below keeps its digits
        self._pivot: np.ndarray | None = None
        self._shift = np.zeros(width)
        self._second = np.zeros((width, width) if metric == "whitened" else width)

    def update(self, x: np.ndarray) -> None:
        """Add a batch of raw activations x (n, width); errors as `CenterSum.update`."""
        super().update(x)
        if self.name not in ("standardised", "whitened") or not len(x):
            return
        if self._pivot is None:
            self._pivot = np.asarray(x[0], np.float64)
        for start in range(0, len(x), BLOCK_ROWS):
            block = x[start : start + BLOCK_ROWS].astype(np.float64) - self._pivot
            self._shift += block.sum(axis=0)
            self._second += (
                block.T @ block if self.name == "whitened" else np.einsum("nd,nd->d", block, block)
            )

    def state(self) -> dict[str, np.ndarray]:
        """Return the sums as plain arrays, from which `restore` continues exactly."""
        pivot = np.empty(0) if self._pivot is None else self._pivot
        return {
            "n": np.array(self.n_activations),
            "sums": self._sums,
            "pivot": pivot,
            "shift": self._shift,
            "second": self._second,
        }

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Replace the sums by the `state` of others of the same width and metric."""
        self.n_activations = int(state["n"])
        self._sums, self._shift, self._second = state["sums"], state["shift"], state["second"]
        self._pivot = state["pivot"] if len(state["pivot"]) else None

    def metric(self) -> Metric:
        """Return the metric of the activations so far.

        Raises ActivationError for fewer than two activations, and where none of their dimensions
        varies.
        """
        center = self.center()
        if self.name in ("centred", "euclidean"):
            return Metric(center, self.name)
        if self.name == "uncentred":
            return Metric(np.zeros_like(center), self.name)
        assert self._pivot is not None
        shift = self._shift / self.n_activations
        mean = self._pivot + shift
        second = self._second / self.n_activations
        origin = mean.astype(np.float32)
        if self.name == "standardised":
            return Metric(origin, self.name, _spread(second - shift**2, mean))
        covariance = second - np.outer(shift, shift)
        scale = _spread(covariance.diagonal(), mean)
        matrix, shrinkage = whitening(covariance, scale, self.n_activations)
        return Metric(origin, self.name, scale, matrix, shrinkage)


def _spread(variance: Float64[np.ndarray, " d"], mean: Float64[np.ndarray, " d"]) -> np.ndarray:
    """Return the standard deviations (d,) float32, 0 for a dimension that does not vary."""
    spread = np.sqrt(np.maximum(variance, 0))
    spread[spread <= LEAST_SPREAD * np.abs(mean)] = 0
    if not spread.any():
        raise ActivationError(
            "no dimension of the calibration activations varies: calibrate on more varied text"
        )
    return spread.astype(np.float32)


def whitening(
    covariance: Float64[np.ndarray, "d d"],
    scale: np.ndarray,
    n: int,
    shrinkage: float | None = None,
) -> tuple[np.ndarray, float]:
    """Return M (d, d) float32 and λ, with M = ((1 − λ)R + λI)^(−1/2) of the correlations R.

    covariance: of n activations; scale: (d,) their standard deviations, 0 for dimensions to leave
        out.
    shrinkage: λ; by default the oracle approximating shrinkage (Chen, Wiesel, Eldar and Hero, 2010,
        eq. 23) of R towards the identity, and at least `LEAST_SHRINKAGE`.

    Shrinking the correlations, not the covariance, leaves the result unchanged when a dimension is
    measured in another unit. Fewer activations than dimensions are whitened only in part.
    """
    live = scale > 0
    size = int(live.sum())
    weights = np.divide(1.0, scale, out=np.zeros(len(scale)), where=live)
    correlation = covariance * weights[:, None] * weights
    correlation[np.diag_indices_from(correlation)] = 1.0  # of a dimension that is left out, too
    if shrinkage is None:
        squares = float(np.einsum("ij,ij->", correlation, correlation)) - (len(scale) - size)
        above = (1 - 2 / size) * squares + size**2
        below = (n + 1 - 2 / size) * (squares - size)
        shrinkage = max(LEAST_SHRINKAGE, min(1.0, above / below if below > 0 else 1.0))
    values, vectors = np.linalg.eigh((1 - shrinkage) * correlation + shrinkage * np.eye(len(scale)))
    # the smallest eigenvalue is at least λ; rounding may leave it slightly below
    roots = 1 / np.sqrt(np.maximum(values, shrinkage or np.finfo(np.float32).eps))
    return ((vectors * roots) @ vectors.T).astype(np.float32), float(shrinkage)
