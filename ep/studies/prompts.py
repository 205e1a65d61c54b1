"""Labelled prompts from a CSV or JSONL file: the texts, and which of them should show a behaviour.

Knows no model.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ep.errors import CorpusError

MOST_PROMPTS = 20_000
LONGEST_PROMPT = 20_000
YES = frozenset({"1", "true", "yes", "harmful", "positive", "y", "t"})
NO = frozenset({"0", "false", "no", "benign", "hard_benign", "negative", "n", "f"})


@dataclass(frozen=True)
class Prompts:
    """Distinct prompts in the order of their file.

    labels: True where the behaviour is expected, False where it is not, None where the file says
    nothing.
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
        """Those with this label."""
        kept = [
            (text, said)
            for text, said in zip(self.texts, self.labels, strict=True)
            if said is label
        ]
        return Prompts(tuple(text for text, _ in kept), tuple(said for _, said in kept))

    def without(self, others: Iterable[str]) -> Prompts:
        """Those whose text is not among others: what was selected on is never evaluated on."""
        gone = {_key(text) for text in others}
        kept = [
            (t, said)
            for t, said in zip(self.texts, self.labels, strict=True)
            if _key(t) not in gone
        ]
        return Prompts(tuple(text for text, _ in kept), tuple(said for _, said in kept))

    def __add__(self, other: Prompts) -> Prompts:
        return Prompts(self.texts + other.texts, self.labels + other.labels)


def read_prompts(
    source: str | Path | bytes,
    name: str = "",
    text: str = "prompt",
    label: str = "label",
    yes: Sequence[str] = (),
) -> Prompts:
    """The prompts of a file, or of its bytes (then `name` says its kind by its ending).

    text, label: names of the columns (keys). yes: label values that mean "the behaviour is
    expected"; by default the usual ones ("harmful", "1", "true", …) mean yes and their opposites
    no. Doubles are read once. CorpusError in one line for a missing file or column, an unknown
    label, an empty file, too many or too long prompts.
    """
    data, shown = (source, name or "the file") if isinstance(source, bytes) else _read(Path(source))
    rows = (
        _jsonl(data, shown)
        if shown.lower().endswith((".jsonl", ".ndjson"))
        else _csv(data, shown, text)
    )
    wanted = frozenset(value.casefold() for value in yes)
    found: dict[str, tuple[str, bool | None]] = {}
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
                f"{shown}, row {number}: a prompt of {len(prompt):,} characters; "
                f"{LONGEST_PROMPT:,} fit"
            )
        found.setdefault(
            _key(prompt), (prompt, _label(row.get(label), wanted, f"{shown}, row {number}"))
        )
        if len(found) > MOST_PROMPTS:
            raise CorpusError(
                f"{shown} holds more than {MOST_PROMPTS:,} prompts: give a smaller file"
            )
    if not found:
        raise CorpusError(f"{shown} holds no prompts: expected a column {text!r} with text")
    return Prompts(
        tuple(prompt for prompt, _ in found.values()), tuple(said for _, said in found.values())
    )


def columns(data: bytes, name: str) -> list[str]:
    """The columns (keys) of a prompt file's bytes, as many as its first row has; errors as
    `read_prompts`.
    """
    if name.lower().endswith((".jsonl", ".ndjson")):
        return [str(key) for key in next(_jsonl(data, name), {})]
    return list(
        csv.DictReader(io.StringIO(_text(data[:100_000], name), newline="")).fieldnames or []
    )


def _read(path: Path) -> tuple[bytes, str]:
    try:
        return path.read_bytes(), path.name
    except OSError as error:
        raise CorpusError(f"{path} cannot be read: {error.strerror or error}") from error


def _text(data: bytes, shown: str) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise CorpusError(f"{shown} is not UTF-8 text: save it as UTF-8") from error


def _csv(data: bytes, shown: str, text: str) -> Iterator[dict[str, Any]]:
    reader = csv.DictReader(io.StringIO(_text(data, shown), newline=""))
    if text not in (reader.fieldnames or ()):
        names = ", ".join(map(repr, (reader.fieldnames or [])[:8])) or "no columns"
        raise CorpusError(f"{shown} has no column {text!r}: it has {names}")
    try:
        yield from reader
    except csv.Error as error:
        raise CorpusError(f"{shown} is no readable CSV: {error}") from error


def _jsonl(data: bytes, shown: str) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(_text(data, shown).splitlines(), 1):
        if line.strip():
            try:
                row = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise CorpusError(f"{shown}, line {number}, is no JSON") from error
            if not isinstance(row, dict):
                raise CorpusError(
                    f"{shown}, line {number}, is no JSON object: expected keys and values"
                )
            yield row


def _label(value: Any, wanted: frozenset[str], where: str) -> bool | None:
    plain = "" if value is None else str(value).strip().casefold()
    if not plain:
        return None
    if wanted:
        return plain in wanted
    if plain in YES or plain in NO:
        return plain in YES
    raise CorpusError(
        f"{where}: label {str(value)[:40]!r} is unknown: say which labels mean yes, or use yes and "
        "no"
    )


def _key(text: str) -> str:
    return " ".join(text.casefold().split())
