"""The files of a text, and the rows in each of them.

    txt       passages are separated by blank lines; without any, every line is a passage
    jsonl     one object per line: {"text": ...} or {"messages": [{"role": ..., "content": ...}]}
    json      a list of strings or of such objects
    csv       a column "text" (or the one named by `field`); separated by commas, semicolons or tabs
    parquet   a column "text" or "messages" (or the one named by `field`)
    folder    every file of these kinds in it and below, in sorted order, linked folders included

Files are UTF-8; a row with other bytes is unusable.

A folder's side files are passed over: hidden files and folders, those of `SIDE_FILES`, and a
read-me or licence. Files are read lazily. A row that holds neither a text nor a chat is returned as
`Unusable`; what follows from it is not decided here.
"""

from __future__ import annotations

import codecs
import csv
import json
import re
import sys
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from ep.errors import CorpusError
from ep.text import one_line

SUFFIXES = (".txt", ".jsonl", ".json", ".csv", ".parquet")
SIDE_FILES = ("dataset_info.json", "dataset_infos.json", "dataset_dict.json", "state.json")
"""Files in which data sets describe themselves."""
_SIDE_STEMS = ("readme", "license", "licence")
Message = Mapping[str, str]


@dataclass(frozen=True)
class Unusable:
    """A row that holds neither a text nor a chat.

    reason: what it holds instead, as the rest of a sentence about the row, in one line.
    """

    reason: str


Value = str | tuple[Message, ...] | Unusable
"""What a row holds: a text ("" where it is null), a chat, or neither."""
Row = tuple[str, Value]
"""A row's place in its file, such as "line 7", counted from 1, and what it holds."""


@runtime_checkable
class Afar(Protocol):
    """A text that is no file: its rows come from elsewhere, as far as they are read."""

    name: str

    def rows(self) -> Iterator[Row]:
        """Yield the rows in order."""
        ...

    def facts(self) -> dict[str, Any]:
        """What determines the rows, as JSON values."""
        ...

    def digest(self) -> bytes:
        """SHA-256 of what determines the rows."""
        ...


def find_files(sources: Iterable[str | Path | Afar]) -> tuple[Path | Afar, ...]:
    """Return the text files of some files and folders; other texts as they are.

    Raises CorpusError where there are none, and for a source that does not exist or is of another
    kind.
    """
    files: list[Path | Afar] = []
    for given in sources:
        if isinstance(given, Afar):
            files.append(given)
            continue
        source = Path(given)
        if source.is_dir():
            found = _in_folder(source)
            if not found:
                raise CorpusError(
                    f"{source} contains no text: put {', '.join(SUFFIXES)} files into the folder"
                )
            files += found
        elif not source.exists():
            raise CorpusError(f"{source} does not exist: give a file or folder with text")
        elif source.suffix.lower() not in SUFFIXES:
            raise CorpusError(
                f"{source} is not in a supported text format: use one of {', '.join(SUFFIXES)}"
            )
        else:
            files.append(source)
    if not files:
        raise CorpusError("no text was given: name at least one file or folder")
    return tuple(files)


def read_rows(path: Path | Afar, field: str | None) -> Iterator[Row]:
    """Yield the rows of a text file, or of another text, in order.

    field: the column or key with the text; by default "text", else "messages".

    Raises CorpusError for a file that cannot be read as what its name says.
    """
    if isinstance(path, Afar):
        return path.rows()
    return _READERS[path.suffix.lower()](path, field)


def reads_lines(path: Path) -> bool:
    """Return whether every line of a .txt file is a passage.

    They are where it has several lines and no blank one between them.
    """
    count, was_gap = 0, False
    for line in _lines(path):
        if not line.strip():
            was_gap = count > 0
        elif was_gap:
            return False
        else:
            count += 1
    return count > 1


def separator(header: str) -> str:
    """Return what separates the columns of a CSV file: "," unless its header has only ";" or tabs.

    Spreadsheets write semicolons where the comma is the decimal point.
    """
    return next((sign for sign in ",;\t" if sign in header), ",")


# -- folders ---------------------------------------------------------------------------------------


def _in_folder(root: Path) -> list[Path]:
    """The text files in a folder and below, each folder once, however many links lead to it."""
    folders, links, seen, files = deque([root]), deque[Path](), set[Path](), list[Path]()
    while folders or links:  # links last, so that a folder is read in its own place
        folder = folders.popleft() if folders else links.popleft()
        if folder.resolve() in seen:
            continue
        seen.add(folder.resolve())
        try:
            entries = sorted(folder.iterdir())
        except OSError as error:
            raise CorpusError(
                f"{folder} could not be read ({error.strerror}): check the folder"
            ) from error
        for path in entries:
            if _is_aside(path):
                continue
            if path.is_dir():
                (links if path.is_symlink() else folders).append(path)
            elif path.suffix.lower() in SUFFIXES and path.is_file():
                files.append(path)
    return sorted(files)


def _is_aside(path: Path) -> bool:
    """Whether an entry of a folder is not part of its text."""
    name = path.name.casefold()
    return (
        name.startswith((".", "__macosx"))
        or name in SIDE_FILES
        or path.stem.casefold() in _SIDE_STEMS
    )


# -- formats ---------------------------------------------------------------------------------------


_WIDE = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
"""The first bytes of a UTF-16 or UTF-32 file, whose ASCII characters would pass for UTF-8."""
_ESCAPED = re.compile("[\udc80-\udcff]")
"""Bytes that are not UTF-8, as `_lines` returns them."""
_NOT_UTF8 = Unusable("is not UTF-8: save the text as UTF-8")


def _lines(path: Path) -> Iterator[str]:
    """The lines of a file; bytes that are not UTF-8 are surrogates, see `_is_utf8`."""
    try:
        with path.open("rb") as file:
            if file.read(2) in _WIDE:
                raise CorpusError(f"{path} is not UTF-8 but UTF-16 or 32: save it as UTF-8")
        with path.open(encoding="utf-8-sig", newline="", errors="surrogateescape") as text:
            yield from text
    except OSError as error:
        raise CorpusError(f"{path} could not be read ({error.strerror}): check the file") from error


def _is_utf8(text: str) -> bool:
    return text.isascii() or not _ESCAPED.search(text)


def _txt(path: Path, field: str | None) -> Iterator[Row]:
    by_line = reads_lines(path)
    paragraph: list[str] = []
    start = 1
    for number, line in enumerate(_lines(path), 1):
        if line.strip():
            start = start if paragraph else number
            paragraph.append(line)
        if paragraph and (by_line or not line.strip()):
            yield f"line {start}", _joined(paragraph)
            paragraph = []
    if paragraph:
        yield f"line {start}", _joined(paragraph)


def _joined(lines: list[str]) -> Value:
    text = "".join(lines).rstrip("\r\n")
    return text if _is_utf8(text) else _NOT_UTF8


def _parsed(text: str) -> Any:
    """Return a JSON value; raises JSONDecodeError or RecursionError."""
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        raise
    except ValueError:  # Python converts no integer of more than 4,300 digits
        return json.loads(text, parse_int=float)


def _jsonl(path: Path, field: str | None) -> Iterator[Row]:
    for number, line in enumerate(_lines(path), 1):
        if line.strip():
            try:
                value = cell(_parsed(line), field) if _is_utf8(line) else _NOT_UTF8
            except (json.JSONDecodeError, RecursionError) as error:
                value = Unusable(f"is not JSON ({error}): expected one JSON value")
            yield f"line {number}", value


def _json(path: Path, field: str | None) -> Iterator[Row]:
    whole = "".join(_lines(path))
    try:
        rows = _parsed(whole)
    except (json.JSONDecodeError, RecursionError) as error:
        raise CorpusError(f"{path} is not JSON ({error}): expected one JSON value") from error
    if not isinstance(rows, list):
        raise CorpusError(
            f"{path} contains a JSON {type(rows).__name__}: expected a list of texts or objects"
        )
    all_utf8 = _is_utf8(whole)
    for number, row in enumerate(rows, 1):
        is_good = all_utf8 or _is_utf8(json.dumps(row, ensure_ascii=False))
        yield f"item {number}", cell(row, field) if is_good else _NOT_UTF8


def _csv(path: Path, field: str | None) -> Iterator[Row]:
    csv.field_size_limit(min(sys.maxsize, 2**31 - 1))
    lines = _lines(path)
    header = next(lines, "")
    reader = csv.DictReader(chain([header], lines), delimiter=separator(header))
    name = field or "text"
    if name not in (reader.fieldnames or ()):
        raise CorpusError(
            f"{path} has no column {name!r}, only {reader.fieldnames}: name the text's column"
        )
    while True:
        try:
            text = next(reader)[name] or ""
        except StopIteration:
            return
        except csv.Error as error:
            yield f"line {reader.line_num}", Unusable(f"is not valid CSV ({error})")
        else:
            yield f"line {reader.line_num}", text if _is_utf8(text) else _NOT_UTF8


def _parquet(path: Path, field: str | None) -> Iterator[Row]:
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
        number = 0
        for batch in file.iter_batches(batch_size=1024, columns=names[:1]):
            for value in _cells(batch.column(0)):
                number += 1
                yield f"row {number}", value
    except (pyarrow.ArrowException, OSError) as error:
        raise CorpusError(
            f"{path} cannot be read as parquet ({str(error).splitlines()[0]}): check the file"
        ) from error


def _cells(column: Any) -> list[Value]:
    """What the cells of an Arrow column hold."""
    try:
        return [_value(value) for value in column.to_pylist()]
    except UnicodeDecodeError:
        return [_scalar(scalar) for scalar in column]


def _scalar(scalar: Any) -> Value:
    try:
        return _value(scalar.as_py())
    except UnicodeDecodeError:
        return _NOT_UTF8


_READERS = {".txt": _txt, ".jsonl": _jsonl, ".json": _json, ".csv": _csv, ".parquet": _parquet}


# -- values ----------------------------------------------------------------------------------------


def cell(row: Any, field: str | None) -> Value:
    """Return what a JSON row holds: a string, or an object with the key `field`.

    field: when it is None, "text" or "messages", whichever is there and not null.
    """
    if row is None or isinstance(row, str):
        return row or ""
    if not isinstance(row, dict):
        return Unusable(f"is a JSON {type(row).__name__}: expected a text or an object with a text")
    names = [name for name in ((field,) if field else ("text", "messages")) if name in row]
    if not names:
        keys = one_line(str(sorted(row)[:8]))
        return Unusable(f"has no {field or 'text'!r}, only {keys}: name the key of the text")
    return next((_value(row[name]) for name in names if row[name] is not None), "")


def _value(value: Any) -> Value:
    """What a key or column holds: a text, a chat, or "" for null, NaN and an empty chat."""
    if isinstance(value, str):
        return value
    if value is None or value != value or value == []:  # NaN is how tables write a missing text
        return ""
    if not isinstance(value, list):
        return Unusable(f"holds a {type(value).__name__}: expected a text or a chat")
    is_chat = all(
        isinstance(m, dict) and isinstance(m.get("role"), str) and isinstance(m.get("content"), str)
        for m in value
    )
    if not is_chat:
        return Unusable('is not a chat: expected [{"role": "user", "content": "…"}, …]')
    return tuple({"role": m["role"], "content": m["content"]} for m in value)
