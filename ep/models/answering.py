"""Answers of a model to many prompts under interventions, and activations at the prompts' ends.

Studies deal with texts and arrays, generation with tokens; this module connects the two.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from time import perf_counter
from typing import NamedTuple

import numpy as np

from ep.errors import RequestError
from ep.models.activations import harvest
from ep.models.chat import Message
from ep.models.generation import GREEDY, Row, Sampling, Step, Written, generate
from ep.models.interventions import Intervention
from ep.models.loading import LanguageModel
from ep.models.tokens import TokenBatch
from ep.shapes import Float32, Float64

FIRST_WORDS = 4
"""Tokens at the start of an answer whose surprise is not counted, see `surprise`."""
AT_ONCE = 64
"""Rows of one batch. Larger batches gain little speed and react later to a cancellation."""
OWN, OWN_AT_ONCE = 128, 16
"""Number of answers sampled to measure what is usual for a model, and rows of one batch of them.

Rows of one batch share their noise, so the batches are small.
"""

TRIED, LONGEST_TRIED = 8, 256
"""Prompts answered to measure how long a model's answers are, and tokens of each at most."""
ENDING, ROOM = 0.75, 1.25
"""Share of the answers tried that the default length lets end, and its factor for longer ones."""
SHORT, LEAST_LONG = 64, 128
"""A model whose answers end within `SHORT` tokens keeps its own length; any other gets at least
`LEAST_LONG`. That is also the default where most answers are longer than any that was tried.
"""


class Answered(NamedTuple):
    """One answer of a model.

    text: what the model wrote.
    ended: whether the model closed its turn.
    moved: mean length of the change of the residual stream per touched position, in typical norms
        r.
    surprise: mean nats per token of the text under the unchanged model, after its first tokens, see
        `surprise`.
    worst: nats of the most surprising of those tokens.
    """

    text: str
    ended: bool
    moved: float
    surprise: float
    worst: float


class Surprise(NamedTuple):
    """The surprise −log p of a text's tokens in nats; 0 for an empty text.

    mean: mean per token.
    worst: that of the most surprising token.
    """

    mean: float
    worst: float


def user_turn(model: LanguageModel, text: str, system: str = "") -> tuple[int, ...]:
    """Return the token ids of a text as a user turn, with the opening of the reply.

    system: a system message that goes before it. Models without a chat template get the plain text
        alone.
    """
    if not getattr(model.tokenizer, "chat_template", None):
        return tuple(model.encode_prompt(text).ids)
    turns: list[Message] = [{"role": "user", "content": text}]
    if system.strip():
        turns.insert(0, {"role": "system", "content": system})
    return tuple(model.encode_prompt(turns).ids)


def text_of(model: LanguageModel, ids: Sequence[int]) -> str:
    """Return the text of generated tokens."""
    return b"".join(model.tokens.piece(token) for token in ids).decode("utf-8", "replace")


def answers(
    model: LanguageModel,
    prompts: Sequence[str],
    interventions: Sequence[Intervention] = (),
    sampling: Sampling = GREEDY,
    report: Callable[[int], None] = lambda done: None,
) -> list[Answered]:
    """Return the model's answer to each prompt, sent as a user turn, in the order of the prompts.

    report: called with the number of prompts answered so far after each step and each batch; an
        exception it raises cancels the work.

    Prompts of similar length are generated together. Raises the errors of `generate`.
    """
    rows = [Row(user_turn(model, prompt), tuple(interventions)) for prompt in prompts]
    # similar lengths together, so that little is padding
    order = sorted(range(len(rows)), key=lambda i: len(rows[i].ids))
    answered: dict[int, Answered] = {}
    for start in range(0, len(order), AT_ONCE):
        part = order[start : start + AT_ONCE]
        batch = [rows[i] for i in part]
        generated = _run(model, batch, sampling, report, len(answered))
        answered |= zip(part, _answered(model, batch, generated), strict=True)
        report(len(answered))
    return [answered[number] for number in range(len(rows))]


class OwnAnswers(NamedTuple):
    """A model's own sampled answers, and spoiled copies of them.

    answers: what the unchanged model wrote.
    spoiled: the same answers with two neighbouring tokens swapped, where any two differ.
    """

    answers: list[Answered]
    spoiled: list[Answered]


def own_answers(
    model: LanguageModel,
    prompts: Sequence[str],
    tokens: int,
    report: Callable[[int], None] = lambda done: None,
    seed: int = 0,
) -> OwnAnswers:
    """Sample `OWN` answers of the unchanged model at temperature 1, going round the prompts.

    Greedy answers would say too little about what is usual for the model, since each of their
    tokens is the most probable one.

    tokens: length limit of an answer.
    report: called with the number of answers generated so far, as in `answers`.

    Without prompts both lists are empty. Raises the errors of `generate`.
    """
    rows = [Row(user_turn(model, prompts[i % len(prompts)])) for i in range(OWN if prompts else 0)]
    rng, sampled = np.random.default_rng(seed), OwnAnswers([], [])
    for number, start in enumerate(range(0, len(rows), OWN_AT_ONCE)):
        batch = rows[start : start + OWN_AT_ONCE]
        generated = _run(model, batch, Sampling(tokens, 1.0, seed=seed + number), report, start)
        sampled.answers.extend(_answered(model, batch, generated))
        copies = [(row, _swapped(one, rng)) for row, one in zip(batch, generated, strict=True)]
        spoiled = [(row, one) for row, one in copies if one is not None]
        sampled.spoiled.extend(
            _answered(model, [row for row, _ in spoiled], [one for _, one in spoiled])
        )
    return sampled


@dataclass(frozen=True)
class Length:
    """The default length limit of a model's answers, from a trial of the model.

    tokens: the limit.
    n: number of prompts answered in the trial.
    ended: how many of these answers end within the limit.
    mean: mean tokens of an answer that is cut at the limit.
    seconds: measured per token and answer.
    """

    tokens: int
    n: int
    ended: int
    mean: float
    seconds: float


def answer_length(
    model: LanguageModel,
    prompts: Sequence[str],
    report: Callable[[int], None] = lambda done: None,
) -> Length:
    """Answer a few of the prompts, and return the length that most of the answers end within.

    The prompts are evenly spaced among those given, and answered greedily with at most
    `LONGEST_TRIED` tokens. The limit is a multiple of 8.

    report: as in `answers`.

    Raises RequestError without prompts, and the errors of `generate`.
    """
    if not prompts:
        raise RequestError("there is no prompt to try the model on: give at least one")
    picked = np.unique(np.linspace(0, len(prompts) - 1, TRIED).round().astype(int)).tolist()
    batch = [Row(user_turn(model, prompts[i])) for i in picked]
    started = perf_counter()
    written = _run(model, batch, Sampling(LONGEST_TRIED), report, 0)
    seconds = perf_counter() - started
    # the token that ends an answer counts too; an answer that was cut is longer than any limit
    lengths = np.array([len(one.ids) + 1 for one in written])
    ended = np.array([one.ending == "end" for one in written])
    tokens = _limit(np.where(ended, lengths, np.inf))
    within = int((ended & (lengths <= tokens)).sum())
    cut = np.minimum(lengths, tokens)
    return Length(
        tokens, len(batch), within, float(cut.mean()), seconds / max(1, int(lengths.sum()))
    )


def _limit(lengths: Float64[np.ndarray, " n"]) -> int:
    """Return the default length limit for answers of these lengths, infinite where one was cut."""
    needed = float(np.quantile(lengths, ENDING, method="inverted_cdf"))
    if np.isinf(needed):
        return LEAST_LONG
    tokens = 8 * math.ceil(ROOM * needed / 8)
    return tokens if tokens <= SHORT else max(tokens, LEAST_LONG)


def _swapped(answer: Written, rng: np.random.Generator) -> Written | None:
    """Return the answer with two neighbouring, different tokens swapped, or None where none differ.

    The first tokens stay as they are, since their surprise is not counted.
    """
    ids = list(answer.ids)
    candidates = [i for i in range(FIRST_WORDS, len(ids) - 1) if ids[i] != ids[i + 1]]
    if not candidates:
        return None
    i = int(rng.choice(candidates))
    ids[i], ids[i + 1] = ids[i + 1], ids[i]
    return replace(answer, ids=ids)


def _answered(
    model: LanguageModel, rows: Sequence[Row], generated: Sequence[Written]
) -> list[Answered]:
    """Turn generated rows into answers, with the surprise of each text."""
    if not rows:
        return []
    surprises = surprise(model, [row.ids for row in rows], [tuple(one.ids) for one in generated])
    return [
        Answered(text_of(model, one.ids), one.ending == "end", one.moved, *nats)
        for one, nats in zip(generated, surprises, strict=True)
    ]


def surprise(
    model: LanguageModel,
    prompts: Sequence[Sequence[int]],
    written: Sequence[Sequence[int]],
    skip: int = FIRST_WORDS,
) -> list[Surprise]:
    """Return how much each text surprises the unchanged model, given its prompt.

    prompts, written: token ids of each prompt, and of the text that follows it.
    skip: tokens at the start of a text that are not counted, unless the text is no longer than
        that. A model that would have refused is surprised by any other beginning; what follows
        surprises it only when it makes no sense.
    """
    import torch

    rows = [
        (*prompt, *text)[: model.context] for prompt, text in zip(prompts, written, strict=True)
    ]
    width = max(map(len, rows))
    ids, mask = (
        torch.zeros((len(rows), width), dtype=torch.long),
        torch.zeros((len(rows), width), dtype=torch.long),
    )
    # padded on the right: attention is causal, so real tokens never attend to padding
    for number, row in enumerate(rows):
        ids[number, : len(row)], mask[number, : len(row)] = torch.tensor(row), 1
    ids, mask = ids.to(model.device), mask.to(model.device)
    with model.lock, torch.inference_mode():
        logits = model.bridge.original_model(
            input_ids=ids, attention_mask=mask, use_cache=False
        ).logits
    nats = (
        -torch.log_softmax(logits[:, :-1].float(), -1)
        .gather(-1, ids[:, 1:, None])[..., 0]
        .cpu()
        .numpy()
    )
    surprises = []
    for row, prompt, text in zip(nats, prompts, written, strict=True):
        # nats[i] belongs to token i + 1, so the first token of the text is at len(prompt) - 1
        counted = row[len(prompt) - 1 : len(prompt) - 1 + len(text)]
        counted = counted[skip:] if len(counted) > skip else counted
        surprises.append(
            Surprise(float(counted.mean()), float(counted.max()))
            if len(counted)
            else Surprise(0.0, 0.0)
        )
    return surprises


def _run(
    model: LanguageModel,
    rows: Sequence[Row],
    sampling: Sampling,
    report: Callable[[int], None],
    done: int,
) -> list[Written]:
    """Generate one batch, calling `report(done)` after each step."""
    generated: list[Written] = []
    for step in generate(model, rows, sampling):
        if isinstance(step, Step):
            report(done)
        else:
            generated = step
    return generated


def final_activations(
    model: LanguageModel, prompts: Sequence[str], layers: Sequence[int]
) -> dict[int, Float32[np.ndarray, "n d"]]:
    """Return the activation (n, d) at the last token of each prompt as a user turn, by layer.

    That token is the last one of the reply's opening.
    """
    rows = [user_turn(model, prompt)[: model.context] for prompt in prompts]
    width = max(map(len, rows), default=1)
    ids = np.zeros((len(rows), width), np.int64)
    mask = np.zeros((len(rows), width), bool)
    for number, row in enumerate(rows):
        ids[number, : len(row)], mask[number, : len(row)] = row, True
    batch = TokenBatch(ids, mask, mask, np.arange(len(rows)), np.zeros(len(rows), bool))
    return harvest(model, batch, layers, "final").x
