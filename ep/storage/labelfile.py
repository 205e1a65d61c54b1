"""The bytes of `NAME.ep.labels.json`: read with distrust, written in one rename, by one writer at a
time.

The format is in `docs/labels.md`. A file that cannot be used is named in one sentence and left as
it is. It knows that edits have a place in a list and a dictionary they belong to, not what they
come to.
"""

from __future__ import annotations

import json
import math
import os
import stat
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ep.errors import DictionaryFileError, RequestError, StorageError
from ep.method.dictionary import Dictionary
from ep.storage.content import Content, checksum
from ep.storage.edits import Edit, check, clean
from ep.storage.file import shown
from ep.storage.schema import ARRAYS
from ep.storage.sidecar import write_bytes

FORMAT, VERSION = "ep-labels", 1
MOST_BYTES = 64 * 2**20
PATIENCE_S = 10.0


def identity(dictionary: Dictionary) -> str:
    """SHA-256 over the exemplars: equal wherever region ids mean the same, whatever else was added
    to the file.
    """
    known = getattr(dictionary.source, "checksums", {})
    return known.get("exemplars") or checksum(
        Content(dictionary.source, len(dictionary)), ARRAYS["exemplars"]
    )


def about(dictionary: Dictionary) -> dict[str, Any]:
    """What a file of labels says of the dictionary it belongs to: its identity, its K, and what
    people call it.
    """
    names = ("title", "family", "model", "layer", "percentile", "threshold")
    told = {name: dictionary.info[name] for name in names if dictionary.info.get(name) is not None}
    return {"exemplars": identity(dictionary), "regions": len(dictionary), **told}


def read(path: Path, about: Mapping[str, Any]) -> tuple[Edit, ...]:
    """The edits in a file, oldest first; none when there is no file.

    about: the dictionary it lies beside. DictionaryFileError, one sentence, when the file cannot be
    used.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise RequestError("it is no plain file")
        if status.st_size > MOST_BYTES:
            raise RequestError(f"it is larger than {MOST_BYTES >> 20} MB")
        return _parse(path.read_bytes(), about)
    except FileNotFoundError:
        return ()
    except (OSError, RequestError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise DictionaryFileError(
            f"{shown(path.name)} cannot be used ({why}): it is left as it is, move it away to "
            "start anew"
        ) from error


def _parse(data: bytes, about: Mapping[str, Any]) -> tuple[Edit, ...]:
    try:
        found = json.loads(data, parse_constant=_finite, parse_float=_finite)
    except (ValueError, RecursionError):
        raise RequestError("it is not JSON") from None
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise RequestError("it is no file of labels")
    if found.get("version") != VERSION:
        raise RequestError(
            f"it has version {shown(str(found.get('version'))[:20])}, this program reads {VERSION}"
        )
    owner, edits = found.get("dictionary"), found.get("edits")
    if not isinstance(owner, dict) or not isinstance(edits, list):
        raise RequestError("its 'dictionary' or 'edits' is missing")
    if owner.get("exemplars") != about["exemplars"]:
        raise RequestError(f"it belongs to another dictionary, {_named(owner)}")
    checked: list[Edit] = []
    for place, edit in enumerate(edits, start=1):
        try:
            checked.append(
                _stamped(check(edit, about["regions"]), checked[-1]["id"] if checked else 0)
            )
        except RequestError as error:
            raise RequestError(f"edit {place}: {error}") from error
    return tuple(checked)


def _stamped(edit: Edit, before: int) -> Edit:
    """The edit, when its number rises and it says when and by whom."""
    number = edit.get("id")
    if not isinstance(number, int) or isinstance(number, bool) or number <= before:
        raise RequestError("its 'id' does not rise")
    if not isinstance(edit.get("at"), str) or not isinstance(edit.get("by"), str):
        raise RequestError("its 'at' or 'by' is not a text")
    return edit


def _named(owner: Mapping[str, Any]) -> str:
    """What a file says of its dictionary, in a few characters."""
    names = ("title", "layer", "percentile", "regions")
    return shown(
        ", ".join(f"{n} {str(owner[n])[:40]}" for n in names if n in owner)
        or "which it does not name"
    )


def _finite(number: str) -> float:
    """A JSON number; ValueError for NaN and what overflows, which could not be written again."""
    if not math.isfinite(value := float(number)):
        raise ValueError(number)
    return value


def write(path: Path, about: Mapping[str, Any], edits: Sequence[Edit]) -> None:
    """Replaces the file; one edit a line, so that files can be read and compared by eye. Hold
    `alone` around it.

    StorageError when the disk is full or read-only, or the file would grow too large; then it is as
    it was.
    """
    head = {"format": FORMAT, "version": VERSION, "dictionary": about}
    try:
        lines = ",\n  ".join(
            json.dumps(edit, ensure_ascii=False, allow_nan=False) for edit in edits
        )
        start = json.dumps(head, indent=1, ensure_ascii=False)[:-2]
    except RecursionError:
        raise StorageError(
            f"{path.name} cannot be written: something in it is nested too deeply"
        ) from None
    data = clean(f'{start},\n "edits": [\n  {lines}\n ]\n}}\n').encode()
    if len(data) > MOST_BYTES:
        raise StorageError(
            f"{path.name} cannot be written: it would be larger than {MOST_BYTES >> 20} MB"
        )
    write_bytes(path, data)


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Holds the lock file beside a path, so that reading, adding and writing is one step for all
    programs.

    The lock is the system's (flock): it ends with the process, so a crash blocks nobody; the file
    goes with it. StorageError when the folder is read-only, or nobody lets go in ten seconds.
    """
    import fcntl  # not on every system, and reading labels must not need it

    lock, deadline = path.with_name(f".{path.name}.lock"), time.monotonic() + PATIENCE_S
    while (handle := _held(lock, path, fcntl)) is None:
        if time.monotonic() > deadline:
            raise StorageError(
                f"{path.name} cannot be written: another program keeps writing to it, try again"
            )
        time.sleep(0.01)
    try:
        yield
    finally:
        lock.unlink(missing_ok=True)
        os.close(handle)


def _held(lock: Path, path: Path, fcntl: Any) -> int | None:
    """The open lock file, locked; None when somebody else has it, or took it away meanwhile."""
    try:
        handle = os.open(lock, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise StorageError(f"{path.name} cannot be written: {error.strerror or error}") from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(handle), lock.stat()):
            return handle
    except (BlockingIOError, FileNotFoundError):
        pass
    except OSError as error:
        os.close(handle)
        raise StorageError(f"{path.name} cannot be locked: {error.strerror or error}") from error
    os.close(handle)
    return None
