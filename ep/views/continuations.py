"""What became of a steering run: its four texts, what was measured of each, and which words differ.

A run that was stopped is measured as far as it was written. Knows dictionaries and, handed in, the
model; no screen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from difflib import SequenceMatcher
from typing import Any

import numpy as np

from ep.method.dictionary import Dictionary, split_text
from ep.models import LanguageModel, read
from ep.models.answering import surprise
from ep.models.divergence import divergence
from ep.models.generation import Row, Written
from ep.studies.judging import Fluency, Judge, Phrases, fluency
from ep.views.steering import Setting, abouts

COLUMNS = ("Default", "Ablated", "Steered", "Control")


@dataclass(frozen=True)
class Column:
    """One continuation. tokens: text of each written token; logprob: natural logarithms of the
    probabilities the model of this row gave them. What is None is not measured yet, or could not
    be.

    ending: why it ended, "" while it is written. asked, moved: mean length of the change per
    touched position in typical norms, as the formula asks for it and as measured at the hook; None
    where not finite. kl: mean KL(default ‖ this) in nats on the default's text. surprise: mean nats
    per token of this text under the unchanged model. regions, distances: where the unchanged
    model's activations of this text fall.
    """

    name: str
    tokens: tuple[str, ...] = ()
    logprob: tuple[float, ...] = ()
    ids: tuple[int, ...] = ()
    ending: str = ""
    asked: float | None = None
    moved: float | None = None
    touched: int = 0
    kl: float | None = None
    surprise: float | None = None
    regions: tuple[int, ...] = ()
    distances: tuple[float, ...] = ()
    behaves: bool | None = None

    @property
    def text(self) -> str:
        """The whole continuation."""
        return "".join(self.tokens)

    @property
    def mean_logprob(self) -> float | None:
        """Mean log probability per token; None for an empty text."""
        return float(np.mean(self.logprob)) if self.logprob else None

    @property
    def fluency(self) -> Fluency:
        """How the text reads."""
        return fluency(self.text, self.ending == "end")


def texts(model: LanguageModel, ids: Sequence[int]) -> tuple[str, ...]:
    """The text of each token; a character split over tokens belongs to its first."""
    return tuple(split_text([model.tokens.piece(token) for token in ids]))


def begun(
    model: LanguageModel, ids: Sequence[Sequence[int]], logprob: Sequence[Sequence[float]]
) -> list[Column]:
    """The columns while they are written."""
    return [
        Column(name, texts(model, row), tuple(values), tuple(row))
        for name, row, values in zip(COLUMNS, ids, logprob, strict=True)
    ]


def measured(
    dictionary: Dictionary,
    model: LanguageModel,
    batch: Sequence[Row],
    written: Sequence[Written],
    judge: Judge | None = None,
) -> list[Column]:
    """The finished columns with everything that is measured after the writing. judge: refusal
    phrases by default.
    """
    judge = judge or Phrases()
    prompt = batch[0].ids
    surprises = surprise(model, [prompt] * len(batch), [row.ids for row in written])
    moves = _divergences(model, batch, written[0].ids)
    found = []
    for name, row, nats, kl in zip(COLUMNS, written, surprises, moves, strict=True):
        regions, distances = _places(dictionary, model, prompt, row.ids)
        column = Column(
            name,
            texts(model, row.ids),
            tuple(row.logprob),
            tuple(row.ids),
            row.ending,
            row.asked if np.isfinite(row.asked) else None,
            row.moved if np.isfinite(row.moved) else None,
            row.touched,
            kl,
            nats.mean if row.ids else None,
            regions,
            distances,
        )
        found.append(replace(column, behaves=judge(column.text)))
    return found


def _divergences(
    model: LanguageModel, batch: Sequence[Row], default: Sequence[int]
) -> list[float | None]:
    """Mean KL of each row on the default's text: None for the default itself, without a text, and
    if not finite.
    """
    if not default:
        return [None] * len(batch)
    values = divergence(
        model, batch[0].ids, default, [row.interventions for row in batch[1:]]
    ).mean(axis=1)
    return [None, *(float(value) if np.isfinite(value) else None for value in values)]


def _places(
    dictionary: Dictionary, model: LanguageModel, prompt: Sequence[int], ids: Sequence[int]
) -> tuple[tuple[int, ...], tuple[float, ...]]:
    if not ids:
        return (), ()
    layer = int(dictionary.info.get("layer") or 0)
    x = read(model, [*prompt, *ids], [layer])[layer][len(prompt) :]
    region, distance, _ = dictionary.assign(x)
    return tuple(region.tolist()), tuple(distance.tolist())


def as_json(dictionary: Dictionary, setting: Setting, columns: Sequence[Column]) -> dict[str, Any]:
    """A run as plain values: setting, typical norm, and every column with its tokens and measures.

    asked, moved: in typical norms; KL and surprise in nats.
    """
    return {
        "setting": asdict(setting),
        "typical_norm": dictionary.typical_norm,
        "columns": [
            {
                "name": column.name,
                "about": about,
                "text": column.text,
                "ending": column.ending,
                "mean_logprob": column.mean_logprob,
                "repetition": 1 - column.fluency.distinct,
                "compression": column.fluency.compressed,
                "surprise": column.surprise,
                "kl_to_default": column.kl,
                "refuses": column.behaves,
                "asked": column.asked,
                "moved": column.moved,
                "positions_touched": column.touched,
                "tokens": list(column.tokens),
                "ids": list(column.ids),
                "logprob": list(column.logprob),
                "regions": list(column.regions),
                "distances": list(column.distances),
            }
            for column, about in zip(columns, abouts(setting), strict=True)
        ],
    }


# -- what differs ----------------------------------------------------------------------------------


def differing(default: Sequence[str], other: Sequence[str]) -> list[bool]:
    """For each token of `other`, whether it belongs to a word that the default text does not have
    at that place.
    """
    mine, theirs = _words(other), _words(default)
    match = SequenceMatcher(
        None, [word for word, _ in theirs], [word for word, _ in mine], autojunk=False
    )
    marks = [False] * len(other)
    for kind, _, _, start, stop in match.get_opcodes():
        if kind in ("replace", "insert"):
            for _, tokens in mine[start:stop]:
                for token in tokens:
                    marks[token] = True
    return marks


def _words(tokens: Sequence[str]) -> list[tuple[str, list[int]]]:
    """Words with the tokens they are made of; a token that begins with a space, or follows one,
    begins a word.
    """
    words: list[tuple[str, list[int]]] = []
    for number, token in enumerate(tokens):
        before = tokens[number - 1] if number else ""
        if not words or token[:1].isspace() or before[-1:].isspace():
            words.append(("", []))
        text, members = words[-1]
        words[-1] = ((text + token).strip(), [*members, number])
    return words
