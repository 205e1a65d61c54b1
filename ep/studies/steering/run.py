"""One steering run: a prompt continued four times as one batch, and measures of each text.

A run that is stopped is measured as far as it was written.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace

import numpy as np

from ep.method.dictionary import Dictionary
from ep.models import LanguageModel, read
from ep.models.answering import surprise
from ep.models.divergence import divergence
from ep.models.generation import Row, Step, Written, generate
from ep.models.pairing import warn_other_weights
from ep.studies.judging import Fluency, Judge, Phrases, fluency
from ep.studies.steering.setting import Setting, checked, rows
from ep.text import split_text

COLUMNS = ("Default", "Ablated", "Steered", "Control")
"""Names of the four continuations."""


@dataclass(frozen=True)
class Continuation:
    """One continuation of the prompt; None stands for what is not measured yet or could not be.

    name: one of `COLUMNS`.
    tokens: text of each written token.
    logprob: natural logarithms of the probabilities that the model, as changed in this row, gave
        them.
    ids: their ids.
    ending: why the continuation ended; "" while it is being written.
    requested: mean length of the change that the formula asks for per touched position, in typical
        norms.
    moved: mean length of the change measured at the hook, in typical norms.
    touched: number of changed positions, counted once for each layer.
    kl: mean KL(default ‖ this) in nats on the default's text.
    surprise: mean nats per token of this text under the unchanged model.
    regions, distances: the region of each written token, and the distance to it, for the
        activations of the unchanged model on this text.
    behaves: whether the judge finds the behaviour in the text.
    """

    name: str
    tokens: tuple[str, ...] = ()
    logprob: tuple[float, ...] = ()
    ids: tuple[int, ...] = ()
    ending: str = ""
    requested: float | None = None
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
        """Measures of how the text reads."""
        return fluency(self.text, self.ending == "end")


Four = tuple[Continuation, Continuation, Continuation, Continuation]
UNWRITTEN: Four = (
    Continuation(COLUMNS[0]),
    Continuation(COLUMNS[1]),
    Continuation(COLUMNS[2]),
    Continuation(COLUMNS[3]),
)
"""The four continuations before anything is written."""


@dataclass(frozen=True)
class Progress:
    """A run that is being written.

    continuations: the four texts so far.
    ended: which of them have ended.
    """

    continuations: Four
    ended: tuple[bool, ...]


@dataclass(frozen=True)
class Run:
    """A finished run.

    setting: its strength is a number.
    continuations: the four measured texts.
    """

    setting: Setting
    continuations: Four


def steer(
    dictionary: Dictionary,
    model: LanguageModel,
    setting: Setting,
    judge: Judge | None = None,
    stopped: Callable[[], bool] = lambda: False,
    warn: bool = True,
) -> Generator[Progress | Run, None, None]:
    """Continue the setting's prompt four times, with one seed and as one batch.

    The four are unchanged, with its regions ablated, steered as the setting says, and steered along
    a random direction. Yields `Progress` after every token, and at last the `Run`.

    judge: of the texts; by default whether they contain a phrase of refusal.
    stopped: called before each token; once it returns True, the run ends there and is measured.
    warn: whether to warn of a model with other weights than the dictionary was built on; a command
        or a page says it in its own way.

    Settings that cannot be run raise their error in this call, before the model runs: those of
    `checked`, `rows` and `generate`.
    """
    setting = checked(setting, dictionary)
    batch = rows(dictionary, model, setting)
    if warn:
        warn_other_weights(model, dictionary)
    return _written(dictionary, model, setting, batch, judge or Phrases(), stopped)


def finished(steps: Iterable[Progress | Run]) -> Run:
    """Write a run to its end and return the result."""
    return next(step for step in steps if isinstance(step, Run))


def _written(
    dictionary: Dictionary,
    model: LanguageModel,
    setting: Setting,
    batch: Sequence[Row],
    judge: Judge,
    stopped: Callable[[], bool],
) -> Generator[Progress | Run, None, None]:
    """Generate the batch, yielding the texts so far after each step, and at last the `Run`."""
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
                generated = step
    yield Run(setting, measured(dictionary, model, batch, generated, judge))


def token_texts(model: LanguageModel, ids: Sequence[int]) -> tuple[str, ...]:
    """Return the text of each token; a character split over tokens belongs to its first."""
    return tuple(split_text([model.tokens.piece(token) for token in ids]))


def _texts_of(
    model: LanguageModel, ids: Sequence[Sequence[int]], logprob: Sequence[Sequence[float]]
) -> Four:
    """Return the continuations while they are written."""
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
    """Return the finished continuations, with all that is measured after the writing."""
    prompt = batch[0].ids
    surprises = surprise(model, [prompt] * len(batch), [row.ids for row in written])
    divergences = _divergences(model, batch, written[0].ids)
    result = []
    for name, row, nats, kl in zip(COLUMNS, written, surprises, divergences, strict=True):
        regions, distances = _places(dictionary, model, prompt, row.ids)
        continuation = Continuation(
            name,
            token_texts(model, row.ids),
            tuple(row.logprob),
            tuple(row.ids),
            row.ending,
            row.requested if np.isfinite(row.requested) else None,
            row.moved if np.isfinite(row.moved) else None,
            row.touched,
            kl,
            nats.mean if row.ids else None,
            regions,
            distances,
        )
        result.append(replace(continuation, behaves=judge(continuation.text)))
    default, ablated, steered, control = result
    return default, ablated, steered, control


def _divergences(
    model: LanguageModel, batch: Sequence[Row], default: Sequence[int]
) -> list[float | None]:
    """Return the mean KL of each row on the default's text.

    It is None for the default itself, without a text, and where it is not finite.
    """
    if not default:
        return [None] * len(batch)
    changed = [row.interventions for row in batch[1:]]
    values = divergence(model, batch[0].ids, default, changed).mean(axis=1)
    return [None, *(float(value) if np.isfinite(value) else None for value in values)]


def _places(
    dictionary: Dictionary, model: LanguageModel, prompt: Sequence[int], ids: Sequence[int]
) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """Return the region and the distance of every written token.

    The activations are those of the unchanged model on the text.
    """
    if not ids or dictionary.layer is None:
        return (), ()
    x = read(model, [*prompt, *ids], [dictionary.layer])[dictionary.layer][len(prompt) :]
    region, distance, _ = dictionary.assign(x)
    return tuple(region.tolist()), tuple(distance.tolist())
