"""Fast exact search for the nearest exemplar: a cheap product screens, float64 decides.

The rule is that of ep.method.nearest. A screen (ep.method.screens) gives, for every activation x
and exemplar e, a number p and how far unit · p may lie from x·e. An exemplar cannot win if its
unit·p + slack lies below a cosine that another exemplar surely reaches, below the row's best so
far, or below the caller's floor. The other exemplars are decided by the folded float64 cosine
(`challenge`). Few exemplars are screened by a float32 product, INT8_FROM and more by an int8
product of codes, which `Rows` hold once for every search for the same activations.

On the CPU, the rows are divided among threads once for a whole search.

The screen, the tiles and the blocks affect the time only, never the result. Exemplars can be added
at any time; the memory is that of the exemplars (and their codes) plus a few tens of MB. The module
depends neither on thresholds nor on how the exemplars were chosen.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from threading import local
from typing import TYPE_CHECKING

import numpy as np

from ep.errors import ActivationError, ConfigError
from ep.method.codes import Coder, Codes
from ep.method.nearest import ROWS_AT_A_TIME, TILE, fold, rounding_bound
from ep.method.rows import Rows
from ep.method.screens import (
    INT8_WIDEST,
    Screened,
    Tile,
    float_screen,
    int8_is_exact_and_faster,
)
from ep.method.threads import over_rows
from ep.shapes import Float32, Float64, Int64

if TYPE_CHECKING:
    import torch

INT8_FROM = 128  # from this many exemplars on, the int8 screen saves more than encoding costs
DEVICE_NUMBERS = 1 << 24  # float64 numbers in memory at a time during the recheck on a GPU (128 MB)
PARTS = 16  # blocks of rows whose codes are made together
_kept = local()  # what each thread keeps between searches: 8 MB
LEAST = -2.0  # a floor below every cosine, but above the products of excluded exemplars


class ExemplarIndex:
    """Unit exemplars, oldest first, with a search for the nearest of them to any direction.

    width: d.
    device: "cpu", or "cuda" to keep the exemplars and to work there.

    Raises ConfigError for other devices (Apple's mps has no float64: use "cpu").
    """

    def __init__(self, width: int, device: str = "cpu") -> None:
        import torch

        self.device = torch.device(device)
        if self.device.type not in ("cpu", "cuda"):
            raise ConfigError(f"search on device {device!r}: expected 'cpu' or 'cuda'")
        self.width = width
        self.tiles: list[Tile] = []
        self.coder = Coder(width)

    def __len__(self) -> int:
        return sum(tile.size for tile in self.tiles)

    @property
    def exemplars(self) -> Float32[np.ndarray, "K d"]:
        """All exemplars, (K, d), oldest first (a copy)."""
        if not self.tiles:
            return np.empty((0, self.width), np.float32)
        return np.concatenate([tile.exemplars.cpu().numpy() for tile in self.tiles])

    def add(self, rows: np.ndarray | torch.Tensor) -> None:
        """Append exemplars (n, d), float32 unit rows; their ids continue those of the others."""
        rows = self.on_device(rows)
        while len(rows):
            if not self.tiles or self.tiles[-1].size == TILE:
                self.tiles.append(Tile(TILE, self.width, self.device))
            taken = self.tiles[-1].add(rows)
            rows = rows[taken:]

    def nearest(
        self, directions: np.ndarray | Rows, floor: float = -math.inf
    ) -> tuple[Float64[np.ndarray, " n"], Int64[np.ndarray, " n"]]:
        """Return the nearest exemplar of every direction.

        directions: (n, d) float32, unit rows.
        floor: cosine below which an exemplar does not count; it saves the search some work.
        Returns cosine (n,) float64 and region (n,) int64; −inf and −1 where no exemplar reaches
        `floor`.

        Raises ActivationError if the width differs.
        """
        if len(directions.shape) != 2 or directions.shape[1] != self.width:
            raise ActivationError(
                f"directions of shape {directions.shape}: expected (n, {self.width})"
            )
        cosine = np.empty(len(directions))
        region = np.empty(len(directions), np.int64)
        for part, rows in self._parts(directions):
            best, winner = self.nearest_on_device(rows, floor)
            cosine[part], region[part] = best.cpu().numpy(), winner.cpu().numpy()
        return cosine, region

    def runner_up(
        self, directions: np.ndarray | Rows, first: np.ndarray
    ) -> tuple[Float64[np.ndarray, " n"], Float64[np.ndarray, " n"], Int64[np.ndarray, " n"]]:
        """Return the second nearest exemplar of every direction.

        It is the nearest exemplar when the direction's own one is left out, by the same rule:
        float64 decides, ties go to the older region.

        directions: (n, d) float32, unit rows.
        first: (n,) int64, the nearest region of each, as `nearest` returns it.
        Returns the cosine with the first (n,) and with the second (n,), both float64, and the
        second region (n,) int64; −inf and −1 where there is only one exemplar.
        """
        leading, cosine = np.empty(len(directions)), np.empty(len(directions))
        region = np.empty(len(directions), np.int64)
        for part, rows in self._parts(directions):
            excluded = self._ids(first[part])
            best, winner = self.nearest_on_device(rows, LEAST, excluded)
            cosine[part], region[part] = best.cpu().numpy(), winner.cpu().numpy()
            leading[part] = self._cosines(rows.x, excluded).cpu().numpy()
        return leading, cosine, region

    def _parts(self, directions: np.ndarray | Rows) -> Iterator[tuple[slice, Rows]]:
        """Yield directions as rows, so many at a time that their codes take little memory."""
        step = PARTS * ROWS_AT_A_TIME
        for start in range(0, len(directions), step):
            part = slice(start, start + step)
            if isinstance(directions, Rows):
                yield part, directions[part]
            else:
                yield part, Rows(directions[part], self.device)

    def nearest_on_device(
        self, rows: Rows, floor: float = -math.inf, excluded: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Search as `nearest` does for rows on the device, where the result stays.

        excluded: (n,) one id per row that must not win. It requires a finite floor, because the
            product of an excluded exemplar is set to −inf or the smallest integer.
        """
        import torch

        cosine = torch.full((len(rows),), -math.inf, dtype=torch.float64, device=self.device)
        region = torch.full((len(rows),), -1, dtype=torch.int64, device=self.device)
        screen = Screen(self, rows, len(self))

        def search(part: slice) -> None:
            screen.begin(part)
            buffer = self._buffer()
            for start in range(part.start, part.stop, ROWS_AT_A_TIME):
                block = slice(start, min(start + ROWS_AT_A_TIME, part.stop))
                best = cosine[block], region[block]
                for t, tile in enumerate(self.tiles):
                    products, unit, slack = screen(tile, block, buffer)
                    if excluded is not None:
                        _exclude(products, excluded[block] - t * TILE)
                    of_rows = products, unit, slack, rows.x[block]
                    challenge(*of_rows, tile.exemplars, t * TILE, floor, *best)

        self.in_shares(search, len(rows))
        return cosine, region

    def _buffer(self) -> torch.Tensor | None:
        """Return memory for the products of a block with a tile; None where a device keeps its own.

        Each thread keeps its own: new memory for each product would cost the system more than a
        tenth of the time.
        """
        import torch

        if self.device.type != "cpu":
            return None
        needed = ROWS_AT_A_TIME * TILE
        if len(getattr(_kept, "buffer", ())) < needed:
            _kept.buffer = torch.empty(needed, dtype=torch.int32)
        return _kept.buffer

    def in_shares(self, work: Callable[[slice], None], n: int) -> None:
        """Run `work` on slices that cover n rows: on several threads on the CPU, else on one."""
        import torch

        over_rows(work, n, torch.get_num_threads() if self.device.type == "cpu" else 1)

    def tile_of(self, exemplars: torch.Tensor) -> Tile:
        """Return exemplars (k, d) of a block as a tile of their own."""
        tile = Tile(len(exemplars), self.width, self.device)
        tile.add(exemplars)
        return tile

    def _ids(self, ids: np.ndarray) -> torch.Tensor:
        """Return ids as an int64 tensor on the device."""
        import torch

        return torch.from_numpy(np.require(ids, np.int64, ["C", "W"])).to(self.device)

    def _cosines(self, x: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
        """Return the folded cosine of each row with the exemplar of the given id: (n,) float64."""
        import torch

        out = torch.empty(len(x), dtype=torch.float64, device=self.device)
        for t, tile in enumerate(self.tiles):
            (row,) = torch.nonzero((ids >= t * TILE) & (ids < (t + 1) * TILE), as_tuple=True)
            if len(row):
                out[row] = pair_cosines(x, tile.exemplars, row, ids[row] - t * TILE)
        return out

    def on_device(self, rows: np.ndarray | torch.Tensor) -> torch.Tensor:
        """Return rows as a contiguous float32 tensor on the device of this index.

        Nothing is copied where that is possible.
        """
        import torch

        if isinstance(rows, np.ndarray):
            rows = torch.from_numpy(np.require(rows, np.float32, ["C", "W"]))
        return rows.to(self.device, torch.float32).contiguous()

    def has_int8(self) -> bool:
        """Whether the int8 screen is exact and faster here."""
        return self.width <= INT8_WIDEST and int8_is_exact_and_faster(self.device.type)


class Screen:
    """The screen of some rows: int8 where many exemplars are to be compared, float32 otherwise.

    index: whose tiles, and other tiles of its width, are screened.
    rows: the rows.
    n: number of exemplars.
    """

    def __init__(self, index: ExemplarIndex, rows: Rows, n: int) -> None:
        self.rows, self.coder = rows, index.coder
        self.codes: Codes | None = None
        self.is_int8 = (n >= INT8_FROM or rows.has_codes) and index.has_int8()
        if self.is_int8:
            for tile in index.tiles:
                tile.encode(self.coder)
            self._unfilled = rows.to_fill(self.coder)
            self.codes = rows.codes(self.coder)

    def begin(self, part: slice) -> None:
        """Make the codes of a part of the rows, where they are not made yet."""
        if self.is_int8 and self._unfilled is not None:
            self.rows.fill(self._unfilled, part, self.coder)

    def __call__(self, tile: Tile, part: slice, buffer: torch.Tensor | None = None) -> Screened:
        """Return products, unit and slack of a part of the rows with a tile.

        buffer: int32 numbers to hold the products; new memory if None.
        """
        import torch

        if self.codes is not None:
            return tile.int8_screen(self.codes.part(part), buffer)
        floats = None if buffer is None else buffer.view(torch.float32)
        return float_screen(self.rows.x[part], tile.exemplars, floats)


def _exclude(products: torch.Tensor, column: torch.Tensor) -> None:
    """Set one product in each row below everything a screen can give.

    column: (b,) its column; rows whose column lies outside this tile stay as they are.
    """
    import torch

    (row,) = torch.nonzero((column >= 0) & (column < products.shape[1]), as_tuple=True)
    products[row, column[row]] = lowest(products)


def lowest(products: torch.Tensor) -> float:
    """Return a product below everything that a screen can give."""
    import torch

    return -math.inf if products.is_floating_point() else torch.iinfo(products.dtype).min


def challenge(
    products: torch.Tensor,
    unit: torch.Tensor,
    slack: torch.Tensor,
    x: torch.Tensor,
    exemplars: torch.Tensor,
    first: int,
    floor: float,
    cosine: torch.Tensor,
    region: torch.Tensor,
) -> None:
    """Compare screened exemplars with each row's best so far; update cosine and region in place.

    products: (b, k) float32, float64 or int32, from a screen.
    unit, slack: (b,) float64, as in the module docstring.
    x: (b, d) unit rows.
    exemplars: (k, d) unit rows with the ids first, first + 1, …, all younger than those in
        `region`.
    first: id of exemplars[0].
    floor: cosines below it never win.
    cosine: (b,) float64, the best so far.
    region: (b,) int64, the exemplar with that cosine.
    """
    if not on_cpu(x):
        _challenge_on_device(products, unit, slack, x, exemplars, first, floor, cosine, region)
        return
    from ep.method import compiled

    arrays = (t.numpy() for t in (products, unit, slack, x, exemplars))
    best = cosine.numpy(), region.numpy()
    compiled.challenge(*arrays, first, floor, rounding_bound(x.shape[1]), *best)


def pair_cosines(
    a: torch.Tensor, b: torch.Tensor, row: torch.Tensor, column: torch.Tensor
) -> torch.Tensor:
    """Return the folded cosine of a[row[i]] and b[column[i]] for every i, (pairs,) float64.

    Memory is bounded.
    """
    if on_cpu(a):
        import torch

        from ep.method import compiled

        return torch.from_numpy(
            compiled.fold_pairs(a.numpy(), b.numpy(), row.numpy(), column.numpy())
        )
    out = a.new_empty(len(row)).double()
    step = max(1, DEVICE_NUMBERS // a.shape[1])
    for i in range(0, len(row), step):
        out[i : i + step] = fold(a[row[i : i + step]].double() * b[column[i : i + step]])
    return out


def on_cpu(x: torch.Tensor) -> bool:
    """Return whether the compiled loops do the work, instead of tensor operations."""
    return x.device.type == "cpu"


def _challenge_on_device(products, unit, slack, x, exemplars, first, floor, cosine, region) -> None:
    """Do the work of `challenge` with tensor operations, on devices other than the CPU."""
    estimate = products.double().mul_(unit[:, None])
    # the same bar as in ep.method.compiled.challenge, in units of the cosine
    margin = slack + 1e-12  # 1e-12 covers the rounding of the next line
    bar = (estimate.amax(1) - margin).maximum(cosine).clamp_min(floor) - margin
    row, column = (estimate >= bar[:, None]).nonzero(as_tuple=True)
    exact = pair_cosines(x, exemplars, row, column)
    best = cosine.scatter_reduce(0, row, exact, "amax")
    # strictly nearer than the best so far, and the smallest id on a tie within the tile
    wins = (exact == best[row]) & (exact > cosine[row]) & (exact >= floor)
    oldest = region.new_full(region.shape, len(exemplars)).scatter_reduce_(
        0, row[wins], column[wins], "amin"
    )
    has_won = oldest < len(exemplars)
    cosine[has_won], region[has_won] = best[has_won], first + oldest[has_won]
