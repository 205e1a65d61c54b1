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
    """Unit rows (n, d); a part of them is rows, too.

    array: (n, d) float32, as `checked_rows` gives them.
    device: "cpu" or "cuda".
    is_shared: whether the parts take their codes from the whole, so that whoever is first makes
        them for all; otherwise each part makes its own.
    """

    def __init__(
        self,
        array: Float32[np.ndarray, "n d"],
        device: str | torch.device = "cpu",
        is_shared: bool = False,
    ) -> None:
        import torch

        self.array = np.require(array, np.float32, ["C", "W"])
        self.x = torch.from_numpy(self.array).to(torch.device(device))
        """The rows on the device; nothing is copied where that is possible."""
        self.is_shared = is_shared
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
        chosen.is_shared, chosen._lock = self.is_shared, self._lock
        chosen._codes, chosen._whole = None, (self, part)
        return chosen

    def codes(self, coder: Coder) -> Codes:
        """Return the codes of the rows.

        coder: of their width; all coders of one width give the same codes.
        """
        with self._lock:
            if self._codes is None:
                if self._whole is not None and (self.is_shared or self._whole[0].has_codes):
                    whole, part = self._whole
                    of_whole, part = whole.codes(coder), _on(self.x, part)
                    self._codes = of_whole.part(part)
                else:
                    self._codes = _encoded(self.x, coder)
            return self._codes

    @property
    def has_codes(self) -> bool:
        """Whether the codes are made."""
        return self._codes is not None

    def to_fill(self, coder: Coder) -> Codes | None:
        """Return memory for the codes, which the caller makes part by part with `fill`.

        None where they are made, or shared, or not on the CPU: then `codes` has them.
        """
        if self.has_codes or self.is_shared or self.x.device.type != "cpu":
            return None
        if self._whole is not None and self._whole[0].has_codes:
            return None
        self._codes = coder.empty(self.x)
        return self._codes

    def fill(self, codes: Codes, part: slice, coder: Coder) -> None:
        """Make the codes of a part."""
        coder(self.x[part], out=codes.part(part))


def _on(x: torch.Tensor, part: Part) -> slice | torch.Tensor:
    """Return a choice of rows as an index of tensors on the device of x."""
    import torch

    return part if isinstance(part, slice) else torch.from_numpy(part).to(x.device)


def _encoded(x: torch.Tensor, coder: Coder) -> Codes:
    """Return the codes of rows, computed in shares on the CPU."""
    import torch

    if x.device.type != "cpu":
        return coder(x)
    codes = coder.empty(x)
    threads = torch.get_num_threads()
    over_rows(lambda part: coder(x[part], out=codes.part(part)), len(x), threads)
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
