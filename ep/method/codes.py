"""Unit rows in 8 bits, with a bound on all that is lost: what the int8 screen of ep.method.search
multiplies.

A row is mixed, so that a few large dimensions do not cost all others their precision, then rounded
to scale · numbers. Mixing flips fixed random signs and applies a Hadamard transform across MIX
equal parts of the row (zeros fill up the last): entries ±1/8, so the exact map keeps every dot
product; additions only, so its float32 rounding is small.

Every bound is derived from measured lengths and the standard rounding analysis; none is chosen.
Works on torch tensors handed to it without importing torch; on the CPU ep.method.compiled does the
work.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ep.method.nearest import NORM_TOLERANCE, UNIT_ROUNDOFF

if TYPE_CHECKING:
    import torch  # noqa: TID251 - the name of a type, never loaded from here

MIX = 64  # parts mixed with each other: an outlier is spread over so many dimensions; a power of 4
LONGEST = 1 + NORM_TOLERANCE
LARGEST = 127


class Codes(NamedTuple):
    """n mixed rows in 8 bits, standing for scale · numbers.

    numbers: (n, width) int8. scale: (n,) float64. residual: (n,) float64, bounds the length of what
    rounding lost: | mixed row - scale · numbers |, the mixing taken as exact.
    """

    numbers: torch.Tensor
    scale: torch.Tensor
    residual: torch.Tensor


class Coder:
    """Turns unit rows (n, d) into codes of one width, a multiple of MIX that is at least d."""

    def __init__(self, d: int) -> None:
        self.width = -(-d // MIX) * MIX
        self.signs = np.random.default_rng(0).choice(np.array([-1.0, 1.0], np.float32), d)
        levels, u = int(math.log2(MIX)), UNIT_ROUNDOFF[np.dtype(np.float32)]
        # Every level of the transform rounds each sum once: relative to the whole row, by at most
        # u.
        mixing = (1 + u) ** levels - 1
        # Measuring what is missed: each difference errs by at most 2^-23 of the row's largest entry
        # (at most LONGEST), the norm of the differences by gamma.
        steps = (self.width + 4) * u
        self._grow, self._lost = 1 / (1 - steps), 2.0**-23 * math.sqrt(self.width)
        self._mixing = mixing * LONGEST

    def __call__(self, rows: torch.Tensor, scale: float | None = None, threads: int = 1) -> Codes:
        """Codes of the rows, each under its own scale unless one is given (numbers are then cut off
        at ±127, which the residual accounts for). threads: to use on the CPU.
        """
        numbers, step, largest, missed = self._encode(rows, scale, threads)
        residual = missed * self._grow + largest * self._lost + self._mixing
        return Codes(numbers, step, residual)

    def widest(self, rows: torch.Tensor) -> float:
        """The largest entry of any mixed row, whose scale would suit them all."""
        return float(self._encode(rows, None, 1)[2].max())

    def _encode(self, rows: torch.Tensor, scale: float | None, threads: int) -> Encoded:
        if rows.device.type == "cpu":
            return _encode(rows, self.signs, self.width, scale, threads)
        return _encode_on_device(rows, self.signs, self.width, scale)


class Encoded(NamedTuple):
    """As Codes, with the largest mixed entry and the measured length of what is missed, before any
    bound.
    """

    numbers: torch.Tensor
    scale: torch.Tensor
    largest: torch.Tensor
    missed: torch.Tensor


def _encode(
    rows: torch.Tensor, signs: np.ndarray, width: int, scale: float | None, threads: int
) -> Encoded:
    from ep.method import compiled

    numbers = rows.new_empty(len(rows), width).char()
    step, largest, missed = (rows.new_empty(len(rows)).double() for _ in range(3))
    per_row = tuple(t.numpy() for t in (rows, numbers, step, largest, missed))

    def work(part: slice) -> None:
        x, *outputs = (a[part] for a in per_row)
        compiled.encode(x, signs, MIX, scale or 0.0, *outputs)

    compiled.over_rows(work, len(rows), threads)
    return Encoded(numbers, step, largest, missed)


def _encode_on_device(
    rows: torch.Tensor, signs: np.ndarray, width: int, scale: float | None
) -> Encoded:
    """The same as tensor operations, for devices the compiled loop does not run on."""
    n, d = rows.shape
    mixed = rows.new_zeros(n, width)
    mixed[:, :d] = rows * rows.new_tensor(signs)
    half = 1
    while half < MIX:
        pairs = mixed.view(n, MIX // (2 * half), 2, half * (width // MIX))
        first, second = pairs[:, :, 0].clone(), pairs[:, :, 1]
        pairs[:, :, 0] += second
        pairs[:, :, 1] = first - second
        half *= 2
    mixed /= math.sqrt(MIX)
    largest = mixed.abs().amax(1)
    step = (
        (largest / LARGEST).clamp_min_(1e-30)
        if scale is None
        else largest.new_full(largest.shape, scale)
    )
    numbers = (mixed / step[:, None]).round_().clamp_(-LARGEST, LARGEST)
    missed = mixed.addcmul_(numbers, step[:, None].expand_as(numbers), value=-1).norm(dim=1)
    return Encoded(numbers.char(), step.double(), largest.double(), missed.double())
