"""Residual-stream activations of token batches, from one forward pass for all requested layers.

The values are the residual stream after block L (`blocks.L.hook_resid_post`, counted from 0;
protocol 1.6). They equal hidden_states[L + 1] of plain transformers, except that transformers
applies the final norm to its last hidden state. They are equal bit for bit, or to the last bit
where TransformerLens splits a joint projection, as for GPT-2.

A forward pass stops after the deepest requested layer: later blocks and the unembedding do not run
(W32). This module adds its own hooks and always removes them. Hooks registered by a caller stay and
fire; if they change the residual stream, the changed stream is harvested.

Token batches come from `tokens.py`, and are run in the parts of `extraction.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ep.config import TokenPositions
from ep.errors import ActivationError, ModelError
from ep.method.members import Events
from ep.method.priority import GOLDEN, mix
from ep.models.extraction import LocalExtractor, Part, Residuals, divided, residuals
from ep.models.loading import LanguageModel
from ep.models.tokens import TokenBatch
from ep.shapes import Bool, Float32, Int32, Int64, UInt64

FOLD_TOKENS = 12
"""Activations whose last 12 tokens agree count as duplicates when excerpts are chosen."""


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
    assembly = Assembly(model, batch, layers, positions, check)
    for part, values in LocalExtractor(model).extract(assembly.parts()):
        assembly.add(part, values)
    return assembly.harvest()


class Assembly:
    """The activations of one batch, put together from its parts.

    model, batch, layers, positions, check, errors: as for `harvest`.
    """

    def __init__(
        self,
        model: LanguageModel,
        batch: TokenBatch,
        layers: Sequence[int],
        positions: TokenPositions = "all",
        check: bool = True,
    ) -> None:
        model.check_layers(layers)
        _check_context(model, batch.ids.shape[1])
        model.check_ids(batch.ids)
        self.model, self.batch, self.layers = model, batch, tuple(layers)
        self._check = check
        self.selected = _selected(batch, positions)
        self._row, self._position = np.nonzero(self.selected)
        self._x: dict[int, np.ndarray] = {}
        self._rows_left = len(batch.ids)

    def parts(self) -> Iterator[Part]:
        """The parts of the batch, each with all layers; together they hold every passage once."""
        batch = self.batch
        return divided(batch.ids, batch.mask, self.selected, self.layers, self.model.device)

    def target(self, part: Part) -> Int64[np.ndarray, " n"]:
        """Return where the activations of a part stand among those of the batch."""
        # np.nonzero goes row by row, here as in a part, so its activations come in this order
        return np.flatnonzero(np.isin(self._row, part.rows))

    def add(self, part: Part, values: Residuals) -> None:
        """Put the residuals of a part in their places."""
        target = self.target(part)
        for layer, x in values.items():
            if self._check:
                passage = self.batch.passage[self._row[target]]
                _check_finite(self.model, layer, x, passage, self._position[target])
            if layer not in self._x:  # a batch that waits for its parts takes no memory
                shape = len(self._row), self.model.width
                self._x[layer] = np.empty(shape, dtype=np.float32)
            self._x[layer][target] = x
        self._rows_left -= len(part.rows)

    @property
    def is_whole(self) -> bool:
        """Whether all parts were added."""
        return self._rows_left == 0

    def harvest(self) -> Harvest:
        """Return the activations of the batch, once all parts were added."""
        batch, row, position = self.batch, self._row, self._position
        events = Events(
            passage=batch.passage[row],
            position=position.astype(np.int32),
            token=batch.ids[row, position].astype(np.int32),
            next_token=_next_tokens(batch)[row, position],
            fold=fold(batch.ids)[row, position],
            index=np.arange(len(row)),
        )
        return Harvest(self._x, events)


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
    x = residuals(model, Part(np.zeros(1, np.int64), row, everywhere, everywhere, tuple(layers)))
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
