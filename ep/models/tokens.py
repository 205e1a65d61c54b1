"""Text to token ids and back: the BOS rule, true masks, chat templates and batches.

This module alone decides where a BOS goes and which tokens are padding, template or content. It
needs the tokenizer only and runs no model.

The BOS rule (protocol 1.6): where the tokenizer has a BOS token, every passage starts with exactly
one, even when its text or chat template already contains one (W3), and that position is never
harvested. Where it has none, a passage starts with its first real token, which is harvested like
any other. Lengths are counted, never guessed from ids that look like padding, because BOS, EOS and
pad may have the same id (W2).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np

from ep.errors import ChatError, ModelError
from ep.models.chat import Message, render
from ep.models.pieces import Pieces
from ep.shapes import Bool, Int64


@runtime_checkable
class PassageLike(Protocol):
    """What a batch needs of a passage."""

    @property
    def id(self) -> int:
        """The id that `TokenBatch.passage` refers to."""
        ...

    @property
    def text(self) -> str:
        """Plain text, used where there are no messages."""
        ...

    @property
    def messages(self) -> Sequence[Message] | None:
        """A chat, which is rendered with the tokenizer's template; None for plain text."""
        ...


class Prompt(NamedTuple):
    """One tokenised prompt, BOS included."""

    ids: list[int]
    is_template: list[bool]
    """True for BOS and for every token that the chat template added."""
    truncated: bool
    """Whether the prompt was cut to the model's context."""


@dataclass(frozen=True)
class TokenBatch:
    """A batch of b passages, padded on the right to the longest.

    Padding has id 0, which may be a real token too: only `mask` tells them apart.
    """

    ids: Int64[np.ndarray, "b t"]
    mask: Bool[np.ndarray, "b t"]
    """True at real tokens."""
    keep: Bool[np.ndarray, "b t"]
    """True at positions to harvest: real tokens that are neither BOS nor a chat template's."""
    passage: Int64[np.ndarray, " b"]
    """Passage ids."""
    truncated: Bool[np.ndarray, " b"]
    """Whether the passage was longer than the context."""
    n_cut: int = 0
    """Number of tokens beyond the context, which are not in the batch."""
    n_passages: int = 0
    """Number of passages read since the batch before, those without any token included."""

    @property
    def n_tokens(self) -> int:
        """Number of real tokens in the batch, BOS included."""
        return int(self.mask.sum())


class Tokens:
    """A tokenizer with the BOS rule, chat templates and the bytes of its tokens."""

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer
        self.bos: int | None = tokenizer.bos_token_id
        self._pieces = Pieces.of(tokenizer)
        self._cached: dict[int, bytes] = {}

    def encode(self, text: str) -> list[int]:
        """Return the token ids of a text, with exactly one BOS in front if there is one.

        Special tokens written out in the text are encoded as such; a BOS at its start is not
        doubled.
        """
        return self._encode_all([text])[0]

    def chat(
        self, messages: Sequence[Message], add_generation_prompt: bool = False
    ) -> tuple[list[int], list[bool]]:
        """Return the token ids of chat messages, and which of them belong to the template.

        add_generation_prompt: whether to add the opening of the reply.

        A token is content if its first character is message content, and template otherwise (BOS,
        role names, turn marks, the opening of the reply). Raises ModelError where the tokenizer has
        no template or refuses the roles.
        """
        text, contents = self._rendered(messages, add_generation_prompt)
        encoded = self.tokenizer(
            text, add_special_tokens=False, return_offsets_mapping=True, verbose=False
        )
        starts = np.array([start for start, _ in encoded["offset_mapping"]], dtype=np.int64)
        is_content = np.zeros(len(starts), dtype=bool)
        for span in contents:
            is_content |= (starts >= span.start) & (starts < span.stop)
        ids = self._with_one_bos(encoded["input_ids"])
        # 1 where a BOS was added, negative where surplus ones were removed
        added = len(ids) - len(starts)
        is_template = [True] * max(added, 0) + (~is_content[max(-added, 0) :]).tolist()
        return ids, is_template

    def refusal(self, messages: Sequence[Message]) -> str:
        """Return why the template cannot render the messages of a passage; "" where it can.

        Raises ModelError where the tokenizer cannot read any chat.
        """
        try:
            self._rendered(messages, opens_reply(messages))
        except ChatError as error:
            return str(error)
        return ""

    def bos_only(self, ids: Sequence[int]) -> list[bool]:
        """Return which tokens of an encoded plain text are not text: its BOS, if there is one."""
        return [position == 0 and self.bos is not None for position in range(len(ids))]

    def piece(self, id: int) -> bytes:
        """Return the exact bytes of one token.

        The joined pieces of a passage are its text, within the limits that `pieces.py` describes.
        """
        piece = self._cached.get(id)
        if piece is None:
            piece = self._cached[id] = self._pieces.piece(id)
        return piece

    @cached_property
    def digest(self) -> str:
        """SHA-256 of everything that decides ids.

        It covers the vocabulary, merges, normaliser, special tokens and chat template.
        """
        backend = getattr(self.tokenizer, "backend_tokenizer", None)
        body = (
            backend.to_str()
            if backend is not None
            else json.dumps(sorted(self.tokenizer.get_vocab().items()))
        )
        template = self.tokenizer.chat_template or ""
        facts = json.dumps([self.bos, self.tokenizer.eos_token_id, template], sort_keys=True)
        return hashlib.sha256(f"{facts}\n{body}".encode()).hexdigest()

    def batches(
        self, passages: Iterable[PassageLike], batch_size: int = 128, context: int = 128
    ) -> Iterator[TokenBatch]:
        """Cut a stream of passages into batches of `batch_size` passages, in order.

        context: tokens to keep of each passage, not counting BOS (protocol 1.7: 128, so rows of
            129).

        Passages with messages are rendered with the chat template. If the last turn is the user's,
        the opening of the reply follows, whose last token is the "final" position. Passages without
        any token are left out. Raises the errors of `chat`.
        """
        stream, n_passages = iter(passages), 0
        while group := list(islice(stream, batch_size)):
            plain = iter(
                self._encode_all([passage.text for passage in group if not passage.messages])
            )
            n_passages += len(group)
            rows = []
            for passage in group:
                if passage.messages:
                    ids, template = self.chat(passage.messages, opens_reply(passage.messages))
                else:
                    ids = next(plain)
                    template = self.bos_only(ids)
                if ids:
                    rows.append((passage.id, ids, template))
            if rows:
                yield self._padded(rows, context + (self.bos is not None), n_passages)
                n_passages = 0

    def _padded(
        self, rows: list[tuple[int, list[int], list[bool]]], limit: int, n_passages: int
    ) -> TokenBatch:
        """Return rows (passage id, token ids, template flags) as a batch, cut to `limit` tokens."""
        width = min(limit, max(len(ids) for _, ids, _ in rows))
        batch = TokenBatch(
            ids=np.zeros((len(rows), width), dtype=np.int64),
            mask=np.zeros((len(rows), width), dtype=bool),
            keep=np.zeros((len(rows), width), dtype=bool),
            passage=np.array([passage for passage, _, _ in rows], dtype=np.int64),
            truncated=np.array([len(ids) > limit for _, ids, _ in rows], dtype=bool),
            n_cut=sum(max(0, len(ids) - limit) for _, ids, _ in rows),
            n_passages=n_passages,
        )
        for row, (_, ids, is_template) in enumerate(rows):
            length = min(len(ids), limit)
            batch.ids[row, :length] = ids[:length]
            batch.mask[row, :length] = True
            batch.keep[row, :length] = np.logical_not(is_template[:length])
        return batch

    def _rendered(
        self, messages: Sequence[Message], add_generation_prompt: bool
    ) -> tuple[str, list[range]]:
        """Return rendered messages and the spans of their contents, see `render`."""
        if not self.tokenizer.is_fast:
            raise ModelError(
                "this tokenizer has no character offsets, which chats need; give plain text"
            )
        return render(self.tokenizer, messages, add_generation_prompt)

    def _encode_all(self, texts: list[str]) -> list[list[int]]:
        """Return the token ids of each text, each with its BOS."""
        # JSON may contain lone surrogates, which have no UTF-8 form and which tokenizers refuse:
        # they become "?".
        clean = [text.encode("utf-8", "replace").decode("utf-8") for text in texts]
        if not clean:
            return []
        encoded = self.tokenizer(
            clean, add_special_tokens=False, return_attention_mask=False, verbose=False
        )
        return [self._with_one_bos(ids) for ids in encoded["input_ids"]]

    def _with_one_bos(self, ids: list[int]) -> list[int]:
        """Return the ids with exactly one leading BOS, or as they are where there is none."""
        if self.bos is None:
            return list(ids)
        first = next((n for n, id in enumerate(ids) if id != self.bos), len(ids))
        return [self.bos, *ids[first:]]


def opens_reply(messages: Sequence[Message]) -> bool:
    """Return whether a chat is read with the opening of a reply: its last turn is the user's."""
    return messages[-1]["role"] == "user"
