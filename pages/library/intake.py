"""Brings dictionary files from outside into the library's folder: an upload is checked and copied,
a path is linked.

A published pickle goes through the restricted reader. Nothing is unpickled, nothing half-written is
left, and no name from outside decides where a file goes.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from ep.errors import DictionaryFileError, EPError, StorageError
from ep.progress import Report
from ep.storage import check
from ep.storage import open as open_file
from ep.storage.schema import SUFFIX


def upload(name: str, content: BinaryIO, folder: Path) -> Path:
    """Copies an uploaded file into `folder` once it has passed every check; returns where it is.

    DictionaryFileError when it is not a dictionary (the message names the upload), StorageError
    when it cannot be written.
    """
    with _writing(folder):
        handle, temporary = tempfile.mkstemp(dir=folder, prefix=".upload-", suffix=".partial")
        path = Path(temporary)
        try:
            with os.fdopen(handle, "wb") as file:
                shutil.copyfileobj(content, file)
            _check(path, name)
            target = _free(folder, name)
            path.replace(target)
        finally:
            path.unlink(missing_ok=True)
    return target


def find(given: str) -> Path:
    """The file on this machine that a typed path means. DictionaryFileError when there is none."""
    source = Path(given.strip().strip("'\""))
    try:
        source = source.expanduser().resolve()
        is_file = source.is_file()
    except (OSError, ValueError, RuntimeError):
        is_file = False
    if not is_file:
        raise DictionaryFileError(
            f"there is no file at {given.strip()[:200]!r} on the machine that runs this explorer"
        )
    return source


def link(given: str, folder: Path) -> Path:
    """Links a file on this machine into `folder` once it opens; the file itself stays where it is.

    DictionaryFileError when there is no such file or it is not a dictionary, StorageError when it
    cannot be linked.
    """
    source = find(given)
    open_file(source)
    if folder.resolve() in source.parents:
        return source
    with _writing(folder):
        target = _free(folder, source.name)
        target.symlink_to(source)
    return target


def is_pickle(name: str) -> bool:
    """Whether a file is called like a published dictionary rather than like one of ours."""
    return name.strip().strip("'\"").lower().endswith((".pkl", ".pickle"))


def keep(name: str, content: BinaryIO, folder: Path) -> Path:
    """Puts an uploaded pickle, unread, into a hidden folder of its own under `folder`; `drop`
    removes both again.

    Its name stays, made plain: the reader learns model and layer from it. StorageError as `upload`.
    """
    with _writing(folder):
        path = (
            Path(tempfile.mkdtemp(dir=folder, prefix=".upload-"))
            / f"{safe_name(name).removesuffix(SUFFIX)}"
        )
        try:
            with path.open("wb") as file:
                shutil.copyfileobj(content, file)
        except BaseException:
            drop(path)
            raise
    return path


def drop(kept: Path) -> None:
    """Removes what `keep` put there."""
    shutil.rmtree(kept.parent, ignore_errors=True)


def read_pickle(source: Path, name: str, folder: Path, report: Report) -> Path:
    """Turns a published pickle into a dictionary in `folder`, under a name no file has; returns
    where it is.

    name: what messages call it. DictionaryFileError and StorageError as
    `ep.storage.published.convert`.
    """
    from ep.storage.published import convert

    with _writing(folder), tempfile.TemporaryDirectory(dir=folder, prefix=".reading-") as place:
        try:
            made = convert(source, Path(place), progress=report)
        except DictionaryFileError as error:
            raise DictionaryFileError(str(error).replace(str(source), name)) from error
        return made.replace(_free(folder, made.name))


def safe_name(name: str) -> str:
    """A file name of letters, digits and "-._" that ends in .ep.h5, whatever it was called."""
    stem = re.sub(
        r"(\.ep)?\.h5$", "", name.replace("\\", "/").rsplit("/", 1)[-1], flags=re.IGNORECASE
    )
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", stem).strip("-.")[:80]
    return f"{plain or 'dictionary'}{SUFFIX}"


def _free(folder: Path, name: str) -> Path:
    """A path in `folder` that no file has, by this name or with a number behind it."""
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
