"""The same texts through several models, position by position, for studies that compare models.

Texts are given as token ids, or as text that another tokenizer cuts again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ep.models.activations import harvest
from ep.models.answering import user_turn
from ep.models.loading import LanguageModel
from ep.models.tokens import TokenBatch
from ep.shapes import Float32, Int64

AT_ONCE = 128
"""Texts of one batch."""
ShareReport = Callable[[float], None]
"""Called with the share of the work done in [0, 1]; an exception it raises ends the work."""


@dataclass(frozen=True, eq=False)
class Positions:
    """Activations at t positions of several texts.

    x: (t, d) raw activations.
    text: (t,) index of the text that each position belongs to.
    back: (t,) number of tokens after the position in its text.
    position: (t,) index in the model's input, where BOS is 0.
    """

    x: Float32[np.ndarray, "t d"]
    text: Int64[np.ndarray, " t"]
    back: Int64[np.ndarray, " t"]
    position: Int64[np.ndarray, " t"]

    @property
    def last(self) -> Float32[np.ndarray, "n d"]:
        """The activations (n, d) at the last token of each text, in the order of the texts."""
        return self.x[self.back == 0]


def turns(
    model: LanguageModel,
    prompts: Sequence[str],
    layer: int,
    report: ShareReport = lambda share: None,
) -> Positions:
    """Return every position but BOS of prompts as user turns, up to the reply's opening."""
    return positions(model, [user_turn(model, prompt) for prompt in prompts], layer, report)


def positions(
    model: LanguageModel,
    rows: Sequence[Sequence[int]],
    layer: int,
    report: ShareReport = lambda share: None,
    only_last: bool = False,
) -> Positions:
    """Return every position but BOS of texts that are given as token ids.

    rows: token ids of each text, cut to the model's context.
    report: called with the share done after each batch.
    only_last: return only the last position of each text.

    Raises the errors of `harvest`.
    """
    parts = [np.zeros((0, model.width), np.float32)]
    texts, backs, places = ([np.zeros(0, np.int64)] for _ in range(3))
    for start in range(0, len(rows), AT_ONCE):
        batch, lengths = _batch(
            model, [tuple(row)[: model.context] for row in rows[start : start + AT_ONCE]]
        )
        harvested = harvest(model, batch, [layer], "final" if only_last else "all")
        parts.append(harvested.x[layer])
        texts.append(harvested.events.passage + start)
        backs.append(lengths[harvested.events.passage] - 1 - harvested.events.position)
        places.append(harvested.events.position.astype(np.int64))
        report(min(1.0, (start + AT_ONCE) / len(rows)))
    return Positions(*(np.concatenate(rows_of) for rows_of in (parts, texts, backs, places)))


def _batch(model: LanguageModel, rows: Sequence[Sequence[int]]) -> tuple[TokenBatch, np.ndarray]:
    """Return texts as one padded batch, and their lengths (n,) in tokens."""
    lengths = np.array([len(row) for row in rows], np.int64)
    ids = np.zeros((len(rows), int(lengths.max(initial=1))), np.int64)
    mask, keep = np.zeros(ids.shape, bool), np.zeros(ids.shape, bool)
    for number, row in enumerate(rows):
        ids[number, : len(row)], mask[number, : len(row)] = row, True
        keep[number, : len(row)] = ~np.array(model.tokens.bos_only(row), bool)
    return TokenBatch(ids, mask, keep, np.arange(len(rows)), np.zeros(len(rows), bool)), lengths


def pieces(model: LanguageModel, ids: Sequence[int]) -> list[bytes]:
    """Return the bytes of each token of a text but its BOS."""
    is_bos = model.tokens.bos_only(ids)
    return [model.tokens.piece(i) for i, bos in zip(ids, is_bos, strict=True) if not bos]


def recut(model: LanguageModel, other: LanguageModel, ids: Sequence[int]) -> list[int]:
    """Return the token ids of a text that `model` has cut, as `other` cuts it.

    ids: token ids from `model`. The space that some tokenizers put before a text is left out.
    """
    text = b"".join(pieces(model, ids)).decode("utf-8", "replace")
    # whether this tokenizer is one of them
    if b"".join(pieces(model, model.tokens.encode("a"))) == b" a":
        text = text.removeprefix(" ")
    return other.tokens.encode(text)
