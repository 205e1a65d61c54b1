"""How rows are compared, for each metric: the distance, the exact search, and what clusters by it.

`law_of` gives the law of a metric's name. The four cosines share one, on unit directions (d
columns): distances 1 − cosine in [0, 2], decided by the rule of ep.method.nearest. The Euclidean
metric has another, on rows that keep their length as a last column (d + 1): distances √F ≥ 0, by
the rule of ep.method.points. Both give the same bits for a row in every batch, on every library and
number of threads.

A basis is stored as unit directions under either law; where rows have a length it is an array of
its own (`LENGTHS`). Nothing is loaded here that opening a dictionary does not need.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from ep.config import MetricName
from ep.method import points as euclid
from ep.method.geometry import cosine_distance
from ep.method.metrics import is_cosine
from ep.method.nearest import nearest_exemplar, pair_cosines
from ep.shapes import Bool, Float32, Float64, Int, Int64

if TYPE_CHECKING:
    from ep.method.leaders import Leaders
    from ep.method.members import ArrivalMembers
    from ep.method.rows import Rows

LENGTHS = {"exemplars": "exemplar_norms", "mean_directions": "mean_norms"}
"""The array of lengths, in typical norms, that belongs to an array of directions."""


class CosineLaw:
    """Unit directions, compared by 1 − cosine."""

    most = 2.0
    """The largest distance, which θ stays below."""
    extra = 0
    """Columns of a row beside its direction."""

    def nearest(
        self, rows: Float32[np.ndarray, "n w"], exemplars: Float32[np.ndarray, "K w"]
    ) -> tuple[Float32[np.ndarray, " n"], Int64[np.ndarray, " n"]]:
        """Return the distance to the nearest exemplar and its id, exactly; ties to the older."""
        cosine, region = nearest_exemplar(rows, exemplars)
        return self.distance(-cosine), region

    def scores(
        self,
        rows: Float32[np.ndarray, "n w"],
        exemplars: Float32[np.ndarray, "K w"],
        ids: Int[np.ndarray, "n m"],
    ) -> Float64[np.ndarray, "n m"]:
        """Return what the rule orders by, smaller for nearer, of each row and exemplars[ids[row]].

        ids: (n, m).
        """
        n, m = ids.shape
        found = pair_cosines(rows, exemplars, np.repeat(np.arange(n), m), ids.ravel())
        return -found.reshape(n, m)

    def distance(self, score: np.ndarray) -> np.ndarray:
        """Return scores as distances, in float32."""
        return np.clip(1.0 + score, 0.0, 2.0).astype(np.float32)

    def joins(self, score: Float64[np.ndarray, " n"], threshold: float) -> Bool[np.ndarray, " n"]:
        """Return which scores lie within θ, as the clustering decides it."""
        return np.asarray(1.0 + score <= threshold)

    def distances(
        self,
        rows: Float32[np.ndarray, "n w"],
        others: Float32[np.ndarray, "m w"],
        out: Float32[np.ndarray, "n m"] | None = None,
    ) -> Float32[np.ndarray, "n m"]:
        """Return the distance of every pair, to rounding: (n, m) float32, in `out` if given."""
        return cosine_distance(rows, others, out=out)

    def leaders(self, threshold: float, width: int | None = None, device: str = "cpu") -> Leaders:
        """Return an empty clustering by this law of activations of d = `width`."""
        from ep.method.leaders import Leaders

        return Leaders(threshold, width, device)

    def shared(self, rows: Float32[np.ndarray, "n w"], device: str = "cpu") -> np.ndarray | Rows:
        """Return rows of a batch for all dictionaries of a layer, which share what is made of them.

        Raises ActivationError as `Leaders.partial_fit`.
        """
        from ep.method.rows import Rows, checked_rows

        return Rows(checked_rows(rows, None), device, is_shared=True)

    def arrival(self, width: int) -> ArrivalMembers:
        """Return empty sums of arrival members, for activations of d = `width`."""
        from ep.method.members import ArrivalMembers

        return ArrivalMembers(width)

    def columns(self, rows: Float32[np.ndarray, "K w"]) -> dict[str, np.ndarray]:
        """Return exemplar rows as the arrays of a file."""
        return {"exemplars": rows}


class EuclideanLaw(CosineLaw):
    """Directions with their lengths, compared by the Euclidean distance in typical norms."""

    most = math.inf
    extra = 1

    def nearest(self, rows: np.ndarray, exemplars: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """See `CosineLaw.nearest`."""
        square, region = euclid.nearest_point(rows, exemplars)
        return self.distance(square), region

    def scores(self, rows: np.ndarray, exemplars: np.ndarray, ids: np.ndarray) -> np.ndarray:
        """See `CosineLaw.scores`; here they are F."""
        n, m = ids.shape
        a, b = euclid.points(rows), euclid.points(exemplars)
        return euclid.pair_squares(a, b, np.repeat(np.arange(n), m), ids.ravel()).reshape(n, m)

    def distance(self, score: np.ndarray) -> np.ndarray:
        """Return scores as distances, in float32."""
        return np.sqrt(score).astype(np.float32)

    def joins(self, score: np.ndarray, threshold: float) -> np.ndarray:
        """See `CosineLaw.joins`."""
        return np.asarray(np.sqrt(score) <= threshold)

    def distances(
        self, rows: np.ndarray, others: np.ndarray, out: np.ndarray | None = None
    ) -> np.ndarray:
        """See `CosineLaw.distances`."""
        found = euclid.distances(rows, others)
        if out is None:
            return found
        out[...] = found
        return out

    def leaders(self, threshold: float, width: int | None = None, device: str = "cpu") -> Leaders:
        """See `CosineLaw.leaders`; it works on the CPU whatever the device."""
        from ep.method.point_leaders import PointLeaders

        return PointLeaders(threshold, None if width is None else width + 1, device)

    def shared(self, rows: np.ndarray, device: str = "cpu") -> np.ndarray:
        """See `CosineLaw.shared`; nothing is shared here."""
        return rows

    def arrival(self, width: int) -> ArrivalMembers:
        """See `CosineLaw.arrival`."""
        from ep.method.point_leaders import PointMembers

        return PointMembers(width + 1)

    def columns(self, rows: Float32[np.ndarray, "K w"]) -> dict[str, np.ndarray]:
        """Return exemplar rows as the arrays of a file."""
        return {
            "exemplars": np.ascontiguousarray(rows[:, :-1]),
            "exemplar_norms": rows[:, -1].copy(),
        }


COSINE, EUCLIDEAN = CosineLaw(), EuclideanLaw()


def law_of(metric: MetricName) -> CosineLaw:
    """Return the law by which rows of a metric are compared."""
    return COSINE if is_cosine(metric) else EUCLIDEAN


def joined(directions: Float32[np.ndarray, "m d"], lengths: np.ndarray) -> np.ndarray:
    """Return directions and their lengths (m,) as rows, (m, d + 1) float32."""
    return np.concatenate([directions, np.asarray(lengths, np.float32)[:, None]], axis=1)
