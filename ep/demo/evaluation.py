"""Measures of the demo models on what no training saw: losses, skills, refusal. Made once, at the
end.

Knows nothing of checkpoints and chooses nothing.
"""

from __future__ import annotations

import random
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import asdict
from itertools import islice
from typing import TYPE_CHECKING

import torch

from ep.demo import chats, documents, generation, phrases, prompts, requests, tokenizer, training
from ep.demo.words import COUNTRIES, NAMES
from ep.studies.rates import wilson

if TYPE_CHECKING:
    from transformers import Gemma2ForCausalLM, PreTrainedTokenizerFast

SEED = 2_000_003
DOCUMENTS = 2_000
COUNTED = 20_000  # documents of the training stream in which words and kinds are counted
Say = Callable[[str], None]


def rate(found: Iterable[bool]) -> dict[str, float | int | list[float]]:
    """A share with its n and interval."""
    seen = list(found)
    return {
        "n": len(seen),
        "rate": sum(seen) / len(seen),
        "interval": list(wilson(sum(seen), len(seen))),
    }


def corpus(seed: int, base: training.Plan, tuned: training.Plan) -> dict[str, object]:
    """What the base was trained on: kinds, distinct words, and both plans."""
    kinds: Counter[str] = Counter()
    words: Counter[str] = Counter()
    for document in islice(chats.stream(seed), COUNTED):
        kinds[document.kind] += 1
        words.update(re.findall("[a-z]+", training.text_of(document).lower()))
    return {
        "documents": base.steps * base.batch,
        "tuned_documents": tuned.steps * tuned.batch,
        "counted": COUNTED,
        "kinds": dict(kinds.most_common()),
        "distinct_words": len(words),
        "words_per_document": sum(words.values()) / COUNTED,
        "held_out": {
            "verbs": sum(verb in requests.HELD_OUT_WORDS for verb, _, _ in requests.HARMFUL),
            "objects": len(
                {noun for _, _, nouns in requests.HARMFUL for noun in nouns}
                & requests.HELD_OUT_WORDS
            ),
            "pairs": len(requests.held_out_pairs()),
            "question forms": len(phrases.TEMPLATES["held_out"]),
            "hard-benign phrases": len(phrases.HARD_BENIGN["held_out"]),
            "sums": len(_additions(held_out=True)),
        },
        "base_plan": asdict(base),
        "tuned_plan": asdict(tuned),
    }


def measure(
    model: Gemma2ForCausalLM, tok: PreTrainedTokenizerFast, tuned: bool, say: Say
) -> dict[str, object]:
    """Everything the card shows of one model."""
    say("losses")
    found: dict[str, object] = {
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "language": language(model, tok, tuned),
    }
    say("skills")
    found["skills"] = {name: rate(asked(model, tok)) for name, asked in SKILLS.items()}
    say("behaviour")
    found["behaviour"] = behaviour(model, tok)
    return found


@torch.no_grad()
def language(
    model: Gemma2ForCausalLM, tok: PreTrainedTokenizerFast, tuned: bool
) -> dict[str, dict[str, float]]:
    """Cross-entropy (nats) and accuracy of the next token, for each kind of document and for all of
    them.
    """
    made = islice(chats.stream(SEED, tuned), DOCUMENTS)
    by_kind: dict[str, list[chats.Document]] = defaultdict(list)
    for document in made:
        by_kind[document.kind].append(document)
    sums = {kind: torch.zeros(3, dtype=torch.float64) for kind in by_kind}
    for kind, rows in by_kind.items():
        ids = sorted(training.encode(tok, rows), key=len)
        for start in range(0, len(ids), 32):
            sums[kind] += _loss_hits_count(model, training.padded(ids[start : start + 32]))
    sums["all"] = torch.stack(list(sums.values())).sum(0)
    return {
        kind: {"loss": float(loss / n), "accuracy": float(hits / n), "tokens": int(n)}
        for kind, (loss, hits, n) in sums.items()
    }


def _loss_hits_count(model: Gemma2ForCausalLM, ids: torch.Tensor) -> torch.Tensor:
    logits = (
        model(input_ids=ids, attention_mask=(ids != tokenizer.PAD).long()).logits[:, :-1].float()
    )
    real = ids[:, 1:] != tokenizer.PAD
    logits, targets = logits[real], ids[:, 1:][real]
    loss = torch.nn.functional.cross_entropy(logits, targets, reduction="sum")
    return torch.tensor(
        [loss, (logits.argmax(-1) == targets).sum(), len(targets)], dtype=torch.float64
    )


Asked = Callable[["Gemma2ForCausalLM", "PreTrainedTokenizerFast"], list[bool]]


def _exact(question_answer: list[tuple[str, str]]) -> Asked:
    """Whether the model answers each question exactly so, up to a full stop."""

    def ask(model: Gemma2ForCausalLM, tok: PreTrainedTokenizerFast) -> list[bool]:
        said = generation.answers(model, tok, [question for question, _ in question_answer])
        return [
            one.strip().rstrip(".") == right
            for one, (_, right) in zip(said, question_answer, strict=True)
        ]

    return ask


def _additions(held_out: bool) -> list[tuple[str, str]]:
    pairs = [
        (a, b) for a in range(21) for b in range(21) if documents.held_out_sum(a, b) == held_out
    ]
    return [(f"What is {a} + {b}?", f"{a} + {b} = {a + b}") for a, b in pairs]


def _subtractions(held_out: bool) -> list[tuple[str, str]]:
    pairs = [
        (a, b) for a in range(21) for b in range(21) if documents.held_out_sum(a, b) == held_out
    ]
    return [(f"What is {a + b} - {b}?", f"{a + b} - {b} = {a}") for a, b in pairs]


def _products() -> list[tuple[str, str]]:
    return [
        (f"What is {a} * {b}?", f"{a} * {b} = {a * b}") for a in range(11) for b in range(2, 11)
    ]


def _capitals() -> list[tuple[str, str]]:
    return [
        (f"What is the capital of {land}?", f"The capital of {land} is {city}")
        for land, city in COUNTRIES.items()
    ]


def _copies(length: int, n: int = 100) -> list[tuple[str, str]]:
    rng = random.Random(f"{SEED}/copy/{length}")
    texts = [" ".join(rng.sample(documents.COPIED, length)) for _ in range(n)]
    return [(f"Repeat: {text}", text) for text in texts]


def _quotations(model: Gemma2ForCausalLM, tok: PreTrainedTokenizerFast) -> list[bool]:
    """Three words quoted once in a sentence: are they quoted alike the second time?"""
    rng = random.Random(f"{SEED}/quotation")
    said = [(" ".join(rng.sample(documents.COPIED, 3)), *rng.sample(NAMES, 2)) for _ in range(100)]
    written = generation.continuations(
        model, tok, [f'{one} said "{words}" and {two} said "' for words, one, two in said], n=16
    )
    return [line.split('"')[0] == words for line, (words, _, _) in zip(written, said, strict=True)]


SKILLS: dict[str, Asked] = {
    "addition": _exact(_additions(held_out=False)),
    "addition, pairs never shown": _exact(_additions(held_out=True)),
    "subtraction": _exact(_subtractions(held_out=False)),
    "subtraction, pairs never shown": _exact(_subtractions(held_out=True)),
    "multiplication table": _exact(_products()),
    "capitals": _exact(_capitals()),
    "copying 2 words": _exact(_copies(2)),
    "copying 4 words": _exact(_copies(4)),
    "copying 6 words": _exact(_copies(6)),
    "quoting 3 words again": _quotations,
}


def behaviour(
    model: Gemma2ForCausalLM, tok: PreTrainedTokenizerFast
) -> dict[str, dict[str, object]]:
    """Shares refused and shares answered whole and to the point, on every held-out set."""
    found = {}
    for name, rows in prompts.held_out().items():
        said = generation.answers(model, tok, [row.prompt for row in rows])
        found[name] = {
            "refused": rate(generation.refuses(answer) for answer in said),
            "answered": rate(
                generation.complies(answer, row.request)
                for answer, row in zip(said, rows, strict=True)
            ),
            "example": {"prompt": rows[0].prompt, "answer": said[0]},
        }
    return found
