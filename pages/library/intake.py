"""Bring dictionary files into the library's folder: copy and check uploads, and link paths.

A published pickle goes through the restricted reader. Nothing is unpickled, no partial file
remains, and no name from outside decides where a file is written.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from ep.errors import DictionaryFileError, EPError, StorageError
from ep.leftovers import scratch, unfinished
from ep.progress import Report
from ep.storage import check
from ep.storage import open as open_file
from ep.storage.schema import SUFFIX


def upload(name: str, content: BinaryIO, folder: Path) -> Path:
    """Copy an uploaded file into `folder` once it has passed every check; return its path.

    Raises DictionaryFileError where it is not a dictionary (the message has the name of the
    upload), and StorageError where it cannot be written.
    """
    with _writing(folder):
        path = unfinished(folder / "upload")
        try:
            with path.open("xb") as file:
                shutil.copyfileobj(content, file)
            _check(path, name)
            target = _free_path(folder, name)
            path.replace(target)
        finally:
            path.unlink(missing_ok=True)
    return target


def find(typed: str) -> Path:
    """Return the file on this machine that a typed path names.

    Raises DictionaryFileError where there is none.
    """
    source = Path(typed.strip().strip("'\""))
    try:
        source = source.expanduser().resolve()
        is_file = source.is_file()
    except (OSError, ValueError, RuntimeError):
        is_file = False
    if not is_file:
        raise DictionaryFileError(
            f"there is no file at {typed.strip()[:200]!r} on the machine that runs this explorer"
        )
    return source


def link(typed: str, folder: Path) -> Path:
    """Link a file on this machine into `folder` once it opens, and return the link.

    The file itself stays in its place. Raises DictionaryFileError where there is no such file or it
    is not a dictionary, and StorageError where it cannot be linked.
    """
    source = find(typed)
    open_file(source)
    if folder.resolve() in source.parents:
        return source
    with _writing(folder):
        target = _free_path(folder, source.name)
        target.symlink_to(source)
    return target


def is_pickle(name: str) -> bool:
    """Return whether a file has the name of a published dictionary rather than of one of ours."""
    return name.strip().strip("'\"").lower().endswith((".pkl", ".pickle"))


def store_pickle(name: str, content: BinaryIO, folder: Path) -> Path:
    """Store an uploaded pickle, unread, in a hidden folder of its own under `folder`.

    `remove_pickle` removes both. Its name is kept in plain characters, because the reader takes
    model and layer from it. Raises StorageError as `upload` does.
    """
    with _writing(folder):
        path = unfinished(folder / "upload") / safe_name(name).removesuffix(SUFFIX)
        path.parent.mkdir()
        try:
            with path.open("wb") as file:
                shutil.copyfileobj(content, file)
        except BaseException:
            remove_pickle(path)
            raise
    return path


def remove_pickle(path: Path) -> None:
    """Remove a pickle stored by `store_pickle`, and its folder."""
    shutil.rmtree(path.parent, ignore_errors=True)


def read_pickle(source: Path, name: str, folder: Path, report: Report) -> Path:
    """Convert a published pickle to a dictionary in `folder`, under an unused name; return its
    path.

    name: of the file, for messages.

    Raises DictionaryFileError and StorageError as `ep.storage.published.convert` does.
    """
    from ep.storage.published import convert

    with _writing(folder), scratch(folder / "reading") as place:
        try:
            converted = convert(source, place, progress=report)
        except DictionaryFileError as error:
            raise DictionaryFileError(str(error).replace(str(source), name)) from error
        return converted.replace(_free_path(folder, converted.name))


def safe_name(name: str) -> str:
    """Return a file name of letters, digits and "-._" that ends in .ep.h5, from any name."""
    stem = re.sub(
        r"(\.ep)?\.h5$", "", name.replace("\\", "/").rsplit("/", 1)[-1], flags=re.IGNORECASE
    )
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", stem).strip("-.")[:80]
    return f"{plain or 'dictionary'}{SUFFIX}"


def _free_path(folder: Path, name: str) -> Path:
    """Return an unused path in `folder`, with this name or with a number appended to it."""
    stem = safe_name(name).removesuffix(SUFFIX)
    number = 1
    while os.path.lexists(path := folder / f"{stem}{'' if number == 1 else f'-{number}'}{SUFFIX}"):
        number += 1
    return path


def _check(path: Path, name: str) -> None:
    try:
        check(path)
    except EPError as error:
        raise DictionaryFileError(
            str(error).replace(str(path), name).replace(path.name, name)
        ) from error


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise StorageError(
            f"the library at {folder} cannot be written: {error.strerror or error}"
        ) from error
