"""Fast exact search for the nearest exemplar: a cheap product screens, float64 decides.

The rule is that of ep.method.nearest. A screen gives, for every activation x (unit row) and
exemplar e, a number p with

    | x·e - unit · p | <= slack      unit, slack: one number per activation and tile of exemplars

An exemplar cannot win if its unit·p + slack lies below a cosine that another exemplar surely
reaches, below the row's best so far, or below the caller's floor. The other exemplars are decided
by the folded float64 cosine (`challenge`). There are two screens:

- for few exemplars, the float32 product: unit = 1, slack = ep.method.nearest.rounding_bound;
- from INT8_FROM exemplars on, an int8 product of codes, several times faster (ep.method.codes).

The screen, the tiles and the blocks affect the time only, never the result. Exemplars can be added
at any time; the memory is that of the exemplars (and their codes) plus a few tens of MB. The module
depends neither on thresholds nor on how the exemplars were chosen.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from ep.errors import ActivationError, ConfigError
from ep.method.codes import LARGEST, LONGEST, Coder, Codes
from ep.method.nearest import ROWS_AT_A_TIME, TILE, fold, rounding_bound
from ep.shapes import Float32, Float64, Int64

if TYPE_CHECKING:
    import torch

INT8_FROM = 128  # from this many exemplars on, the int8 screen saves more than encoding costs
INT8_WIDEST = (2**31 - 1) // 127**2  # for a larger width, the sum of products could overflow int32
# code range of a tile relative to its widest row: a slightly wider new row needs no new codes
HEADROOM = 1.05
DEVICE_NUMBERS = 1 << 24  # float64 numbers in memory at a time during the recheck on a GPU (128 MB)
LEAST = -2.0  # a floor below every cosine, but above the products of excluded exemplars
FLOAT64_MARGIN = 1e-9  # more than the rounding of float64 in any bound or fold


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
        self._tiles: list[_Tile] = []
        self._coder = Coder(width)

    def __len__(self) -> int:
        return sum(tile.size for tile in self._tiles)

    @property
    def exemplars(self) -> Float32[np.ndarray, "K d"]:
        """All exemplars, (K, d), oldest first (a copy)."""
        if not self._tiles:
            return np.empty((0, self.width), np.float32)
        return np.concatenate([tile.exemplars.cpu().numpy() for tile in self._tiles])

    def add(self, rows: np.ndarray | torch.Tensor) -> None:
        """Append exemplars (n, d), float32 unit rows; their ids continue those of the others."""
        rows = self.on_device(rows)
        while len(rows):
            if not self._tiles or self._tiles[-1].size == TILE:
                self._tiles.append(_Tile(self.width, self.device))
            taken = self._tiles[-1].add(rows)
            rows = rows[taken:]

    def nearest(
        self, directions: np.ndarray, floor: float = -math.inf
    ) -> tuple[Float64[np.ndarray, " n"], Int64[np.ndarray, " n"]]:
        """Return the nearest exemplar of every direction.

        directions: (n, d) float32, unit rows.
        floor: cosine below which an exemplar does not count; it saves the search some work.
        Returns cosine (n,) float64 and region (n,) int64; −inf and −1 where no exemplar reaches
        `floor`.

        Raises ActivationError if the width differs.
        """
        if directions.ndim != 2 or directions.shape[1] != self.width:
            raise ActivationError(
                f"directions of shape {directions.shape}: expected (n, {self.width})"
            )
        cosine = np.empty(len(directions))
        region = np.empty(len(directions), np.int64)
        for start in range(0, len(directions), ROWS_AT_A_TIME):
            rows = slice(start, start + ROWS_AT_A_TIME)
            best, winner = self.nearest_on_device(self.on_device(directions[rows]), floor)
            cosine[rows], region[rows] = best.cpu().numpy(), winner.cpu().numpy()
        return cosine, region

    def runner_up(
        self, directions: np.ndarray, first: np.ndarray
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
        for start in range(0, len(directions), ROWS_AT_A_TIME):
            rows = slice(start, start + ROWS_AT_A_TIME)
            x, excluded = self.on_device(directions[rows]), self._ids(first[rows])
            best, winner = self.nearest_on_device(x, LEAST, excluded)
            cosine[rows], region[rows] = best.cpu().numpy(), winner.cpu().numpy()
            leading[rows] = self._cosines(x, excluded).cpu().numpy()
        return leading, cosine, region

    def nearest_on_device(
        self, x: torch.Tensor, floor: float = -math.inf, excluded: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Search as `nearest` does for one block of rows on the device, where the result stays.

        excluded: (b,) one id per row that must not win. It requires a finite floor, because the
            product of an excluded exemplar is set to −inf or the smallest integer.
        """
        import torch

        cosine = torch.full((len(x),), -math.inf, dtype=torch.float64, device=self.device)
        region = torch.full((len(x),), -1, dtype=torch.int64, device=self.device)
        codes = self._codes(x) if len(self) >= INT8_FROM else None
        for t, tile in enumerate(self._tiles):
            products, unit, slack = (
                float_screen(x, tile.exemplars) if codes is None else tile.int8_screen(codes)
            )
            if excluded is not None:
                _exclude(products, excluded - t * TILE)
            challenge(products, unit, slack, x, tile.exemplars, t * TILE, floor, cosine, region)
        return cosine, region

    def _ids(self, ids: np.ndarray) -> torch.Tensor:
        """Return ids as an int64 tensor on the device."""
        import torch

        return torch.from_numpy(np.require(ids, np.int64, ["C", "W"])).to(self.device)

    def _cosines(self, x: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
        """Return the folded cosine of each row with the exemplar of the given id: (n,) float64."""
        import torch

        out = torch.empty(len(x), dtype=torch.float64, device=self.device)
        for t, tile in enumerate(self._tiles):
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

    def _codes(self, x: torch.Tensor) -> Codes | None:
        """Return the codes of the activations and bring the codes of every tile up to date.

        Returns None where the int8 screen is not exact or not faster.
        """
        import torch

        if self.width > INT8_WIDEST or not _int8_is_exact_and_faster(self.device.type):
            return None
        for tile in self._tiles:
            tile.encode(self._coder)
        return self._coder(x, threads=torch.get_num_threads())


class _Tile:
    """Up to TILE exemplars and, once the int8 screen is used, their codes under one common scale.

    width: d.
    device: where they are stored.
    """

    def __init__(self, width: int, device: torch.device) -> None:
        import torch

        self._rows = torch.empty(TILE, width, device=device)
        self._codes: torch.Tensor | None = None
        self._scale = self._residual = 0.0
        self._encoded = self.size = 0

    @property
    def exemplars(self) -> torch.Tensor:
        """The exemplars of this tile, (size, d)."""
        return self._rows[: self.size]

    def add(self, rows: torch.Tensor) -> int:
        """Append as many rows as fit and return their number."""
        taken = min(len(rows), TILE - self.size)
        self._rows[self.size : self.size + taken] = rows[:taken]
        self.size += taken
        return taken

    def encode(self, coder: Coder) -> None:
        """Compute the codes of the exemplars added since the last call.

        All exemplars are encoded again if the common scale has to grow.
        """
        import torch

        if self._encoded == self.size:
            return
        if self._codes is None:
            self._codes = torch.zeros(TILE, coder.width, dtype=torch.int8, device=self._rows.device)
        widest = coder.widest(self._rows[self._encoded : self.size])
        if widest > LARGEST * self._scale:
            self._encoded, self._residual = 0, 0.0
            self._scale = float(np.float32(widest * HEADROOM / LARGEST))  # as the coder rounds it
        codes = coder(self._rows[self._encoded : self.size], self._scale)
        self._codes[self._encoded : self.size] = codes.numbers
        self._residual = max(self._residual, float(codes.residual.max()))
        self._encoded = self.size

    def int8_screen(self, x: Codes) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return products, unit and slack of the activations' codes with this tile's exemplars.

        See the module docstring. Mixing preserves dot products. With x' and e' what the codes stand
        for, and r and s the residuals, x·e = (x' + r)·(e' + s) = x'·e' + r·e + x'·s in the mixed
        frame, hence |x·e − x'·e'| <= |r||e| + |x'||s| and |x'| <= |x| + |r|. The integer product is
        exact.
        """
        assert self._codes is not None
        products = _int8_products(x.numbers, self._codes, self.size)
        # the terms of the docstring, with |e| <= LONGEST and |x'| <= LONGEST + |r|
        slack = x.residual * LONGEST + (LONGEST + x.residual) * self._residual + FLOAT64_MARGIN
        return products, x.scale * self._scale, slack


def float_screen(
    x: torch.Tensor, exemplars: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return products, unit and slack of the plain product; see the module docstring.

    The product is float32, or float64 where a setting of torch allows shorter numbers (TF32,
    bfloat16) in float32 products, which the rounding bound would not cover.
    """
    import torch

    short = _short_products()
    products = x.double() @ exemplars.double().T if short else x @ exemplars.T
    ones = torch.ones(len(x), dtype=torch.float64, device=x.device)
    return products, ones, ones * rounding_bound(x.shape[1], np.float64 if short else np.float32)


def _exclude(products: torch.Tensor, column: torch.Tensor) -> None:
    """Set one product in each row below everything a screen can give.

    column: (b,) its column; rows whose column lies outside this tile stay as they are.
    """
    import torch

    (row,) = torch.nonzero((column >= 0) & (column < products.shape[1]), as_tuple=True)
    lowest = -math.inf if products.is_floating_point() else torch.iinfo(products.dtype).min
    products[row, column[row]] = lowest


def _short_products() -> bool:
    """Return whether torch may use numbers shorter than float32 in float32 products."""
    import torch

    return (
        torch.get_float32_matmul_precision() != "highest" or torch.backends.cuda.matmul.allow_tf32
    )


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
    if x.device.type != "cpu":
        _challenge_on_device(products, unit, slack, x, exemplars, first, floor, cosine, region)
        return
    import torch

    from ep.method import compiled

    per_row = tuple(t.numpy() for t in (products, unit, slack, x, cosine, region))
    tile, bound = exemplars.numpy(), rounding_bound(x.shape[1])

    def challenge_rows(rows: slice) -> None:
        p, u, s, x_rows, best, winner = (a[rows] for a in per_row)
        compiled.challenge(p, u, s, x_rows, tile, first, floor, bound, best, winner)

    compiled.over_rows(challenge_rows, len(x), torch.get_num_threads())


def pair_cosines(
    a: torch.Tensor, b: torch.Tensor, row: torch.Tensor, column: torch.Tensor
) -> torch.Tensor:
    """Return the folded cosine of a[row[i]] and b[column[i]] for every i, (pairs,) float64.

    Memory is bounded.
    """
    if a.device.type == "cpu":
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


def _int8_products(x: torch.Tensor, codes: torch.Tensor, n: int) -> torch.Tensor:
    """Return the exact int32 products of int8 rows with the first n rows of `codes`.

    The rows of `codes` beyond n exist and are zero; they pad the product where the GPU requires it.
    """
    import torch

    if x.device.type == "cpu":
        return torch._int_mm(x, codes[:n].T)
    rows = len(x)
    if rows < 32:  # the GPU kernel takes more than 16 rows and columns, and multiples of 8
        x = torch.nn.functional.pad(x, (0, 0, 0, 32 - rows))
    elif rows % 8:
        x = torch.nn.functional.pad(x, (0, 0, 0, 8 - rows % 8))
    return torch._int_mm(x, codes[: max(32, (n + 7) // 8 * 8)].T)[:rows, :n]


@lru_cache(maxsize=2)
def _int8_is_exact_and_faster(device: str) -> bool:
    """Return whether int8 products are exact on this device and faster than float32 ones.

    Some processors saturate inside them, and on some they are slower.
    """
    import torch

    # Entries of ±127, with 64 rows that are 127 throughout: their sums are the largest possible, so
    # that saturation would show.
    n, d = 256, 2304
    generator = torch.Generator().manual_seed(0)
    signs = torch.randint(0, 2, (2, n, d), generator=generator) * 254 - 127
    signs[:, :64] = 127
    x, y = signs.to(torch.int8).to(device)
    # float64 represents these sums exactly
    exact = x.double() @ y.double().T
    if not torch.equal(_int8_products(x, y, n).double(), exact):
        return False
    if device != "cpu":
        return True
    x32, y32 = x.float(), y.float()
    return _seconds(lambda: _int8_products(x, y, n)) < _seconds(lambda: x32 @ y32.T)


def _seconds(work: Callable[[], object]) -> float:
    """Return the shortest of five run times of `work`."""
    times = []
    for _ in range(5):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)
