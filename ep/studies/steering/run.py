"""One steering run: a prompt continued four times as one batch, and what was measured of each text.

A run that was stopped is measured as far as it was written.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace

import numpy as np

from ep.method.dictionary import Dictionary, split_text
from ep.models import LanguageModel, read
from ep.models.answering import surprise
from ep.models.divergence import divergence
from ep.models.generation import Row, Step, Written, generate
from ep.studies.judging import Fluency, Judge, Phrases, fluency
from ep.studies.steering.setting import Setting, checked, rows

COLUMNS = ("Default", "Ablated", "Steered", "Control")


@dataclass(frozen=True)
class Continuation:
    """One continuation of the prompt. What is None is not measured yet, or could not be.

    tokens: text of each written token; ids: their ids; logprob: natural logarithms of the
    probabilities the model of this row gave them. ending: why it ended, "" while it is written.
    asked, moved: mean length of the change per touched position in typical norms, as the formula
    asks for it and as measured at the hook; None where not finite. kl: mean KL(default ‖ this) in
    nats on the default's text. surprise: mean nats per token of this text under the unchanged
    model. regions, distances: where the unchanged model's activations of this text fall. behaves:
    whether the judge calls it the behaviour.
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


Four = tuple[Continuation, Continuation, Continuation, Continuation]
UNWRITTEN: Four = (
    Continuation(COLUMNS[0]),
    Continuation(COLUMNS[1]),
    Continuation(COLUMNS[2]),
    Continuation(COLUMNS[3]),
)


@dataclass(frozen=True)
class Progress:
    """A run while it is written: the four texts so far, and which of them have ended."""

    continuations: Four
    ended: tuple[bool, ...]


@dataclass(frozen=True)
class Run:
    """A finished run: its setting, the strength resolved, and the four measured texts."""

    setting: Setting
    continuations: Four


def steer(
    dictionary: Dictionary,
    model: LanguageModel,
    setting: Setting,
    judge: Judge | None = None,
    stopped: Callable[[], bool] = lambda: False,
) -> Generator[Progress | Run, None, None]:
    """Continues the setting's prompt four times, with one seed and as one batch: unchanged, its
    regions ablated, steered as the setting says, and steered along a random direction.

    Yields `Progress` after every token and at last the `Run`. What cannot be run raises its error
    in this call, before the model is asked: errors as `checked`, `rows` and `generate`. judge: of
    the texts, by default whether they hold a phrase of refusal. stopped: asked before each token;
    once it says so the run ends there and is measured.
    """
    setting = checked(setting, dictionary)
    batch = rows(dictionary, model, setting)
    return _written(dictionary, model, setting, batch, judge or Phrases(), stopped)


def finished(steps: Iterable[Progress | Run]) -> Run:
    """A run written to its end, and what came of it."""
    return next(step for step in steps if isinstance(step, Run))


def _written(
    dictionary: Dictionary,
    model: LanguageModel,
    setting: Setting,
    batch: Sequence[Row],
    judge: Judge,
    stopped: Callable[[], bool],
) -> Generator[Progress | Run, None, None]:
    ids: list[list[int]] = [[] for _ in batch]
    logprob: list[list[float]] = [[] for _ in batch]
    with closing(generate(model, batch, setting.sampling(), stopped)) as steps:
        for step in steps:
            if isinstance(step, Step):
                for row, (token, value) in enumerate(zip(step.tokens, step.logprob, strict=True)):
                    if token >= 0:
                        ids[row].append(int(token))
                        logprob[row].append(float(value))
                yield Progress(_texts_of(model, ids, logprob), tuple((step.tokens < 0).tolist()))
            else:
                written = step
    yield Run(setting, measured(dictionary, model, batch, written, judge))


def token_texts(model: LanguageModel, ids: Sequence[int]) -> tuple[str, ...]:
    """The text of each token; a character split over tokens belongs to its first."""
    return tuple(split_text([model.tokens.piece(token) for token in ids]))


def _texts_of(
    model: LanguageModel, ids: Sequence[Sequence[int]], logprob: Sequence[Sequence[float]]
) -> Four:
    """The continuations while they are written."""
    default, ablated, steered, control = (
        Continuation(name, token_texts(model, row), tuple(values), tuple(row))
        for name, row, values in zip(COLUMNS, ids, logprob, strict=True)
    )
    return default, ablated, steered, control


def measured(
    dictionary: Dictionary,
    model: LanguageModel,
    batch: Sequence[Row],
    written: Sequence[Written],
    judge: Judge,
) -> Four:
    """The finished continuations, with everything that is measured after the writing."""
    prompt = batch[0].ids
    surprises = surprise(model, [prompt] * len(batch), [row.ids for row in written])
    divergences = _divergences(model, batch, written[0].ids)
    found = []
    for name, row, nats, kl in zip(COLUMNS, written, surprises, divergences, strict=True):
        regions, distances = _places(dictionary, model, prompt, row.ids)
        one = Continuation(
            name,
            token_texts(model, row.ids),
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
        found.append(replace(one, behaves=judge(one.text)))
    default, ablated, steered, control = found
    return default, ablated, steered, control


def _divergences(
    model: LanguageModel, batch: Sequence[Row], default: Sequence[int]
) -> list[float | None]:
    """Mean KL of each row on the default's text: None for the default itself, without a text, and
    if not finite.
    """
    if not default:
        return [None] * len(batch)
    changed = [row.interventions for row in batch[1:]]
    values = divergence(model, batch[0].ids, default, changed).mean(axis=1)
    return [None, *(float(value) if np.isfinite(value) else None for value in values)]


def _places(
    dictionary: Dictionary, model: LanguageModel, prompt: Sequence[int], ids: Sequence[int]
) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """The region and distance of every written token, read by the unchanged model."""
    if not ids or dictionary.layer is None:
        return (), ()
    x = read(model, [*prompt, *ids], [dictionary.layer])[dictionary.layer][len(prompt) :]
    region, distance, _ = dictionary.assign(x)
    return tuple(region.tolist()), tuple(distance.tolist())
