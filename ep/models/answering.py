"""Answers of a model to many prompts under interventions, in batches; and the activations those prompts end on.

The bridge between studies, which know texts and arrays, and generation, which knows tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
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


class Answered(NamedTuple):
    """text: what was written. ended: whether the model closed its turn. moved: mean change of the stream, in r.

    surprise: mean nats per token of the text under the unchanged model, after its first words; see `surprise`.
    """

    text: str
    ended: bool
    moved: float
    surprise: float


def user_turn(model: LanguageModel, text: str, system: str = "") -> tuple[int, ...]:
    """Token ids of one user turn with the reply's opening; plain text where the model has no chat template."""
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
    """The model's answer to each prompt as a user turn, in their order; prompts of like length go together.

    told(done): prompts answered so far, after each batch and each step; what it raises cancels. Errors as `generate`.
    """
    rows = [Row(user_turn(model, prompt), tuple(interventions)) for prompt in prompts]
    order = sorted(range(len(rows)), key=lambda i: len(rows[i].ids))
    found: dict[int, Answered] = {}
    for start in range(0, len(order), AT_ONCE):
        part = order[start : start + AT_ONCE]
        written = _run(model, [rows[i] for i in part], sampling, told, len(found))
        surprises = surprise(model, [rows[i].ids for i in part], [tuple(one.ids) for one in written])
        for number, one, nats in zip(part, written, surprises, strict=True):
            found[number] = Answered(text_of(model, one.ids), one.ending == "end", one.moved, nats)
        told(len(found))
    return [found[number] for number in range(len(rows))]


def surprise(
    model: LanguageModel, prompts: Sequence[Sequence[int]], written: Sequence[Sequence[int]], skip: int = FIRST_WORDS
) -> list[float]:
    """Mean −log p per token, in nats, of texts under the unchanged model, given prompt and text so far.

    skip: tokens at the start that do not count (unless the text is shorter): a model that would have refused is
    surprised by any other beginning, and by what follows it only when that makes no sense. 0 for an empty text.
    """
    import torch

    rows = [(*prompt, *text)[: model.context] for prompt, text in zip(prompts, written, strict=True)]
    width = max(map(len, rows))
    ids, mask = torch.zeros((len(rows), width), dtype=torch.long), torch.zeros((len(rows), width), dtype=torch.long)
    for number, row in enumerate(rows):
        ids[number, : len(row)], mask[number, : len(row)] = torch.tensor(row), 1
    ids, mask = ids.to(model.device), mask.to(model.device)
    with model.lock, torch.inference_mode():
        logits = model.bridge.original_model(input_ids=ids, attention_mask=mask, use_cache=False).logits
    nats = -torch.log_softmax(logits[:, :-1].float(), -1).gather(-1, ids[:, 1:, None])[..., 0].cpu().numpy()
    means = []
    for row, prompt, text in zip(nats, prompts, written, strict=True):
        counted = row[len(prompt) - 1 : len(prompt) - 1 + len(text)]
        counted = counted[skip:] if len(counted) > skip else counted
        means.append(float(counted.mean()) if len(counted) else 0.0)
    return means


def _run(
    model: LanguageModel, rows: Sequence[Row], sampling: Sampling, told: Callable[[int], None], done: int
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
    """The activation at the last token of each prompt as a user turn (the last of the reply's opening), by layer."""
    rows = [user_turn(model, prompt)[: model.context] for prompt in prompts]
    width = max(map(len, rows), default=1)
    ids = np.zeros((len(rows), width), np.int64)
    mask = np.zeros((len(rows), width), bool)
    for number, row in enumerate(rows):
        ids[number, : len(row)], mask[number, : len(row)] = row, True
    batch = TokenBatch(ids, mask, mask, np.arange(len(rows)), np.zeros(len(rows), bool))
    return harvest(model, batch, layers, "final").x
