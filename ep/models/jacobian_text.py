"""The prompts of a Jacobian lens: pieces of equal length from the passages of a text.

The passages come in the corpus's seeded order. A prompt is the beginning of a passage; where the
passage is shorter, the next ones follow it after a blank line until the prompt is long enough, so
that a text of short rows can be used and every prompt weighs the same. The rest of a passage is not
read. A chat is rendered with the model's template.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from itertools import islice

import numpy as np

from ep.corpus import Corpus, Passage
from ep.errors import CorpusError
from ep.models.loading import LanguageModel
from ep.models.tokens import opens_reply
from ep.shapes import Int64

_BETWEEN = "\n\n"


def lens_prompts(
    model: LanguageModel,
    corpus: Corpus,
    count: int,
    tokens: int,
    skip: int = 0,
    refused: Container[int] = (),
) -> list[Int64[np.ndarray, " t"]]:
    """Return the tokens of `count` prompts, each of `tokens` tokens with its BOS.

    skip: prompts of the text to leave out first, such as those of another fit.
    refused: ids of passages that are left out, see `Survey`.

    Raises CorpusError where the text has fewer prompts.
    """
    found = list(islice(_prompts(model, corpus, tokens, refused), skip, skip + count))
    if len(found) < count:
        after = f" after the first {skip:,}" if skip else ""
        raise CorpusError(
            f"the text gives {len(found):,} prompts of {tokens} tokens{after}, and {count:,} were "
            "asked for: give more text, fewer prompts or fewer tokens"
        )
    return found


def _prompts(
    model: LanguageModel, corpus: Corpus, tokens: int, refused: Container[int]
) -> Iterator[Int64[np.ndarray, " t"]]:
    bos = [] if model.tokens.bos is None else [model.tokens.bos]
    between = _without_bos(model.tokens.encode(_BETWEEN), bos)
    prompt = list(bos)
    for passage in corpus:
        if passage.id in refused:
            continue
        if len(prompt) > len(bos):
            prompt += between
        prompt += _without_bos(_encoded(model, passage), bos)
        if len(prompt) >= tokens:
            yield np.array(prompt[:tokens], dtype=np.int64)
            prompt = list(bos)


def _encoded(model: LanguageModel, passage: Passage) -> list[int]:
    if passage.messages:
        return model.tokens.chat(passage.messages, opens_reply(passage.messages))[0]
    return model.tokens.encode(passage.text)


def _without_bos(ids: list[int], bos: list[int]) -> list[int]:
    return ids[len(bos) :]
