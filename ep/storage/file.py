"""One dictionary in one `.ep.h5` file: opened lazily, read by rows, checked before it is believed.

The layout is in `docs/format.md`. Writing is in `ep.storage.writing`; this room only reads.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from threading import Lock
from typing import Any
from weakref import WeakSet

import h5py
import numpy as np

from ep.errors import DictionaryFileError
from ep.method.dictionary import Dictionary
from ep.storage import structure
from ep.storage.checks import verify
from ep.storage.content import Content, checksum, combine
from ep.storage.provenance import decode
from ep.storage.schema import ARRAYS

THOROUGH_BELOW = 8 * 2**20
"""Files up to this size are checked value by value on opening; larger ones in `check`."""

CHUNK_CACHE_BYTES = 256 * 2**10
"""Decompressed chunks HDF5 keeps per array; a page that shows one region needs one chunk of
each.
"""

DAMAGE = (OSError, RuntimeError, ValueError, KeyError, TypeError, OverflowError, SystemError)
"""What h5py raises when the bytes of a file make no sense."""


class FileSource:
    """The arrays of an open file, by name, whole or by rows; usable from many threads.

    It keeps the file it opened: replacing or deleting the path (as `save` does) leaves it reading
    the old content. A file overwritten in place is noticed at the next read and refused, since old
    and new would mix.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        structure.signed(path)
        self._file, self._stamp = _settled(path)
        self.size = self._stamp[-1]
        self._datasets: dict[str, h5py.Dataset] = {}
        with _OPEN_LOCK:
            _OPEN.add(self)

    def describe(self) -> tuple[dict[str, Any], int, int]:
        """(provenance, K, d), after checking the version and no more than that."""
        structure.version(self._file)
        info = decode(structure.small(self._file, "info", self.size))
        vectors = ARRAYS["exemplars"]
        node = structure.dataset(self._file, vectors.path, vectors.dtype, self.size)
        if node is None:
            raise DictionaryFileError(f"the array exemplars is missing: {structure.RESAVE}")
        if len(node.shape) != 2:
            raise DictionaryFileError(
                f"exemplars has shape {node.shape}, expected (K, d): {structure.RESAVE}"
            )
        return info, *node.shape

    def admit(self) -> tuple[dict[str, Any], int]:
        """(provenance, K), after checking version and structure; arrays can be read from here
        on.
        """
        info, size, _ = self.describe()
        self._datasets = structure.arrays(self._file, self.size)
        self.checksums = _checksums(structure.small(self._file, "checksums", self.size))
        for name in ARRAYS:
            if (name in self.checksums) != (name in self._datasets):
                raise DictionaryFileError(
                    f"the array {name} is missing, or was added: {structure.RESAVE}"
                )
        return info, size

    def __contains__(self, name: str) -> bool:
        return ("vocabulary_bytes" if name == "vocabulary_pieces" else name) in self._datasets

    def read(self, name: str, start: int | None = None, stop: int | None = None) -> np.ndarray:
        """The array called `name`, or its rows start..stop. KeyError when the file has no such
        array.

        DictionaryFileError when the file was damaged, overwritten or closed since it was opened.
        """
        if name == "vocabulary_pieces":
            return self._pieces(start, stop)
        stored = self._datasets[name]
        try:
            if _stamp(self._file) != self._stamp:
                raise DictionaryFileError(
                    f"{shown(self.path)}: the file was overwritten while open: open it again"
                )
            return stored[start:stop]
        except DAMAGE as error:
            raise DictionaryFileError(
                f"{shown(self.path)}: {name} cannot be read ({_first(error)}): {structure.RESAVE}"
            ) from error

    def _pieces(self, start: int | None, stop: int | None) -> np.ndarray:
        """Vocabulary entries as an object array of bytes."""
        start, stop, _ = slice(start, stop).indices(self._datasets["vocabulary_ids"].shape[0])
        offsets = self.read("vocabulary_offsets", start, max(start, stop) + 1).tolist()
        text = self.read("vocabulary_bytes", offsets[0], offsets[-1]).tobytes()
        pieces = np.empty(len(offsets) - 1, object)
        pieces[:] = [
            text[a - offsets[0] : b - offsets[0]]
            for a, b in zip(offsets, offsets[1:], strict=False)
        ]
        return pieces

    def close(self) -> None:
        """Let go of the file; later reads raise DictionaryFileError.

        Without it the file closes with the last use.
        """
        self._file.close()


_OPEN: WeakSet[FileSource] = WeakSet()
_OPEN_LOCK = Lock()


def _close_stale(stamp: tuple[int, ...]) -> None:
    """HDF5 shares one set of cached metadata among all handles of one inode: end those from before
    an overwriting.
    """
    with _OPEN_LOCK:
        for source in list(_OPEN):
            if source._stamp[:2] == stamp[:2] and source._stamp != stamp:
                source.close()


def _settled(path: Path) -> tuple[h5py.File, tuple[int, ...]]:
    """The open file and its stamp; opened again when the path was replaced in between."""
    for _ in range(5):
        seen = _identity(path.stat())
        _close_stale(seen)
        file = _h5(path)
        if _stamp(file) == seen:
            return file, seen
        file.close()
    raise DictionaryFileError("the file keeps changing: wait until it is written")


def _stamp(file: h5py.File) -> tuple[int, ...]:
    return _identity(os.fstat(file.id.get_vfd_handle()))


def _identity(status: os.stat_result) -> tuple[int, ...]:
    """Which file, and in which state."""
    return status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size


def _h5(path: Path) -> h5py.File:
    """Opened without file locks: readers never wait, and nobody is kept from replacing the file."""
    try:
        return h5py.File(path, "r", locking=False, rdcc_nbytes=CHUNK_CACHE_BYTES)
    except DAMAGE as error:
        what = (
            "the file is cut short"
            if "truncated" in str(error)
            else f"the file is damaged ({_first(error)})"
        )
        raise DictionaryFileError(f"{what}: {structure.RESAVE}") from error


def _first(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:100]


def _checksums(data: bytes) -> Mapping[str, str]:
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        raise DictionaryFileError(f"the checksums are not readable: {structure.RESAVE}")
    return found


def shown(path: str | os.PathLike[str]) -> str:
    """A path on one line: control and direction characters are escaped."""
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape", "replace").decode() for c in str(path)
    )


def _admitted(path: Path, thorough: bool) -> tuple[FileSource, dict[str, Any], Content]:
    """The open file, its provenance and content, or DictionaryFileError that begins with the
    path.
    """
    source = None
    try:
        source = FileSource(path)
        info, size = source.admit()
        content = Content(source, size)
        verify(content, thorough or source.size <= THOROUGH_BELOW)
        return source, info, content
    except (DictionaryFileError, MemoryError, *DAMAGE) as error:
        if source is not None:
            source.close()
        raise _named(path, error) from error


def _named(path: Path, error: BaseException) -> DictionaryFileError:
    """The one line for the reader: the path, once, and what is wrong."""
    text = (
        str(error)
        if isinstance(error, DictionaryFileError)
        else f"the file is damaged ({_first(error)})"
    )
    name = shown(path)
    return DictionaryFileError(text if text.startswith(name) else f"{name}: {text}")


def open(path: str | os.PathLike[str]) -> Dictionary:
    """The dictionary in an `.ep.h5` file, opened lazily: vectors, lens and text stay on disk until
    they are read.

    Checked on opening: format and version, every dataset's place, type, shape and presence,
    provenance, offsets, ids and counts in full, a spread of rows of the vectors; files up to 8 MB
    value by value. See `check` for everything. Raises DictionaryFileError, one line that names the
    path, what is wrong and what to do.
    """
    source, info, content = _admitted(Path(path), thorough=False)
    return Dictionary(source, info, content.sizes["K"], Path(path))


def header(path: str | os.PathLike[str]) -> tuple[dict[str, Any], int, int]:
    """(provenance, K, d) of a file, without looking at anything else in it; for lists of many
    files.

    Raises DictionaryFileError as `open` does, for what it looks at.
    """
    path, source = Path(path), None
    try:
        source = FileSource(path)
        return source.describe()
    except (DictionaryFileError, MemoryError, *DAMAGE) as error:
        raise _named(path, error) from error
    finally:
        if source is not None:
            source.close()


def check(path: str | os.PathLike[str]) -> str:
    """Read a whole file: every value and every checksum.

    Returns its digest; DictionaryFileError names the fault.
    """
    source, info, content = _admitted(Path(path), thorough=True)
    try:
        found = {name: checksum(content, ARRAYS[name]) for name in content.names}
        for name, expected in source.checksums.items():
            if found.get(name) != expected:
                raise DictionaryFileError(
                    f"{shown(path)}: {shown(name)} differs from its checksum, so the file was "
                    "altered after it was"
                    f" written: {structure.RESAVE}"
                )
        return combine(found, info)
    finally:
        source.close()


def digest(dictionary: Dictionary | str | os.PathLike[str]) -> str:
    """SHA-256 of a dictionary's content: all its arrays, and its provenance without what differs
    between equal builds.

    Equal for equal builds, in memory or in a file, wherever it lies and however it is compressed.
    Created, wall time, versions and device do not count. It is computed from the content, never
    taken from the file's own word.
    """
    if isinstance(dictionary, Dictionary):
        content = Content(dictionary.source, len(dictionary))
        return combine(
            {name: checksum(content, ARRAYS[name]) for name in content.names}, dictionary.info
        )
    source, info, content = _admitted(Path(dictionary), thorough=False)
    try:
        return combine({name: checksum(content, ARRAYS[name]) for name in content.names}, info)
    finally:
        source.close()
