"""The input text: files and folders read as a seeded, restartable stream of passages.

Memory is bounded by the shuffle buffer. `textfiles.py` describes the files. A row without text is
left out, and so is one that cannot be used; `Corpus.survey` counts both before any long work. A
file whose first ten rows with content cannot be used is taken for a file of another kind and
refused.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from ep.errors import CorpusError
from ep.seen import Seen
from ep.text import one_line
from ep.textfiles import Afar, Message, Unusable, Value, find_files, read_rows, reads_lines

SHUFFLE_BUFFER = 10_000
"""Passages held in memory for the shuffle."""
MOST_UNUSABLE = 0.1
"""Largest share of the rows with content that may be unusable; beyond it the text is refused.

A text that lost more than that would be a different text: most often a wrong `field`, or a file of
another kind, and a build of what is left would take hours to say so. It is said before any work. A
single row never refuses a text.
"""
FOREIGN_ROWS = 10
"""Rows with content at the start of a file which, if none can be used, show that it is of another
kind."""
STREAM_BUFFER = 1_000
"""The same for a text that is streamed, of which no more should be read than is used."""
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
    duplicates: passages whose text another one before them has, where they are left out.
    drawn: of a mixed text, what was drawn from each; see `Mix`.
    """

    rows: int = 0
    empty: int = 0
    unusable: int = 0
    first: str = ""
    refused: set[int] = field(default_factory=set)
    duplicates: int = 0
    drawn: list[dict[str, Any]] = field(default_factory=list)

    def add(
        self, passage: Passage | None, number: int, place: str, reason: str, is_again: bool
    ) -> None:
        """Count a row. reason: why it is unusable, "" where it is not. is_again: a duplicate."""
        self.rows += 1
        self.duplicates += is_again
        if reason:
            self.unusable += 1
            self.first = self.first or one_line(f"{place} {reason}", 300)
            if passage is not None:
                self.refused.add(number)
        elif passage is None:
            self.empty += 1

    def check(self, strict: bool = False) -> None:
        """Raise CorpusError for too many unusable rows: more than MOST_UNUSABLE of the rows with
        content, but not for a single one unless it is all there is.

        strict: whether one is too many.
        """
        content = self.rows - self.empty
        allowed = 0.0 if strict else max(MOST_UNUSABLE * content, min(1, content - 1))
        if self.unusable > allowed:
            limit = "strict allows none" if strict else f"at most {MOST_UNUSABLE:.0%} may be"
            raise CorpusError(
                f"{self.unusable:,} of {content:,} rows with content cannot be used "
                f"({self.unusable / content:.1%}), and {limit} left out; the first: {self.first}; "
                "change these rows or take them out"
            )

    def left_out(self) -> dict[str, Any]:
        """The counts of the rows that were left out, without those that are 0."""
        counts = {"empty": self.empty, "unusable": self.unusable, "first_unusable": self.first}
        counts |= {"duplicates": self.duplicates}
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
    deduplicate: whether to leave out passages with the text of one before them, see `Seen`.

    Rows that cannot be used are left out, but count in the ids. Raises CorpusError for missing,
    empty or unreadable files, for a file whose first FOREIGN_ROWS rows with content cannot be used,
    and for a text without any that can; some only while iterating.
    """

    def __init__(
        self,
        sources: Iterable[str | Path | Afar],
        seed: int | None = 0,
        field: str | None = None,
        chat: bool = False,
        min_characters: int = 1,
        deduplicate: bool = False,
    ) -> None:
        self.files = find_files(sources)
        self.deduplicate = deduplicate
        self.seed = seed
        self.field = field
        self.chat = chat
        self.min_characters = max(1, min_characters)
        self.streamed = tuple(file for file in self.files if isinstance(file, Afar))
        self._found = Survey()
        self._refusal: Callable[[Passage], str] = _nothing_refused

    def __iter__(self) -> Iterator[Passage]:
        return self.passages(self.table())

    def table(self) -> Seen | None:
        """Return what one pass needs to know duplicates; None where they stay."""
        return Seen() if self.deduplicate else None

    def passages(self, seen: Seen | None) -> Iterator[Passage]:
        """Return an iteration that leaves out what is in `seen`, and adds what it reads."""
        return self._shuffled(self._in_order(seen))

    def survey(
        self, refusal: Callable[[Passage], str] = _nothing_refused, seen: Seen | None = None
    ) -> Iterator[Survey]:
        """Read all rows once, yielding the counts so far every few thousand rows and at the end.

        Of a streamed text only the first STREAM_BUFFER rows are read; the counts yielded go on to
        grow as later rows are first read, and passages refused by then are in no iteration.

        refusal: returns why the reader of the text cannot use a passage, as the rest of a sentence
            about its row; "" where it can.
        seen: the texts that count as read before.
        """
        self._found, self._refusal = Survey(), refusal
        passages = self._read(self._found, refusal, self.table() if seen is None else seen)
        if self.streamed:
            passages = islice(passages, STREAM_BUFFER)
        for _ in passages:
            if self._found.rows % _ROWS_BETWEEN_REPORTS == 0:
                yield self._found
        yield self._found

    def survey_until(self, count: int) -> tuple[Survey, dict[str, Any]]:
        """Count again what was read for the first `count` passages of a streamed text; what
        `survey` found in another.

        Returns the counts, and what the provenance states of the text: where it is from, how many
        rows were read and their digest. They depend on `count` alone, not on how often a build was
        interrupted.
        """
        if not self.streamed:
            return self._found, {}
        found, total = Survey(), hashlib.sha256()

        def hashed() -> Iterator[Passage]:
            for passage in self._read(found, self._refusal, self.table()):
                if passage is not None:
                    content = [passage.id, passage.text, passage.messages]
                    total.update(json.dumps(content).encode())
                    yield passage

        for _ in islice(self._shuffled(hashed()), count):
            pass
        streamed = [text.facts() for text in self.streamed]
        facts = {"streamed": streamed, "rows_read": found.rows, "read_digest": total.hexdigest()}
        return found, facts

    def is_empty(self) -> bool:
        """Whether there is no passage at all; reads the rows up to the first one."""
        return next(self._in_order(None), None) is None

    def _in_order(self, seen: Seen | None) -> Iterator[Passage]:
        # Of a streamed text rows are counted, and passages refused, as they are read.
        found, refusal = (self._found, self._refusal) if self.streamed else (Survey(), self._known)
        for passage in self._read(found, refusal, seen):
            if passage is not None:
                yield passage

    def _known(self, passage: Passage) -> str:
        """Whether `survey` found a passage refused, as a reason."""
        return "refused" if passage.id in self._found.refused else ""

    def _read(
        self, found: Survey, refusal: Callable[[Passage], str], seen: Seen | None
    ) -> Iterator[Passage | None]:
        """Yield the passage of every row, None where there is none that can be used.

        found: counts the rows that it has not counted yet. seen: texts that are left out.
        """
        for number, place, value in self._rows():
            passage = self._passage(number, value)
            reason = value.reason if isinstance(value, Unusable) else ""
            if passage is not None:
                reason = refusal(passage)
            is_again = (
                seen is not None and passage is not None and not reason and not seen.add(passage)
            )
            if number >= found.rows:
                found.add(passage, number, place, reason, is_again)
            yield None if reason or is_again else passage

    def _shuffled(self, passages: Iterator[Passage]) -> Iterator[Passage]:
        """Shuffle through a buffer of fixed size: memory does not grow with the corpus."""
        if self.seed is None:
            yield from passages
            return
        generator = random.Random(self.seed)
        buffer = list(islice(passages, STREAM_BUFFER if self.streamed else SHUFFLE_BUFFER))
        generator.shuffle(buffer)
        for passage in passages:
            index = generator.randrange(len(buffer))
            yield buffer[index]
            buffer[index] = passage
        yield from buffer

    def _rows(self) -> Iterator[tuple[int, str, Value]]:
        """Yield the number of each row, its file and place, and what it holds."""
        number, reason, is_usable = 0, "", False
        for path in self.files:
            first, unusable, is_known = "", 0, False
            for place, value in read_rows(path, self.field):
                if isinstance(value, Unusable):
                    first, unusable = first or f"{path} {place} {value.reason}", unusable + 1
                    reason = reason or first
                elif value:
                    is_usable = is_known = True  # the file is of the right kind
                if unusable == FOREIGN_ROWS and not is_known:
                    raise CorpusError(f"{first}; nor can the rows after it be used")
                yield number, f"{path.name} {place}", value
                number += 1
        if reason and not is_usable:
            raise CorpusError(reason)

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
            if isinstance(path, Afar):
                total.update(path.digest())
                continue
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
        for path in (file for file in self._corpus.files if isinstance(file, Path)):
            try:
                facts = path.stat()
            except OSError:
                stamps.append(None)
            else:
                stamps.append((facts.st_size, facts.st_mtime_ns))
        return stamps
