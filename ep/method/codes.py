"""Unit rows in 8 bits, with a bound on all that is lost: what the int8 screen of ep.method.search multiplies.

A row x is rotated, then rounded to `scale · numbers`. Every bound here is derived from measured lengths and from the
standard rounding analysis; none is chosen. Works on torch tensors handed to it, on any device, without importing torch.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ep.method.nearest import NORM_TOLERANCE, UNIT_ROUNDOFF

if TYPE_CHECKING:
    import torch  # noqa: TID251 - the name of a type, never loaded from here

LONGEST = 1 + NORM_TOLERANCE


class Codes(NamedTuple):
    """n rows in 8 bits, standing for scale · numbers. numbers (n, width) int8; scale, residual (n,) float64."""

    numbers: torch.Tensor
    scale: torch.Tensor
    residual: torch.Tensor


class Rotation:
    """A fixed orthogonal map that spreads outlier dimensions evenly, so that 8 bits describe every row well.

    A row, padded with zeros and laid out as a matrix (a, b), becomes A · row · B with A and B orthogonal: 2d(a + b)
    operations instead of 2d². Calling it turns (n, d) float32 into (n, width) float32, width = a·b >= d.

    distortion: bound on | x·e - Qx·Qe | for unit rows, Q the exact map of the stored A and B; from |AᵀA - I| and
      |BᵀB - I|, measured in float64. stretch: bound on |Qx| for a row of length 1.
    error: bound on the length of (computed Qx) - Qx for a unit row. A float32 product of inner length n, in any order,
      errs elementwise by at most gamma_n |row||M|, whose length is at most gamma_n |M|_F |row|.
    """

    def __init__(self, width: int, like: torch.Tensor, exactly: bool = False) -> None:
        """like: a tensor on the device to work on. exactly: multiply in float64."""
        self._a, self._b = _rectangle(width)
        self.width = self._a * self._b
        rng = np.random.default_rng(0)
        left, right = (
            np.linalg.qr(rng.standard_normal((n, n)))[0].astype(np.float32).astype(np.float64)
            for n in (self._a, self._b)
        )
        self.distortion = (1 + _off_orthogonal(left)) * (1 + _off_orthogonal(right)) - 1
        self.stretch = math.sqrt(1 + self.distortion)
        err_left, err_right = (_gamma(len(m)) * float(np.linalg.norm(m)) for m in (left, right))
        self.error = LONGEST * self.stretch * (err_right + err_left * (1 + err_right))
        dtype = like.double().dtype if exactly else like.float().dtype
        self._left, self._right = (like.new_tensor(m, dtype=dtype) for m in (left, right))

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        if self.width != x.shape[1]:
            padded = x.new_zeros(len(x), self.width)
            padded[:, : x.shape[1]] = x
            x = padded
        half = x.to(self._right.dtype).reshape(-1, self._b) @ self._right
        return (self._left @ half.reshape(-1, self._a, self._b)).reshape(len(x), self.width).float()


def codes_of(rotated: torch.Tensor, rotation: Rotation, scale: float | None = None) -> Codes:
    """The codes of rotated rows, each under its own scale unless one is given.

    residual bounds | Qx - scale · numbers |: the measured length, raised by what float32 may have lost in measuring it
    (each difference errs by at most 2^-23 of the row's largest entry, the norm by gamma), plus the rotation's error.
    Numbers cut off at ±127 need no care: what they miss is in the residual.
    """
    largest = rotated.abs().amax(1, keepdim=True)
    step = (largest / 127).clamp_min_(1e-30) if scale is None else largest.new_full(largest.shape, scale)
    numbers = (rotated / step).round_().clamp_(-127, 127)
    missed = rotated.addcmul(numbers, step, value=-1).norm(dim=1).double()
    lost = largest[:, 0].double() * (math.sqrt(rotation.width) * 2.0**-23)
    residual = missed * (1 + _gamma(rotation.width + 4)) + lost + rotation.error
    return Codes(numbers.char(), step[:, 0].double(), residual)


def _rectangle(width: int) -> tuple[int, int]:
    """Sides (a, b), multiples of 4 near the square root, with the smallest a·b >= width (so primes cost little)."""
    root = math.isqrt(width - 1) + 1
    sides = range(max(4, root // 8 * 4), root + 4, 4)
    return min(((a, -(-width // (4 * a)) * 4) for a in sides), key=lambda ab: (ab[0] * ab[1], sum(ab)))


def _off_orthogonal(m: np.ndarray) -> float:
    """|MᵀM - I|, at most; the last term is the float64 rounding of measuring it."""
    return float(np.linalg.norm(m.T @ m - np.eye(len(m)))) + 1e-12


def _gamma(n: int) -> float:
    steps = n * UNIT_ROUNDOFF[np.dtype(np.float32)]
    return steps / (1 - steps)
