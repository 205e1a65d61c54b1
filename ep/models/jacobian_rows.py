"""The Jacobian of one prompt: how the last residual stream follows that of earlier layers.

For each dimension i of h_final the derivative of Σ_t h_final[t, i] over all valid positions t is
taken back to every source layer, and its mean over the valid positions there is row i of J. What a
position passes on to later ones is therefore part of J. The first `SKIP` positions are not valid,
as attention gathers there whatever is said, and neither is the last (Gurnee et al. 2026).

Only activations need derivatives: the graph begins at the lowest source layer, and one backward
pass serves all of them. The derivatives of several dimensions are taken at once, on the graph of
one copy of the prompt: measurements show that this takes less time and memory than as many copies.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from ep.errors import ActivationError, ConfigError, ModelError
from ep.models.loading import LanguageModel
from ep.shapes import Float32, Int64

SKIP = 16
"""Positions at the start of a prompt, BOS included, that are neither source nor target."""
SHORTEST = SKIP + 2
"""Tokens of a prompt that has one valid position."""

# Measured on both a model of width 128 and one of 576: more at a time is slower on a CPU.
_AT_ONCE_CPU = 8
_AT_ONCE_GPU = 64


def prompt_jacobian(
    model: LanguageModel,
    ids: Int64[np.ndarray, " t"],
    layers: Sequence[int],
    at_once: int | None = None,
) -> dict[int, Float32[np.ndarray, "d d"]]:
    """Return J (d, d) of one prompt for each source layer; errors as `jacobian_rows`."""
    whole = {layer: np.empty((model.width, model.width), np.float32) for layer in layers}
    for first, rows in jacobian_rows(model, ids, layers, at_once):
        for layer, values in rows.items():
            whole[layer][first : first + len(values)] = values
    return whole


def jacobian_rows(
    model: LanguageModel,
    ids: Int64[np.ndarray, " t"],
    layers: Sequence[int],
    at_once: int | None = None,
) -> Iterator[tuple[int, dict[int, Float32[np.ndarray, "n d"]]]]:
    """Yield some rows of a prompt's J for each source layer, and the number of the first of them.

    ids: the tokens of the prompt, BOS included.
    at_once: rows at a time; it bounds the memory and changes no number but by rounding.

    The model is locked only while the graph is built. Raises ConfigError for a prompt without a
    valid position, ModelError for unknown layers or a prompt beyond the context, and
    ActivationError for values that are not finite.
    """
    import torch

    _check(model, ids, layers)
    at_once = at_once or (_AT_ONCE_CPU if model.device == "cpu" else _AT_ONCE_GPU)
    sources, target = _graph(model, ids, layers)
    for first in range(0, model.width, at_once):
        dimensions = torch.arange(first, min(first + at_once, model.width), device=target.device)
        cotangents = target.new_zeros((len(dimensions), *target.shape))
        cotangents[torch.arange(len(dimensions)), 0, SKIP:, dimensions] = 1
        gradients = torch.autograd.grad(
            target,
            [sources[layer] for layer in layers],
            cotangents,
            retain_graph=True,
            is_grads_batched=True,
        )
        rows = {
            layer: gradient[:, 0, SKIP:].float().mean(dim=1).cpu().numpy()
            for layer, gradient in zip(layers, gradients, strict=True)
        }
        _check_finite(model, rows)
        yield first, rows


def _check(model: LanguageModel, ids: Int64[np.ndarray, " t"], layers: Sequence[int]) -> None:
    model.check_layers(layers)
    if len(ids) < SHORTEST:
        raise ConfigError(
            f"a prompt of {len(ids)} tokens was given: expected at least {SHORTEST}, since the "
            f"first {SKIP} and the last are left out"
        )
    if len(ids) > model.context:
        raise ModelError(
            f"prompts of {len(ids)} tokens do not fit {model.name}, whose context is "
            f"{model.context}: choose fewer tokens"
        )
    model.check_ids(ids)


def _graph(
    model: LanguageModel, ids: Int64[np.ndarray, " t"], layers: Sequence[int]
) -> tuple[dict[int, Any], Any]:
    """Run the prompt and return the residual streams (1, t − 1, d) of the layers, and the last.

    The last token is left out: no other position sees it, and its own is not valid.
    """
    import torch

    last = model.n_layers - 1
    tokens = torch.from_numpy(np.asarray(ids[None, :-1], dtype=np.int64)).to(model.device)
    captured: dict[int, Any] = {}
    handles = []
    with model.lock, torch.inference_mode(False), torch.enable_grad(), _frozen(model):
        try:
            for layer in sorted({*layers, last}):
                hook = _hook(captured, layer, is_lowest=layer == min(layers), is_last=layer == last)
                handles.append(model.hook_point(layer).register_forward_hook(hook))
            model.bridge(
                tokens,
                return_type=None,
                attention_mask=torch.ones_like(tokens),
                **model.forward_options,
            )
        finally:
            for handle in handles:
                handle.remove()
    return {layer: captured[layer] for layer in layers}, captured[last]


def _hook(
    captured: dict[int, Any], layer: int, is_lowest: bool, is_last: bool
) -> Callable[[Any, Any, Any], Any]:
    """Return a forward hook that keeps a layer's stream; the graph begins at the lowest."""
    from transformer_lens.model_bridge.exceptions import StopAtLayerException

    def capture(_module: Any, _inputs: Any, residual: Any) -> Any:
        if is_lowest:
            residual = residual.detach().requires_grad_(True)
        captured[layer] = residual
        if is_last:
            # the bridge catches this, so final norm and unembedding do not run
            raise StopAtLayerException(residual)
        return residual

    return capture


@contextmanager
def _frozen(model: LanguageModel) -> Iterator[None]:
    """Let no parameter need a derivative, and afterwards those that did before."""
    trained = [p for p in model.bridge.original_model.parameters() if p.requires_grad]
    for parameter in trained:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in trained:
            parameter.requires_grad_(True)


def _check_finite(model: LanguageModel, rows: dict[int, np.ndarray]) -> None:
    for layer, values in rows.items():
        if not np.isfinite(values).all():
            raise ActivationError(
                f"layer {layer} of {model.name}: the Jacobian is not finite (computed in "
                f"{model.dtype}); load the model with dtype float32"
            )
