"""Which texts were read before, as hashes in a table that takes 10 to 15 bytes for each.

Texts count as the same if they are equal after Unicode's NFC, with every run of whitespace as one
space and none at the ends. A hash has 64 bits, so that of 100 million different texts one is taken
for another with a chance of 0.0003 (n² / 2⁶⁵).
"""

from __future__ import annotations

import hashlib
import json
import unicodedata
from array import array
from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

FULLEST = 0.8
"""Largest share of the table that is used."""
GROWTH = 1.5
"""How much larger the next table is."""


@runtime_checkable
class Readable(Protocol):
    """What is hashed of a passage: its text, or its messages."""

    @property
    def text(self) -> str:
        """Plain text."""
        ...

    @property
    def messages(self) -> Sequence[Mapping[str, str]] | None:
        """A chat, instead of a text."""
        ...


class Seen:
    """The texts seen so far, as a table of 64-bit hashes with linear probing; 0 is a free place."""

    def __init__(self) -> None:
        self._table = array("Q", bytes(8 * 1024))
        self._count = 0

    def __len__(self) -> int:
        return self._count

    @property
    def n_bytes(self) -> int:
        """Size of the table."""
        return len(self._table) * self._table.itemsize

    def add(self, passage: Readable) -> bool:
        """Add the text of a passage; return False where it was seen before."""
        if not _insert(self._table, _hash(passage)):
            return False
        self._count += 1
        if self._count > FULLEST * len(self._table):
            larger = array("Q", bytes(8 * int(GROWTH * len(self._table))))
            for value in self._table:
                if value:
                    _insert(larger, value)
            self._table = larger
        return True


def _insert(table: array[int], value: int) -> bool:
    size = len(table)
    at = value % size
    while (there := table[at]) != 0:
        if there == value:
            return False
        at = at + 1 if at + 1 < size else 0
    table[at] = value
    return True


def _hash(passage: Readable) -> int:
    """The hash of a passage's normalised text, never 0."""
    if passage.messages:
        parts = [[m["role"], _normalised(m["content"])] for m in passage.messages]
        text = json.dumps(parts)
    else:
        text = _normalised(passage.text)
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little") or 1


def _normalised(text: str) -> str:
    return " ".join(unicodedata.normalize("NFC", text).split())
