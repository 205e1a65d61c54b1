"""Rows that are read once from afar and kept on disk, so that the next pass need not ask again."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from threading import Lock
from typing import Any
from weakref import finalize

from ep.leftovers import remove, system_scratch, unfinished
from ep.textfiles import Row, Unusable, Value

MOST_BYTES = 2 << 30
"""Bytes of rows kept on disk; later rows are asked for again in every pass."""


class Spool:
    """The rows of a source, restartable; each is asked for once, as far as they fit on disk.

    read: begins to read the source; every call gives the same rows.
    most: bytes to keep. They lie in a temporary file that goes with this object.

    Raises the errors of `read`, after which the next pass asks again for what is missing.
    """

    def __init__(self, read: Callable[[], Iterator[Row]], most: int = MOST_BYTES) -> None:
        self._read, self._most = read, most
        self._source: list[Iterator[Row]] = []  # the one that is being read
        self._path = unfinished(system_scratch("ep-text"))
        self._file = os.fdopen(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600), "wb")
        # Libraries cannot end a read when the interpreter has begun to: it ends before.
        finalize(self, _end, self._source, self._file, self._path)
        self._count, self._is_full, self._lock = 0, False, Lock()

    def __iter__(self) -> Iterator[Row]:
        number = 0
        with self._path.open("rb") as kept:
            while self._has(number):
                yield _row(kept.readline())
                number += 1
        if self._is_full:
            yield from islice(self._read(), number, None)

    def _has(self, number: int) -> bool:
        """Whether the row of this number is kept, which it is as soon as it is asked for."""
        with self._lock:
            if number < self._count or self._is_full:
                return number < self._count
            if not self._source:
                self._source.append(islice(self._read(), self._count, None))
            try:
                row = next(self._source[0], None)
            except BaseException:
                self._source.clear()
                raise
            if row is None:
                return False
            self._file.write(_line(row))
            self._file.flush()
            self._count += 1
            self._is_full = self._file.tell() > self._most
            return True


def _end(source: list[Iterator[Row]], file: Any, path: Path) -> None:
    source.clear()
    file.close()
    remove(path)


def _line(row: Row) -> bytes:
    place, value = row
    kept = {"reason": value.reason} if isinstance(value, Unusable) else value
    return json.dumps([place, kept]).encode() + b"\n"


def _row(line: bytes) -> Row:
    place, kept = json.loads(line)
    value: Value = kept if isinstance(kept, str) else ()
    if isinstance(kept, dict):
        value = Unusable(kept["reason"])
    elif isinstance(kept, list):
        value = tuple(kept)
    return place, value
