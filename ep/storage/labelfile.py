"""Reading and writing `NAME.ep.labels.json`, one writer at a time.

The format is described in `docs/labels.md`. Reading trusts nothing: a file that cannot be used is
reported in one sentence and left unchanged. Writing replaces the file in one rename. What the edits
amount to is computed in `ep.storage.labels`.
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
from ep.storage.file import printable
from ep.storage.output import discard
from ep.storage.schema import ARRAYS
from ep.storage.sidecar import write_bytes

FORMAT, VERSION = "ep-labels", 1
MOST_BYTES = 64 * 2**20
"""The largest file that is read or written."""
PATIENCE_S = 10.0
"""Seconds to wait for another writer."""


def identity(dictionary: Dictionary) -> str:
    """Return the SHA-256 of a dictionary's exemplars.

    It is equal wherever region ids mean the same, whatever else was added to the file.
    """
    checksums = getattr(dictionary.source, "checksums", {})
    return checksums.get("exemplars") or checksum(
        Content(dictionary.source, len(dictionary)), ARRAYS["exemplars"]
    )


def about(dictionary: Dictionary) -> dict[str, Any]:
    """Return the description of a dictionary that is stored in its label file.

    It contains the identity, K, and for people the title, family, model, layer, percentile and
    threshold, as far as they are known.
    """
    names = ("title", "family", "model", "layer", "percentile", "threshold")
    recorded = {
        name: dictionary.info[name] for name in names if dictionary.info.get(name) is not None
    }
    return {"exemplars": identity(dictionary), "regions": len(dictionary), **recorded}


def read(path: Path, about: Mapping[str, Any]) -> tuple[Edit, ...]:
    """Return the edits in a label file, oldest first; none if there is no file.

    path: the label file.
    about: the description of the dictionary beside it; see the function `about`.

    Raises DictionaryFileError with one sentence if the file cannot be used.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise RequestError("it is not a regular file")
        if status.st_size > MOST_BYTES:
            raise RequestError(f"it is larger than {MOST_BYTES >> 20} MB")
        return _parse(path.read_bytes(), about)
    except FileNotFoundError:
        return ()
    except (OSError, RequestError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise DictionaryFileError(
            f"{printable(path.name)} cannot be used ({reason}): it is left as it is; move it away "
            "to start again"
        ) from error


def owner(path: Path) -> str | None:
    """Return the identity of the dictionary whose labels a file holds; None if it states none."""
    exemplars = _owner(_content(path)).get("exemplars")
    return exemplars if isinstance(exemplars, str) else None


def _content(path: Path) -> dict[str, Any]:
    """Return what is in a file, unchecked; empty if it is not there or not an object."""
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def _owner(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return a file's description of its dictionary; empty if there is none."""
    stated = content.get("dictionary")
    return stated if isinstance(stated, dict) else {}


def _parse(data: bytes, about: Mapping[str, Any]) -> tuple[Edit, ...]:
    """Return the edits in the bytes of a file, or raise RequestError with what is wrong."""
    try:
        content = json.loads(data, parse_constant=_finite, parse_float=_finite)
    except (ValueError, RecursionError):
        raise RequestError("it is not JSON") from None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise RequestError("it is not a label file")
    if content.get("version") != VERSION:
        raise RequestError(
            f"it has version {printable(str(content.get('version'))[:20])}, "
            f"this program reads {VERSION}"
        )
    owner, edits = content.get("dictionary"), content.get("edits")
    if not isinstance(owner, dict) or not isinstance(edits, list):
        raise RequestError("its 'dictionary' or 'edits' is missing")
    before = content.get("before")  # a process was killed while it replaced the dictionary
    owners = [one.get("exemplars") for one in (owner, before) if isinstance(one, dict)]
    if about["exemplars"] not in owners:
        raise RequestError(f"it belongs to another dictionary, {_name_of(owner)}")
    checked: list[Edit] = []
    for place, edit in enumerate(edits, start=1):
        try:
            checked.append(
                _check_stamp(check(edit, about["regions"]), checked[-1]["id"] if checked else 0)
            )
        except RequestError as error:
            raise RequestError(f"edit {place}: {error}") from error
    return tuple(checked)


def _check_stamp(edit: Edit, previous: int) -> Edit:
    """Return the edit if its id is larger than `previous` and it has a time and an author."""
    number = edit.get("id")
    if not isinstance(number, int) or isinstance(number, bool) or number <= previous:
        raise RequestError("its 'id' is not larger than the one before")
    if not isinstance(edit.get("at"), str) or not isinstance(edit.get("by"), str):
        raise RequestError("its 'at' or 'by' is not text")
    return edit


def _name_of(owner: Mapping[str, Any]) -> str:
    """Return the file's description of its dictionary in a few words, for messages."""
    names = ("title", "layer", "percentile", "regions")
    return printable(
        ", ".join(f"{n} {str(owner[n])[:40]}" for n in names if n in owner)
        or "which it does not name"
    )


def _finite(number: str) -> float:
    """Return a JSON number; raise ValueError for NaN and overflow, which JSON cannot store."""
    if not math.isfinite(value := float(number)):
        raise ValueError(number)
    return value


def write(
    path: Path,
    about: Mapping[str, Any],
    edits: Sequence[Edit],
    before: Mapping[str, Any] | None = None,
) -> None:
    """Replace a label file; the lock of `locked` must be held.

    Each edit is one line, so that files can be read and compared by eye. Entries of the file that
    this version does not know are kept. Raises StorageError, with the file unchanged, if the disk
    is full or read-only or the file would become too large.

    path: the label file.
    about: the description of its dictionary.
    edits: all edits, oldest first.
    before: the description of the dictionary that this one is about to replace, of which the edits
        are true as well; until the next writing the file belongs to both.
    """
    head = _content(path)
    head |= {"format": FORMAT, "version": VERSION, "dictionary": {**_owner(head), **about}}
    for name in ("edits", "before"):
        head.pop(name, None)
    if before is not None:
        head["before"] = dict(before)
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
def locked(path: Path) -> Iterator[None]:
    """Hold the lock of a file, so that reading it, adding to it and writing it is a single step.

    The lock is the system's (flock) on a file beside it. It ends with the process, so a crash
    blocks nobody; the lock file is deleted afterwards. Raises StorageError if the folder is
    read-only or another program keeps the lock for ten seconds.
    """
    import fcntl  # not available on every system; reading labels must not require it

    lock, deadline = path.with_name(f".{path.name}.lock"), time.monotonic() + PATIENCE_S
    while (handle := _acquire(lock, path, fcntl)) is None:
        if time.monotonic() > deadline:
            raise StorageError(
                f"{path.name} cannot be written: another program keeps writing to it; try again"
            )
        time.sleep(0.01)
    try:
        yield
    finally:
        discard(lock)
        os.close(handle)


def _acquire(lock: Path, path: Path, fcntl: Any) -> int | None:
    """Open and lock the lock file; return its handle.

    Returns None if another program has the lock, or deleted the file in the meantime.
    """
    try:
        handle = os.open(lock, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise StorageError(f"{path.name} cannot be written: {error.strerror or error}") from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # the previous owner may have deleted this file, and another process created a new one
        if os.path.samestat(os.fstat(handle), lock.stat()):
            return handle
    except (BlockingIOError, FileNotFoundError):
        pass
    except OSError as error:
        os.close(handle)
        raise StorageError(f"{path.name} cannot be locked: {error.strerror or error}") from error
    os.close(handle)
    return None
