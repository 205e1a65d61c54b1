"""What a published file's bytes may become: inert values. None of them can do anything, and long
ones stay in the file.

A `Span` says where bytes lie; they are read when somebody wants them. What nobody wants becomes
`LEFT_OUT` while it is read, so the reservoirs that fill a published file are never held.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, NamedTuple


class Span(NamedTuple):
    """Bytes in the file: from `offset`, `length` of them."""

    offset: int
    length: int


class Text(NamedTuple):
    """A long string in the file, as UTF-8."""

    offset: int
    length: int


class Latin(NamedTuple):
    """Bytes written as text, one character a byte (how protocol 2 writes them)."""

    text: str | Text


class _LeftOut:
    """The one value that stands for everything that was read and not kept."""

    def __repr__(self) -> str:
        return "LEFT_OUT"


LEFT_OUT: Final = _LeftOut()


class First:
    """Stands for a list of which only the first item is kept."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value: Any = None


@dataclass(frozen=True)
class Name:
    """An allowed (module, name) of the file.

    It is never imported; `kind` says which of ours it stands for.
    """

    kind: str


@dataclass(slots=True)
class Dtype:
    """A numpy dtype: a code such as "f4" and a byte order."""

    code: str
    order: str = "<"

    @property
    def itemsize(self) -> int:
        return int(self.code[1:])


@dataclass(slots=True)
class Array:
    """A numpy array whose numbers stay in the file."""

    dtype: Dtype | None = None
    shape: tuple[int, ...] = ()
    payload: Span | Latin | None = None


@dataclass(slots=True)
class Record:
    """An object of one of the two published classes; `made` is what its reader made of its
    state.
    """

    kind: str
    built: bool = False
    made: Any = None
