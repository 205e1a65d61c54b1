"""The folder of converted models: where it is, what lies in it, and emptying it.

A model of another format is converted once, to a directory of this folder, and loaded from there.
Nothing in it is needed: what is removed is converted again. Only directories that carry the note of
a finished conversion, or the name of an unfinished one, are counted and removed.
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ep import leftovers
from ep.errors import StorageError

VARIABLE = "EP_CACHE"
"""The environment variable that names the folder."""
NOTE = "ep-conversion.json"
"""The file in a finished conversion that says what it was made from."""
_UNFINISHED = ".ep-conversion-"
"""How the name of an unfinished conversion begins."""


@dataclass(frozen=True)
class Conversion:
    """One converted model.

    source: name of the file it was made from; empty for one that is damaged or was never finished.
    quantization: how the weights of that file are quantised.
    """

    directory: Path
    source: str
    quantization: str

    @property
    def size(self) -> int:
        """Bytes on the disk."""
        return sum(path.stat().st_size for path in self.directory.iterdir() if path.is_file())


def folder() -> Path:
    """Return the folder of converted models, which need not exist.

    It is $EP_CACHE; without that, ep-explorer in the user's cache, $XDG_CACHE_HOME or ~/.cache.
    """
    if chosen := os.environ.get(VARIABLE):
        return Path(chosen).expanduser()
    user = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(user).expanduser() / "ep-explorer"


def find(directory: Path) -> Conversion | None:
    """Return the finished conversion in a directory, all files of which are whole, or None."""
    try:
        note = json.loads((directory / NOTE).read_text(encoding="utf-8"))
        found = Conversion(directory, str(note["source"]), str(note["quantization"]))
        is_whole = note["bytes"] == _sizes(directory)
    except (OSError, ValueError, LookupError, TypeError):
        return None
    return found if is_whole else None


def _sizes(directory: Path) -> dict[str, int]:
    """Return the bytes of every file but the note, by name."""
    files = (path for path in directory.iterdir() if path.name != NOTE)
    return {path.name: path.stat().st_size for path in files}


def unfinished(name: str) -> Path:
    """Make and return a directory to convert into, which `finish` puts in its place.

    What killed conversions left is removed first. Raises StorageError where the folder
    cannot be written.
    """
    directory = leftovers.unfinished(folder() / f"{_UNFINISHED}{name}")
    try:
        directory.mkdir(parents=True)
    except OSError as error:
        raise not_written(error) from error
    return directory


def finish(directory: Path, place: Path, note: dict[str, Any]) -> None:
    """Write the note into a directory and rename it to its place.

    Where another process was faster, its conversion stays. A damaged one is replaced.
    """
    text = json.dumps(note | {"bytes": _sizes(directory)})
    (directory / NOTE).write_text(text, encoding="utf-8")
    if find(place) is None:
        shutil.rmtree(place, ignore_errors=True)
    try:
        directory.rename(place)
    except OSError:
        if find(place) is None:
            raise


def not_written(error: Exception) -> StorageError:
    """Return the error that says that the folder cannot be written."""
    reason = (getattr(error, "strerror", None) or str(error) or type(error).__name__).splitlines()
    return StorageError(
        f"the converted model cannot be written to {folder()} ({reason[0][:200]}): make room there "
        f"or set {VARIABLE} to another folder"
    )


def listed() -> tuple[Conversion, ...]:
    """Return every conversion in the folder, by name; unfinished ones have no source."""
    try:
        directories = sorted(path for path in folder().iterdir() if path.is_dir())
    except OSError:
        return ()
    return tuple(
        find(path) or Conversion(path, "", "")
        for path in directories
        if path.name.startswith(_UNFINISHED) or (path / NOTE).is_file()
    )


def empty() -> tuple[Conversion, ...]:
    """Remove every conversion, and return what was removed.

    Unfinished ones are removed as well, unless a running process is working on them. Raises
    StorageError where one cannot be removed.
    """
    conversions = tuple(c for c in listed() if not leftovers.is_in_progress(c.directory))
    for conversion in conversions:
        try:
            shutil.rmtree(conversion.directory)
        except OSError as error:
            raise StorageError(
                f"{conversion.directory} cannot be removed ({error.strerror or error})"
            ) from error
    return conversions
