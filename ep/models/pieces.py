"""The bytes of every token: joined and decoded as UTF-8, the pieces of a passage are its text.

The rules follow the ways in which tokenizers write tokens: byte-level BPE (GPT-2: "Ġ" is a space),
SentencePiece ("▁" is a space, "<0xE6>" a byte) and WordPiece ("##"). How a text is cut into tokens
is left to the tokenizer, see `tokens.py`.

The joined pieces may differ from the text in two ways. SentencePiece-style tokenizers put a space
before the first word (and after a special token), which the pieces contain too. A tokenizer that
normalises (lower case, NFC) gives the normalised text. Special tokens keep their written form, such
as b"<bos>".
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache
from typing import Any

_BYTE = re.compile(r"<0x([0-9A-Fa-f]{2})>")


@dataclass(frozen=True)
class Pieces:
    """How one tokenizer writes bytes in its token strings."""

    tokenizer: Any
    special: frozenset[int]
    """Ids of the tokens that keep their written form."""
    byte_level: bool
    """Whether tokens are written in GPT-2's alphabet of printable characters."""
    byte_fallback: bool
    """Whether tokens such as "<0xE6>" stand for a byte."""
    replacements: tuple[tuple[str, str], ...]
    """Pairs (written form, text), applied in order, such as (("▁", " "),)."""
    continuation: str | None
    """Prefix of tokens that continue a word (WordPiece); None for other tokenizers.

    A token without the prefix begins a word.
    """

    @classmethod
    def of(cls, tokenizer: Any) -> Pieces:
        """Return the rules of a tokenizer, taken from its own decoder."""
        added = getattr(tokenizer, "added_tokens_decoder", {})
        special = frozenset(tokenizer.all_special_ids) | {
            id for id, token in added.items() if token.special
        }
        steps = _decoder_steps(tokenizer)
        kinds = {step["type"] for step in steps}
        replacements = tuple(pair for step in steps if (pair := _replacement(step)))
        word_piece = next((step["prefix"] for step in steps if step["type"] == "WordPiece"), None)
        return cls(
            tokenizer,
            special,
            "ByteLevel" in kinds,
            "ByteFallback" in kinds,
            replacements,
            word_piece,
        )

    def piece(self, id: int) -> bytes:
        """Return the bytes of token `id`.

        An id that the tokenizer does not know (from a padded vocabulary) gives b"<unused ID>".
        """
        token = self.tokenizer.convert_ids_to_tokens(int(id))
        if token is None:
            return f"<unused {id}>".encode()
        if int(id) in self.special:
            return token.encode()
        if self.byte_level:
            return _from_byte_level(token)
        if self.byte_fallback and (match := _BYTE.fullmatch(token)):
            return bytes([int(match[1], 16)])
        for written, text in self.replacements:
            token = token.replace(written, text)
        if self.continuation is not None:
            continues = token.startswith(self.continuation)
            token = token.removeprefix(self.continuation) if continues else " " + token
        return token.encode()


def _decoder_steps(tokenizer: Any) -> list[dict[str, Any]]:
    """Return the decoder of a fast tokenizer as a list of steps; SentencePiece's for a slow one."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        return [{"type": "Metaspace", "replacement": "▁"}, {"type": "ByteFallback"}]
    if backend.decoder is None:
        return []
    # the state of a decoder is its JSON, the only form in which all kinds expose their settings
    decoder = json.loads(backend.decoder.__getstate__())
    return decoder["decoders"] if decoder["type"] == "Sequence" else [decoder]


def _replacement(step: dict[str, Any]) -> tuple[str, str] | None:
    """Return the pair (written form, text) that a decoder step replaces, or None."""
    if step["type"] == "Metaspace":
        return step["replacement"], " "
    if step["type"] == "BPEDecoder":
        return step["suffix"], " "
    if step["type"] == "Replace" and "String" in step["pattern"]:
        return step["pattern"]["String"], step["content"]
    return None


def _from_byte_level(token: str) -> bytes:
    """Return the bytes of a token written in GPT-2's printable alphabet.

    A token with any other character was added to the vocabulary as plain text.
    """
    alphabet = _byte_alphabet()
    if all(character in alphabet for character in token):
        return bytes(alphabet[character] for character in token)
    return token.encode()


@cache
def _byte_alphabet() -> dict[str, int]:
    """Return GPT-2's table from characters to bytes.

    Printable bytes are written as themselves, the other 68 as characters from U+0100 on.
    """
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(0x100) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {
        chr(0x100 + n): byte for n, byte in enumerate(others)
    }
