"""Leader clustering: the stream of directions in, regions and their founders out. Protocol section
2.1.

The rule, one activation after the other: it joins its nearest exemplar if its distance is at most
the threshold (1 - cosine <= theta, both float64, the cosine folded as in ep.method.nearest, ties to
the older region); otherwise it founds a new region and is that region's exemplar for ever.

`Leaders.partial_fit` gives exactly this for any split of the stream into batches, on CPU and GPU:
exemplars, their order, and membership at arrival, so a row may join, or be drawn away by, a region
founded earlier in its own batch. It works in blocks; within one, a loop runs over newborn regions,
never over activations. The room knows unit vectors and a threshold: no model, no tokens, no
statistics of members.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float32, Float64, Int64

from ep.errors import ActivationError, ConfigError
from ep.method.assignment import Assignment
from ep.method.nearest import NORM_TOLERANCE
from ep.method.search import ExemplarIndex, challenge, float_screen, pair_cosines

if TYPE_CHECKING:
    import torch

BLOCK = 1024  # rows decided together; their products with each other take at most 4 * BLOCK² bytes
# the search's floor lies this far below 1 - theta, so that only the rule itself decides
FLOOR_MARGIN = 1e-12


class Leaders:
    """A growing set of regions, each the activations nearest to its exemplar when they arrived.

    threshold: theta, the largest cosine distance at which an activation joins a region, 0 < theta <
      2; larger gives fewer, coarser regions. width: d, taken from the first batch if None. device:
      "cpu" or "cuda".
    Raises ConfigError for any other threshold or device.
    """

    def __init__(self, threshold: float, width: int | None = None, device: str = "cpu") -> None:
        if not 0 < threshold < 2:
            raise ConfigError(
                f"threshold {threshold}: a cosine distance greater than 0 and less than 2 was "
                "expected"
            )
        self.threshold = float(threshold)
        self.n_seen = 0
        """Activations seen so far; the next one's stream index."""
        self.device = device
        self._index = None if width is None else ExemplarIndex(width, device)
        self._founded_at = np.empty(0, np.int64)

    def __len__(self) -> int:
        return 0 if self._index is None else len(self._index)

    @property
    def exemplars(self) -> Float32[np.ndarray, "K d"]:
        """The exemplars in order of founding (a copy)."""
        return np.empty((0, 0), np.float32) if self._index is None else self._index.exemplars

    @property
    def founded_at(self) -> Int64[np.ndarray, " K"]:
        """The stream index, counted from 0, of each region's founder."""
        return self._founded_at

    def partial_fit(self, directions: np.ndarray) -> Assignment:
        """Take the next activations of the stream and say which region each fell into.

        directions: (n, d) float32, unit rows in stream order; n may be 0. A founder's distance is
        0. Raises ActivationError, before anything has changed, if the width differs from earlier
        batches or a row is not finite or not of length 1.
        """
        x = _checked(directions, None if self._index is None else self._index.width)
        if self._index is None:
            self._index = ExemplarIndex(x.shape[1], self.device)
        result = Assignment(
            np.empty(len(x), np.int64), np.empty(len(x), np.float32), np.zeros(len(x), bool)
        )
        for start in range(0, len(x), BLOCK):
            rows = slice(start, start + BLOCK)
            result.region[rows], result.distance[rows], newborn = self._decide(self._index, x[rows])
            result.is_new[start + newborn] = True
            self._founded_at = np.concatenate([self._founded_at, self.n_seen + newborn])
            self.n_seen += len(x[rows])
        return result

    def assign(self, directions: np.ndarray) -> Assignment:
        """The nearest exemplar so far of every direction, whatever its distance; founds nothing,
        moves nothing.

        directions: (n, d) float32, unit rows. Raises ActivationError as `partial_fit` does, and if
        there is no region.
        """
        if not len(self):
            raise ActivationError(
                "there are no regions to assign to yet: give partial_fit the stream first"
            )
        assert self._index is not None
        x = _checked(directions, self._index.width)
        cosine, region = self._index.nearest(x)
        distance = np.clip(1.0 - cosine, 0.0, 2.0).astype(np.float32)
        return Assignment(region, distance, np.zeros(len(x), bool))

    def runner_up(
        self, directions: np.ndarray, region: Int64[np.ndarray, " n"]
    ) -> tuple[Int64[np.ndarray, " n"], Float64[np.ndarray, " n"]]:
        """The exemplar that comes second for every direction, and by how much.

        directions: (n, d) float32, unit rows. region: (n,) their nearest regions, as `assign` gives
        them. Returns the second region (n,), -1 where there is only one, and the margin (n,):
        distance to the second less distance to the first, at least 0 (infinite where there is
        none), the difference of the two float64 cosines.
        """
        assert self._index is not None
        first, second, rival = self._index.runner_up(
            _checked(directions, self._index.width), region
        )
        return rival, first - second

    def state(self) -> dict[str, np.ndarray]:
        """Everything `from_state` needs to go on, as arrays."""
        return {
            "threshold": np.array(self.threshold),
            "n_seen": np.array(self.n_seen),
            "exemplars": self.exemplars,
            "founded_at": self.founded_at,
        }

    @classmethod
    def from_state(cls, state: dict[str, np.ndarray], device: str = "cpu") -> Leaders:
        """The clustering that `state` was taken from; going on equals never having stopped."""
        exemplars = state["exemplars"]
        leaders = cls(float(state["threshold"]), exemplars.shape[1] or None, device)
        leaders.n_seen = int(state["n_seen"])
        if leaders._index is not None:
            leaders._index.add(exemplars)
            leaders._founded_at = state["founded_at"]
        return leaders

    def _decide(
        self, index: ExemplarIndex, rows: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """One block: region and distance of every row, and the positions of the rows that founded
        regions.
        """
        x = index.on_device(rows)
        floor = 1.0 - self.threshold - FLOOR_MARGIN
        cosine, region = index.nearest_on_device(x, floor)
        unmatched = (~(1.0 - cosine <= self.threshold)).nonzero()[:, 0]
        newborn = np.empty(0, np.int64)
        if len(unmatched):
            cosine[unmatched], region[unmatched] = -math.inf, -1
            start = int(unmatched[0])  # earlier rows are settled
            later = self._found(
                index, x[start:], unmatched - start, floor, cosine[start:], region[start:]
            )
            newborn = start + later
        distance = (1.0 - cosine).clamp_(0.0, 2.0).float()
        return region.cpu().numpy(), distance.cpu().numpy(), newborn

    def _found(
        self,
        index: ExemplarIndex,
        x: torch.Tensor,
        unmatched: torch.Tensor,
        floor: float,
        cosine: torch.Tensor,
        region: torch.Tensor,
    ) -> np.ndarray:
        """Found the regions the unmatched rows call for, and let them challenge the block's later
        rows.
        """
        products, unit, slack = float_screen(x, x[unmatched])
        chosen = unmatched.new_tensor(
            _first_come(self._joins(x, unmatched, products[unmatched], slack[unmatched]))
        )
        founders = unmatched[chosen]
        # A row meets only the regions founded before it: its products with the others are put out
        # of reach.
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
        """(u, u) bool, true above the diagonal where unmatched row j is within the threshold of row
        i < j, exactly.
        """
        bar = 1.0 - self.threshold
        joins = products > bar
        unclear = ((products - bar).abs() <= slack[:, None] + FLOOR_MARGIN).tril_(-1)
        later, earlier = unclear.nonzero(as_tuple=True)
        joins[later, earlier] = (
            1.0 - pair_cosines(x, x, unmatched[later], unmatched[earlier]) <= self.threshold
        )
        return joins.T.contiguous().cpu().numpy()


def _first_come(joins: np.ndarray) -> list[int]:
    """Rows that found regions: the first, then always the first that joins none of them. joins: see
    `_joins`.
    """
    founders = []
    waiting = np.arange(len(joins))
    while len(waiting):
        founders.append(int(waiting[0]))
        waiting = waiting[1:][~joins[waiting[0]][waiting[1:]]]
    return founders


def _count(rows: torch.Tensor) -> torch.Tensor:
    """0, 1, .. for every row, on its device."""
    import torch

    return torch.arange(len(rows), device=rows.device)


def _checked(directions: np.ndarray, width: int | None) -> np.ndarray:
    """The directions as float32 rows of the right width and length 1, or ActivationError."""
    if directions.ndim != 2 or directions.shape[1] != (width or directions.shape[1]):
        raise ActivationError(
            f"directions of shape {directions.shape}: expected (n, {width or 'd'}), one row per "
            "activation"
        )
    directions = np.asarray(directions, np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        lengths = np.sqrt(np.einsum("nd,nd->n", directions, directions))
    off = ~(np.abs(lengths - 1.0) <= NORM_TOLERANCE)  # NaN and infinity are off, too
    if off.any():
        row = int(off.argmax())
        raise ActivationError(
            f"direction {row} of {len(off)} has length {lengths[row]}: expected unit rows, as "
            "ep.method.geometry.directions gives them"
        )
    return directions
