"""The demo's tokenizer: BPE in the manner of Gemma, trained on the demo corpus.

Spaces are written as "▁" and belong to the word that follows; digits stand alone; anything unseen
falls back to the 256 byte tokens, so decoding gives back the text exactly (only a literal "▁" reads
back as a space, as in Gemma).
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
# One token starts at each match: a line break, a digit, a word with the space before it, one other
# character.
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
    """A conversation as text, without the leading <bos>: what CHAT_TEMPLATE writes, in plain
    Python.

    Args:
        messages: an optional system message, then turns of user and assistant.
        prompt: open the model's next turn at the end.
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
    """The tokenizer learned from `texts`; equal texts give an equal tokenizer."""
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
    """The trained tokenizer with the byte tokens put after the special ones."""
    from tokenizers import AddedToken, models

    learned = json.loads(learner.to_str())["model"]
    pieces = sorted(learned["vocab"], key=learned["vocab"].__getitem__)[len(SPECIAL) :]
    vocabulary = {piece: index for index, piece in enumerate((*SPECIAL, *BYTES, *pieces))}
    merges = [tuple(merge) for merge in learned["merges"]]
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
