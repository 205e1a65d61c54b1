"""Forward passes that do not fit the memory of a device: the passages go through it in halves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from ep.errors import ModelError

if TYPE_CHECKING:
    from ep.models.extraction import Part, Residuals

NOTE = (
    "the device had too little memory for as many passages at once as usual: they go through the "
    "model in smaller groups, which may round the last bits of activations otherwise"
)
_SIGNS = ("out of memory", "can't allocate memory", "not enough memory")


class Halving:
    """Runs parts, and those that do not fit in halves; a size that failed is not tried again.

    `notes` says in a sentence that this was needed.
    """

    def __init__(self) -> None:
        self.notes: tuple[str, ...] = ()
        self._too_large: int | None = None

    def run(self, part: Part, residuals: Callable[[Part], Residuals]) -> Residuals:
        """Return the residuals of a part, row by row in its order.

        residuals: runs a part. Raises ModelError where one passage alone does not fit, and the
        other errors of `residuals`.
        """
        size, is_single = part.ids.size, len(part.rows) == 1
        if is_single or self._too_large is None or size < self._too_large:
            try:
                return residuals(part)
            except RuntimeError as error:  # that of CUDA is one
                if not is_out_of_memory(error):
                    raise
                if is_single:
                    raise ModelError(
                        f"the memory of the device does not hold one passage of {size:,} tokens: "
                        "give a smaller --context, --dtype bfloat16, or another --device"
                    ) from error
            # Only here, without the error, are the tensors of the failed pass free.
            _release()
            self.notes, self._too_large = (NOTE,), size
        middle = len(part.rows) // 2
        first, second = (
            self.run(_rows(part, rows), residuals) for rows in (slice(middle), slice(middle, None))
        )
        return {layer: np.concatenate([first[layer], second[layer]]) for layer in part.layers}


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error of torch says that a device or the machine has no memory left."""
    return any(sign in str(error).lower() for sign in _SIGNS)


def _rows(part: Part, rows: slice) -> Part:
    """Return some rows of a part, padded as they were in it."""
    return replace(
        part,
        rows=part.rows[rows],
        ids=part.ids[rows],
        mask=part.mask[rows],
        keep=part.keep[rows],
    )


def _release() -> None:
    """Give back the memory that torch keeps for later."""
    import torch

    if torch.cuda.is_available():
        torch.cuda.empty_cache()
