"""`NAME.ep.title.json`: the title that a person gave to a dictionary, stored beside its file.

The file itself is not touched, so its content, digest and links stay the same. The title is text
from elsewhere: it is cut to one line of at most `LONGEST` characters and never interpreted. A file
of titles that is damaged, too large or of another format counts as absent.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from ep.errors import RequestError
from ep.storage.edits import clean
from ep.storage.output import writing
from ep.storage.sidecar import TITLE, beside, write_bytes

FORMAT, VERSION = "ep-title", 1
LONGEST = 120
"""The largest number of characters in a title."""
MOST_BYTES = 4096
"""Larger files are not read."""


def read(path: str | os.PathLike[str]) -> str | None:
    """Return the title beside a dictionary's file, or None where there is none that can be used.

    path: the dictionary's file.
    """
    try:
        with beside(path, TITLE).open("rb") as file:
            stored = json.loads(file.read(MOST_BYTES + 1)[:MOST_BYTES])
        if (stored["format"], stored["version"]) != (FORMAT, VERSION):
            return None
        return _one_line(str(stored["title"]))[:LONGEST] or None
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return None


def write(paths: Iterable[str | os.PathLike[str]], title: str) -> None:
    """Give the same title to several dictionaries, those of one build.

    paths: their files.
    title: the title; an empty one restores the title that each file states itself.

    Raises RequestError for a title that is too long, and StorageError where the folder cannot be
    written; titles written until then are put back.
    """
    text = _one_line(title)
    if len(text) > LONGEST:
        raise RequestError(
            f"the title has {len(text):,} characters, expected at most {LONGEST}: shorten it"
        )
    earlier: list[tuple[Path, bytes | None]] = []
    try:
        for path in paths:
            place = beside(path, TITLE)
            earlier.append((place, place.read_bytes() if place.is_file() else None))
            _put(place, _bytes(text) if text else None)
    except BaseException:
        for place, content in reversed(earlier):
            with suppress(Exception):  # the failed write says why
                _put(place, content)
        raise


def _bytes(title: str) -> bytes:
    return json.dumps({"format": FORMAT, "version": VERSION, "title": title}).encode()


def _put(place: Path, content: bytes | None) -> None:
    """Write a file, or remove it where there is no content."""
    if content is not None:
        write_bytes(place, content)
        return
    with writing(place):
        place.unlink(missing_ok=True)


def _one_line(text: str) -> str:
    """Return a text on one line, with white space normalised and without control characters."""
    return " ".join("".join(c if c.isprintable() else " " for c in clean(text)).split())
