"""Residual-stream activations of token batches: one forward pass for every layer asked for, stopped
after the deepest.

Knows hooks, masks and memory. Does not know where tokens come from (tokens.py) or what becomes of
activations. Values are the residual stream after block L (`blocks.L.hook_resid_post`, 0-based;
protocol 1.6), equal to plain transformers' hidden_states[L + 1] (bit for bit, or to the last bit
where TransformerLens splits a joint projection, as for GPT-2), except that transformers puts its
last hidden state through the final norm.

Only our own hooks are added, and always removed; a caller's hooks stay, fire, and if they change
the residual stream, that changed stream is what is harvested. Later blocks and the unembedding do
not run (W32).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float32, Int32, Int64, UInt64

from ep.errors import ActivationError, ModelError
from ep.method.priority import GOLDEN, mix
from ep.models.loading import LanguageModel
from ep.models.tokens import TokenBatch

FOLD_TOKENS = 12
"""Activations whose last this-many tokens agree count as duplicates when excerpts are chosen."""

_TOKENS_PER_FORWARD = 16_512  # the paper's batch: 128 passages of BOS + 128 tokens
# 8 such passages: intermediate values stay in the processor's cache (measured)
_TOKENS_PER_FORWARD_CPU = 1_032
# beyond this many tokens attention, which grows with the square, weighs more than the rest
_LONG = 1_024


@dataclass(frozen=True)
class Harvest:
    """n activations in stream order (by passage, then position), with where each one stands."""

    x: dict[int, Float32[np.ndarray, "n d"]]
    """Raw activations by layer."""
    passage: Int64[np.ndarray, " n"]
    position: Int32[np.ndarray, " n"]
    """Index in the passage's tokens; BOS, where there is one, is 0."""
    token: Int32[np.ndarray, " n"]
    next_token: Int32[np.ndarray, " n"]
    """The id that follows in the passage; -1 at its end."""
    fold: UInt64[np.ndarray, " n"]
    """Hash of the last 12 token ids up to this one: equal where the contexts are."""

    def __len__(self) -> int:
        return len(self.passage)


def harvest(
    model: LanguageModel, batch: TokenBatch, layers: Sequence[int], positions: str = "all"
) -> Harvest:
    """Activations of a batch at every layer asked for.

    positions  "all": every position the batch keeps (no BOS, no template tokens). "final": the last
               real token of each passage that has any content, which for a chat is the last token
               of its template.

    Memory is bounded whatever the batch: passages of similar length go through the model together,
    at most 16,512 tokens at a time (1,032 on a CPU). Raises ModelError for a layer the model lacks
    or passages beyond its context, ActivationError for values that are not finite.
    """
    model.check_layers(layers)
    _check_context(model, batch.ids.shape[1])
    chosen = _chosen(batch, positions)
    row, position = np.nonzero(chosen)
    x = {layer: np.empty((len(row), model.width), dtype=np.float32) for layer in layers}
    budget = _TOKENS_PER_FORWARD_CPU if model.device == "cpu" else _TOKENS_PER_FORWARD
    for rows in _parts(batch.mask.sum(axis=1), budget):
        width = int(batch.mask[rows].sum(axis=1).max())
        ids, mask, keep = batch.ids[rows, :width], batch.mask[rows, :width], chosen[rows, :width]
        target = np.flatnonzero(np.isin(row, rows))
        for layer, values in _residuals(model, ids, mask, layers, keep).items():
            x[layer][target] = values
    for layer, values in x.items():
        _check_finite(model, layer, values, batch.passage[row], position)
    return Harvest(
        x=x,
        passage=batch.passage[row],
        position=position.astype(np.int32),
        token=batch.ids[row, position].astype(np.int32),
        next_token=_next_tokens(batch)[row, position],
        fold=fold(batch.ids)[row, position],
    )


def read(
    model: LanguageModel, ids: Sequence[int], layers: Sequence[int]
) -> dict[int, Float32[np.ndarray, "t d"]]:
    """Activations of one tokenised prompt at every position, BOS and template included, by layer.

    Raises as `harvest` does, and ModelError for a prompt without tokens.
    """
    model.check_layers(layers)
    _check_context(model, len(ids))
    if not len(ids):
        raise ModelError("the prompt has no tokens; give at least one character of text")
    row = np.asarray(ids, dtype=np.int64)[None]
    every = np.ones(row.shape, dtype=bool)
    x = _residuals(model, row, every, layers, every)
    for layer, values in x.items():
        _check_finite(model, layer, values, np.zeros(len(ids), dtype=np.int64), np.arange(len(ids)))
    return x


def fold(ids: Int64[np.ndarray, "b t"]) -> UInt64[np.ndarray, "b t"]:
    """Hash of the last 12 ids up to each position, never reaching across the start of a row
    (splitmix64, chained).
    """
    hashed = np.zeros(ids.shape, dtype=np.uint64)
    for back in reversed(range(FOLD_TOKENS)):
        before = np.zeros(ids.shape, dtype=np.uint64)  # 0 stands for "before the passage"
        width = max(ids.shape[1] - back, 0)
        before[:, ids.shape[1] - width :] = ids[:, :width].astype(np.uint64) + np.uint64(1)
        hashed = mix((hashed ^ before) + np.uint64(GOLDEN))
    return hashed


def _chosen(batch: TokenBatch, positions: str) -> Bool[np.ndarray, "b t"]:
    if positions == "all":
        return batch.keep
    is_last = np.arange(batch.ids.shape[1]) == batch.mask.sum(axis=1, keepdims=True) - 1
    return is_last & batch.keep.any(axis=1, keepdims=True)


def _next_tokens(batch: TokenBatch) -> Int32[np.ndarray, "b t"]:
    following = np.full(batch.ids.shape, -1, dtype=np.int32)
    following[:, :-1] = np.where(batch.mask[:, 1:], batch.ids[:, 1:], -1)
    return following


def _parts(lengths: Int64[np.ndarray, " b"], budget: int) -> Iterator[Int64[np.ndarray, " m"]]:
    """Split rows into forward passes of bounded cost, similar lengths together so that little is
    padding.
    """
    rest = np.argsort(lengths, kind="stable")
    while len(rest):
        cost = np.arange(1, len(rest) + 1) * lengths[rest] * np.maximum(lengths[rest], _LONG)
        taken = max(1, int(np.searchsorted(cost, budget * _LONG, side="right")))
        yield np.sort(rest[:taken])
        rest = rest[taken:]


def _residuals(
    model: LanguageModel,
    ids: Int64[np.ndarray, "b t"],
    mask: Bool[np.ndarray, "b t"],
    layers: Sequence[int],
    keep: Bool[np.ndarray, "b t"],
) -> dict[int, Float32[np.ndarray, "n d"]]:
    """One forward pass up to the deepest layer; the residual stream at the kept positions, row by
    row.
    """
    import torch

    tokens, attended, wanted = (
        torch.from_numpy(array).to(model.device) for array in (ids, mask, keep)
    )
    taken: dict[int, Any] = {}
    handles = []
    with model.lock, torch.inference_mode():
        try:
            for layer in layers:
                hook = _hook(taken, layer, wanted, is_deepest=layer == max(layers))
                handles.append(model.hook_point(layer).register_forward_hook(hook))
            model.bridge(
                tokens, return_type=None, attention_mask=attended.long(), **model.forward_options
            )
        finally:
            for handle in handles:
                handle.remove()
        return {layer: taken[layer].float().cpu().numpy() for layer in layers}


def _hook(
    taken: dict[int, Any], layer: int, wanted: Any, is_deepest: bool
) -> Callable[[Any, Any, Any], None]:
    from transformer_lens.model_bridge.exceptions import StopAtLayerException

    def take(_module: Any, _inputs: Any, residual: Any) -> None:
        taken[layer] = residual[wanted]
        if is_deepest:
            # the bridge catches it: the rest of the model does not run
            raise StopAtLayerException(residual)

    return take


def _check_context(model: LanguageModel, length: int) -> None:
    if length > model.context:
        raise ModelError(
            f"passages of {length} tokens (BOS included) do not fit {model.name}, whose context is "
            f"{model.context}; "
            "choose a shorter context"
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
            "the activation is "
            f"not finite (computed in {model.dtype}); load the model with dtype float32 or leave "
            "the passage out"
        )
