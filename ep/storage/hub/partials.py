"""The folder of downloads: partial files, each locked while it is written, and what may go."""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from ep.errors import ServiceError
from ep.leftovers import is_old

_OURS = re.compile(r"[0-9a-f]{16}(\.partial|-[A-Za-z0-9._-]+)")
"""The names that downloads give: of a partial file, and of a whole one."""


@contextmanager
def locked(partial: Path, name: str) -> Iterator[BinaryIO]:
    """Open a partial file at its end, and lock it so that only one download writes to it."""
    with partial.open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ServiceError(f"{name} is being downloaded already: wait for it") from error
        file.seek(0, os.SEEK_END)
        yield file


def clear(folder: Path, keep: tuple[Path, ...] = (), all_ages: bool = False) -> None:
    """Remove downloads that have not changed for a day, but for those being written.

    keep: files that are not removed.
    all_ages: whether to remove newer ones too, whatever their names.
    """
    with suppress(OSError):
        for path in list(folder.iterdir()):
            may_go = all_ages or (_OURS.fullmatch(path.name) is not None and is_old(path))
            if may_go and path not in keep and path.is_file():
                _remove_unused(path)


def _remove_unused(path: Path) -> None:
    with suppress(OSError), path.open("rb") as file:  # BlockingIOError: it is being written
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.unlink()
