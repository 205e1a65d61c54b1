"""The inert values that a pickle is interpreted as.

Long bytes and strings stay in the file: a `Span` or `Text` is their position, and they are read
when they are needed. Everything that is not needed is replaced by `LEFT_OUT` while it is read, so
that the reservoirs of members, which are most of a published file, are never in memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, NamedTuple


class Span(NamedTuple):
    """`length` bytes in the file, from `offset` on."""

    offset: int
    length: int


class Text(NamedTuple):
    """A long string in the file: `length` bytes of UTF-8, from `offset` on."""

    offset: int
    length: int


class Latin(NamedTuple):
    """Bytes written as text with one character per byte, as protocol 2 does."""

    text: str | Text


class _LeftOut:
    """The type of `LEFT_OUT`, which replaces everything that was read and is not needed."""

    def __repr__(self) -> str:
        return "LEFT_OUT"


LEFT_OUT: Final = _LeftOut()


class First:
    """A list of which only the first item is stored; `value` is None before that was read."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value: Any = None


@dataclass(frozen=True)
class Name:
    """An allowed (module, name) in the file, which is never imported; `kind` is what it means."""

    kind: str


@dataclass(slots=True)
class Dtype:
    """A numpy dtype: a code such as "f4" and a byte order."""

    code: str
    order: str = "<"

    @property
    def itemsize(self) -> int:
        """Bytes of one value."""
        return int(self.code[1:])


@dataclass(slots=True)
class Array:
    """A numpy array whose values stay in the file; dtype and payload are None until it is built."""

    dtype: Dtype | None = None
    shape: tuple[int, ...] = ()
    payload: Span | Latin | None = None


@dataclass(slots=True)
class Record:
    """An object of one of the two published classes.

    kind: "dictionary" or "region". built: whether its state has been read. content: its values as
    checked by `layout`.
    """

    kind: str
    built: bool = False
    content: Any = None
