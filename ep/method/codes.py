"""Unit rows in 8 bits, with a bound on the loss, as multiplied by the int8 screen of the search.

A row is mixed, so that a few large dimensions do not cost all others their precision, and then
rounded to scale · numbers. Mixing flips fixed random signs and applies a Hadamard transform across
MIX equal parts of the row, of which the last is padded with zeros. Its entries are ±1/8, so the
exact map preserves every dot product; it uses additions only, so its float32 rounding is small.

Every bound follows from measured lengths and standard rounding analysis; none is a chosen constant.
On the CPU, ep.method.compiled does the work. The search itself is in ep.method.search.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ep.method.nearest import NORM_TOLERANCE, UNIT_ROUNDOFF

if TYPE_CHECKING:
    import torch

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

    def part(self, rows: slice | torch.Tensor) -> Codes:
        """Return the codes of some of the rows."""
        return Codes(*(column[rows] for column in self))


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

    def __call__(
        self, rows: torch.Tensor, scale: float | None = None, out: Codes | None = None
    ) -> Codes:
        """Return the codes of the rows.

        rows: (n, d) unit rows.
        scale: a common scale, under which numbers are cut off at ±127 (the residual includes the
            loss); None for a separate scale for each row.
        out: codes of n rows, which are overwritten; new ones if None.
        """
        out = self.empty(rows) if out is None else out
        largest, missed = self._encode(rows, scale, out)
        out.residual[:] = missed * self._grow + largest * self._lost + self._mixing
        return out

    def empty(self, rows: torch.Tensor) -> Codes:
        """Return memory for the codes of rows (n, d), on their device."""
        import torch

        numbers = torch.empty(len(rows), self.width, dtype=torch.int8, device=rows.device)
        return Codes(numbers, *(_column(rows) for _ in range(2)))

    def widest(self, rows: torch.Tensor) -> float:
        """Return the largest entry of any mixed row, which a common scale must cover."""
        return float(self._encode(rows, None, self.empty(rows))[0].max())

    def _encode(
        self, rows: torch.Tensor, scale: float | None, out: Codes
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Write numbers and scale of `out`; return what the residual is computed from.

        That is the largest absolute entry of each mixed row, (n,) float64, and the measured length
        of mixed row − scale · numbers, (n,) float64.
        """
        encode = _encode if rows.device.type == "cpu" else _encode_on_device
        return encode(rows, self.signs, scale, out)


def _column(rows: torch.Tensor) -> torch.Tensor:
    """Return memory for one float64 number for each row, on their device."""
    import torch

    return torch.empty(len(rows), dtype=torch.float64, device=rows.device)


def _encode(
    rows: torch.Tensor, signs: np.ndarray, scale: float | None, out: Codes
) -> tuple[torch.Tensor, torch.Tensor]:
    """Encode rows on the CPU with the compiled loop; see `Coder._encode`."""
    from ep.method import compiled

    largest, missed = _column(rows), _column(rows)
    arrays = (t.numpy() for t in (out.numbers, out.scale, largest, missed))
    compiled.encode(rows.numpy(), signs, MIX, scale or 0.0, *arrays)
    return largest, missed


def _encode_on_device(
    rows: torch.Tensor, signs: np.ndarray, scale: float | None, out: Codes
) -> tuple[torch.Tensor, torch.Tensor]:
    """Encode rows with tensor operations, for devices on which the compiled loop cannot run."""
    (n, d), width = rows.shape, out.numbers.shape[1]
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
    out.numbers[:], out.scale[:] = numbers.char(), step.double()
    return largest.double(), missed.double()
