"""Writes a folder in one step, so that it is never seen half-written."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ep.errors import StorageError
from ep.leftovers import unfinished
from ep.storage.output import writing


@contextmanager
def whole_folder(target: Path) -> Iterator[Path]:
    """Yield a temporary folder beside `target`, which is renamed to `target` after the block.

    If the block raises, the folder is removed. Raises StorageError when `target` is a file or a
    folder that is not empty, or when it cannot be written.
    """
    with writing(target):
        if target.is_dir() and any(target.iterdir()) or target.is_file():
            raise StorageError(f"{target} exists already: name a new folder, or remove it first")
        temporary = unfinished(target)
        try:
            temporary.mkdir(parents=True)
            yield temporary
            temporary.replace(target)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
