"""Reads a file once from beginning to end and hashes it; long values are skipped and read later."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable
from typing import BinaryIO

from ep.errors import DictionaryFileError

WINDOW = 2**20
"""Bytes read at a time; no more than this and one short item are in memory."""

INTEGERS = re.compile(rb"(?:J[\s\S]{4}|M[\s\S]{2}|K[\s\S])*+")
"""A run of integers in a pickle: opcodes with operands of four, two or one bytes."""


class Tape:
    """An open file with a read position.

    size: its length in bytes when it was opened; reading beyond that is an error, even if the file
        has grown.
    report: called with the number of bytes read so far, once for each window.
    """

    def __init__(self, file: BinaryIO, report: Callable[[int], None] = lambda done: None) -> None:
        self._file = file
        self._sha = hashlib.sha256()
        self._report = report
        self._buffer = b""
        self._at = 0  # the next byte within the buffer
        self._base = 0  # offset of the buffer within the file
        self.size = os.fstat(file.fileno()).st_size

    @property
    def position(self) -> int:
        """The offset in the file of the next byte."""
        return self._base + self._at

    @property
    def digest(self) -> str:
        """SHA-256 of everything read so far."""
        return self._sha.hexdigest()

    def byte(self) -> int:
        """Return the next byte."""
        if self._at >= len(self._buffer):
            self._fill(1)
        self._at += 1
        return self._buffer[self._at - 1]

    def take(self, length: int) -> bytes:
        """Return the next `length` bytes."""
        if self._at + length > len(self._buffer):
            self._fill(length)
        self._at += length
        return self._buffer[self._at - length : self._at]

    def unsigned(self, length: int) -> int:
        """Return the next `length` bytes as an unsigned little-endian number."""
        return int.from_bytes(self.take(length), "little")

    def line(self, longest: int) -> bytes:
        """Return the bytes up to the next line feed, and skip the line feed.

        Raises DictionaryFileError when there is none within `longest` bytes.
        """
        if self._at + longest > len(self._buffer):
            self._fill(min(longest, self.size - self.position))
        end = self._buffer.find(b"\n", self._at, self._at + longest)
        if end < 0:
            raise self.error("a name without end")
        line = self._buffer[self._at : end]
        self._at = end + 1
        return line

    def skip(self, length: int) -> int:
        """Skip `length` bytes and return their offset in the file."""
        start = self.position
        if length > self.size - start:
            raise self.error(f"{length:,} bytes are announced and {self.size - start:,} are left")
        while self.position < start + length:
            if self._at == len(self._buffer):
                self._fill(1)
            self._at = min(len(self._buffer), self._at + start + length - self.position)
        return start

    def integers(self) -> int | None:
        """Skip the run of integers at this position; return the first one, or None without any.

        Only integers that are complete in the buffer are skipped.
        """
        run = INTEGERS.match(self._buffer, self._at)
        if run is None or run.end() == self._at:
            return None
        first = _integer(self._buffer, self._at)
        self._at = run.end()
        return first

    def read_at(self, offset: int, length: int) -> bytes:
        """Return bytes at an offset that was skipped before; the position does not change.

        Raises DictionaryFileError when the file has become shorter.
        """
        if not 0 <= offset <= offset + length <= self.size:
            raise self.error("an offset beyond the end of the file")
        data = (
            os.pread(self._file.fileno(), length, offset)
            if hasattr(os, "pread")
            else self._seek(offset, length)
        )
        if len(data) != length:
            raise DictionaryFileError("the file changed while it was read")
        return data

    def error(self, message: str) -> DictionaryFileError:
        """Return an error with a message and the position in the file."""
        return DictionaryFileError(f"{message} (byte {self.position:,})")

    def _seek(self, offset: int, length: int) -> bytes:
        """Read bytes at an offset and restore the position, for systems without pread."""
        previous = self._file.tell()
        try:
            self._file.seek(offset)
            return self._file.read(length)
        finally:
            self._file.seek(previous)

    def _fill(self, length: int) -> None:
        """Read on until the buffer has at least `length` bytes from the current position."""
        rest = self._buffer[self._at :]
        self._base += self._at
        self._at = 0
        if self._base + length > self.size:
            raise self.error("the file is cut short")
        parts, n_bytes = [rest], len(rest)
        while n_bytes < length:
            part = self._file.read(max(WINDOW, length - n_bytes))
            if not part:
                raise self.error("the file is cut short")
            self._sha.update(part)
            parts.append(part)
            n_bytes += len(part)
        self._buffer = b"".join(parts)
        self._report(self._base)


def _integer(buffer: bytes, at: int) -> int:
    """The integer whose opcode is at an index of the buffer; only four-byte ones are signed."""
    length = {ord("J"): 4, ord("M"): 2, ord("K"): 1}[buffer[at]]
    return int.from_bytes(buffer[at + 1 : at + 1 + length], "little", signed=length == 4)
