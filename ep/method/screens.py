"""The screens of the search: cheap products with a bound on how far the true cosine may lie.

A screen gives, for every activation x (unit row) and exemplar e, a number p with

    | x·e - unit · p | <= slack      unit, slack: one number per activation and tile of exemplars

There are two: the float32 product, and an int8 product of codes (ep.method.codes), several times
faster. What is decided from them is in ep.method.search.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from ep.method.codes import LARGEST, LONGEST, Coder, Codes
from ep.method.nearest import rounding_bound
from ep.method.threads import alone

if TYPE_CHECKING:
    import torch

INT8_WIDEST = (2**31 - 1) // 127**2  # for a larger width, the sum of products could overflow int32
# code range of a tile relative to its widest row: a slightly wider new row needs no new codes
HEADROOM = 1.05
FLOAT64_MARGIN = 1e-9  # more than the rounding of float64 in any bound or fold

Screened = tuple["torch.Tensor", "torch.Tensor", "torch.Tensor"]
"""Products (b, k), and unit and slack (b,) float64, as in the module docstring."""


class Tile:
    """Up to `capacity` exemplars and, once needed, their codes under one common scale.

    capacity: the most exemplars.
    width: d.
    device: where they are stored.
    """

    def __init__(self, capacity: int, width: int, device: torch.device) -> None:
        import torch

        self.capacity = capacity
        self._rows = torch.empty(capacity, width, device=device)
        self._codes: torch.Tensor | None = None
        self._scale = self._residual = 0.0
        self._encoded = self.size = 0

    @property
    def exemplars(self) -> torch.Tensor:
        """The exemplars of this tile, (size, d)."""
        return self._rows[: self.size]

    def add(self, rows: torch.Tensor) -> int:
        """Append as many rows as fit and return their number."""
        taken = min(len(rows), self.capacity - self.size)
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
            self._codes = torch.zeros(
                self.capacity, coder.width, dtype=torch.int8, device=self._rows.device
            )
        widest = coder.widest(self._rows[self._encoded : self.size])
        if widest > LARGEST * self._scale:
            self._encoded, self._residual = 0, 0.0
            self._scale = float(np.float32(widest * HEADROOM / LARGEST))  # as the coder rounds it
        codes = coder(self._rows[self._encoded : self.size], self._scale)
        self._codes[self._encoded : self.size] = codes.numbers
        self._residual = max(self._residual, float(codes.residual.max()))
        self._encoded = self.size

    def int8_screen(self, x: Codes, buffer: torch.Tensor | None = None) -> Screened:
        """Return products, unit and slack of the activations' codes with this tile's exemplars.

        See the module docstring. Mixing preserves dot products. With x' and e' what the codes stand
        for, and r and s the residuals, x·e = (x' + r)·(e' + s) = x'·e' + r·e + x'·s in the mixed
        frame, hence |x·e − x'·e'| <= |r||e| + |x'||s| and |x'| <= |x| + |r|. The integer product is
        exact.

        buffer: int32 numbers, at least as many as products, to hold them; new memory if None.
        """
        assert self._codes is not None
        products = int8_products(x.numbers, self._codes, self.size, buffer)
        # the terms of the docstring, with |e| <= LONGEST and |x'| <= LONGEST + |r|
        slack = x.residual * LONGEST + (LONGEST + x.residual) * self._residual + FLOAT64_MARGIN
        return products, x.scale * self._scale, slack


def float_screen(
    x: torch.Tensor, exemplars: torch.Tensor, buffer: torch.Tensor | None = None
) -> Screened:
    """Return products, unit and slack of the plain product; see the module docstring.

    The product is float32, or float64 where a setting of torch allows shorter numbers (TF32,
    bfloat16) in float32 products, which the rounding bound would not cover.

    buffer: float32 numbers, at least as many as products, to hold them; new memory if None.
    """
    import torch

    if short := short_products():
        products = x.double() @ exemplars.double().T
    else:
        out = None if buffer is None else _shaped(buffer, len(x), len(exemplars))
        products = torch.matmul(x, exemplars.T, out=out)
    ones = torch.ones(len(x), dtype=torch.float64, device=x.device)
    return products, ones, ones * rounding_bound(x.shape[1], np.float64 if short else np.float32)


def _shaped(buffer: torch.Tensor, n: int, k: int) -> torch.Tensor:
    return buffer.view(-1)[: n * k].view(n, k)


def short_products() -> bool:
    """Return whether torch may use numbers shorter than float32 in float32 products."""
    import torch

    return (
        torch.get_float32_matmul_precision() != "highest" or torch.backends.cuda.matmul.allow_tf32
    )


def int8_products(
    x: torch.Tensor, codes: torch.Tensor, n: int, buffer: torch.Tensor | None = None
) -> torch.Tensor:
    """Return the exact int32 products of int8 rows with the first n rows of `codes`.

    Rows of `codes` beyond n are zero; they pad the product where the GPU requires it.

    buffer: as for `Tile.int8_screen`.
    """
    import torch

    if x.device.type == "cpu":
        if buffer is None:
            return torch._int_mm(x, codes[:n].T)
        return torch._int_mm(x, codes[:n].T, out=_shaped(buffer, len(x), n))
    rows = len(x)
    if rows < 32:  # the GPU kernel takes more than 16 rows and columns, and multiples of 8
        x = torch.nn.functional.pad(x, (0, 0, 0, 32 - rows))
    elif rows % 8:
        x = torch.nn.functional.pad(x, (0, 0, 0, 8 - rows % 8))
    columns = max(32, (n + 7) // 8 * 8)
    if len(codes) < columns:
        codes = torch.nn.functional.pad(codes, (0, 0, 0, columns - len(codes)))
    return torch._int_mm(x, codes[:columns].T)[:rows, :n]


@lru_cache(maxsize=2)
def int8_is_exact_and_faster(device: str) -> bool:
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
    if not torch.equal(int8_products(x, y, n).double(), exact):
        return False
    if device != "cpu":
        return True
    x32, y32 = x.float(), y.float()

    def is_faster() -> bool:
        return _seconds(lambda: int8_products(x, y, n)) < _seconds(lambda: x32 @ y32.T)

    return alone(is_faster)


def _seconds(work: Callable[[], object]) -> float:
    """Return the shortest of five times of `work`, in seconds of this thread's own work.

    What other programs take meanwhile does not count: on a busy machine, they would decide.
    """
    times = []
    for _ in range(5):
        start = time.thread_time()
        work()
        times.append(time.thread_time() - start)
    return min(times)
