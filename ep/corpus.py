"""The input text: files and folders read as a seeded, restartable stream of passages.

Memory is bounded by the shuffle buffer. `textfiles.py` describes the files. A row without text is
left out, and so is one that cannot be used; `Corpus.survey` counts both before any long work. A
file whose first row with content cannot be used is taken for a file of another kind and refused.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from ep.errors import CorpusError
from ep.text import one_line
from ep.textfiles import Message, Unusable, Value, find_files, read_rows, reads_lines

SHUFFLE_BUFFER = 10_000
"""Passages held in memory for the shuffle."""
MOST_UNUSABLE = 0.1
"""Largest share of the rows with content that may be unusable; beyond it the text is refused.

A text that lost more than that would be a different text.
"""
_ROWS_BETWEEN_REPORTS = 5_000
CHANGED = (
    "the text changed while it was read: build again with --replace when nothing writes to it any "
    "more"
)


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


@dataclass
class Survey:
    """What the rows of a corpus hold, counted so far.

    rows: all rows.
    empty: rows whose text is null, blank or too short.
    unusable: rows without a text or a chat, and passages that the reader of the text refuses.
    first: the place of the first unusable row and why it is one, in one line; "" without any.
    refused: the ids of the passages that the reader refuses.
    """

    rows: int = 0
    empty: int = 0
    unusable: int = 0
    first: str = ""
    refused: set[int] = field(default_factory=set)

    def check(self) -> None:
        """Raise CorpusError when more than MOST_UNUSABLE of the rows with content are unusable."""
        content = self.rows - self.empty
        if self.unusable > MOST_UNUSABLE * content:
            raise CorpusError(
                f"{self.unusable:,} of {content:,} passages cannot be used, and at most "
                f"{MOST_UNUSABLE:.0%} may be left out: {self.first}; change these rows or take "
                "them out"
            )

    def left_out(self) -> dict[str, Any]:
        """The counts of the rows that were left out, without those that are 0."""
        counts = {"empty": self.empty, "unusable": self.unusable, "first_unusable": self.first}
        return {name: count for name, count in counts.items() if count}


def _nothing_refused(passage: Passage) -> str:
    return ""


class Corpus:
    """The passages of some files in an order shuffled by a seed; every iteration gives the same.

    sources: files or folders; `textfiles.py` lists the file formats.
    seed: seed of the shuffle (a buffer of 10,000 passages); None keeps the order of the sources.
    field: the column or key with the text; by default "text", else "messages".
    chat: whether every plain text becomes a chat with one user turn.
    min_characters: shorter texts are left out; they still count in the ids.

    Rows that cannot be used are left out, but count in the ids. Raises CorpusError for missing,
    empty or unreadable files, and for a file whose first row with content cannot be used, some only
    while iterating.
    """

    def __init__(
        self,
        sources: Iterable[str | Path],
        seed: int | None = 0,
        field: str | None = None,
        chat: bool = False,
        min_characters: int = 1,
    ) -> None:
        self.files = find_files(sources)
        self.seed = seed
        self.field = field
        self.chat = chat
        self.min_characters = max(1, min_characters)

    def __iter__(self) -> Iterator[Passage]:
        return iter(_shuffled(self._in_order(), self.seed))

    def survey(self, refusal: Callable[[Passage], str] = _nothing_refused) -> Iterator[Survey]:
        """Read all rows once, yielding the counts so far every few thousand rows and at the end.

        refusal: returns why the reader of the text cannot use a passage, as the rest of a sentence
            about its row; "" where it can.
        """
        found = Survey()
        for number, place, value in self._rows():
            found.rows += 1
            passage = self._passage(number, value)
            reason = value.reason if isinstance(value, Unusable) else ""
            if passage is not None and (reason := refusal(passage)):
                found.refused.add(number)
            if reason:
                found.unusable += 1
                found.first = found.first or one_line(f"{place} {reason}", 300)
            elif passage is None:
                found.empty += 1
            if found.rows % _ROWS_BETWEEN_REPORTS == 0:
                yield found
        yield found

    def is_empty(self) -> bool:
        """Whether there is no passage at all; reads the rows up to the first one."""
        return next(self._in_order(), None) is None

    def _in_order(self) -> Iterator[Passage]:
        for number, _, value in self._rows():
            passage = self._passage(number, value)
            if passage is not None:
                yield passage

    def _rows(self) -> Iterator[tuple[int, str, Value]]:
        """Yield the number of each row, its file and place, and what it holds."""
        number = 0
        for path in self.files:
            is_first = True
            for place, value in read_rows(path, self.field):
                if is_first and isinstance(value, Unusable):
                    raise CorpusError(f"{path} {place} {value.reason}")
                is_first = is_first and not value
                yield number, f"{path.name} {place}", value
                number += 1

    def _passage(self, number: int, value: Value) -> Passage | None:
        """The passage of a row; None for one without text and for one that cannot be used."""
        if isinstance(value, Unusable):
            return None
        if isinstance(value, str):
            if len(value.strip()) < self.min_characters:
                return None
            return (
                Passage(number, messages=({"role": "user", "content": value},))
                if self.chat
                else Passage(number, value)
            )
        characters = sum(len(message["content"].strip()) for message in value)
        return Passage(number, messages=value) if characters >= self.min_characters else None

    def digest(self) -> str:
        """SHA-256 over the contents of the files in order; it does not depend on their paths.

        A .txt file of which every line is a passage counts as other text than the same file read as
        one passage, as versions before 0.2 did.
        """
        total = hashlib.sha256()
        for path in self.files:
            with path.open("rb") as file:
                total.update(hashlib.file_digest(file, "sha256").digest())
            if path.suffix.lower() == ".txt" and reads_lines(path):
                total.update(b"lines")
        return total.hexdigest()


class Watch:
    """Notices that the files of a corpus change while they are being read.

    digest: that of the corpus when it was opened.
    """

    def __init__(self, corpus: Corpus, digest: str) -> None:
        self._corpus, self._digest = corpus, digest
        self._seen = self._stamps()

    def check(self) -> None:
        """Raise CorpusError if the text is another one now.

        Files of the same size and time are not read again.
        """
        stamps = self._stamps()
        if stamps != self._seen:
            if not all(stamps) or self._corpus.digest() != self._digest:
                raise CorpusError(CHANGED)
            self._seen = stamps

    def _stamps(self) -> list[tuple[int, int] | None]:
        """Size and time of each file; None for one that is gone."""
        stamps: list[tuple[int, int] | None] = []
        for path in self._corpus.files:
            try:
                facts = path.stat()
            except OSError:
                stamps.append(None)
            else:
                stamps.append((facts.st_size, facts.st_mtime_ns))
        return stamps


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
