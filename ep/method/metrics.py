"""The metric of a dictionary: the space in which directions are taken, and the way back from it.

An activation x becomes z = A(x − o), and its direction û = z/‖z‖; the distance of two directions is
1 − û·û′. A metric is the origin o and the matrix A. Everything else of the method (leaders, search,
members, matching of unit rows) works on unit directions and does not depend on it.

    centred        A = I                 o = c, the centre of the paper (protocol 1.1)
    uncentred      A = I                 o = 0
    standardised   A = diag(1/s)         o = μ, the mean; s, the spread of each dimension about it
    whitened       A = M·diag(1/s)       o = μ; M = R^(−1/2), R the regularised correlations
    euclidean      A = I                 o = c; the distance is ‖x − x′‖/r instead

The Euclidean metric keeps the length of an activation beside its direction, in typical norms r (the
median ‖x − c‖ of the calibration), so that θ is a pure number and 1 means: as far as a typical
activation lies from the centre. What is clustered are `rows`: directions, with the length as a last
column where it counts. How rows are compared is in ep.method.laws.

A direction of that space points along A⁻¹v among the activations. Whatever leaves the space (lens,
steering, exports, matching of two metrics) uses `raw`, so that the raw direction of an exemplar is
the direction from o through the activation that founded its region. How o, s and M are measured is
in ep.method.moments.

Law. The direction of an activation depends on the activation alone: the same bits in every batch,
on every library and number of threads. Each coordinate of M·u is the float64 sum of
`ep.method.nearest.fold`, rounded to float32. A matrix product only screens: where rounding could
make a difference, the coordinate is summed again by that rule.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ep.config import METRICS, MetricName
from ep.errors import DictionaryFileError
from ep.method.geometry import BLOCK_BYTES, EPS, checked, directions, refuse_not_finite
from ep.method.nearest import PAIR_NUMBERS, fold, rounding_bound
from ep.shapes import Float32, Float64

STORED: dict[MetricName, tuple[str, ...]] = {
    "centred": (),
    "uncentred": (),
    "standardised": ("metric_scale",),
    "whitened": ("metric_scale", "metric_matrix"),
    "euclidean": (),
}
"""The arrays that a metric is stored in, beside `center`, which is its origin."""
DEFAULT: MetricName = "centred"
"""The metric of the paper; a file without an entry `metric` has this one."""
LONGEST = float(np.finfo(np.float32).max)
"""The largest length of a row."""


def name_of(info: Mapping[str, Any]) -> MetricName:
    """Return the metric that a provenance states.

    Raises DictionaryFileError for one that this program does not know.
    """
    name = info.get("metric") or DEFAULT
    if name not in METRICS:
        raise DictionaryFileError(
            f"the provenance has metric = {str(name)[:40]!r}: this program knows "
            f"{', '.join(METRICS)}; update ep"
        )
    return name


def is_cosine(name: MetricName) -> bool:
    """Return whether a metric compares directions alone, by their cosine."""
    return name != "euclidean"


def title(info: Mapping[str, Any]) -> str:
    """Return what to call the metric on screen, such as "whitened cosine"."""
    name = name_of(info)
    return f"{name} cosine" if is_cosine(name) else "Euclidean"


def distance_name(info: Mapping[str, Any]) -> str:
    """Return what to call a distance on screen, such as "whitened cosine distance".

    It is plain "cosine distance" for the metric of the paper.
    """
    name = name_of(info)
    if not is_cosine(name):
        return "Euclidean distance in typical norms"
    return "cosine distance" if name == DEFAULT else f"{title(info)} distance"


@dataclass(frozen=True, eq=False)
class Metric:
    """An origin and a linear map; see the module docstring.

    center: (d,) float32, the origin o.
    name: one of `METRICS`.
    scale: (d,) float32, s; None for ones. A dimension with s = 0 did not vary and is left out.
    matrix: (d, d) float32, M; None for the identity.
    shrinkage: share of the identity in the correlations R that M was made from.
    unit: r, in which the Euclidean metric measures lengths.

    The arrays are read-only.
    """

    center: Float32[np.ndarray, " d"]
    name: MetricName = DEFAULT
    scale: Float32[np.ndarray, " d"] | None = None
    matrix: Float32[np.ndarray, "d d"] | None = None
    shrinkage: float = 0.0
    unit: float = 1.0

    def __post_init__(self) -> None:
        for field in ("center", "scale", "matrix"):
            array = getattr(self, field)
            if array is not None:
                array = np.asarray(array, np.float32).view()
                array.setflags(write=False)
                object.__setattr__(self, field, array)

    @property
    def is_plain(self) -> bool:
        """Whether A is the identity, so that directions need no way back."""
        return self.scale is None

    # -- into the space ----------------------------------------------------------------------------

    def directions(self, x: np.ndarray) -> Float32[np.ndarray, "n d"]:
        """Return the unit directions û of raw activations, in float32.

        x: (n, d) raw activations of any float or integer type; n may be 0.

        A row without a direction becomes the first unit vector, as in
        `ep.method.geometry.directions`, which also lists the errors.
        """
        if self.is_plain:
            return directions(x, self.center)
        x = checked(x, len(self.center))
        out = np.empty(x.shape, np.float32)
        step = max(1, BLOCK_BYTES // (4 * x.shape[1]))
        for start in range(0, len(x), step):
            rows = slice(start, start + step)
            refuse_not_finite(x[rows], start)
            out[rows] = directions(self._mapped(x[rows]), np.zeros_like(self.center))
        return out

    def rows(self, x: np.ndarray) -> Float32[np.ndarray, "n w"]:
        """Return raw activations (n, d) as rows that are clustered and compared.

        They are `directions`, (n, d), and for the Euclidean metric (n, d + 1): the last column is
        the length ‖x − o‖/r, 0 for an activation that lies on the centre. Like the direction, the
        length depends on the activation alone.
        """
        unit = self.directions(x)
        if is_cosine(self.name):
            return unit
        out = np.empty((len(unit), unit.shape[1] + 1), np.float32)
        out[:, :-1] = unit
        step = max(1, BLOCK_BYTES // (8 * unit.shape[1]))
        for start in range(0, len(out), step):
            u = np.asarray(x[start : start + step]).astype(np.float64) - self.center
            length = np.sqrt(fold(u * u))
            length[length <= EPS] = 0  # such a row has no direction either
            out[start : start + step, -1] = np.minimum(length / self.unit, LONGEST)
        return out

    def lengths(self, x: np.ndarray) -> Float64[np.ndarray, " n"]:
        """Return ‖A(x − o)‖ of raw activations (n, d)."""
        u = x.astype(np.float64) - self.center
        return np.linalg.norm(u if self.is_plain else self._linear(u), axis=1)

    def facing(self, rows: Float32[np.ndarray, "m d"]) -> Float32[np.ndarray, "m d"]:
        """Return unit directions among the activations as unit directions of this space."""
        if self.is_plain:
            return rows
        return directions(self._linear(rows.astype(np.float64)), np.zeros_like(self.center))

    def _mapped(self, x: np.ndarray) -> np.ndarray:
        """Return vectors (b, d) along A(x − o), with their lengths unless there is a matrix."""
        u = (x.astype(np.float64) - self.center) * self._weights
        if self.matrix is None:
            return np.asarray(u)
        # a row is scaled by a power of two, which is exact, so that float32 holds it
        _, exponent = np.frexp(np.abs(u).max(axis=1, keepdims=True))
        return products(np.ldexp(u, -exponent).astype(np.float32), self.matrix)

    def _linear(self, rows: Float64[np.ndarray, "m d"]) -> Float64[np.ndarray, "m d"]:
        """Return A·v of each row v, to float64 rounding."""
        scaled = rows * self._weights
        return scaled if self.matrix is None else scaled @ self.matrix.T.astype(np.float64)

    @cached_property
    def _weights(self) -> Float64[np.ndarray, " d"]:
        """1/s in float64, 0 for a dimension that is left out."""
        assert self.scale is not None
        scale = self.scale.astype(np.float64)
        return np.divide(1.0, scale, out=np.zeros_like(scale), where=scale > 0)

    def readers(self, rows: Float32[np.ndarray, "m d"]) -> Float64[np.ndarray, "m d"]:
        """Return the rows w = Aᵀv, with which w·(x − o) is the product of v with A(x − o)."""
        wide = rows.astype(np.float64)
        if self.matrix is not None:
            wide = wide @ self.matrix
        return wide if self.is_plain else wide * self._weights

    # -- and back ----------------------------------------------------------------------------------

    def raw(self, rows: Float32[np.ndarray, "m d"]) -> Float32[np.ndarray, "m d"]:
        """Return unit directions of this space as unit directions among the activations.

        rows: (m, d). The result points along A⁻¹v; for plain metrics it is `rows` itself.
        """
        if self.is_plain:
            return rows
        return directions(self.displaced(rows), np.zeros_like(self.center))

    def displaced(self, rows: np.ndarray) -> Float64[np.ndarray, "m d"]:
        """Return A⁻¹v of each row v (m, d), not normalised, in float64.

        o + A⁻¹v is the activation that v stands for, apart from dimensions that are left out.
        """
        v = np.asarray(rows, np.float64)
        if self.scale is None:
            return v
        if self.matrix is not None:
            v = v @ self._inverse.T
        return np.asarray(v * self.scale)

    @cached_property
    def _inverse(self) -> Float64[np.ndarray, "d d"]:
        """M⁻¹, whose condition the regularisation of M bounds."""
        assert self.matrix is not None
        try:
            return np.linalg.inv(self.matrix.astype(np.float64))
        except np.linalg.LinAlgError:
            raise DictionaryFileError(
                "metric_matrix has no inverse: restore the file or build it again"
            ) from None

    # -- storage -----------------------------------------------------------------------------------

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the arrays of a file that hold this metric."""
        found = {"center": self.center, "metric_scale": self.scale, "metric_matrix": self.matrix}
        return {name: array for name, array in found.items() if array is not None}

    @classmethod
    def from_arrays(
        cls,
        name: MetricName,
        arrays: Mapping[str, np.ndarray],
        shrinkage: float = 0.0,
        typical_norm: float = 1.0,
    ) -> Metric:
        """Return the metric whose `arrays` are among these.

        typical_norm: r, the unit of the Euclidean metric; the others do not use it.
        """
        stored = {part: arrays[part] for part in STORED[name]}
        return cls(
            np.asarray(arrays["center"], np.float32),
            name,
            stored.get("metric_scale"),
            stored.get("metric_matrix"),
            shrinkage,
            1.0 if is_cosine(name) else typical_norm,
        )


def carried(rows: Float32[np.ndarray, "m d"], source: Metric, target: Metric) -> np.ndarray:
    """Return unit directions of one metric's space as unit directions of another's.

    They are compared as seen from either origin; a difference of the origins is not accounted for.
    Between plain metrics, and within one space, they are `rows` itself.
    """
    alike = source is target or (
        source.name == target.name
        and all(
            np.array_equal(one, other)
            for name, one in source.arrays().items()
            if (other := target.arrays()[name]) is not None and name != "center"
        )
    )
    return rows if alike else target.facing(source.raw(rows))


def products(
    u: Float32[np.ndarray, "b d"], matrix: Float32[np.ndarray, "d d"]
) -> Float32[np.ndarray, "b d"]:
    """Return u·matrixᵀ in float32, the same bits for a row in every batch.

    Each entry is the fold of its d products, which are exact in float64, rounded to float32. The
    float64 product differs from the fold by at most `rounding_bound` times the two lengths; entries
    that this could round otherwise are folded themselves.
    """
    wide, rows = u.astype(np.float64), matrix.astype(np.float64)
    found = wide @ rows.T
    # twice the bound, which also covers the rounding of the lengths and of found ± error
    error = 2 * rounding_bound(u.shape[1], np.float64) * _lengths(wide)[:, None] * _lengths(rows)
    low, high = (found - error).astype(np.float32), (found + error).astype(np.float32)
    out = found.astype(np.float32) + np.float32(0)  # no negative zeros, whose bits differ
    row, column = np.nonzero(low != high)
    step = max(1, PAIR_NUMBERS // u.shape[1])
    for start in range(0, len(row), step):
        part = slice(start, start + step)
        out[row[part], column[part]] = fold(wide[row[part]] * rows[column[part]])
    return out


def _lengths(rows: np.ndarray) -> np.ndarray:
    return np.linalg.norm(rows, axis=1)
