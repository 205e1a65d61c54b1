"""Residual-stream activations of token batches, from one forward pass for all requested layers.

The values are the residual stream after block L (`blocks.L.hook_resid_post`, counted from 0;
protocol 1.6). They equal hidden_states[L + 1] of plain transformers, except that transformers
applies the final norm to its last hidden state. They are equal bit for bit, or to the last bit
where TransformerLens splits a joint projection, as for GPT-2.

A forward pass stops after the deepest requested layer: later blocks and the unembedding do not run
(W32). This module adds its own hooks and always removes them. Hooks registered by a caller stay and
fire; if they change the residual stream, the changed stream is harvested.

Token batches come from `tokens.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ep.config import TokenPositions
from ep.errors import ActivationError, ModelError
from ep.method.members import Events
from ep.method.priority import GOLDEN, mix
from ep.models.loading import LanguageModel
from ep.models.tokens import TokenBatch
from ep.shapes import Bool, Float32, Int32, Int64, UInt64

FOLD_TOKENS = 12
"""Activations whose last 12 tokens agree count as duplicates when excerpts are chosen."""

# The paper's batch: 128 passages of BOS and 128 tokens.
_TOKENS_PER_FORWARD = 16_512
# Eight such passages: measurements show that intermediate values then fit the processor's cache.
_TOKENS_PER_FORWARD_CPU = 1_032
# The length above which attention, whose cost grows with its square, outweighs the other layers.
_LONG = 1_024


@dataclass(frozen=True)
class Harvest:
    """n activations in stream order (by passage, then by position) and their origins."""

    x: dict[int, Float32[np.ndarray, "n d"]]
    """Raw activations (n, d) of each layer."""
    events: Events
    """Origin of each activation.

    `index` counts from 0 within this harvest. `fold` is the hash of the last 12 token ids, see
    `fold`.
    """

    def __len__(self) -> int:
        return len(self.events)


def harvest(
    model: LanguageModel,
    batch: TokenBatch,
    layers: Sequence[int],
    positions: TokenPositions = "all",
    check: bool = True,
) -> Harvest:
    """Return the activations of a batch at every requested layer.

    positions: "all" selects every position that the batch keeps (no BOS, no template tokens).
        "final" selects the last real token of each passage with any content; for a chat, it is the
        last token of the template.

    check: whether values that are not finite are refused; without, the caller leaves them out.

    Memory is bounded for every batch: passages of similar length go through the model together, at
    most 16,512 tokens at a time (1,032 on a CPU). Raises ModelError for a layer that the model
    lacks or for passages longer than its context, and ActivationError for values that are not
    finite.
    """
    model.check_layers(layers)
    _check_context(model, batch.ids.shape[1])
    model.check_ids(batch.ids)
    selected = _selected(batch, positions)
    row, position = np.nonzero(selected)
    x = {layer: np.empty((len(row), model.width), dtype=np.float32) for layer in layers}
    budget = _TOKENS_PER_FORWARD_CPU if model.device == "cpu" else _TOKENS_PER_FORWARD
    for rows in _parts(batch.mask.sum(axis=1), budget):
        width = int(batch.mask[rows].sum(axis=1).max())
        ids, mask, keep = batch.ids[rows, :width], batch.mask[rows, :width], selected[rows, :width]
        # np.nonzero goes row by row, here as in _residuals, so the values arrive in this order
        target = np.flatnonzero(np.isin(row, rows))
        for layer, values in _residuals(model, ids, mask, layers, keep).items():
            x[layer][target] = values
    for layer, values in x.items() if check else ():
        _check_finite(model, layer, values, batch.passage[row], position)
    events = Events(
        passage=batch.passage[row],
        position=position.astype(np.int32),
        token=batch.ids[row, position].astype(np.int32),
        next_token=_next_tokens(batch)[row, position],
        fold=fold(batch.ids)[row, position],
        index=np.arange(len(row)),
    )
    return Harvest(x, events)


def read(
    model: LanguageModel, ids: Sequence[int], layers: Sequence[int]
) -> dict[int, Float32[np.ndarray, "t d"]]:
    """Return the activations (t, d) of one tokenised prompt at every position, by layer.

    BOS and template tokens are included. Raises the errors of `harvest`, and ModelError for a
    prompt without tokens.
    """
    model.check_layers(layers)
    _check_context(model, len(ids))
    if not len(ids):
        raise ModelError("the prompt has no tokens; give at least one character of text")
    model.check_ids(ids)
    row = np.asarray(ids, dtype=np.int64)[None]
    everywhere = np.ones(row.shape, dtype=bool)
    x = _residuals(model, row, everywhere, layers, everywhere)
    for layer, values in x.items():
        _check_finite(model, layer, values, np.zeros(len(ids), dtype=np.int64), np.arange(len(ids)))
    return x


def fold(ids: Int64[np.ndarray, "b t"]) -> UInt64[np.ndarray, "b t"]:
    """Return a hash of the last 12 ids up to each position, from chained splitmix64 steps.

    The hash never reaches across the start of a row.
    """
    hashed = np.zeros(ids.shape, dtype=np.uint64)
    for back in reversed(range(FOLD_TOKENS)):
        earlier = np.zeros(ids.shape, dtype=np.uint64)  # 0 means "before the passage"
        width = max(ids.shape[1] - back, 0)
        earlier[:, ids.shape[1] - width :] = ids[:, :width].astype(np.uint64) + np.uint64(1)
        hashed = mix((hashed ^ earlier) + np.uint64(GOLDEN))
    return hashed


def _selected(batch: TokenBatch, positions: TokenPositions) -> Bool[np.ndarray, "b t"]:
    """Return which positions are harvested, see `harvest`."""
    if positions == "all":
        return batch.keep
    is_last = np.arange(batch.ids.shape[1]) == batch.mask.sum(axis=1, keepdims=True) - 1
    return is_last & batch.keep.any(axis=1, keepdims=True)


def _next_tokens(batch: TokenBatch) -> Int32[np.ndarray, "b t"]:
    """Return the id of the token after each position, −1 at the end of a passage."""
    following = np.full(batch.ids.shape, -1, dtype=np.int32)
    following[:, :-1] = np.where(batch.mask[:, 1:], batch.ids[:, 1:], -1)
    return following


def _parts(lengths: Int64[np.ndarray, " b"], budget: int) -> Iterator[Int64[np.ndarray, " m"]]:
    """Split rows into forward passes of bounded cost, with little padding."""
    rest = np.argsort(lengths, kind="stable")
    while len(rest):
        # cost[i] is that of a pass over the first i + 1 rows. Rows are sorted by length, so each is
        # padded to the last. The cost of attention grows with the square of the length.
        cost = np.arange(1, len(rest) + 1) * lengths[rest] * np.maximum(lengths[rest], _LONG)
        count = max(1, int(np.searchsorted(cost, budget * _LONG, side="right")))
        yield np.sort(rest[:count])
        rest = rest[count:]


def _residuals(
    model: LanguageModel,
    ids: Int64[np.ndarray, "b t"],
    mask: Bool[np.ndarray, "b t"],
    layers: Sequence[int],
    keep: Bool[np.ndarray, "b t"],
) -> dict[int, Float32[np.ndarray, "n d"]]:
    """Return the residual stream (n, d) at the kept positions, row by row, for each layer.

    It takes one forward pass up to the deepest layer.
    """
    import torch

    tokens, attention, kept = (
        torch.from_numpy(array).to(model.device) for array in (ids, mask, keep)
    )
    captured: dict[int, Any] = {}
    handles = []
    with model.lock, torch.inference_mode():
        try:
            for layer in layers:
                hook = _hook(captured, layer, kept, is_deepest=layer == max(layers))
                handles.append(model.hook_point(layer).register_forward_hook(hook))
            model.bridge(
                tokens, return_type=None, attention_mask=attention.long(), **model.forward_options
            )
        finally:
            for handle in handles:
                handle.remove()
        return {layer: captured[layer].float().cpu().numpy() for layer in layers}


def _hook(
    captured: dict[int, Any], layer: int, kept: Any, is_deepest: bool
) -> Callable[[Any, Any, Any], None]:
    """Return a forward hook that stores the kept positions of one layer in `captured`."""
    from transformer_lens.model_bridge.exceptions import StopAtLayerException

    def capture(_module: Any, _inputs: Any, residual: Any) -> None:
        captured[layer] = residual[kept]
        if is_deepest:
            # the bridge catches this, so the rest of the model does not run
            raise StopAtLayerException(residual)

    return capture


def _check_context(model: LanguageModel, length: int) -> None:
    if length > model.context:
        raise ModelError(
            f"passages of {length} tokens (BOS included) do not fit {model.name}, whose context is "
            f"{model.context}; choose a shorter context"
        )


def _check_finite(
    model: LanguageModel,
    layer: int,
    x: Float32[np.ndarray, "n d"],
    passage: np.ndarray,
    position: np.ndarray,
) -> None:
    finite = np.isfinite(x).all(axis=1)
    if not finite.all():
        first = int(np.argmin(finite))
        raise ActivationError(
            f"layer {layer} of {model.name}, passage {passage[first]}, position {position[first]}: "
            f"the activation is not finite (computed in {model.dtype}); load the model with dtype "
            "float32 or leave the passage out"
        )
