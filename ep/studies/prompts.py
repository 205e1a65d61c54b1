"""Labelled prompts from CSV, JSONL and JSON files: texts, and which should show a behaviour."""

from __future__ import annotations

import codecs
import csv
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ep.errors import CorpusError
from ep.textfiles import separator

MOST_PROMPTS = 20_000
"""Most prompts of one file."""
LONGEST_PROMPT = 20_000
"""Most characters of one prompt."""
YES = frozenset({"1", "true", "yes", "harmful", "positive", "y", "t"})
NO = frozenset({"0", "false", "no", "harmless", "benign", "hard_benign", "negative", "n", "f"})
KINDS = ("csv", "jsonl", "ndjson", "json")
"""Endings of the names of prompt files."""
FIRST_LABELS = 12
"""Most different labels of a file that are listed."""
PROMPT = "prompt"
"""The default name of the column with the prompts, and the key of a JSON list's bare strings."""


@dataclass(frozen=True)
class Prompts:
    """Distinct prompts, in the order of their file.

    texts: the prompts.
    labels: for each, True where the behaviour is expected, False where it is not, None where the
        file has no label.
    """

    texts: tuple[str, ...]
    labels: tuple[bool | None, ...]

    def __len__(self) -> int:
        return len(self.texts)

    @property
    def labelled(self) -> bool:
        """Whether every prompt has a label."""
        return all(label is not None for label in self.labels)

    def where(self, label: bool) -> Prompts:
        """Return the prompts with this label."""
        rows = [
            (text, own) for text, own in zip(self.texts, self.labels, strict=True) if own is label
        ]
        return Prompts(tuple(text for text, _ in rows), tuple(own for _, own in rows))

    def without(self, others: Iterable[str]) -> Prompts:
        """Return the prompts that are not in `others`, ignoring case and spacing."""
        excluded = {_key(text) for text in others}
        rows = [
            (text, label)
            for text, label in zip(self.texts, self.labels, strict=True)
            if _key(text) not in excluded
        ]
        return Prompts(tuple(text for text, _ in rows), tuple(label for _, label in rows))

    def __add__(self, other: Prompts) -> Prompts:
        return Prompts(self.texts + other.texts, self.labels + other.labels)


def read_prompts(
    source: str | Path | bytes,
    name: str = "",
    text: str = PROMPT,
    label: str = "label",
    yes: Sequence[str] = (),
) -> Prompts:
    """Return the prompts of a file, or of a file's bytes.

    source: path of a CSV, JSONL, NDJSON or JSON file, or its bytes. The columns of a CSV file may
        be separated by commas, semicolons or tabs. A JSON file holds a list of objects, or of
        strings, which are prompts without labels.
    name: the file name that goes with the bytes; its ending decides the format.
    text, label: names of the columns (keys).
    yes: label values that mean "the behaviour is expected", any words; all others then mean that it
        is not. By default the usual words ("harmful", "1", "true", …) mean yes and their opposites
        no.

    Duplicates are read once. Raises CorpusError, in one line, for a missing file or column, an
    unknown label, an empty file, and for too many or too long prompts.
    """
    data, shown = (source, name or "the file") if isinstance(source, bytes) else _read(Path(source))
    yes_values = frozenset(value.strip().casefold() for value in yes)
    rows = _rows(data, shown)
    distinct: dict[str, tuple[str, bool | None]] = {}
    for number, row in enumerate(rows, 1):
        if text not in row:
            raise CorpusError(
                f"{shown} has no column {text!r}: it has {', '.join(map(repr, list(row)[:8]))}"
            )
        prompt = str(row[text] or "").strip()
        if not prompt:
            continue
        if len(prompt) > LONGEST_PROMPT:
            raise CorpusError(
                f"{shown}, row {number}: a prompt of {len(prompt):,} characters; expected at most "
                f"{LONGEST_PROMPT:,}"
            )
        distinct.setdefault(
            _key(prompt), (prompt, _label(row.get(label), yes_values, f"{shown}, row {number}"))
        )
        if len(distinct) > MOST_PROMPTS:
            raise CorpusError(
                f"{shown} has more than {MOST_PROMPTS:,} prompts: give a smaller file"
            )
    if not distinct:
        found = columns(data, shown)
        if text not in found:
            names = ", ".join(map(repr, found[:8])) or "no columns"
            raise CorpusError(f"{shown} has no column {text!r}: it has {names}")
        raise CorpusError(f"{shown} has no prompts: expected a column {text!r} with text")
    return Prompts(
        tuple(prompt for prompt, _ in distinct.values()),
        tuple(expected for _, expected in distinct.values()),
    )


def columns(data: bytes, name: str) -> list[str]:
    """Return the column names (keys) of a prompt file's bytes, taken from its first row.

    Raises the errors of `read_prompts`.
    """
    if _ending(name) in KINDS[1:]:
        return [str(key) for key in next(_rows(data, name), {})]
    return list(_table(data, name).fieldnames or [])


def label_values(data: bytes, name: str, label: str) -> list[str]:
    """Return the different labels of a prompt file's bytes, as written, in their order.

    label: name of the column (key); a column that is missing has no values.

    At most `FIRST_LABELS` are returned. Raises the errors of `read_prompts`.
    """
    found: dict[str, str] = {}
    for row in _rows(data, name):
        value = _written(row.get(label))
        if value:
            found.setdefault(value.casefold(), value)
        if len(found) == FIRST_LABELS:
            break
    return list(found.values())


def means_yes(label: str) -> bool:
    """Return whether a label is one of the usual words for yes."""
    return label.strip().casefold() in YES


def _read(path: Path) -> tuple[bytes, str]:
    """Return the bytes and the name of a file."""
    try:
        return path.read_bytes(), path.name
    except OSError as error:
        raise CorpusError(f"{path} cannot be read: {error.strerror or error}") from error


def _text(data: bytes, shown: str) -> str:
    """Decode UTF-8, with or without a byte-order mark, or UTF-16 with one, as Excel writes it."""
    is_utf_16 = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        return data.decode("utf-16" if is_utf_16 else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise CorpusError(
            f"{shown} is not UTF-8 text (byte {error.start:,}): save it as UTF-8"
        ) from error


def _table(data: bytes, shown: str) -> csv.DictReader[str]:
    """Return the reader of a CSV file, after its header."""
    text = _text(data, shown)
    header = text.partition("\n")[0]
    table = csv.DictReader(io.StringIO(text, newline=""), delimiter=separator(header))
    try:
        table.fieldnames  # noqa: B018 - reads the header
    except csv.Error as error:
        raise CorpusError(f"{shown} is not a readable CSV file: {error}") from error
    return table


def _rows(data: bytes, shown: str) -> Iterator[dict[str, Any]]:
    """Return the rows of a prompt file by column name (key); the name's ending is its format."""
    ending = _ending(shown)
    if ending == "json":
        return _json(data, shown)
    return _jsonl(data, shown) if ending in ("jsonl", "ndjson") else _csv(data, shown)


def _ending(name: str) -> str:
    return Path(name).suffix.lower().lstrip(".")


def _csv(data: bytes, shown: str) -> Iterator[dict[str, Any]]:
    """Yield the rows of a CSV file by column name."""
    try:
        yield from _table(data, shown)
    except csv.Error as error:
        raise CorpusError(f"{shown} is not a readable CSV file: {error}") from error


def _jsonl(data: bytes, shown: str) -> Iterator[dict[str, Any]]:
    """Yield the objects of a JSONL file, skipping blank lines."""
    for number, line in enumerate(_text(data, shown).splitlines(), 1):
        if line.strip():
            try:
                row = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise CorpusError(f"{shown}, line {number}, is not JSON") from error
            if not isinstance(row, dict):
                raise CorpusError(
                    f"{shown}, line {number}, is not a JSON object: expected keys and values"
                )
            yield row


def _json(data: bytes, shown: str) -> Iterator[dict[str, Any]]:
    """Yield the objects of a JSON list; a bare string becomes an object with a prompt."""
    try:
        rows = json.loads(_text(data, shown))
    except (ValueError, RecursionError) as error:
        raise CorpusError(f"{shown} is not JSON: expected a list of objects or strings") from error
    if not isinstance(rows, list):
        raise CorpusError(f"{shown} is not a JSON list: expected a list of objects or strings")
    for number, row in enumerate(rows, 1):
        if not isinstance(row, dict | str):
            raise CorpusError(f"{shown}, item {number}, is neither an object nor a string")
        yield {PROMPT: row} if isinstance(row, str) else row


def _written(value: Any) -> str:
    """Return a label as its file writes it, without spaces around; empty where it is missing."""
    return "" if value is None else str(value).strip()


def _label(value: Any, yes_values: frozenset[str], where: str) -> bool | None:
    """Return what a label value means, or None where it is missing or blank."""
    plain = _written(value).casefold()
    if not plain:
        return None
    if yes_values:
        return plain in yes_values
    if plain in YES or plain in NO:
        return plain in YES
    raise CorpusError(
        f"{where}: label {str(value)[:40]!r} is unknown: say which labels mean yes (--yes LABEL on "
        "the command line), or use yes and no"
    )


def _key(text: str) -> str:
    """Return the text by which prompts are compared: case and spacing are ignored."""
    return " ".join(text.casefold().split())
