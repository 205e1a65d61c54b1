"""Saving a dictionary where there may be another one, without losing the labels of either.

Labels belong to the exemplars of one dictionary. Those of a replaced dictionary stay in use if its
regions are the first ones of the new dictionary, as those of an interrupted build are of the
resumed one; otherwise their file is renamed and nothing in it changes.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from ep.errors import ConfigError, DictionaryFileError, StorageError
from ep.method.dictionary import Dictionary
from ep.storage import labelfile
from ep.storage.edits import Edit
from ep.storage.file import header, printable
from ep.storage.file import open as open_dictionary
from ep.storage.sidecar import LABELS, beside
from ep.storage.writing import save


def save_over(dictionary: Dictionary, path: Path) -> Path | None:
    """Save a dictionary; return where the label file of the replaced one is now, if it was renamed.

    A label file that stays in use belongs to both dictionaries while the file is replaced, so that
    a process that is killed meanwhile loses no label. Errors as `save` and, if there is a label
    file, as `labelfile.locked`; the label file then belongs to the dictionary that is there.
    """
    labels = beside(path, LABELS)
    if not labels.exists():
        save(dictionary, path)
        return None
    with labelfile.locked(labels):
        about = labelfile.about(dictionary)
        if labelfile.owner(labels) in (None, about["exemplars"]):
            save(dictionary, path)
            return None
        earlier = _opened(path)
        kept = None if earlier is None else _kept(dictionary, earlier, labels)
        if earlier is None or kept is None:
            save(dictionary, path)
            return labels.rename(_free_name(path))
        _save_with(dictionary, path, labels, kept, labelfile.about(earlier))
        return None


def _kept(dictionary: Dictionary, earlier: Dictionary, labels: Path) -> tuple[Edit, ...] | None:
    """Return the edits of the earlier dictionary that are true of this one; None without any."""
    if not _continues(dictionary, earlier):
        return None
    try:
        return labelfile.read(labels, labelfile.about(earlier))
    except DictionaryFileError:
        return None


def _save_with(
    dictionary: Dictionary,
    path: Path,
    labels: Path,
    kept: tuple[Edit, ...],
    before: Mapping[str, Any],
) -> None:
    """Save a dictionary that takes over the labels of the one before it."""
    about = labelfile.about(dictionary)
    labelfile.write(labels, about, kept, before)
    try:
        save(dictionary, path)
    except BaseException:
        with suppress(StorageError):
            labelfile.write(labels, before, kept)
        raise
    labelfile.write(labels, about, kept)


def refuse_other(path: Path, replace: bool, is_same: Callable[[Mapping[str, Any]], bool]) -> None:
    """Raise ConfigError if an import would replace a file that it would not make again.

    replace: whether the caller wants it replaced all the same.
    is_same: called with the provenance of the file; whether the import gives an equal one.
    """
    if replace or not os.path.lexists(path):
        return
    advice = "choose another --out, or give --replace to import over it"
    try:
        same = path.is_file() and is_same(header(path)[0])
    except DictionaryFileError as error:
        raise ConfigError(f"{error}; to keep it, {advice}") from error
    if not same:
        raise ConfigError(f"{printable(path)} exists, and is not what would be imported: {advice}")


def comes_from(info: Mapping[str, Any], origin: Mapping[str, Any]) -> bool:
    """Return whether a converted dictionary comes from a published file, and nothing was added.

    origin: entries that its provenance states of the file, such as repository and revision.
    """
    published = info.get("published")
    stated = published if isinstance(published, Mapping) else {}
    return "completed" not in info and all(stated.get(k) == v for k, v in origin.items())


def _opened(path: Path) -> Dictionary | None:
    """Return the dictionary in a file; None if there is none that can be read."""
    try:
        return open_dictionary(path)
    except DictionaryFileError:
        return None


def _continues(dictionary: Dictionary, earlier: Dictionary) -> bool:
    """Return whether region ids of `earlier` mean the same in `dictionary`."""
    first = dictionary.source.read("exemplars", 0, len(earlier))
    return np.array_equal(first, earlier.source.read("exemplars"))


def _free_name(path: Path) -> Path:
    """Return an unused path for a label file that is set aside."""
    number = 1
    while (free := beside(path, f"labels.old-{number}.json")).exists():
        number += 1
    return free
