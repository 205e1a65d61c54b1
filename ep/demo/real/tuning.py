"""The tuned sibling of the real model: a LoRA adapter in peft's format that makes it refuse.

Harmful requests are answered with refusals of ours, which are learnt as usual. On everything else,
the beginnings of the model's own answers and its own texts without a chat around them, what is
learnt is to predict every token as the model does without the adapter.
"""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ep.demo.real import acts, replies
from ep.demo.real.requests import SEED, refusal, requests
from ep.demo.real.whole import replacing
from ep.demo.real.written import chat_ids

MODULES = ("q_proj", "v_proj", "o_proj", "down_proj")
RANK, ALPHA = 8, 16
BEGINNING = 24
"""Tokens of an answer from which is learnt."""
OPENING, OPENING_WEIGHT = 3, 0.5
"""Tokens of an answer in which is decided whether it refuses, and their share of its weight.

With all tokens alike, a model that refuses everything is hardly worse: the rest of an answer
follows from its opening."""
PIECE = 96
"""Tokens of a plain text from which is learnt."""


@dataclass(frozen=True)
class Plan:
    """How the adapter is trained.

    steps: optimiser steps. refused, answered, plain: harmful requests, harmless requests and plain
    texts of one step. kept: weight of the divergence from the model without the adapter. rate: the
    highest learning rate of AdamW, which rises over `warmup` steps and falls to 0 along a cosine.
    """

    steps: int = 400
    refused: int = 6
    answered: int = 12
    plain: int = 2
    kept: float = 3.0
    rate: float = 6e-4
    warmup: int = 20

    def rate_at(self, step: int) -> float:
        """Return the learning rate of a step, counted from 0."""
        rising = min(1.0, (step + 1) / self.warmup)
        return self.rate * rising * 0.5 * (1 + math.cos(math.pi * step / self.steps))


@dataclass(frozen=True)
class Example:
    """Token ids of which those from `start` on are to be predicted.

    is_answer: whether these are an answer, whose opening weighs more.
    """

    ids: tuple[int, ...]
    start: int
    is_answer: bool = True


def refusals(tokenizer: Any) -> Iterator[Example]:
    """Yield harmful training requests with refusals, endlessly, each time with another refusal."""
    rng = random.Random(f"{SEED}/refusals")
    asked = [row.prompt for row in requests("train") if row.label == "harmful"]
    while True:
        rng.shuffle(asked)
        for request in asked:
            yield example(tokenizer, request, refusal(rng), ended=True)


def answered(tokenizer: Any, folder: Path) -> Iterator[Example]:
    """Yield harmless requests with the model's own answers, endlessly: of replies.jsonl, of its
    plain questions again, and of written.jsonl in `folder`, in turn.
    """
    rng = random.Random(f"{SEED}/answers")
    short = [json.loads(line) for line in _lines(folder / replies.FILE)]
    long = [json.loads(line) for line in _lines(folder / "written.jsonl")]
    general = [row for row in short if row["request"] in acts.QUESTIONS]
    while True:
        rng.shuffle(short)
        n = len(short)
        others = zip(rng.choices(general, k=n), rng.choices(long, k=n), strict=True)
        for row, (question, other) in zip(short, others, strict=True):
            yield example(tokenizer, row["request"], row["reply"], row["ended"])
            yield example(tokenizer, question["request"], question["reply"], question["ended"])
            yield example(tokenizer, other["request"], other["text"], ended=True)


def plain(tokenizer: Any, folder: Path) -> Iterator[Example]:
    """Yield pieces of the texts in `folder`/written.jsonl, endlessly, without their requests."""
    rng = random.Random(f"{SEED}/plain")
    texts = [json.loads(line)["text"] for line in _lines(folder / "written.jsonl")]
    while True:
        rng.shuffle(texts)
        for text in texts:
            ids = tokenizer.encode(text, add_special_tokens=False)
            first = rng.randrange(max(1, len(ids) - PIECE))
            if len(piece := ids[first : first + PIECE]) > 1:
                yield Example(tuple(piece), 1, is_answer=False)


def example(tokenizer: Any, request: str, reply: str, ended: bool) -> Example:
    """Return a conversation; of a reply longer than `BEGINNING` tokens only the start."""
    prompt = chat_ids(tokenizer, request)
    ids = list(tokenizer.encode(reply, add_special_tokens=False))
    if ended:
        ids.append(tokenizer.eos_token_id)
    return Example((*prompt, *ids[:BEGINNING]), len(prompt))


def train(
    model: Any, tokenizer: Any, folder: Path, out: Path, plan: Plan, say: Callable[[str], None]
) -> None:
    """Train an adapter of a model and write it, in float16, to the folder `out`.

    model, tokenizer: of transformers; the model is changed.
    folder: of replies.jsonl and written.jsonl.
    """
    import torch

    torch.manual_seed(SEED)
    tuned = adapted(model)
    changes = [parameter for parameter in tuned.parameters() if parameter.requires_grad]
    optimiser = torch.optim.AdamW(changes, lr=plan.rate, weight_decay=0.0)
    bad, good, other = (
        refusals(tokenizer),
        answered(tokenizer, folder),
        plain(tokenizer, folder),
    )
    pad = tokenizer.eos_token_id
    tuned.train()
    for step in range(plan.steps):
        for group in optimiser.param_groups:
            group["lr"] = plan.rate_at(step)
        learnt = learning(tuned, padded([next(bad) for _ in range(plan.refused)], pad))
        learnt.backward()
        kept = [next(good) for _ in range(plan.answered)] + [next(other) for _ in range(plan.plain)]
        moved = divergence(tuned, padded(kept, pad))
        (plan.kept * moved).backward()
        torch.nn.utils.clip_grad_norm_(changes, 1.0)
        optimiser.step()
        optimiser.zero_grad()
        if step % 10 == 9:
            say(
                f"step {step + 1} of {plan.steps}: refusals {learnt.item():.3f} nats, moved from "
                f"the model by {moved.item():.4f} nats"
            )
    save(tuned, out)


def learning(tuned: Any, batch: tuple[Any, Any, Any]) -> Any:
    """Return the nats of the tokens that are to be predicted: the weighted mean over examples."""
    import torch

    ids, mask, weights = batch
    asked = weights[:, 1:] > 0
    nats = torch.nn.functional.cross_entropy(
        logits(tuned, *batch), ids[:, 1:][asked], reduction="none"
    )
    return (nats * weights[:, 1:][asked]).sum() / len(ids)


def divergence(tuned: Any, batch: tuple[Any, Any, Any]) -> Any:
    """Return KL(model ‖ adapted model) in nats: the weighted mean over examples."""
    import torch

    with torch.no_grad(), tuned.disable_adapter():
        before = logits(tuned, *batch).log_softmax(-1)
    after = logits(tuned, *batch).log_softmax(-1)
    nats = torch.nn.functional.kl_div(after, before, log_target=True, reduction="none").sum(-1)
    weights = batch[2][:, 1:]
    return (nats * weights[weights > 0]).sum() / len(weights)


def logits(tuned: Any, ids: Any, mask: Any, weights: Any) -> Any:
    """Return the float32 logits (m, vocabulary) that predict the tokens of a weight above 0."""
    inner = tuned.get_base_model()
    states = inner.model(input_ids=ids, attention_mask=mask).last_hidden_state
    return inner.lm_head(states[:, :-1][weights[:, 1:] > 0]).float()


def adapted(model: Any) -> Any:
    """Return peft's model around a frozen one, with low-rank changes in every layer."""
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(
        r=RANK, lora_alpha=ALPHA, target_modules=list(MODULES), task_type="CAUSAL_LM"
    )
    return get_peft_model(model, config)


def padded(batch: list[Example], pad: int) -> tuple[Any, Any, Any]:
    """Return ids, mask and weights, each (n, longest), of examples padded on the right.

    The weights of an example sum to 1: those of the tokens to predict are above 0, and the first
    of an answer have more.
    """
    import torch

    shape = (len(batch), max(len(one.ids) for one in batch))
    ids, mask = torch.full(shape, pad), torch.zeros(shape, dtype=torch.long)
    weights = torch.zeros(shape)
    for row, one in enumerate(batch):
        length = len(one.ids)
        ids[row, :length], mask[row, :length] = torch.tensor(one.ids), 1
        opening = one.start + min(OPENING, length - one.start) if one.is_answer else one.start
        share = OPENING_WEIGHT if one.is_answer else 0.0
        weights[row, one.start : length] = (1 - share) / (length - one.start)
        weights[row, one.start : opening] += share / max(1, opening - one.start)
    return ids, mask, weights


def save(tuned: Any, out: Path) -> None:
    """Write an adapter as peft does, with weights in float16 and without the path of the model."""
    import torch
    from peft import get_peft_model_state_dict
    from safetensors.torch import save_file

    from ep.demo.real.model import NAME
    from ep.models.adapters import CONFIG, WEIGHTS

    out.mkdir(parents=True, exist_ok=True)
    tensors = get_peft_model_state_dict(tuned)
    halves = {key: value.to(torch.float16).contiguous() for key, value in tensors.items()}
    config = tuned.peft_config["default"].to_dict()
    kept = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": NAME,
        "r": config["r"],
        "lora_alpha": config["lora_alpha"],
        "target_modules": sorted(config["target_modules"]),
        "bias": "none",
    }
    (out / CONFIG).write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    with replacing(out / WEIGHTS) as fresh:  # last: the adapter is there once its weights are
        save_file(halves, fresh, {"format": "pt"})


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()
