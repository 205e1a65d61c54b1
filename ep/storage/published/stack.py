"""The stack of the machine: values and marks, with bounds on both."""

from __future__ import annotations

from typing import Any

from ep.storage.published.tape import Tape

LONGEST_NAME = 200
"""Bytes of a module's or class's name."""
SHORT_TEXT = 256
"""Bytes up to which strings are read immediately; longer ones stay in the file."""

MAX_STACK, MAX_MARKS, MAX_TUPLE = 100_000, 64, 16
"""Values on the stack, open marks, and items of a tuple."""
MAX_OBJECTS = 20_000_000
"""Tuples, arrays, lists, objects and memo entries in one file.

The largest published file has about 6 million.
"""


class Stack:
    """A stack of values with marks among them.

    Each method raises DictionaryFileError, with the position of the tape, when a bound is exceeded
    or a value or mark is missing. No method takes a value from below the topmost mark.
    """

    def __init__(self, tape: Tape) -> None:
        self._tape = tape
        self._stack: list[Any] = []
        self._marks: list[int] = []
        self._objects = 0

    def _push(self, value: Any) -> None:
        if len(self._stack) >= MAX_STACK:
            raise self._tape.error(
                f"more than {MAX_STACK:,} values on the stack: nested too deeply"
            )
        self._stack.append(value)

    def _pop(self) -> Any:
        if len(self._stack) <= (self._marks[-1] if self._marks else 0):
            raise self._tape.error("a value is missing")
        return self._stack.pop()

    def _top(self) -> Any:
        if len(self._stack) <= (self._marks[-1] if self._marks else 0):
            raise self._tape.error("a value is missing")
        return self._stack[-1]

    def _since_mark(self) -> list[Any]:
        """Remove the topmost mark and the values above it; return these in order."""
        if not self._marks:
            raise self._tape.error("a mark is missing")
        start = self._marks.pop()
        items = self._stack[start:]
        del self._stack[start:]
        return items

    def _count(self) -> None:
        """Count one more object."""
        self._objects += 1
        if self._objects > MAX_OBJECTS:
            raise self._tape.error(f"more than {MAX_OBJECTS:,} objects")
