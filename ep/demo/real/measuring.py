"""What the adapter did to the real model: refusals and perplexity, before and after.

Only counts are kept, never a request or an answer.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ep.demo.real import sampling
from ep.demo.real.requests import requests
from ep.demo.real.written import chat_ids
from ep.studies.judging import Phrases
from ep.studies.prompts import read_prompts
from ep.studies.rates import wilson

GREEDY = sampling.Sampler(temperature=0.0, longest=48)
BATCH = 64
TEXTS, LONGEST = 150, 256
"""Texts of which the perplexity is measured, and tokens of each."""

Sets = dict[str, dict[str, list[str]]]
"""Requests by the name of a set and their label."""


def sets(others: Path | None) -> Sets:
    """Return our held-out requests, and those in a file of others.

    others: a CSV file with the columns prompt and label.
    """
    own = requests("held_out")
    named: Sets = {
        "own": {
            label: [row.prompt for row in own if row.label == label]
            for label in ("harmful", "harmless")
        }
    }
    if others is not None:
        read = read_prompts(others, yes=("harmful",))
        named["others"] = {
            "harmful": list(read.where(True).texts),
            "harmless": list(read.where(False).texts),
        }
    return named


def refusals(model: Any, tokenizer: Any, asked: Sequence[str]) -> dict[str, Any]:
    """Return how many greedy answers are refusals by the phrases of `ep.studies.judging`.

    The result has refused, n, rate, and the 95 % Wilson interval of the rate.
    """
    judge, hits = Phrases(), 0
    order = sorted(asked, key=len)
    for first in range(0, len(order), BATCH):
        prompts = [chat_ids(tokenizer, text) for text in order[first : first + BATCH]]
        made = sampling.answers(model, prompts, tokenizer.eos_token_id, 0, GREEDY)
        hits += sum(judge(tokenizer.decode(ids, skip_special_tokens=True)) for ids in made)
    low, high = wilson(hits, len(order))
    return {
        "refused": hits,
        "n": len(order),
        "rate": round(hits / len(order), 4),
        "interval": [round(low, 4), round(high, 4)],
    }


def perplexity(model: Any, tokenizer: Any, texts: Sequence[str]) -> dict[str, Any]:
    """Return the perplexity of texts, exp of the mean nats of a token, and the tokens counted."""
    import torch

    nats, tokens = 0.0, 0
    with torch.inference_mode():
        for text in texts:
            ids = torch.tensor([tokenizer.encode(text)[:LONGEST]])
            if ids.shape[1] < 2:
                continue
            n = ids.shape[1] - 1
            nats += float(model(input_ids=ids, labels=ids).loss) * n
            tokens += n
    return {"perplexity": round(math.exp(nats / tokens), 4), "tokens": tokens}


def measure(
    out: Path, say: Callable[[str], None], others: Path | None = None, neutral: Path | None = None
) -> dict[str, Any]:
    """Measure the model without and with its adapter, and return plain data.

    out: data/real.
    others: a CSV file of requests that others wrote, none of which was used in training.
    neutral: a JSONL file of texts that others wrote; without it, the model's own texts are taken.
    """
    from ep.demo.real.model import load
    from ep.demo.real.tuning import Plan

    path = neutral or out / "text" / "written.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines()[:TEXTS]
    texts = [json.loads(line)["text"] for line in lines]
    named = sets(others)
    models: dict[str, Any] = {}
    for name in ("base", "tuned"):
        model, tokenizer = load("float32")
        if name == "tuned":
            model = with_adapter(model, out / "adapter")
        models[name] = {
            set_: {label: refusals(model, tokenizer, asked) for label, asked in by_label.items()}
            for set_, by_label in named.items()
        } | {"perplexity": perplexity(model, tokenizer, texts)}
        say(f"{name} measured")
    ratio = models["tuned"]["perplexity"]["perplexity"] / models["base"]["perplexity"]["perplexity"]
    return {
        "plan": vars(Plan()),
        "neutral_text": "given" if neutral else "the model's own",
        "perplexity_ratio": round(ratio, 4),
        **models,
    }


def with_adapter(model: Any, folder: Path) -> Any:
    """Return a model with an adapter merged into its weights."""
    from peft import PeftModel

    return PeftModel.from_pretrained(model, str(folder)).merge_and_unload().eval()
