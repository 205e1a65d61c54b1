"""The input text: files and folders read as a seeded, restartable stream of passages.

Files are read lazily, and memory is bounded by the shuffle buffer.

    txt       passages are separated by blank lines
    jsonl     one object per line: {"text": ...} or {"messages": [{"role": ..., "content": ...}]}
    json      a list of strings or of such objects
    csv       a column "text" (or the one named by `field`)
    parquet   a column "text" or "messages" (or the one named by `field`)
    folder    every file of these kinds in it and below, in sorted order
"""

from __future__ import annotations

import csv
import hashlib
import json
import random
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from ep.errors import CorpusError

SUFFIXES = (".txt", ".jsonl", ".json", ".csv", ".parquet")
SHUFFLE_BUFFER = 10_000
"""Passages held in memory for the shuffle."""
Message = Mapping[str, str]


@dataclass(frozen=True)
class Passage:
    """One text of the corpus.

    id: its index in the order of the sources, from 0; it does not depend on the seed.
    text: plain text, or "" when there are `messages`.
    messages: a chat as [{"role": "user", "content": ...}, ...], not yet rendered with a template.
    """

    id: int
    text: str = ""
    messages: tuple[Message, ...] | None = None


class Corpus:
    """The passages of some files in an order shuffled by a seed; every iteration gives the same.

    sources: files or folders; the module docstring lists the file formats.
    seed: seed of the shuffle (a buffer of 10,000 passages); None keeps the order of the sources.
    field: the column or key with the text; by default "text", else "messages".
    chat: whether every plain text becomes a chat with one user turn.
    min_characters: shorter texts are left out; they still count in the ids.

    Raises CorpusError for missing, empty or unreadable files, some only while iterating.
    """

    def __init__(
        self,
        sources: Iterable[str | Path],
        seed: int | None = 0,
        field: str | None = None,
        chat: bool = False,
        min_characters: int = 1,
    ) -> None:
        self.files = tuple(_files(sources))
        self.seed = seed
        self.field = field
        self.chat = chat
        self.min_characters = max(1, min_characters)

    def __iter__(self) -> Iterator[Passage]:
        return iter(_shuffled(self._in_order(), self.seed))

    def _in_order(self) -> Iterator[Passage]:
        number = 0
        for path in self.files:
            for row in _READERS[path.suffix.lower()](path, self.field):
                passage = self._passage(number, row, path)
                number += 1
                if passage is not None:
                    yield passage

    def _passage(self, number: int, row: Any, path: Path) -> Passage | None:
        if isinstance(row, str):
            if len(row.strip()) < self.min_characters:
                return None
            return (
                Passage(number, messages=({"role": "user", "content": row},))
                if self.chat
                else Passage(number, row)
            )
        messages = _messages(row, path, number)
        characters = sum(len(message["content"].strip()) for message in messages)
        return Passage(number, messages=messages) if characters >= self.min_characters else None

    def digest(self) -> str:
        """SHA-256 over the contents of the files in order; it does not depend on their paths."""
        total = hashlib.sha256()
        for path in self.files:
            with path.open("rb") as file:
                total.update(hashlib.file_digest(file, "sha256").digest())
        return total.hexdigest()


def _files(sources: Iterable[str | Path]) -> Iterator[Path]:
    is_empty = True
    for source in map(Path, sources):
        if source.is_dir():
            files = sorted(
                p for p in source.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file()
            )
            if not files:
                raise CorpusError(
                    f"{source} contains no text: put {', '.join(SUFFIXES)} files into the folder"
                )
        elif not source.exists():
            raise CorpusError(f"{source} does not exist: give a file or folder with text")
        elif source.suffix.lower() not in SUFFIXES:
            raise CorpusError(
                f"{source} is not in a supported text format: use one of {', '.join(SUFFIXES)}"
            )
        else:
            files = [source]
        is_empty = False
        yield from files
    if is_empty:
        raise CorpusError("no text was given: name at least one file or folder")


def _shuffled(passages: Iterator[Passage], seed: int | None) -> Iterator[Passage]:
    """Shuffle through a buffer of fixed size, so that memory does not grow with the corpus."""
    if seed is None:
        yield from passages
        return
    generator = random.Random(seed)
    buffer = list(islice(passages, SHUFFLE_BUFFER))
    generator.shuffle(buffer)
    for passage in passages:
        index = generator.randrange(len(buffer))
        yield buffer[index]
        buffer[index] = passage
    yield from buffer


def _lines(path: Path) -> Iterator[str]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            yield from file
    except UnicodeDecodeError as error:
        raise CorpusError(
            f"{path} is not UTF-8 (byte {error.start} of a block): save it as UTF-8"
        ) from error
    except OSError as error:
        raise CorpusError(f"{path} could not be read ({error.strerror}): check the file") from error


def _txt(path: Path, field: str | None) -> Iterator[str]:
    paragraph: list[str] = []
    for line in _lines(path):
        if line.strip():
            paragraph.append(line)
        elif paragraph:
            yield "".join(paragraph).rstrip("\r\n")
            paragraph = []
    if paragraph:
        yield "".join(paragraph).rstrip("\r\n")


def _jsonl(path: Path, field: str | None) -> Iterator[Any]:
    for number, line in enumerate(_lines(path), 1):
        if line.strip():
            yield _cell(_parse(line, f"{path} line {number}"), field, f"{path} line {number}")


def _json(path: Path, field: str | None) -> Iterator[Any]:
    rows = _parse("".join(_lines(path)), str(path))
    if not isinstance(rows, list):
        raise CorpusError(
            f"{path} contains a JSON {type(rows).__name__}: expected a list of texts or objects"
        )
    for number, row in enumerate(rows):
        yield _cell(row, field, f"{path} item {number}")


def _csv(path: Path, field: str | None) -> Iterator[Any]:
    csv.field_size_limit(min(sys.maxsize, 2**31 - 1))
    reader = csv.DictReader(_lines(path))
    name = field or "text"
    if name not in (reader.fieldnames or ()):
        raise CorpusError(
            f"{path} has no column {name!r}, only {reader.fieldnames}: name the text's column"
        )
    try:
        for row in reader:
            yield row[name] or ""
    except csv.Error as error:
        raise CorpusError(
            f"{path} is not valid CSV near line {reader.line_num} ({error}): check the file"
        ) from error


def _parquet(path: Path, field: str | None) -> Iterator[Any]:
    import pyarrow
    import pyarrow.parquet

    try:
        file = pyarrow.parquet.ParquetFile(path)
        columns = file.schema_arrow.names
        names = [name for name in (field, "text", "messages") if name in columns]
        if not names or (field and names[0] != field):
            raise CorpusError(
                f"{path} has no column {field or 'text'!r}, only {columns}: name the text's column"
            )
        for batch in file.iter_batches(batch_size=1024, columns=names[:1]):
            for value in batch.column(0).to_pylist():
                yield value if isinstance(value, str) else {"messages": value or []}
    except (pyarrow.ArrowException, OSError) as error:
        raise CorpusError(
            f"{path} cannot be read as parquet ({str(error).splitlines()[0]}): check the file"
        ) from error


_READERS = {".txt": _txt, ".jsonl": _jsonl, ".json": _json, ".csv": _csv, ".parquet": _parquet}


def _parse(text: str, source: str) -> Any:
    try:
        return json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        raise CorpusError(f"{source} is not JSON ({error}): expected one JSON value") from error


def _cell(row: Any, field: str | None, source: str) -> Any:
    """Return the text of one row, or its chat as {"messages": [...]}.

    row: a string, or an object with the key `field`; when that is None, "text" or "messages".
    source: names the row in messages.
    """
    if isinstance(row, str):
        return row
    if isinstance(row, dict):
        for name in (field,) if field else ("text", "messages"):
            if name in row:
                value = row[name]
                return value if isinstance(value, str) else {"messages": value}
        raise CorpusError(
            f"{source} has no {field or 'text'!r}, only {sorted(row)[:8]}: name the key of the text"
        )
    raise CorpusError(
        f"{source} is a JSON {type(row).__name__}: expected a text or an object with a text"
    )


def _messages(row: Any, path: Path, number: int) -> tuple[Message, ...]:
    messages = row.get("messages") if isinstance(row, dict) else None
    is_chat = isinstance(messages, list) and all(
        isinstance(m, dict) and isinstance(m.get("role"), str) and isinstance(m.get("content"), str)
        for m in messages
    )
    if not is_chat or not messages:
        raise CorpusError(
            f"{path} passage {number} is not a chat: expected "
            '[{"role": "user", "content": "…"}, …]'
        )
    return tuple({"role": m["role"], "content": m["content"]} for m in messages)
