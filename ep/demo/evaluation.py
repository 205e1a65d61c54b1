"""Measures of the finished demo models on held-out data: losses, skills and refusal.

They are computed once, at the end, and are not used to choose a checkpoint.
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


def rate(outcomes: Iterable[bool]) -> dict[str, float | int | list[float]]:
    """The share of true outcomes, with their number n and the 95 % Wilson interval."""
    values = list(outcomes)
    return {
        "n": len(values),
        "rate": sum(values) / len(values),
        "interval": list(wilson(sum(values), len(values))),
    }


def corpus(seed: int, base: training.Plan, tuned: training.Plan) -> dict[str, object]:
    """The training text in numbers: its kinds, its distinct words, what is held out, both plans.

    seed: of the base's stream. base, tuned: how both models are trained.
    """
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
    """All measures of one model on the card. tuned: whether it is the tuned one."""
    say("losses")
    measures: dict[str, object] = {
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "language": language(model, tok, tuned),
    }
    say("skills")
    measures["skills"] = {name: rate(test(model, tok)) for name, test in SKILLS.items()}
    say("behaviour")
    measures["behaviour"] = behaviour(model, tok)
    return measures


@torch.no_grad()
def language(
    model: Gemma2ForCausalLM, tok: PreTrainedTokenizerFast, tuned: bool
) -> dict[str, dict[str, float]]:
    """Cross-entropy in nats and accuracy of the next token, by kind of document and for "all"."""
    sample = islice(chats.stream(SEED, tuned), DOCUMENTS)
    by_kind: dict[str, list[chats.Document]] = defaultdict(list)
    for document in sample:
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
    """Sum of losses, number of correct predictions and number of predictions, for ids (b, t)."""
    logits = (
        model(input_ids=ids, attention_mask=(ids != tokenizer.PAD).long()).logits[:, :-1].float()
    )
    real = ids[:, 1:] != tokenizer.PAD
    logits, targets = logits[real], ids[:, 1:][real]
    loss = torch.nn.functional.cross_entropy(logits, targets, reduction="sum")
    return torch.tensor(
        [loss, (logits.argmax(-1) == targets).sum(), len(targets)], dtype=torch.float64
    )


Test = Callable[["Gemma2ForCausalLM", "PreTrainedTokenizerFast"], list[bool]]
"""A test of a skill: whether the model is right in each case."""


def _exact(pairs: list[tuple[str, str]]) -> Test:
    """A test of (question, answer) pairs: the model's answer must be equal, but for a full stop."""

    def test(model: Gemma2ForCausalLM, tok: PreTrainedTokenizerFast) -> list[bool]:
        answers = generation.answers(model, tok, [question for question, _ in pairs])
        return [
            answer.strip().rstrip(".") == right
            for answer, (_, right) in zip(answers, pairs, strict=True)
        ]

    return test


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
    """Whether the model repeats three words, quoted once in a sentence, in a second quotation."""
    rng = random.Random(f"{SEED}/quotation")
    cases = [(" ".join(rng.sample(documents.COPIED, 3)), *rng.sample(NAMES, 2)) for _ in range(100)]
    written = generation.continuations(
        model, tok, [f'{one} said "{words}" and {two} said "' for words, one, two in cases], n=16
    )
    return [line.split('"')[0] == words for line, (words, _, _) in zip(written, cases, strict=True)]


SKILLS: dict[str, Test] = {
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
    """The shares of prompts refused and of prompts answered as taught, on every held-out set."""
    measures = {}
    for name, rows in prompts.held_out().items():
        answers = generation.answers(model, tok, [row.prompt for row in rows])
        measures[name] = {
            "refused": rate(generation.refuses(answer) for answer in answers),
            "answered": rate(
                generation.complies(answer, row.request)
                for answer, row in zip(answers, rows, strict=True)
            ),
            "example": {"prompt": rows[0].prompt, "answer": answers[0]},
        }
    return measures
