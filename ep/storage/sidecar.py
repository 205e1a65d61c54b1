"""The files beside a dictionary that travel with it: what people said of its regions, and maps that
took long to make.

`NAME.ep.h5` has `NAME.ep.labels.json` and `NAME.ep.maps.h5`. The dictionary itself is never changed
by them; without them it is whole. This room names the files and writes them in one rename; what is
in them is the affair of others.
"""

from __future__ import annotations

import os
from pathlib import Path

from ep.errors import StorageError
from ep.storage.schema import SUFFIX

LABELS, MAPS = "labels.json", "maps.h5"


def beside(dictionary: str | os.PathLike[str], kind: str) -> Path:
    """The path of a dictionary's side-car; kind: `LABELS` or `MAPS`."""
    path = Path(dictionary)
    return path.with_name(f"{path.name.removesuffix(SUFFIX)}.ep.{kind}")


def write_bytes(path: Path, data: bytes) -> None:
    """Replaces a file in one rename, or leaves it as it was: StorageError when the disk is full or
    read-only.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise StorageError(f"{path.name} cannot be written: {error.strerror or error}") from error
