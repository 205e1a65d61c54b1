"""The bytes of every token: joined and decoded as UTF-8, a passage's pieces are its text.

Knows how tokenizers write tokens: byte-level BPE (GPT-2: "Ġ" is a space), SentencePiece ("▁" is a
space, "<0xE6>" a byte), WordPiece ("##"). Does not know how text is cut into tokens: tokens.py asks
the tokenizer.

Where the join differs from the text: SentencePiece-style tokenizers put a space before the first
word (and after a special token), so the join has that one space more; a tokenizer that normalises
(lower case, NFC) joins to the normalised text. Special tokens keep their written form, such as
b"<bos>".
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
    """Ids that keep their written form."""
    byte_level: bool
    byte_fallback: bool
    replacements: tuple[tuple[str, str], ...]
    """Written form to text, in order: (("▁", " "),)."""
    continuation: str | None
    """A token with this prefix continues a word, one without starts it (WordPiece); None
    elsewhere.
    """

    @classmethod
    def of(cls, tokenizer: Any) -> Pieces:
        """Read the rules from the tokenizer's own decoder."""
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
        """The bytes of token `id`; an id the tokenizer does not know (a padded vocabulary) is
        written <unused ID>.
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
    """The decoder of a fast tokenizer as a list of steps; SentencePiece's rules for a slow one."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        return [{"type": "Metaspace", "replacement": "▁"}, {"type": "ByteFallback"}]
    if backend.decoder is None:
        return []
    decoder = json.loads(backend.decoder.__getstate__())
    return decoder["decoders"] if decoder["type"] == "Sequence" else [decoder]


def _replacement(step: dict[str, Any]) -> tuple[str, str] | None:
    if step["type"] == "Metaspace":
        return step["replacement"], " "
    if step["type"] == "BPEDecoder":
        return step["suffix"], " "
    if step["type"] == "Replace" and "String" in step["pattern"]:
        return step["pattern"]["String"], step["content"]
    return None


def _from_byte_level(token: str) -> bytes:
    """Undo GPT-2's printable alphabet; a token with any other character was added as it stands."""
    alphabet = _byte_alphabet()
    if all(character in alphabet for character in token):
        return bytes(alphabet[character] for character in token)
    return token.encode()


@cache
def _byte_alphabet() -> dict[str, int]:
    """GPT-2's table: printable bytes stand for themselves, the other 68 for characters from U+0100
    on.
    """
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(0x100) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {
        chr(0x100 + n): byte for n, byte in enumerate(others)
    }
