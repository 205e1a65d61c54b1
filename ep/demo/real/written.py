"""The text of the real demo: answers that the model itself writes to our questions.

They are sampled in batches. Each batch is a file of its own until all are there, so that an
interrupted run goes on where it stopped, and its seed is its number.
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ep.demo.real import sampling
from ep.demo.real.asking import Question, questions
from ep.demo.real.whole import write_rows

BATCH = 96
SAMPLER = sampling.Sampler(temperature=0.8, top_p=0.95, longest=224)
FEWEST_WORDS = 8
RUN, DISTINCT = 8, 0.25
"""A text is degenerate if one line or sentence occurs more often than RUN times, or if less than
DISTINCT of its runs of four words are distinct."""


def is_degenerate(text: str) -> bool:
    """Return whether a text says next to nothing, or the same again and again.

    It is so for a text of fewer than `FEWEST_WORDS` words, for one in which a line or sentence
    occurs more than `RUN` times, and where less than `DISTINCT` of its runs of four words are
    distinct.
    """
    words = text.split()
    if len(words) < FEWEST_WORDS:
        return True
    parts = Counter(part.strip() for part in text.replace(". ", "\n").splitlines() if part.strip())
    if max(parts.values()) > RUN:
        return True
    runs = [tuple(words[i : i + 4]) for i in range(len(words) - 3)]
    return len(set(runs)) < DISTINCT * len(runs)


def write(model: Any, tokenizer: Any, folder: Path, say: Callable[[str], None]) -> None:
    """Write folder/parts/NNN.jsonl, one file for each batch that is not there yet.

    model, tokenizer: of transformers. Rows have `text`, `source` (the kind of question), `request`
    (the question) and `tokens` (number of the text's).
    """
    parts = folder / "parts"
    parts.mkdir(parents=True, exist_ok=True)
    asked = questions()
    batches = [asked[first : first + BATCH] for first in range(0, len(asked), BATCH)]
    for number, batch in enumerate(batches):
        place = parts / f"{number:03}.jsonl"
        if place.exists():
            continue
        prompts = [chat_ids(tokenizer, question.text) for question in batch]
        made = sampling.answers(model, prompts, tokenizer.eos_token_id, number, SAMPLER)
        write_rows(place, _rows(batch, made, tokenizer))
        say(f"batch {number + 1} of {len(batches)}: {sum(map(len, made)):,} tokens")


def chat_ids(tokenizer: Any, request: str) -> list[int]:
    """Return the token ids of a request in the model's chat template, ready to be answered."""
    messages = [{"role": "user", "content": request}]
    text = tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
    return list(tokenizer.encode(text, add_special_tokens=False))


def _rows(batch: list[Question], made: list[list[int]], tokenizer: Any) -> Iterator[dict[str, Any]]:
    for question, ids in zip(batch, made, strict=True):
        yield {
            "text": tokenizer.decode(ids, skip_special_tokens=True).strip(),
            "source": question.kind,
            "request": question.text,
            "tokens": len(ids),
        }


def gather(folder: Path, say: Callable[[str], None]) -> None:
    """Join the parts to folder/written.jsonl, and remove them.

    Degenerate texts are left out, and such as are there already; the line that `say` gets counts
    them.
    """
    rows = [
        json.loads(line)
        for part in sorted((folder / "parts").glob("*.jsonl"))
        for line in part.read_text("utf-8").splitlines()
    ]
    kept = list({row["text"]: row for row in rows if not is_degenerate(row["text"])}.values())
    write_rows(folder / "written.jsonl", kept)
    tokens = sum(row["tokens"] for row in kept)
    shutil.rmtree(folder / "parts")
    say(f"{len(kept):,} texts of {tokens:,} tokens; {len(rows) - len(kept)} left out")
