"""The texts of builds: uploaded files, which stay for a build that is resumed, and the demo's."""

from __future__ import annotations

import hashlib
import re
import shutil
from io import BufferedIOBase
from pathlib import Path

from ep.leftovers import unfinished
from ep.models import conversions
from ep.storage.output import discard, writing
from pages.shared import loading

KINDS = ("txt", "jsonl", "json", "csv", "parquet")
"""The endings of files that can be uploaded."""


def of_demo() -> dict[str, str]:
    """Return the texts that came with the explorer: path by name."""
    return {path.stem: str(path) for path in sorted((loading.DEMO / "text").glob("*.jsonl"))}


def keep(name: str, content: BufferedIOBase) -> Path:
    """Store an uploaded text in the cache folder, once, and return its path.

    The name is kept in plain characters, after a hash of the content, so that no name from outside
    decides where a file is written. Raises StorageError where it cannot be written.
    """
    folder = conversions.folder() / "texts"
    with writing(folder):
        digest = hashlib.file_digest(content, "sha256").hexdigest()[:12]
        path = folder / digest / _plain(name)
        if path.is_file():
            return path
        path.parent.mkdir(parents=True, exist_ok=True)
        content.seek(0)
        temporary = unfinished(path)
        try:
            with temporary.open("xb") as file:
                shutil.copyfileobj(content, file)
            temporary.replace(path)
        finally:
            discard(temporary)
    return path


def _plain(name: str) -> str:
    stem = Path(name.replace("\\", "/")).name
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", stem).strip("-.")[-80:]
    return plain or "text.txt"
