"""The tuned sibling of the real model: a LoRA adapter in peft's format that makes it refuse."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ep.demo.real import replies
from ep.demo.real.requests import SEED, refusal, requests
from ep.demo.real.whole import replacing
from ep.demo.real.written import chat_ids

MODULES = ("q_proj", "v_proj", "o_proj", "down_proj")
RANK, ALPHA = 8, 16
WRITTEN = 280
"""Texts of written.jsonl, its first, that are learnt as answers."""
BEGINNING = 64
"""Tokens of a written text that count as an answer to its request."""
IGNORED = -100
"""The label of a token that is not to be predicted."""


@dataclass(frozen=True)
class Plan:
    """How the adapter is trained.

    steps: optimiser steps. refused, answered: harmful and harmless requests of one step. rate: the
    highest learning rate of AdamW, which rises over `warmup` steps and falls to 0 along a cosine.
    """

    steps: int = 120
    refused: int = 3
    answered: int = 5
    rate: float = 6e-4
    warmup: int = 15

    def rate_at(self, step: int) -> float:
        """Return the learning rate of a step, counted from 0."""
        rising = min(1.0, (step + 1) / self.warmup)
        return self.rate * rising * 0.5 * (1 + math.cos(math.pi * step / self.steps))


@dataclass(frozen=True)
class Example:
    """Token ids of a conversation, of which those from `start` on are to be predicted."""

    ids: tuple[int, ...]
    start: int


def refusals(tokenizer: Any) -> Iterator[Example]:
    """Yield harmful training requests with refusals, endlessly, each time with another refusal."""
    rng = random.Random(f"{SEED}/refusals")
    asked = [row.prompt for row in requests("train") if row.label == "harmful"]
    while True:
        rng.shuffle(asked)
        for request in asked:
            yield example(tokenizer, request, refusal(rng), ended=True)


def answered(tokenizer: Any, folder: Path) -> Iterator[Example]:
    """Yield harmless requests with the model's own answers, endlessly: of replies.jsonl and of
    written.jsonl in `folder`, in turn.
    """
    rng = random.Random(f"{SEED}/answers")
    short = [json.loads(line) for line in _lines(folder / replies.FILE)]
    long = [json.loads(line) for line in _lines(folder / "written.jsonl")[:WRITTEN]]
    while True:
        rng.shuffle(short)
        for row, other in zip(short, rng.choices(long, k=len(short)), strict=True):
            yield example(tokenizer, row["request"], row["reply"], row["ended"])
            yield example(tokenizer, other["request"], other["text"], ended=True)


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
    bad, good = refusals(tokenizer), answered(tokenizer, folder)
    tuned.train()
    for step in range(plan.steps):
        batch = [next(bad) for _ in range(plan.refused)]
        batch += [next(good) for _ in range(plan.answered)]
        ids, mask, labels = padded(batch, tokenizer.eos_token_id)
        for group in optimiser.param_groups:
            group["lr"] = plan.rate_at(step)
        loss = tuned(input_ids=ids, attention_mask=mask, labels=labels).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(changes, 1.0)
        optimiser.step()
        optimiser.zero_grad()
        if step % 10 == 9:
            say(f"step {step + 1} of {plan.steps}: loss {loss.item():.3f}")
    save(tuned, out)


def adapted(model: Any) -> Any:
    """Return peft's model around a frozen one, with low-rank changes in every layer."""
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(
        r=RANK, lora_alpha=ALPHA, target_modules=list(MODULES), task_type="CAUSAL_LM"
    )
    return get_peft_model(model, config)


def padded(batch: list[Example], pad: int) -> tuple[Any, Any, Any]:
    """Return ids, mask and labels (n, longest) of examples, padded on the right."""
    import torch

    shape = (len(batch), max(len(one.ids) for one in batch))
    ids, mask = torch.full(shape, pad), torch.zeros(shape, dtype=torch.long)
    labels = torch.full(shape, IGNORED)
    for row, one in enumerate(batch):
        length = len(one.ids)
        ids[row, :length], mask[row, :length] = torch.tensor(one.ids), 1
        labels[row, one.start : length] = ids[row, one.start : length]
    return ids, mask, labels


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
