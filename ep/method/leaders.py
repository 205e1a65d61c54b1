"""Leader clustering: from a stream of directions to regions and their founders (protocol 2.1).

The rule is applied to one activation after the other. An activation joins its nearest exemplar if
its distance is at most the threshold (1 − cosine <= θ, both float64, the cosine folded as in
ep.method.nearest, ties to the older region). Otherwise it founds a new region, whose exemplar it
remains.

`Leaders.partial_fit` gives exactly this result for every division of the stream into batches, on
CPU and GPU: the exemplars, their order and the arrival membership. An activation may therefore join
a region that was founded earlier in its own batch, even if an older region lies within the
threshold, too. The work is done in blocks; within a block, loops run over new regions, never over
activations. The module handles unit vectors and a threshold: no model, no tokens, no statistics of
members.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from ep.errors import ActivationError, ConfigError
from ep.method.assignment import Assignment
from ep.method.nearest import NORM_TOLERANCE
from ep.method.search import ExemplarIndex, challenge, float_screen, pair_cosines
from ep.shapes import Float32, Float64, Int64

if TYPE_CHECKING:
    import torch

BLOCK = 1024  # rows decided together; their mutual products take at most 4 * BLOCK² bytes
# The floor of the search lies this far below 1 − θ, so that the rule alone decides, not the floor.
FLOOR_MARGIN = 1e-12


class Leaders:
    """A growing set of regions, clustered from a stream of directions.

    threshold: θ, the largest cosine distance at which an activation joins a region, 0 < θ < 2; a
        larger one gives fewer, coarser regions.
    width: d, taken from the first batch if None.
    device: "cpu" or "cuda".

    Raises ConfigError for any other threshold or device.
    """

    most = 2.0
    """The bound of θ."""

    def __init__(self, threshold: float, width: int | None = None, device: str = "cpu") -> None:
        if not 0 < threshold < self.most:
            raise ConfigError(
                f"threshold is {threshold}: expected a distance greater than 0 and less than "
                f"{self.most:g}"
            )
        self.threshold = float(threshold)
        self.n_seen = 0
        """Number of activations so far, and so the stream index of the next one."""
        self.device = device
        self._index = None if width is None else self._new_index(width)
        self._founded_at = np.empty(0, np.int64)

    def __len__(self) -> int:
        return 0 if self._index is None else len(self._index)

    @property
    def exemplars(self) -> Float32[np.ndarray, "K d"]:
        """The exemplars, (K, d), in order of founding (a copy)."""
        return np.empty((0, 0), np.float32) if self._index is None else self._index.exemplars

    @property
    def founded_at(self) -> Int64[np.ndarray, " K"]:
        """The stream index of each region's founder, (K,), counted from 0."""
        return self._founded_at

    def partial_fit(self, directions: np.ndarray) -> Assignment:
        """Cluster the next activations of the stream.

        directions: (n, d) float32, unit rows in stream order; n may be 0.
        Returns the region and distance of each; the distance of a founder is 0.

        Raises ActivationError, before anything has changed, if the width differs from earlier
        batches or a row is not finite or not of length 1.
        """
        x = self._checked(directions)
        if self._index is None:
            self._index = self._new_index(x.shape[1])
        result = Assignment(
            np.empty(len(x), np.int64), np.empty(len(x), np.float32), np.zeros(len(x), bool)
        )
        for start in range(0, len(x), BLOCK):
            rows = slice(start, start + BLOCK)
            result.region[rows], result.distance[rows], founders = self._decide(
                self._index, x[rows]
            )
            result.is_new[start + founders] = True
            self._founded_at = np.concatenate([self._founded_at, self.n_seen + founders])
            self.n_seen += len(x[rows])
        return result

    def assign(self, directions: np.ndarray) -> Assignment:
        """Return the nearest exemplar so far of every direction, whatever its distance.

        No region is founded and none is changed.

        directions: (n, d) float32, unit rows.

        Raises ActivationError as `partial_fit` does, and if there is no region.
        """
        if not len(self):
            raise ActivationError(
                "there are no regions to assign to yet: give partial_fit the stream first"
            )
        x = self._checked(directions)
        distance, region = self._nearest(x)
        return Assignment(region, distance, np.zeros(len(x), bool))

    def runner_up(
        self, directions: np.ndarray, region: Int64[np.ndarray, " n"]
    ) -> tuple[Int64[np.ndarray, " n"], Float64[np.ndarray, " n"]]:
        """Return the second nearest region of every direction, and the margin between the two.

        directions: (n, d) float32, unit rows.
        region: (n,) their nearest regions, as `assign` returns them.
        Returns the second region (n,), −1 where there is only one region, and the margin (n,): the
        distance to the second less the distance to the first. It is the difference of the two
        float64 cosines, at least 0, and infinite where there is only one region.
        """
        assert self._index is not None
        first, second, rival = self._index.runner_up(self._checked(directions), region)
        return rival, first - second

    def state(self) -> dict[str, np.ndarray]:
        """Return plain arrays, from which `from_state` continues exactly."""
        return {
            "threshold": np.array(self.threshold),
            "n_seen": np.array(self.n_seen),
            "exemplars": self.exemplars,
            "founded_at": self.founded_at,
        }

    @classmethod
    def from_state(cls, state: dict[str, np.ndarray], device: str = "cpu") -> Leaders:
        """Restore a clustering from the arrays of `state`."""
        exemplars = state["exemplars"]
        leaders = cls(float(state["threshold"]), exemplars.shape[1] or None, device)
        leaders.n_seen = int(state["n_seen"])
        if leaders._index is not None:
            leaders._index.add(exemplars)
            leaders._founded_at = state["founded_at"]
        return leaders

    def _new_index(self, width: int) -> ExemplarIndex:
        return ExemplarIndex(width, self.device)

    def _checked(self, directions: np.ndarray) -> np.ndarray:
        return checked_rows(directions, None if self._index is None else self._index.width)

    def _nearest(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the distance (n,) float32 to the nearest exemplar, and its region (n,)."""
        assert self._index is not None
        cosine, region = self._index.nearest(x)
        return np.clip(1.0 - cosine, 0.0, 2.0).astype(np.float32), region

    def _decide(
        self, index: ExemplarIndex, rows: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Cluster one block.

        Returns the region and distance of every row, and the positions of the rows that founded
        regions.
        """
        x = index.on_device(rows)
        floor = 1.0 - self.threshold - FLOOR_MARGIN
        cosine, region = index.nearest_on_device(x, floor)
        # in the form of the rule, so that rounding cannot decide otherwise
        unmatched = (~(1.0 - cosine <= self.threshold)).nonzero()[:, 0]
        founders = np.empty(0, np.int64)
        if len(unmatched):
            cosine[unmatched], region[unmatched] = -math.inf, -1
            start = int(unmatched[0])  # no region is founded before this row
            later_founders = self._found_regions(
                index, x[start:], unmatched - start, floor, cosine[start:], region[start:]
            )
            founders = start + later_founders
        distance = (1.0 - cosine).clamp_(0.0, 2.0).float()
        return region.cpu().numpy(), distance.cpu().numpy(), founders

    def _found_regions(
        self,
        index: ExemplarIndex,
        x: torch.Tensor,
        unmatched: torch.Tensor,
        floor: float,
        cosine: torch.Tensor,
        region: torch.Tensor,
    ) -> np.ndarray:
        """Found the regions that unmatched rows require, and compare them with the rows after them.

        x: (b, d) rows of the block, from the first unmatched one on.
        unmatched: (u,) positions in x of the rows without a region within the threshold.
        floor: cosines below it never count.
        cosine, region: (b,), the best so far, updated in place.
        Returns the positions of the founders.
        """
        products, unit, slack = float_screen(x, x[unmatched])
        chosen = unmatched.new_tensor(
            first_come(self._joins(x, unmatched, products[unmatched], slack[unmatched]))
        )
        founders = unmatched[chosen]
        # A row can join only regions founded before it: its products with later founders are set to
        # −inf.
        products = products.index_select(1, chosen)
        products.masked_fill_(founders[None, :] >= _count(x)[:, None], -math.inf)
        challenge(products, unit, slack, x, x[founders], len(index), floor, cosine, region)
        cosine[founders] = 1.0
        region[founders] = len(index) + _count(founders)
        index.add(x[founders])
        return founders.cpu().numpy()

    def _joins(
        self, x: torch.Tensor, unmatched: torch.Tensor, products: torch.Tensor, slack: torch.Tensor
    ) -> np.ndarray:
        """Return which unmatched rows lie within the threshold of which earlier ones: (u, u) bool.

        Entry (i, j) with i < j is exact and says whether row j would join a region founded by row
        i; the other entries mean nothing.
        """
        bar = 1.0 - self.threshold
        joins = products > bar
        # products too close to the bar to be trusted are replaced by the exact decision
        unclear = ((products - bar).abs() <= slack[:, None] + FLOOR_MARGIN).tril_(-1)
        later, earlier = unclear.nonzero(as_tuple=True)
        joins[later, earlier] = (
            1.0 - pair_cosines(x, x, unmatched[later], unmatched[earlier]) <= self.threshold
        )
        return joins.T.contiguous().cpu().numpy()


def first_come(joins: np.ndarray) -> list[int]:
    """Return the unmatched rows that become founders, in order.

    The first row does, then always the next one that joins none of the founders before it.

    joins: (u, u) bool, see `Leaders._joins`.
    """
    founders = []
    rest = np.arange(len(joins))
    while len(rest):
        founders.append(int(rest[0]))
        rest = rest[1:][~joins[rest[0]][rest[1:]]]
    return founders


def _count(rows: torch.Tensor) -> torch.Tensor:
    """Return 0, 1, … for the rows, as a tensor on their device."""
    import torch

    return torch.arange(len(rows), device=rows.device)


def checked_rows(directions: np.ndarray, width: int | None, lengths: int = 0) -> np.ndarray:
    """Return the directions as float32 unit rows of the right width, or raise ActivationError.

    lengths: how many last columns hold the length of a row instead, 0 or 1.
    """
    if directions.ndim != 2 or directions.shape[1] != (width or directions.shape[1]):
        raise ActivationError(
            f"directions of shape {directions.shape}: expected (n, {width or 'd'}), one row per "
            "activation"
        )
    directions = np.asarray(directions, np.float32)
    unit = directions[:, : directions.shape[1] - lengths]
    with np.errstate(over="ignore", invalid="ignore"):
        norms = np.sqrt(np.einsum("nd,nd->n", unit, unit))
    not_unit = ~(np.abs(norms - 1.0) <= NORM_TOLERANCE)  # true for NaN and infinity as well
    if lengths:
        not_unit |= ~((directions[:, -1] >= 0) & np.isfinite(directions[:, -1]))
    if not_unit.any():
        row = int(not_unit.argmax())
        raise ActivationError(
            f"direction {row} of {len(not_unit)} has length {norms[row]}: expected unit rows, as "
            "ep.method.metrics.Metric.rows gives them"
        )
    return directions
