"""One text through models, position by position: what studies that compare two models read.

Knows tokens and activations and nothing of dictionaries; texts come in as token ids, or as text to
be cut anew.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int64

from ep.models.activations import harvest
from ep.models.answering import user_turn
from ep.models.loading import LanguageModel
from ep.models.tokens import TokenBatch

AT_ONCE = 128
Told = Callable[[float], None]


@dataclass(frozen=True, eq=False)
class Positions:
    """t positions of several texts: x raw activations, the text each belongs to, and tokens after
    it in that text.
    """

    x: Float32[np.ndarray, "t d"]
    text: Int64[np.ndarray, " t"]
    back: Int64[np.ndarray, " t"]

    @property
    def last(self) -> Float32[np.ndarray, "n d"]:
        """The activation at the last token of each text, in the order of the texts."""
        return self.x[self.back == 0]


def turns(
    model: LanguageModel, prompts: Sequence[str], layer: int, told: Told = lambda share: None
) -> Positions:
    """Every position (BOS left out) of prompts as user turns up to the reply's opening."""
    return positions(model, [user_turn(model, prompt) for prompt in prompts], layer, told)


def positions(
    model: LanguageModel,
    rows: Sequence[Sequence[int]],
    layer: int,
    told: Told = lambda share: None,
    only_last: bool = False,
) -> Positions:
    """Every position but BOS of texts given as token ids, cut to the model's context; or the last
    of each only.

    told(share) after each batch; what it raises ends the work. Errors as `harvest`.
    """
    parts, texts, backs = (
        [np.zeros((0, model.width), np.float32)],
        [np.zeros(0, np.int64)],
        [np.zeros(0, np.int64)],
    )
    for start in range(0, len(rows), AT_ONCE):
        batch, lengths = _batch(
            model, [tuple(row)[: model.context] for row in rows[start : start + AT_ONCE]]
        )
        found = harvest(model, batch, [layer], "final" if only_last else "all")
        parts.append(found.x[layer])
        texts.append(found.passage + start)
        backs.append(lengths[found.passage] - 1 - found.position)
        told(min(1.0, (start + AT_ONCE) / len(rows)))
    return Positions(np.concatenate(parts), np.concatenate(texts), np.concatenate(backs))


def _batch(model: LanguageModel, rows: Sequence[Sequence[int]]) -> tuple[TokenBatch, np.ndarray]:
    lengths = np.array([len(row) for row in rows], np.int64)
    ids = np.zeros((len(rows), int(lengths.max(initial=1))), np.int64)
    mask, keep = np.zeros(ids.shape, bool), np.zeros(ids.shape, bool)
    for number, row in enumerate(rows):
        ids[number, : len(row)], mask[number, : len(row)] = row, True
        keep[number, : len(row)] = ~np.array(model.tokens.bos_only(row), bool)
    return TokenBatch(ids, mask, keep, np.arange(len(rows)), np.zeros(len(rows), bool)), lengths


def pieces(model: LanguageModel, ids: Sequence[int]) -> list[bytes]:
    """The bytes of each token of a text but its BOS."""
    outside = model.tokens.bos_only(ids)
    return [model.tokens.piece(i) for i, out in zip(ids, outside, strict=True) if not out]


def recut(model: LanguageModel, other: LanguageModel, ids: Sequence[int]) -> list[int]:
    """Token ids of a text that `model` has cut, as `other` cuts it; the space some put before a
    text is left out.
    """
    text = b"".join(pieces(model, ids)).decode("utf-8", "replace")
    if b"".join(pieces(model, model.tokens.encode("a"))) == b" a":
        text = text.removeprefix(" ")
    return other.tokens.encode(text)
