"""The Jacobian lens: the mean linear map from a layer's residual stream to the last one.

    lens(h) = unembed(final_norm(J h)),   J = E[∂h_final / ∂h]

h is the raw residual stream after a block, its centre included; h_final is that after the last
block, before the final norm. J sums over the later positions that h acts on, and is the mean over
the positions of h and over prompts of ordinary text. `jacobian_fit` measures it, `jacobian_store`
keeps it. The method is Gurnee et al., "Verbalizable Representations Form a Global Workspace in
Language Models", Transformer Circuits Thread (2026).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ep.errors import ModelError
from ep.shapes import Float32


@dataclass(frozen=True, eq=False)
class JacobianLens:
    """The matrices J of one model, by layer.

    Raises ModelError where there are none, or they are not square, of one width and finite.
    """

    matrices: Mapping[int, Float32[np.ndarray, "d d"]]
    """J of each layer, (d, d); row i holds the derivatives of dimension i of h_final."""
    fingerprint: str
    """Of the weights they were measured on, see `ep.models.fingerprint`; "" where unknown."""
    n_prompts: int
    """Number of prompts over which they are the mean; 0 where unknown."""
    origin: Mapping[str, Any] = field(default_factory=dict)
    """Where they come from, as JSON values: the model's name, the text and its digest, the seed,
    the tokens of a prompt; of an imported lens, its file.
    """

    def __post_init__(self) -> None:
        if not self.matrices:
            raise ModelError("a Jacobian lens needs the matrix of at least one layer")
        for layer, matrix in self.matrices.items():
            if matrix.shape != (self.width, self.width):
                raise ModelError(
                    f"the Jacobian lens has a matrix of shape {matrix.shape} for layer {layer}: "
                    f"expected ({self.width}, {self.width})"
                )
            if not np.isfinite(matrix).all():
                raise ModelError(
                    f"the Jacobian lens has numbers for layer {layer} that are not finite: fit it "
                    "again, with a model in float32"
                )

    @property
    def width(self) -> int:
        """d, the width of the residual stream."""
        return int(next(iter(self.matrices.values())).shape[0])

    @property
    def layers(self) -> tuple[int, ...]:
        """The layers, ascending."""
        return tuple(sorted(self.matrices))

    def transport(self, layer: int, x: Float32[np.ndarray, "m d"]) -> Float32[np.ndarray, "m d"]:
        """Return J x of each row: what it adds, on average, to the last residual stream.

        Raises ModelError for a layer without a matrix, and for rows of another width.
        """
        if layer not in self.matrices:
            raise ModelError(
                f"the Jacobian lens has no layer {layer}: it was fitted for "
                f"{', '.join(map(str, self.layers))}; fit it with `ep lens fit --layer {layer}`"
            )
        if x.shape[1] != self.width:
            raise ModelError(
                f"rows of width {x.shape[1]} do not fit the Jacobian lens, whose width is "
                f"{self.width}"
            )
        return np.asarray(x, np.float32) @ self.matrices[layer].T
