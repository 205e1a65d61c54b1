"""The demo's tokenizer: byte-pair encoding as in Gemma, trained on the demo corpus.

Spaces are written as "▁" and belong to the word that follows; every digit is a token; other
characters fall back to 256 byte tokens. Decoding therefore restores the text exactly, except that a
literal "▁" becomes a space, as in Gemma.
"""

from __future__ import annotations

import json
import string
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from tokenizers.models import Model
    from transformers import PreTrainedTokenizerFast

VOCABULARY_SIZE = 4096
CONTEXT = 256
SPECIAL = ("<pad>", "<eos>", "<bos>", "<unk>", "<start_of_turn>", "<end_of_turn>")
PAD, EOS, BOS, END_OF_TURN = 0, 1, 2, 5
BYTES = tuple(f"<0x{byte:02X}>" for byte in range(256))
# Pieces that no merge crosses: a line break, a digit, a word with the space before it, one other
# character with the spaces before it, or spaces.
_PIECES = r"\n|\d|▁?[A-Za-z']+|▁*[^A-Za-z\d\n▁]|▁+"

CHAT_TEMPLATE = (
    "{{ bos_token }}{% if messages[0]['role'] == 'system' %}{% set system = messages[0]['content'] "
    "+ '\n\n' %}"
    "{% set turns = messages[1:] %}{% else %}{% set system = '' %}{% set turns = messages %}{% "
    "endif %}"
    "{% for message in turns %}<start_of_turn>{{ 'model' if message['role'] == 'assistant' else "
    "message['role'] }}\n"
    "{{ (system if loop.first else '') + message['content'] }}<end_of_turn>\n{% endfor %}"
    "{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
)


def render(messages: Iterable[dict[str, str]], prompt: bool = False) -> str:
    """A conversation as text, as CHAT_TEMPLATE renders it but without the leading <bos>.

    messages: an optional system message, then turns of user and assistant.
    prompt: whether to begin the model's next turn at the end.
    """
    system, parts = "", []
    for message in messages:
        if message["role"] == "system":
            system = f"{message['content']}\n\n"
            continue
        role = "model" if message["role"] == "assistant" else message["role"]
        parts.append(f"<start_of_turn>{role}\n{system}{message['content']}<end_of_turn>\n")
        system = ""
    return "".join(parts) + ("<start_of_turn>model\n" if prompt else "")


def train(texts: Iterable[str]) -> PreTrainedTokenizerFast:
    """Train the tokenizer on `texts`; equal texts give an equal tokenizer."""
    from tokenizers import models, trainers

    learner = _pipeline(models.BPE())
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY_SIZE - len(BYTES),
        special_tokens=list(SPECIAL),
        min_frequency=2,
        show_progress=False,
        initial_alphabet=[*string.printable[:94], "▁", "\n"],
    )
    learner.train_from_iterator(texts, trainer)
    return _wrapped(_with_bytes(learner))


def _pipeline(model: Model) -> Tokenizer:
    """A tokenizer with the given model and Gemma's steps before and after it."""
    from tokenizers import Regex, Tokenizer, decoders, normalizers, pre_tokenizers, processors

    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(_PIECES), "isolated")
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<bos> $A", pair="<bos> $A $B", special_tokens=[("<bos>", BOS)]
    )
    return tokenizer


def _with_bytes(learner: Tokenizer) -> Tokenizer:
    """The trained tokenizer with the byte tokens inserted after the special tokens."""
    from tokenizers import AddedToken, models

    trained = json.loads(learner.to_str())["model"]
    pieces = sorted(trained["vocab"], key=trained["vocab"].__getitem__)[len(SPECIAL) :]
    vocabulary = {piece: index for index, piece in enumerate((*SPECIAL, *BYTES, *pieces))}
    merges = [tuple(merge) for merge in trained["merges"]]
    tokenizer = _pipeline(models.BPE(vocabulary, merges, unk_token="<unk>", byte_fallback=True))
    tokenizer.add_special_tokens(
        [AddedToken(token, special=True, normalized=False) for token in SPECIAL]
    )
    return tokenizer


def _wrapped(tokenizer: Tokenizer) -> PreTrainedTokenizerFast:
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        eos_token="<eos>",
        bos_token="<bos>",
        unk_token="<unk>",
        additional_special_tokens=["<start_of_turn>", "<end_of_turn>"],
        padding_side="right",
        clean_up_tokenization_spaces=False,
        model_max_length=CONTEXT,
        chat_template=CHAT_TEMPLATE,
    )
