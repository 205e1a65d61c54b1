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
from ep.method.growing import with_rows
from ep.method.nearest import rounding_bound
from ep.method.rows import Rows, checked_rows
from ep.method.screens import Screened, Tile
from ep.method.search import ExemplarIndex, Screen, challenge, lowest, on_cpu, pair_cosines
from ep.shapes import Float32, Float64, Int64

if TYPE_CHECKING:
    import torch

BLOCK = 1024  # rows decided together; their mutual products take at most 4 * BLOCK² bytes
FEW = 64  # rows compared with one another pair by pair, without a screen
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
        return self._founded_at[: len(self)]

    def partial_fit(self, directions: np.ndarray | Rows) -> Assignment:
        """Cluster the next activations of the stream.

        directions: (n, d) float32, unit rows in stream order; n may be 0. Given as `Rows`, what is
            made of them for the search is shared with other clusterings of the same stream.
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
            known = len(self._index) - len(founders)
            self._founded_at = with_rows(self._founded_at, len(self._index))
            self._founded_at[known : len(self._index)] = self.n_seen + founders
            self.n_seen += len(x[rows])
        return result

    def assign(self, directions: np.ndarray | Rows) -> Assignment:
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
        self, directions: np.ndarray | Rows, region: Int64[np.ndarray, " n"]
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
            "founded_at": self.founded_at.copy(),
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

    def _checked(self, directions: np.ndarray | Rows) -> Rows:
        """Return the directions as rows on the device; ActivationError if they are none."""
        width = None if self._index is None else self._index.width
        if isinstance(directions, Rows) and directions.shape[1] == (width or directions.shape[1]):
            return directions
        return Rows(checked_rows(np.asarray(directions), width), self.device)

    def _nearest(self, x: Rows) -> tuple[np.ndarray, np.ndarray]:
        """Return the distance (n,) float32 to the nearest exemplar, and its region (n,)."""
        assert self._index is not None
        cosine, region = self._index.nearest(x)
        return np.clip(1.0 - cosine, 0.0, 2.0).astype(np.float32), region

    def _decide(
        self, index: ExemplarIndex, rows: Rows
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Cluster one block.

        Returns the region and distance of every row, and the positions of the rows that founded
        regions.
        """
        floor = 1.0 - self.threshold - FLOOR_MARGIN
        cosine, region = index.nearest_on_device(rows, floor)
        # in the form of the rule, so that rounding cannot decide otherwise
        unmatched = (~(1.0 - cosine <= self.threshold)).nonzero()[:, 0]
        founders = np.empty(0, np.int64)
        if len(unmatched):
            cosine[unmatched], region[unmatched] = -math.inf, -1
            start = int(unmatched[0])  # no region is founded before this row
            later_founders = self._found_regions(
                index, rows[start:], unmatched - start, floor, cosine[start:], region[start:]
            )
            founders = start + later_founders
        distance = (1.0 - cosine).clamp_(0.0, 2.0).float()
        return region.cpu().numpy(), distance.cpu().numpy(), founders

    def _found_regions(
        self,
        index: ExemplarIndex,
        rows: Rows,
        unmatched: torch.Tensor,
        floor: float,
        cosine: torch.Tensor,
        region: torch.Tensor,
    ) -> np.ndarray:
        """Found the regions that unmatched rows require, and compare them with the rows after them.

        rows: (b, d) of the block, from the first unmatched one on.
        unmatched: (u,) positions in rows of those without a region within the threshold.
        floor: cosines below it never count.
        cosine, region: (b,), the best so far, updated in place.
        Returns the positions of the founders.
        """
        founders = self._founders(index, rows[unmatched.cpu().numpy()], unmatched)
        tile = index.tile_of(rows.x[founders])
        screen = Screen(index, rows, len(founders))
        if screen.is_int8:
            tile.encode(index.coder)

        def compare(part: slice) -> None:
            screen.begin(part)
            screened = screen(tile, part)
            best = cosine[part], region[part]
            x = rows.x[part]
            _challenge_founders(screened, x, part.start, founders, tile, len(index), floor, *best)

        index.in_shares(compare, len(rows))
        cosine[founders] = 1.0
        region[founders] = len(index) + _count(founders)
        index.add(tile.exemplars)
        return founders.cpu().numpy()

    def _founders(self, index: ExemplarIndex, rows: Rows, unmatched: torch.Tensor) -> torch.Tensor:
        """Return which unmatched rows become founders: (f,) of `unmatched` (u,).

        rows: (u, d), the unmatched rows.
        """
        if on_cpu(rows.x):
            from ep.method import compiled

            products, unit, slack = self._mutual(index, rows)
            arrays = (t.numpy() for t in (products, unit, slack, rows.x))
            return unmatched[
                compiled.first_come(*arrays, self.threshold, rounding_bound(rows.shape[1]))
            ]
        screened = self._mutual(index, rows)
        return unmatched[unmatched.new_tensor(first_come(self._joins(rows.x, *screened)))]

    def _mutual(self, index: ExemplarIndex, rows: Rows) -> Screened:
        """Return products, unit and slack of rows with themselves.

        On the CPU there are no products of few rows: to compare each pair as it comes costs less.
        """
        import torch

        n = len(rows)
        if n <= FEW and on_cpu(rows.x):
            return torch.empty(n, 0), *torch.empty(2, n, dtype=torch.float64)
        tile = index.tile_of(rows.x)
        screen = Screen(index, rows, n)
        if screen.is_int8:
            tile.encode(index.coder)
        found: dict[int, Screened] = {}

        def compare(part: slice) -> None:
            screen.begin(part)
            found[part.start] = screen(tile, part)

        index.in_shares(compare, n)
        shares = (found[start] for start in sorted(found))
        products, unit, slack = (torch.cat(column) for column in zip(*shares, strict=True))
        return products, unit, slack

    def _joins(
        self, x: torch.Tensor, products: torch.Tensor, unit: torch.Tensor, slack: torch.Tensor
    ) -> np.ndarray:
        """Return which unmatched rows lie within the threshold of which earlier ones: (u, u) bool.

        Entry (i, j) with i < j is exact and says whether row j would join a region founded by row
        i; the other entries mean nothing.
        """
        bar = 1.0 - self.threshold
        estimate = products.double() * unit[:, None]
        joins = estimate > bar
        # products too close to the bar to be trusted are replaced by the exact decision
        unclear = ((estimate - bar).abs() <= slack[:, None] + FLOOR_MARGIN).tril_(-1)
        later, earlier = unclear.nonzero(as_tuple=True)
        joins[later, earlier] = 1.0 - pair_cosines(x, x, later, earlier) <= self.threshold
        return joins.T.contiguous().cpu().numpy()


def _challenge_founders(
    screened: Screened,
    x: torch.Tensor,
    start: int,
    founders: torch.Tensor,
    tile: Tile,
    first: int,
    floor: float,
    cosine: torch.Tensor,
    region: torch.Tensor,
) -> None:
    """Compare rows with the founders before them; update cosine and region in place.

    screened: of x (b, d) with the tile of the founders. start: position of x[0].
    founders: (f,) positions. The others are as for `ep.method.search.challenge`.
    """
    products, unit, slack = screened
    if on_cpu(x):
        from ep.method import compiled

        arrays = (t.numpy() for t in (products, unit, slack, x))
        at, exemplars = founders.numpy(), tile.exemplars.numpy()
        bound, best = rounding_bound(x.shape[1]), (cosine.numpy(), region.numpy())
        compiled.challenge_founders(*arrays, start, at, exemplars, first, floor, bound, *best)
        return
    later = founders[None, :] >= start + _count(x)[:, None]
    products.masked_fill_(later, lowest(products))
    challenge(products, unit, slack, x, tile.exemplars, first, floor, cosine, region)


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
