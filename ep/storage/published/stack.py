"""The stack of the machine: values, marks, and the bounds on both."""

from __future__ import annotations

from typing import Any

from ep.storage.published.tape import Tape

LONGEST_NAME = 200
SHORT_TEXT = 256
"""Longer strings stay in the file."""

MAX_STACK, MAX_MARKS, MAX_TUPLE = 100_000, 64, 16
MAX_OBJECTS = 20_000_000
"""Tuples, arrays, lists and objects in one file, and things it remembers; the largest published has
about 6 million.
"""


class Stack:
    """Values that wait to be used, and marks among them.

    Taking what is not there is an error at the tape's place.
    """

    def __init__(self, tape: Tape) -> None:
        self._tape = tape
        self._stack: list[Any] = []
        self._marks: list[int] = []
        self._objects = 0

    def _push(self, value: Any) -> None:
        if len(self._stack) >= MAX_STACK:
            raise self._tape.error(
                f"more than {MAX_STACK:,} values wait at once: nested too deeply"
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
        if not self._marks:
            raise self._tape.error("a mark is missing")
        start = self._marks.pop()
        items = self._stack[start:]
        del self._stack[start:]
        return items

    def _count(self) -> None:
        self._objects += 1
        if self._objects > MAX_OBJECTS:
            raise self._tape.error(f"more than {MAX_OBJECTS:,} objects")
