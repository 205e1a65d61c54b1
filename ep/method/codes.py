"""Unit rows in 8 bits, with a bound on the loss, as multiplied by the int8 screen of the search.

A row is mixed, so that a few large dimensions do not cost all others their precision, and then
rounded to scale · numbers. Mixing flips fixed random signs and applies a Hadamard transform across
MIX equal parts of the row, of which the last is padded with zeros. Its entries are ±1/8, so the
exact map preserves every dot product; it uses additions only, so its float32 rounding is small.

Every bound follows from measured lengths and standard rounding analysis; none is a chosen constant.
The functions work on the torch tensors they are given, without importing torch; on the CPU,
ep.method.compiled does the work. The search itself is in ep.method.search.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ep.method.nearest import NORM_TOLERANCE, UNIT_ROUNDOFF

if TYPE_CHECKING:
    import torch  # noqa: TID251 - the name of a type, never loaded from here

MIX = 64  # parts mixed together: an outlier spreads over so many dimensions; must be a power of 4
LONGEST = 1 + NORM_TOLERANCE
"""The largest length of a unit row; see `NORM_TOLERANCE`."""
LARGEST = 127
"""The largest code: −127 to 127 is symmetric, unlike the full range of int8."""


class Codes(NamedTuple):
    """n mixed rows in 8 bits, which stand for scale · numbers.

    numbers: (n, width) int8.
    scale: (n,) float64.
    residual: (n,) float64, an upper bound of | mixed row − scale · numbers |, where the mixed row
        is the exact one.
    """

    numbers: torch.Tensor
    scale: torch.Tensor
    residual: torch.Tensor


class Coder:
    """Converts unit rows (n, d) into codes of a fixed width.

    The width is the smallest multiple of MIX that is at least d.

    d: number of dimensions of the rows.
    """

    def __init__(self, d: int) -> None:
        self.width = -(-d // MIX) * MIX
        self.signs = np.random.default_rng(0).choice(np.array([-1.0, 1.0], np.float32), d)
        levels, u = int(math.log2(MIX)), UNIT_ROUNDOFF[np.dtype(np.float32)]
        # Every level of the transform rounds each sum once, by at most u relative to the whole row.
        mixing_error = (1 + u) ** levels - 1
        # Measuring the loss has errors of its own: each difference errs by at most 2^-23 of the
        # row's largest entry, the norm of the differences by gamma.
        steps = (self.width + 4) * u
        self._grow, self._lost = 1 / (1 - steps), 2.0**-23 * math.sqrt(self.width)
        self._mixing = mixing_error * LONGEST

    def __call__(self, rows: torch.Tensor, scale: float | None = None) -> Codes:
        """Return the codes of the rows.

        rows: (n, d) unit rows.
        scale: a common scale, under which numbers are cut off at ±127 (the residual includes the
            loss); None for a separate scale for each row.
        """
        numbers, step, largest, missed = self._encode(rows, scale)
        residual = missed * self._grow + largest * self._lost + self._mixing
        return Codes(numbers, step, residual)

    def widest(self, rows: torch.Tensor) -> float:
        """Return the largest entry of any mixed row, which a common scale must cover."""
        return float(self._encode(rows, None)[2].max())

    def _encode(self, rows: torch.Tensor, scale: float | None) -> Encoded:
        """Return the codes of the rows with the measured quantities, before any bound is added."""
        if rows.device.type == "cpu":
            return _encode(rows, self.signs, self.width, scale)
        return _encode_on_device(rows, self.signs, self.width, scale)


class Encoded(NamedTuple):
    """Codes with the quantities from which the residual is computed.

    numbers, scale: as in `Codes`.
    largest: (n,) float64, the largest absolute entry of each mixed row.
    missed: (n,) float64, the measured length of mixed row − scale · numbers.
    """

    numbers: torch.Tensor
    scale: torch.Tensor
    largest: torch.Tensor
    missed: torch.Tensor


def _encode(rows: torch.Tensor, signs: np.ndarray, width: int, scale: float | None) -> Encoded:
    """Encode rows on the CPU with the compiled loop."""
    from ep.method import compiled

    numbers = rows.new_empty(len(rows), width).char()
    step, largest, missed = (rows.new_empty(len(rows)).double() for _ in range(3))
    arrays = (t.numpy() for t in (numbers, step, largest, missed))
    compiled.encode(rows.numpy(), signs, MIX, scale or 0.0, *arrays)
    return Encoded(numbers, step, largest, missed)


def _encode_on_device(
    rows: torch.Tensor, signs: np.ndarray, width: int, scale: float | None
) -> Encoded:
    """Encode rows with tensor operations, for devices on which the compiled loop cannot run."""
    n, d = rows.shape
    mixed = rows.new_zeros(n, width)
    mixed[:, :d] = rows * rows.new_tensor(signs)
    # one level of the transform at a time: parts that lie `half` apart become sum and difference
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
