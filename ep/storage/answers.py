"""`NAME.ep.answers.jsonl`: what a model answered while regions were being labelled.

Answers cost money or time, and a labelling may end in the middle of a region. Every answer is added
to this file as soon as it came, with a hash of what was asked, and so is every region whose label
was saved. The next labelling takes both from there instead of asking again. A region that is done
in a labelling that ends by itself is forgotten, so that asking once more gives a new answer; a file
in which nothing is left is deleted.

A line that cannot be read, such as the last one of a killed process, is left out.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from hashlib import sha256
from io import FileIO
from pathlib import Path
from typing import Any

from ep.storage.output import discard, writing
from ep.storage.sidecar import ANSWERS, beside, write_bytes

MOST_BYTES = 64 * 2**20
"""A larger file is begun anew."""

Ask = Callable[[Sequence[Mapping[str, str]]], str]
"""Called with a conversation; returns the answer."""


class Answers:
    """The answers that one labelling takes over and adds to; see `kept`.

    file: open and locked; None where another labelling has it, and nothing is kept.
    settings: what decides the questions beside their text, such as the model.
    """

    def __init__(self, file: FileIO | None, settings: str) -> None:
        self._file = file
        self._run = sha256(settings.encode()).hexdigest()[:16]
        self._lines = _read(file) if file is not None else {}
        self._earlier = {
            key: line["answer"] for key, line in self._lines.items() if "answer" in line
        }
        self._current: list[str] = []
        self._finished: set[str] = set()
        self.is_recalled, self._is_broken = True, False

    def asking(self, ask: Ask) -> Ask:
        """Return a function that asks only what was not answered earlier, and keeps the answer.

        Raises StorageError where an answer cannot be stored, and the errors of `ask`.
        """

        def asked(messages: Sequence[Mapping[str, str]]) -> str:
            key = sha256(f"{self._run} {json.dumps(list(messages))}".encode()).hexdigest()[:32]
            self._current.append(key)
            if (earlier := self._earlier.pop(key, None)) is not None:
                return earlier
            self.is_recalled = False
            try:
                answer = ask(messages)
            except BaseException:
                self._is_broken = True
                raise
            self._add(key, {"answer": answer})
            return answer

        return asked

    def reason(self, region: int) -> str | None:
        """Return what was noted with `finish` of a region of an earlier labelling, or None."""
        line = self._lines.get(self._mark(region))
        return None if line is None else str(line.get("why", ""))

    def finish(self, region: int, why: str) -> None:
        """Note that the label of a region was saved, with half a sentence about its score."""
        mark, asked = self._mark(region), tuple(self._current)
        self._current.append(mark)
        self._add(mark, {"region": region, "why": why, "asked": asked})
        self._next()

    def skip(self, region: int) -> None:
        """Take over a region that was finished in an earlier labelling."""
        asked = self._lines[self._mark(region)].get("asked")
        self._finished.add(self._mark(region))
        self._finished.update(map(str, asked if isinstance(asked, list) else ()))

    def fail(self) -> None:
        """Note that a region got no label: what was answered stays unless it was the reason."""
        if not self._is_broken:
            for key in self._current:
                self._add(key, {"forgotten": True})
        self._current.clear()
        self._next()

    def _next(self) -> None:
        self._finished.update(self._current)
        self._current.clear()
        self.is_recalled, self._is_broken = True, False

    def _mark(self, region: int) -> str:
        return f"{self._run} {region}"

    def _add(self, key: str, line: dict[str, Any]) -> None:
        whole = {"key": key, **line}
        if self._file is not None:
            data = json.dumps(whole).encode() + b"\n"
            with writing(self._file.name):
                if self._file.write(data) != len(data):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                os.fsync(self._file.fileno())
        self._lines[key] = whole

    def left(self, finished: bool) -> bytes:
        """Return the lines that stay; finished: leave out those of the regions that are done."""
        gone = self._finished if finished else set()
        lines = [line for key, line in self._lines.items() if key not in gone]
        return b"".join(
            json.dumps(line).encode() + b"\n" for line in lines if "forgotten" not in line
        )


@contextmanager
def kept(dictionary: str | os.PathLike[str], settings: str) -> Iterator[Answers]:
    """Yield the answers beside a dictionary, and tidy them up when the work is done.

    dictionary: the path of its file. settings: see `Answers`. Raises StorageError where the folder
    cannot be written.
    """
    path = beside(dictionary, ANSWERS)
    with _locked(path) as file:
        answers, ends = Answers(file, settings), False
        try:
            yield answers
            ends = True
        finally:
            left = answers.left(finished=ends)
            if file is not None and not left:
                discard(path)
            elif file is not None and ends:
                write_bytes(path, left)


@contextmanager
def _locked(path: Path) -> Iterator[FileIO | None]:
    """Open the file at its end and lock it; yield None where another program has the lock."""
    import fcntl  # not available on every system; reading labels must not require it

    with writing(path):
        file = path.open("a+b", buffering=0)
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            is_ours = os.path.samestat(os.fstat(file.fileno()), path.stat())
        except OSError:  # taken, or deleted by its last owner in the meantime
            is_ours = False
        yield file if is_ours else None


def _read(file: FileIO) -> dict[str, dict[str, Any]]:
    """Return the lines of a file by key, the last of each, and cut off what is not whole."""
    file.seek(0, os.SEEK_END)
    if file.tell() > MOST_BYTES:
        file.truncate(0)
    file.seek(0)
    data = file.read()
    file.truncate(data.rfind(b"\n") + 1)
    lines: dict[str, dict[str, Any]] = {}
    for text in data.split(b"\n"):
        try:
            line = json.loads(text)
            key, answer = line["key"], line.get("answer", "")
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
            continue
        if isinstance(key, str) and isinstance(answer, str):
            lines[key] = line
    return lines
