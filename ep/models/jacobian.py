"""The Jacobian lens: the mean linear map from a layer's residual stream to the last one.

    lens(h) = unembed(final_norm(J h)),   J = E[∂h_final / ∂h]

h is the raw residual stream after a block, its centre included; h_final is that after the last
block, before the final norm. J sums over the later positions that h acts on, and is the mean over
the positions of h and over prompts of ordinary text. `jacobian_fit` measures it, `jacobian_store`
keeps it. The method is Gurnee et al., "Verbalizable Representations Form a Global Workspace in
Language Models", Transformer Circuits Thread (2026).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from ep.errors import ModelError
from ep.shapes import Float32

if TYPE_CHECKING:
    from ep.models.loading import LanguageModel


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

    def of(self, model: LanguageModel) -> JacobianLens:
        """Return the lens as that of a model, for one that does not say whose it is.

        Raises ModelError where width or layers are not the model's.
        """
        if self.width != model.width:
            raise ModelError(
                f"the Jacobian lens is {self.width} wide and {model.name} {model.width}: it "
                "belongs to another model"
            )
        model.check_layers(self.layers)
        origin = {"model": model.title, **self.origin}
        return replace(self, fingerprint=model.fingerprint, origin=origin)


def merged(lenses: Sequence[JacobianLens]) -> JacobianLens:
    """Return the lens that one fit on the prompts of all would have given.

    Raises ModelError for lenses of other weights, layers or lengths of prompts, of an unknown
    number of prompts, and for lenses with prompts in common.
    """
    first = lenses[0]
    parts = [part for lens in lenses for part in _parts(lens)]
    for lens in lenses:
        _check_alike(first, lens)
    for a, b in combinations(parts, 2):
        _check_apart(a, b)
    total = sum(lens.n_prompts for lens in lenses)
    matrices = {
        layer: sum(
            lens.n_prompts / total * lens.matrices[layer].astype(np.float64) for lens in lenses
        )
        for layer in first.layers
    }
    origin = {k: v for k, v in parts[0].items() if all(part.get(k) == v for part in parts)}
    return JacobianLens(
        {layer: np.asarray(matrix, np.float32) for layer, matrix in matrices.items()},
        first.fingerprint,
        total,
        origin | {"parts": parts},
    )


def _parts(lens: JacobianLens) -> list[dict[str, Any]]:
    """Return the origin of each fit that is in a lens, with its number of prompts."""
    return list(lens.origin.get("parts") or [{**lens.origin, "n_prompts": lens.n_prompts}])


def _check_alike(a: JacobianLens, b: JacobianLens) -> None:
    facts = (
        ("weights", a.fingerprint, b.fingerprint),
        ("layers", a.layers, b.layers),
        ("tokens of a prompt", a.origin.get("tokens"), b.origin.get("tokens")),
    )
    for name, one, other in facts:
        if one != other:
            raise ModelError(f"the lenses cannot be merged: their {name} are not the same")
    if not (a.n_prompts and b.n_prompts):
        raise ModelError("the lenses cannot be merged: one does not say of how many prompts it is")


def _check_apart(a: Mapping[str, Any], b: Mapping[str, Any]) -> None:
    """Raise ModelError for two fits whose prompts are, or may be, partly the same."""
    if a.get("digest") is None or a.get("digest") != b.get("digest"):
        return
    if a["seed"] != b["seed"]:
        raise ModelError(
            "the lenses cannot be merged: the seeds of the same text are not the same, so prompts "
            "may be in both; fit with one seed and --skip"
        )
    first, second = sorted((a, b), key=lambda part: int(part["skip"]))
    if first["skip"] + first["n_prompts"] > second["skip"]:
        raise ModelError(
            f"the lenses cannot be merged: both have prompt {second['skip']} of the same text; fit "
            f"with --skip {first['skip'] + first['n_prompts']}"
        )
