"""The files beside a dictionary that travel with it: labels, maps that took long, and a title.

`NAME.ep.h5` has `NAME.ep.labels.json`, `NAME.ep.maps.h5` and `NAME.ep.title.json`, and while a
model labels its regions `NAME.ep.answers.jsonl`. They never change the dictionary, which is
complete without them. This module names the files and writes them in one rename; their content is
handled in `ep.storage.labelfile`, `ep.storage.maps`, `ep.storage.titles` and `ep.storage.answers`.
"""

from __future__ import annotations

import os
from pathlib import Path

from ep.leftovers import unfinished
from ep.storage.output import discard, writing
from ep.storage.schema import SUFFIX

LABELS, MAPS, TITLE, ANSWERS = "labels.json", "maps.h5", "title.json", "answers.jsonl"
"""The kinds of side-car files."""


def beside(dictionary: str | os.PathLike[str], kind: str) -> Path:
    """Return the path of a dictionary's side-car file.

    dictionary: path of the dictionary.
    kind: `LABELS`, `MAPS`, `TITLE` or `ANSWERS`.
    """
    path = Path(dictionary)
    return path.with_name(f"{path.name.removesuffix(SUFFIX)}.ep.{kind}")


def write_bytes(path: Path, data: bytes) -> None:
    """Replace a file in one rename, or leave it unchanged; a device or pipe is written directly.

    Raises StorageError if the place is full, read-only, missing or a folder.
    """
    with writing(path):
        if path.exists() and not path.is_file() and not path.is_dir():
            path.write_bytes(data)
            return
        temporary = unfinished(path)
        try:
            with temporary.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except OSError:
            discard(temporary)
            raise
