"""Unit rows as several searches need them: checked, on their device, with codes made only once.

The dictionaries of one layer stream the same rows. What does not depend on exemplars is computed
here, for all of them together, when the first of them asks for it.
"""

from __future__ import annotations

from threading import RLock
from typing import TYPE_CHECKING

import numpy as np

from ep.errors import ActivationError
from ep.method.codes import Coder, Codes
from ep.method.nearest import NORM_TOLERANCE
from ep.method.threads import over_rows
from ep.shapes import Float32

if TYPE_CHECKING:
    import torch

Part = slice | np.ndarray
"""A choice of rows: a slice, a mask or indices."""


class Rows:
    """Unit rows (n, d); a part of them is rows, too, and shares their codes.

    array: (n, d) float32, as `checked_rows` gives them.
    device: "cpu" or "cuda".
    """

    def __init__(self, array: Float32[np.ndarray, "n d"], device: str | torch.device = "cpu"):
        import torch

        self.array = np.require(array, np.float32, ["C", "W"])
        self.x = torch.from_numpy(self.array).to(torch.device(device))
        """The rows on the device; nothing is copied where that is possible."""
        self._codes: Codes | None = None
        self._whole: tuple[Rows, Part] | None = None
        self._lock = RLock()

    def __len__(self) -> int:
        return len(self.array)

    @property
    def shape(self) -> tuple[int, ...]:
        """(n, d)."""
        return self.array.shape

    def __array__(self, dtype: np.dtype | None = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.array, dtype, copy=copy)

    def __getitem__(self, part: Part) -> Rows:
        chosen = Rows.__new__(Rows)
        chosen.array, chosen.x = self.array[part], self.x[_on(self.x, part)]
        chosen._codes, chosen._whole, chosen._lock = None, (self, part), self._lock
        return chosen

    def codes(self, coder: Coder) -> Codes:
        """Return the codes of the rows, made for all that these are a part of.

        coder: of their width; all coders of one width give the same codes.
        """
        with self._lock:
            if self._codes is None:
                if self._whole is None:
                    self._codes = _encoded(self.x, coder)
                else:
                    whole, part = self._whole
                    of_whole, part = whole.codes(coder), _on(self.x, part)
                    self._codes = Codes(*(column[part] for column in of_whole))
            return self._codes


def _on(x: torch.Tensor, part: Part) -> slice | torch.Tensor:
    """Return a choice of rows as an index of tensors on the device of x."""
    import torch

    return part if isinstance(part, slice) else torch.from_numpy(part).to(x.device)


def _encoded(x: torch.Tensor, coder: Coder) -> Codes:
    """Return the codes of rows, computed in shares on the CPU."""
    import torch

    if x.device.type != "cpu":
        return coder(x)
    codes = Codes(
        torch.empty(len(x), coder.width, dtype=torch.int8),
        torch.empty(len(x), dtype=torch.float64),
        torch.empty(len(x), dtype=torch.float64),
    )

    def encode(part: slice) -> None:
        for column, values in zip(codes, coder(x[part]), strict=True):
            column[part] = values

    over_rows(encode, len(x), torch.get_num_threads())
    return codes


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
