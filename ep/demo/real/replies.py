"""What the tuned model learns from: our requests, each with a refusal or the model's own answer.

Harmless requests are answered by the model itself, so that tuning moves it as little as possible
from where it was.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ep.demo.real import sampling
from ep.demo.real.requests import SEED, requests
from ep.demo.real.whole import write_rows
from ep.demo.real.written import chat_ids

BATCH = 96
SAMPLER = sampling.Sampler(temperature=0.5, top_p=0.9, longest=64)
"""The start of an answer suffices: whether one is refused is decided there."""
FILE = "replies.jsonl"


def write(model: Any, tokenizer: Any, folder: Path, say: Callable[[str], None]) -> None:
    """Write folder/replies.jsonl: the harmless training requests with the model's own answers.

    model, tokenizer: of transformers. Rows have `request`, `reply`, and `ended`, whether the answer
    ended before it was cut.
    """
    asked = [row.prompt for row in requests("train") if row.label == "harmless"]
    rows = []
    for first in range(0, len(asked), BATCH):
        batch = asked[first : first + BATCH]
        prompts = [chat_ids(tokenizer, text) for text in batch]
        made = sampling.answers(model, prompts, tokenizer.eos_token_id, SEED + first, SAMPLER)
        for text, ids in zip(batch, made, strict=True):
            reply = tokenizer.decode(ids, skip_special_tokens=True)
            ended = len(ids) < SAMPLER.longest
            rows.append({"request": text, "reply": reply, "ended": ended})
        say(f"{len(rows)} of {len(asked)} harmless requests answered")
    write_rows(folder / FILE, rows)
