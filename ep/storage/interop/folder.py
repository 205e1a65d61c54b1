"""A folder that appears whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ep.errors import StorageError


@contextmanager
def whole_folder(target: Path) -> Iterator[Path]:
    """A temporary folder beside `target` to fill; it takes that name when the block ends well, and
    goes otherwise.

    StorageError when `target` holds something already, or the disk refuses.
    """
    if target.is_dir() and any(target.iterdir()) or target.is_file():
        raise StorageError(f"{target} exists already: name a new folder, or remove it first")
    place = target.with_name(f".{target.name}.{os.getpid()}.{os.urandom(4).hex()}.tmp")
    try:
        place.mkdir(parents=True)
        yield place
        place.replace(target)
    except OSError as error:
        raise StorageError(f"{target} cannot be written: {error.strerror or error}") from error
    finally:
        shutil.rmtree(place, ignore_errors=True)
