"""A file read once from front to back, hashed on the way, with long stretches passed over but
remembered by place.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable
from typing import BinaryIO

from ep.errors import DictionaryFileError

WINDOW = 2**20
"""Bytes read at a time; at most this and one short item are held."""

INTEGERS = re.compile(rb"(?:J[\s\S]{4}|M[\s\S]{2}|K[\s\S])*+")
"""A run of integers as pickles write them: four bytes, two or one."""


class Tape:
    """One open file. size: its length when it was opened; reading beyond it is an error, whatever
    happens to it since.

    report: called with the number of bytes read so far, once a window.
    """

    def __init__(self, file: BinaryIO, report: Callable[[int], None] = lambda done: None) -> None:
        self._file = file
        self._sha = hashlib.sha256()
        self._report = report
        self._buffer = b""
        self._at = 0
        self._base = 0
        self.size = os.fstat(file.fileno()).st_size

    @property
    def position(self) -> int:
        return self._base + self._at

    @property
    def digest(self) -> str:
        """SHA-256 of everything read so far."""
        return self._sha.hexdigest()

    def byte(self) -> int:
        if self._at >= len(self._buffer):
            self._fill(1)
        self._at += 1
        return self._buffer[self._at - 1]

    def take(self, length: int) -> bytes:
        """The next few bytes."""
        if self._at + length > len(self._buffer):
            self._fill(length)
        self._at += length
        return self._buffer[self._at - length : self._at]

    def whole(self, length: int) -> int:
        """The next `length` bytes as an unsigned number."""
        return int.from_bytes(self.take(length), "little")

    def line(self, longest: int) -> bytes:
        """Up to the next line feed, which is passed over; DictionaryFileError when it is not within
        `longest` bytes.
        """
        if self._at + longest > len(self._buffer):
            self._fill(min(longest, self.size - self.position))
        end = self._buffer.find(b"\n", self._at, self._at + longest)
        if end < 0:
            raise self.error("a name without end")
        line = self._buffer[self._at : end]
        self._at = end + 1
        return line

    def pass_over(self, length: int) -> int:
        """Go past `length` bytes and return where they begin."""
        start = self.position
        if length > self.size - start:
            raise self.error(f"{length:,} bytes are announced where {self.size - start:,} are left")
        while self.position < start + length:
            if self._at == len(self._buffer):
                self._fill(1)
            self._at = min(len(self._buffer), self._at + start + length - self.position)
        return start

    def integers(self) -> int | None:
        """Go past the run of integers that begins here, as far as it is at hand; returns the first
        of them, if any.
        """
        run = INTEGERS.match(self._buffer, self._at)
        if run is None or run.end() == self._at:
            return None
        first = _integer(self._buffer, self._at)
        self._at = run.end()
        return first

    def again(self, offset: int, length: int) -> bytes:
        """Bytes that were passed over, read now.

        DictionaryFileError when the file lost them meanwhile.
        """
        if not 0 <= offset <= offset + length <= self.size:
            raise self.error("a place beyond the end of the file")
        data = (
            os.pread(self._file.fileno(), length, offset)
            if hasattr(os, "pread")
            else self._seek(offset, length)
        )
        if len(data) != length:
            raise DictionaryFileError("the file changed while it was read")
        return data

    def error(self, what: str) -> DictionaryFileError:
        """What is wrong, with the place."""
        return DictionaryFileError(f"{what} (byte {self.position:,})")

    def _seek(self, offset: int, length: int) -> bytes:
        """For systems without pread: read there and come back."""
        here = self._file.tell()
        try:
            self._file.seek(offset)
            return self._file.read(length)
        finally:
            self._file.seek(here)

    def _fill(self, length: int) -> None:
        """Bring at least `length` bytes from here on into the buffer."""
        rest = self._buffer[self._at :]
        self._base += self._at
        self._at = 0
        if self._base + length > self.size:
            raise self.error("the file is cut short")
        parts, have = [rest], len(rest)
        while have < length:
            part = self._file.read(max(WINDOW, length - have))
            if not part:
                raise self.error("the file is cut short")
            self._sha.update(part)
            parts.append(part)
            have += len(part)
        self._buffer = b"".join(parts)
        self._report(self._base)


def _integer(buffer: bytes, at: int) -> int:
    length = {ord("J"): 4, ord("M"): 2, ord("K"): 1}[buffer[at]]
    return int.from_bytes(buffer[at + 1 : at + 1 + length], "little", signed=length == 4)
