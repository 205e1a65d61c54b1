"""One prompt read by a model: its tokens and the activations of each, ready for dictionaries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ep.models.activations import read
from ep.models.chat import Message
from ep.models.loading import LanguageModel
from ep.shapes import Bool, Float32
from ep.text import split_text


@dataclass(frozen=True, eq=False)
class PromptActivations:
    """The t tokens of one prompt and their raw activations.

    tokens: their texts, which joined give the prompt.
    outside: (t,) True at BOS, to which no dictionary applies.
    template: (t,) True where a chat template wrote the token.
    x: (t, d) activations by layer.
    truncated: whether the prompt was longer.
    tokenizer: the digest of the tokenizer, as dictionaries record it.
    """

    tokens: tuple[str, ...]
    outside: Bool[np.ndarray, " t"]
    template: Bool[np.ndarray, " t"]
    x: dict[int, Float32[np.ndarray, "t d"]]
    truncated: bool
    tokenizer: str

    @property
    def layers(self) -> tuple[int, ...]:
        """The layers read, in ascending order."""
        return tuple(sorted(self.x))


def read_prompt(
    model: LanguageModel, prompt: str | Sequence[Message], layers: Sequence[int], longest: int
) -> PromptActivations:
    """Return the tokens and activations of a text, or of chat messages, at every requested layer.

    prompt: messages get the opening of the reply.
    longest: most tokens to keep; the model's context limits them too.

    Raises ModelError for a prompt without tokens, a layer that the model lacks, and messages
    without a chat template.
    """
    encoded = model.encode_prompt(prompt)
    ids = encoded.ids[:longest]
    return PromptActivations(
        tokens=split_text([model.tokens.piece(token) for token in ids]),
        outside=np.asarray(model.tokens.bos_only(ids), bool),
        template=np.asarray(encoded.is_template[:longest], bool),
        x=read(model, ids, layers),
        truncated=encoded.truncated or len(ids) < len(encoded.ids),
        tokenizer=model.digest,
    )
