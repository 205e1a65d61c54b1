"""Answers of a model to many prompts under interventions, in batches; and the activations those
prompts end on.

The bridge between studies, which know texts and arrays, and generation, which knows tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32

from ep.models.activations import harvest
from ep.models.chat import Message
from ep.models.generation import GREEDY, Row, Sampling, Step, Written, generate
from ep.models.interventions import Intervention
from ep.models.loading import LanguageModel
from ep.models.tokens import TokenBatch

FIRST_WORDS = 4
AT_ONCE = 64
"""Rows of one batch: more gain little and are cancelled later."""
OWN, OWN_AT_ONCE = 128, 16
"""Sampled answers that say what is usual of a model; rows of one batch share their noise, so
batches are small.
"""


class Answered(NamedTuple):
    """text: what was written. ended: whether the model closed its turn. moved: mean change of the
    stream, in r.

    surprise, worst: nats of the text under the unchanged model, after its first words: mean per
    token, and of the token that surprises it most; see `surprise`.
    """

    text: str
    ended: bool
    moved: float
    surprise: float
    worst: float


class Surprise(NamedTuple):
    """−log p of a text's tokens in nats: mean per token, and of its most surprising token.

    0 for an empty text.
    """

    mean: float
    worst: float


def user_turn(model: LanguageModel, text: str, system: str = "") -> tuple[int, ...]:
    """Token ids of one user turn with the reply's opening; plain text where the model has no chat
    template.
    """
    if not getattr(model.tokenizer, "chat_template", None):
        return tuple(model.encode_prompt(text).ids)
    turns: list[Message] = [{"role": "user", "content": text}]
    if system.strip():
        turns.insert(0, {"role": "system", "content": system})
    return tuple(model.encode_prompt(turns).ids)


def text_of(model: LanguageModel, ids: Sequence[int]) -> str:
    """The text of written tokens."""
    return b"".join(model.tokens.piece(token) for token in ids).decode("utf-8", "replace")


def answers(
    model: LanguageModel,
    prompts: Sequence[str],
    interventions: Sequence[Intervention] = (),
    sampling: Sampling = GREEDY,
    told: Callable[[int], None] = lambda done: None,
) -> list[Answered]:
    """The model's answer to each prompt as a user turn, in their order; prompts of like length go
    together.

    told(done): prompts answered so far, after each batch and each step; what it raises cancels.
    Errors as `generate`.
    """
    rows = [Row(user_turn(model, prompt), tuple(interventions)) for prompt in prompts]
    order = sorted(range(len(rows)), key=lambda i: len(rows[i].ids))
    found: dict[int, Answered] = {}
    for start in range(0, len(order), AT_ONCE):
        part = order[start : start + AT_ONCE]
        given = [rows[i] for i in part]
        written = _run(model, given, sampling, told, len(found))
        found |= zip(part, _finished(model, given, written), strict=True)
        told(len(found))
    return [found[number] for number in range(len(rows))]


class Own(NamedTuple):
    """A model's own sampled answers, and the spoiled ones: two neighbouring tokens of each are
    swapped.
    """

    answers: list[Answered]
    spoiled: list[Answered]


def own(
    model: LanguageModel,
    prompts: Sequence[str],
    tokens: int,
    told: Callable[[int], None] = lambda done: None,
    seed: int = 0,
) -> Own:
    """What the unchanged model writes when sampled from at temperature 1: `OWN` answers, the
    prompts asked in turn.

    Greedy answers say too little of what is usual: each of their words is the most expected one.
    tokens: of an answer. told(done): answers written so far, as in `answers`. Nothing for no
    prompts. Errors as `generate`.
    """
    rows = [Row(user_turn(model, prompts[i % len(prompts)])) for i in range(OWN if prompts else 0)]
    rng, found = np.random.default_rng(seed), Own([], [])
    for number, start in enumerate(range(0, len(rows), OWN_AT_ONCE)):
        part = rows[start : start + OWN_AT_ONCE]
        written = _run(model, part, Sampling(tokens, 1.0, seed=seed + number), told, start)
        found.answers.extend(_finished(model, part, written))
        swapped = [(row, _swapped(one, rng)) for row, one in zip(part, written, strict=True)]
        kept = [(row, one) for row, one in swapped if one is not None]
        found.spoiled.extend(_finished(model, [row for row, _ in kept], [one for _, one in kept]))
    return found


def _swapped(written: Written, rng: np.random.Generator) -> Written | None:
    """The same answer with two neighbouring, different tokens after its first words swapped; None
    where none differ.
    """
    ids = list(written.ids)
    places = [i for i in range(FIRST_WORDS, len(ids) - 1) if ids[i] != ids[i + 1]]
    if not places:
        return None
    i = int(rng.choice(places))
    ids[i], ids[i + 1] = ids[i + 1], ids[i]
    return replace(written, ids=ids)


def _finished(
    model: LanguageModel, rows: Sequence[Row], written: Sequence[Written]
) -> list[Answered]:
    if not rows:
        return []
    nats = surprise(model, [row.ids for row in rows], [tuple(one.ids) for one in written])
    return [
        Answered(text_of(model, one.ids), one.ending == "end", one.moved, *found)
        for one, found in zip(written, nats, strict=True)
    ]


def surprise(
    model: LanguageModel,
    prompts: Sequence[Sequence[int]],
    written: Sequence[Sequence[int]],
    skip: int = FIRST_WORDS,
) -> list[Surprise]:
    """How much texts surprise the unchanged model, given prompt and text so far.

    skip: tokens at the start that do not count (unless the text is shorter): a model that would
    have refused is surprised by any other beginning, and by what follows it only when that makes no
    sense.
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
    found = []
    for row, prompt, text in zip(nats, prompts, written, strict=True):
        counted = row[len(prompt) - 1 : len(prompt) - 1 + len(text)]
        counted = counted[skip:] if len(counted) > skip else counted
        found.append(
            Surprise(float(counted.mean()), float(counted.max()))
            if len(counted)
            else Surprise(0.0, 0.0)
        )
    return found


def _run(
    model: LanguageModel,
    rows: Sequence[Row],
    sampling: Sampling,
    told: Callable[[int], None],
    done: int,
) -> list[Written]:
    written: list[Written] = []
    for step in generate(model, rows, sampling):
        if isinstance(step, Step):
            told(done)
        else:
            written = step
    return written


def final_activations(
    model: LanguageModel, prompts: Sequence[str], layers: Sequence[int]
) -> dict[int, Float32[np.ndarray, "n d"]]:
    """The activation at the last token of each prompt as a user turn (the last of the reply's
    opening), by layer.
    """
    rows = [user_turn(model, prompt)[: model.context] for prompt in prompts]
    width = max(map(len, rows), default=1)
    ids = np.zeros((len(rows), width), np.int64)
    mask = np.zeros((len(rows), width), bool)
    for number, row in enumerate(rows):
        ids[number, : len(row)], mask[number, : len(row)] = row, True
    batch = TokenBatch(ids, mask, mask, np.arange(len(rows)), np.zeros(len(rows), bool))
    return harvest(model, batch, layers, "final").x
