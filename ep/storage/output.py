"""Writing to places that may be full, read-only or missing: every failure is one line."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ep.errors import StorageError
from ep.leftovers import scratch, system_scratch
from ep.storage.file import printable


@contextmanager
def writing(target: str | os.PathLike[str]) -> Iterator[None]:
    """Raise StorageError with the name of the target where the system refuses to write it."""
    try:
        yield
    except OSError as error:
        name = printable(Path(target).name or target)
        raise StorageError(f"{name} cannot be written: {error.strerror or error}") from error


def discard(path: Path) -> None:
    """Delete a temporary file if there is one; where that fails, the failed write says why."""
    with suppress(OSError):
        path.unlink(missing_ok=True)


@contextmanager
def temporary_folder(name: str = "ep-files") -> Iterator[Path]:
    """Yield a folder for files in progress, and remove it afterwards; errors as `writing`.

    What killed processes left of such folders is removed first.
    """
    with writing("a temporary file"), scratch(system_scratch(name)) as folder:
        yield folder
