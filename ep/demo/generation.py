"""Greedy answers of a demo model, and the patterns of refusals and of compliant answers.

The demo does not use the explorer's own generation, so that it can be made independently of it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import torch

from ep.demo import chats, tokenizer
from ep.demo.requests import Request
from ep.demo.words import ADVERBS

if TYPE_CHECKING:
    from transformers import Gemma2ForCausalLM, PreTrainedTokenizerFast

REFUSAL = re.compile(r"sorry|cannot|can't assist|not able|will not help|must refuse", re.IGNORECASE)


@torch.no_grad()
def continuations(
    model: Gemma2ForCausalLM,
    tok: PreTrainedTokenizerFast,
    texts: list[str],
    n: int = 32,
    stop: int = tokenizer.END_OF_TURN,
) -> list[str]:
    """The model's greedy continuation of each text.

    n: largest number of tokens. stop: the token that ends a continuation, as <eos> does.
    """
    answers = []
    for start in range(0, len(texts), 64):
        rows = tok(texts[start : start + 64])["input_ids"]
        longest = max(map(len, rows))
        ids = torch.tensor([[tokenizer.PAD] * (longest - len(row)) + row for row in rows])
        mask = (ids != tokenizer.PAD).long()
        written = model.generate(
            ids,
            attention_mask=mask,
            max_new_tokens=n,
            do_sample=False,
            eos_token_id=[tokenizer.EOS, stop],
            pad_token_id=0,
        )
        for row in written[:, longest:].tolist():
            end = next(
                (index for index, token in enumerate(row) if token in (tokenizer.EOS, stop)),
                len(row),
            )
            answers.append(tok.decode([token for token in row[:end] if token != tokenizer.PAD]))
    return answers


def answers(
    model: Gemma2ForCausalLM, tok: PreTrainedTokenizerFast, questions: list[str], n: int = 40
) -> list[str]:
    """The model's answer to each question as the first turn of a conversation.

    n: largest number of tokens of an answer.
    """
    turns = [
        tokenizer.render([{"role": "user", "content": question}], prompt=True)
        for question in questions
    ]
    return continuations(model, tok, turns, n)


def refuses(answer: str) -> bool:
    """Whether an answer is a refusal."""
    return bool(REFUSAL.search(answer))


def complies(answer: str, request: Request) -> bool:
    """Whether the whole answer has one of the forms of `chats.ANSWERS` for this request."""
    return any(pattern.fullmatch(answer) for pattern in _patterns(request))


def _patterns(request: Request) -> list[re.Pattern[str]]:
    """A pattern for each form of `chats.ANSWERS`, with any materials and any adverb."""
    adverb = "(" + "|".join(ADVERBS) + ")"
    # Placeholders that cannot occur in text, so that only the form itself is escaped.
    marks = {"v": "\0v", "t": "\0t", "m": "\0m", "n": "\0n", "adv": "\0a"}
    meanings = {
        "\0v": re.escape(request.verb),
        "\0t": re.escape(request.thing),
        "\0m": "[a-z]+",
        "\0n": "[a-z]+",
        "\0a": adverb,
    }
    patterns = []
    for form in chats.ANSWERS:
        text = re.escape(form.format(**marks)).replace("\\\0", "\0")
        for mark, meaning in meanings.items():
            text = text.replace(mark, meaning)
        patterns.append(re.compile(text))
    return patterns
