"""The texts of builds: uploaded files, which stay for a build that is resumed, and the demo's."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from io import BufferedIOBase, BytesIO
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


def demo_kinds() -> dict[str, Path]:
    """Return the demo's mixed text as one file for each kind of passage, by kind.

    The files are written to the cache folder once. Raises StorageError where they cannot be.
    """
    source = Path(of_demo()["mixed"])
    parts: dict[str, list[str]] = {}
    for line in source.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        if "text" in row:  # a base model has no template for the others, which are chats
            parts.setdefault(str(row["kind"]), []).append(f"{line}\n")
    found = {}
    for kind, lines in parts.items():
        content = BytesIO("".join(lines).encode())
        found[kind] = keep(f"{kind}.jsonl", content)
    return found


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
