"""Leader clustering and arrival members of rows that keep their length (see ep.method.points).

The rule is that of ep.method.leaders with the Euclidean distance: an activation joins the nearest
exemplar if √F ≤ θ, in float64, and otherwise founds a region, for every division of the stream into
batches the same. The work is done on the CPU, whatever the device of the model.
"""

from __future__ import annotations

import math

import numpy as np

from ep.method.geometry import directions
from ep.method.growing import with_rows
from ep.method.leaders import Leaders, first_come
from ep.method.members import ArrivalMembers
from ep.method.points import Points, challenge, pair_squares, points, screen, search, tiles
from ep.method.rows import checked_rows
from ep.shapes import Float32, Float64, Int64

MARGIN = 1e-12
"""The ceiling of the search lies this share above θ², so that the rule alone decides."""


class PointIndex:
    """Exemplar rows, oldest first, that grow.

    width: d + 1, the columns of a row.
    """

    def __init__(self, width: int) -> None:
        self.width = width
        self._size = 0
        self._rows = np.empty((0, width), np.float32)
        self._points = points(self._rows)

    def __len__(self) -> int:
        return self._size

    @property
    def exemplars(self) -> Float32[np.ndarray, "K w"]:
        """All exemplars, (K, d + 1), oldest first (a copy)."""
        return self._rows[: self._size].copy()

    def add(self, rows: Float32[np.ndarray, "n w"]) -> None:
        """Append exemplars; their ids continue those of the others."""
        grown = self._size + len(rows)
        part = slice(self._size, grown)
        self._rows = with_rows(self._rows, grown)
        self._rows[part] = rows
        columns = [with_rows(column, grown) for column in self._points]
        for column, values in zip(columns, points(rows), strict=True):
            column[part] = values
        self._points, self._size = Points(*columns), grown

    def search(
        self, x: Points, ceiling: float = math.inf, excluded: np.ndarray | None = None
    ) -> tuple[Float64[np.ndarray, " n"], Int64[np.ndarray, " n"]]:
        """Return F and the id of the nearest exemplar; see `ep.method.points.search`."""
        return search(x, tiles(self.points), ceiling, excluded)

    @property
    def points(self) -> Points:
        """All exemplars as points."""
        return self._points.taken(slice(0, self._size))


class PointLeaders(Leaders):
    """A growing set of regions, clustered from a stream of rows; see `Leaders`.

    threshold: θ > 0, the largest Euclidean distance at which an activation joins a region.
    width: d + 1, the columns of a row.
    device: as for `Leaders`; it changes nothing.
    """

    most = math.inf

    def _new_index(self, width: int) -> PointIndex:  # type: ignore[override]
        return PointIndex(width)

    def _checked(self, rows: np.ndarray) -> np.ndarray:  # type: ignore[override]
        return checked_rows(rows, None if self._index is None else self._index.width, lengths=1)

    def _nearest(  # type: ignore[override]
        self, x: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        square, region = self._index.search(points(x))  # type: ignore[union-attr]
        return np.sqrt(square).astype(np.float32), region

    def runner_up(  # type: ignore[override]
        self, directions: np.ndarray, region: Int64[np.ndarray, " n"]
    ) -> tuple[Int64[np.ndarray, " n"], Float64[np.ndarray, " n"]]:
        """Return the second nearest region of every row, and how much farther it is.

        See `Leaders.runner_up`; the margin is the difference of the two float64 distances.
        """
        index: PointIndex = self._index  # type: ignore[assignment]
        x = points(self._checked(directions))
        square, rival = index.search(x, excluded=region)
        own = pair_squares(x, index.points, np.arange(len(region)), region)
        return rival, np.sqrt(square) - np.sqrt(own)

    def _decide(  # type: ignore[override]
        self, index: PointIndex, rows: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Cluster one block; see `Leaders._decide`."""
        x = points(rows)
        ceiling = self.threshold**2 * (1 + MARGIN)
        square, region = index.search(x, ceiling)
        # in the form of the rule, so that rounding cannot decide otherwise
        unmatched = np.flatnonzero(~(np.sqrt(square) <= self.threshold))
        founders = np.empty(0, np.int64)
        if len(unmatched):
            square[unmatched], region[unmatched] = np.inf, -1
            founders = unmatched[first_come(self._point_joins(x.taken(unmatched)))]
            # a row can join only regions founded before it
            hidden = founders >= np.arange(len(rows))[:, None]
            challenge(x, x.taken(founders), len(index), square, region, ceiling, hidden)
            square[founders] = 0
            region[founders] = len(index) + np.arange(len(founders))
            index.add(rows[founders])
        return region, np.sqrt(square).astype(np.float32), founders

    def _point_joins(self, x: Points) -> np.ndarray:
        """Return which of some rows lie within θ of which others, exactly: (u, u) bool."""
        estimate, slack = screen(x, x)
        bar = self.threshold**2
        joins = estimate <= bar
        row, column = np.nonzero(np.triu(np.abs(estimate - bar) <= slack + MARGIN * bar, 1))
        joins[row, column] = np.sqrt(pair_squares(x, x, row, column)) <= self.threshold
        return joins


class PointMembers(ArrivalMembers):
    """Counts and sums over the arrival members of each region, whose rows keep their length.

    width: d + 1, the columns of a row. The sums are Σl·û and Σl, in float64.
    """

    def _summands(self, rows: Float32[np.ndarray, "n w"]) -> np.ndarray:
        out = rows.astype(np.float64)
        out[:, :-1] *= out[:, -1:]
        return out

    def columns(self) -> dict[str, np.ndarray]:
        """Return the arrays of the arrival members.

        As `ArrivalMembers.columns`, but of the points: `mean_directions` is the direction of Σl·û,
        `coherence` is ‖Σl·û‖/Σl, and `mean_norms` (K,) float32 is ‖Σl·û‖/N, the length of the mean
        point.
        """
        sums = self._directions[: self._n_regions]
        found = super().columns()
        norms = np.sqrt(np.einsum("kd,kd->k", sums[:, :-1], sums[:, :-1]))
        total = sums[:, -1]
        # members that all lie on the centre have no directions to differ in
        coherence = np.divide(norms, total, out=np.ones_like(norms), where=total > 0)
        return found | {
            "mean_directions": directions(sums[:, :-1], np.zeros(self.width - 1, np.float32)),
            "coherence": np.minimum(coherence, 1).astype(np.float32),
            "mean_norms": (norms / np.maximum(found["count_arrival"], 1)).astype(np.float32),
        }
