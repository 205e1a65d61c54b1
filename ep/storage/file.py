"""Reading one `.ep.h5` file: opened lazily, read by rows, and checked before it is used.

The layout is in `docs/format.md`; writing is in `ep.storage.writing`.
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
from ep.method.metrics import name_of
from ep.storage import structure
from ep.storage.checks import metric_version, verify
from ep.storage.content import Content, checksum, combine
from ep.storage.faults import DAMAGE, fault, first_line, is_locked
from ep.storage.provenance import decode
from ep.storage.schema import ARRAYS

THOROUGH_BELOW = 8 * 2**20
"""Files up to this size are checked value by value on opening; larger ones by `check` only."""

CHUNK_CACHE_BYTES = 256 * 2**10
"""Cache of decompressed chunks for each array.

A page that shows one region needs one chunk of each.
"""


class FileSource:
    """The arrays of an open file, whole or by rows; it may be used from several threads.

    It keeps the file that it opened: when the path is replaced (as `save` does) or deleted, it
    continues to read the old content. A file that is overwritten in place is refused at the next
    read, because old and new content would mix.

    path: the file. Before `open_arrays` has been called, no array can be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        structure.check_signature(path)
        self._file, self._stamp = _open_unchanged(path)
        self.size = self._stamp[-1]
        self._datasets: dict[str, h5py.Dataset] = {}
        with _OPEN_LOCK:
            _OPEN.add(self)

    def read_header(self) -> tuple[dict[str, Any], int, int]:
        """Return (provenance, K, d), after checking the version and nothing more."""
        self._version = structure.check_version(self._file)
        info = decode(structure.read_bytes(self._file, "info", self.size))
        name_of(info)
        vectors = ARRAYS["exemplars"]
        node = structure.dataset(self._file, vectors.path, vectors.dtype, self.size)
        if node is None:
            raise DictionaryFileError(f"the array exemplars is missing: {structure.RESAVE}")
        if len(node.shape) != 2:
            raise DictionaryFileError(
                f"exemplars has shape {node.shape}, expected (K, d): {structure.RESAVE}"
            )
        return info, *node.shape

    def open_arrays(self) -> tuple[dict[str, Any], int]:
        """Check version and structure, so that arrays can be read, and return (provenance, K)."""
        info, size, _ = self.read_header()
        self._datasets = structure.arrays(self._file, self.size)
        if metric_version(info, tuple(self._datasets)) > self._version:
            raise DictionaryFileError(
                f"the metric is {info['metric']}, which format {self._version} does not have: "
                f"{structure.RESAVE}"
            )
        self.checksums = _checksums(structure.read_bytes(self._file, "checksums", self.size))
        for name in ARRAYS:
            if (name in self.checksums) != (name in self._datasets):
                raise DictionaryFileError(
                    f"the array {name} is missing, or was added: {structure.RESAVE}"
                )
        return info, size

    def __contains__(self, name: str) -> bool:
        return ("vocabulary_bytes" if name == "vocabulary_pieces" else name) in self._datasets

    def read(self, name: str, start: int | None = None, stop: int | None = None) -> np.ndarray:
        """Return the array called `name`, or its rows start to stop.

        Raises KeyError if the file has no such array, and DictionaryFileError if the file was
        damaged, overwritten or closed since it was opened.
        """
        if name == "vocabulary_pieces":
            return self._pieces(start, stop)
        stored = self._datasets[name]
        try:
            if _stamp(self._file) != self._stamp:
                raise DictionaryFileError(
                    f"{printable(self.path)}: the file was overwritten while open: open it again"
                )
            return stored[start:stop]
        except DAMAGE as error:
            raise DictionaryFileError(
                f"{printable(self.path)}: {name} cannot be read ({first_line(error)}): "
                f"{structure.RESAVE}"
            ) from error

    def _pieces(self, start: int | None, stop: int | None) -> np.ndarray:
        """Return vocabulary entries start to stop as an object array of bytes."""
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
        """Close the file; later reads raise DictionaryFileError.

        Otherwise it is closed when the last reference to it disappears.
        """
        self._file.close()


_OPEN: WeakSet[FileSource] = WeakSet()
"""All open files, so that those of an overwritten file can be closed."""
_OPEN_LOCK = Lock()


def _close_stale(stamp: tuple[int, ...]) -> None:
    """Close the sources of a file that was overwritten in place.

    HDF5 shares cached metadata among all handles of an inode, so old handles would make a new one
    read outdated metadata.
    """
    with _OPEN_LOCK:
        for source in list(_OPEN):
            if source._stamp[:2] == stamp[:2] and source._stamp != stamp:
                source.close()


def _open_unchanged(path: Path) -> tuple[h5py.File, tuple[int, ...]]:
    """Open a file and return it with its stamp.

    It is opened again if the path was replaced in between. Raises DictionaryFileError if that
    happens five times.
    """
    for _ in range(5):
        stamp = _identity(path.stat())
        _close_stale(stamp)
        file = _h5(path)
        if _stamp(file) == stamp:
            return file, stamp
        file.close()
    raise DictionaryFileError("the file keeps changing: wait until it is written")


def _stamp(file: h5py.File) -> tuple[int, ...]:
    """Return the identity of an open file."""
    return _identity(os.fstat(file.id.get_vfd_handle()))


def _identity(status: os.stat_result) -> tuple[int, ...]:
    """Return which file this is, and in which state: device, inode, time of change, size."""
    return status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size


def _h5(path: Path) -> h5py.File:
    """Open an HDF5 file without locking it.

    Readers therefore never wait and never prevent the file from being replaced.
    """
    try:
        return h5py.File(path, "r", locking=False, rdcc_nbytes=CHUNK_CACHE_BYTES)
    except DAMAGE as error:
        raise DictionaryFileError(fault(path, error)) from error


def _checksums(data: bytes) -> Mapping[str, str]:
    """Return the checksums of a file by array, or raise DictionaryFileError."""
    try:
        checksums = json.loads(data)
    except (ValueError, RecursionError):
        checksums = None
    if not isinstance(checksums, dict) or not all(
        isinstance(value, str) for value in checksums.values()
    ):
        raise DictionaryFileError(f"the checksums are not readable: {structure.RESAVE}")
    return checksums


def printable(path: str | os.PathLike[str]) -> str:
    """Return a path as one line, with control and direction characters escaped."""
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape", "replace").decode() for c in str(path)
    )


def _open_checked(path: Path, thorough: bool) -> tuple[FileSource, dict[str, Any], Content]:
    """Open and check a file; return the source, the provenance and the content.

    Raises DictionaryFileError, whose message starts with the path.
    """
    source = None
    try:
        source = FileSource(path)
        info, size = source.open_arrays()
        content = Content(source, size)
        verify(content, thorough or source.size <= THOROUGH_BELOW)
        return source, info, content
    except (DictionaryFileError, MemoryError, *DAMAGE) as error:
        if source is not None:
            source.close()
        raise _with_path(path, error) from error


def _with_path(path: Path, error: BaseException) -> DictionaryFileError:
    """Return an error whose message is one line that starts with the path."""
    is_ours = isinstance(error, DictionaryFileError) and not is_locked(path)
    text = str(error) if is_ours else fault(path, error)
    name = printable(path)
    return DictionaryFileError(text if text.startswith(name) else f"{name}: {text}")


def open(path: str | os.PathLike[str]) -> Dictionary:
    """Open the dictionary in an `.ep.h5` file; its arrays stay on disk until they are read.

    The following is checked on opening: format and version; place, type, shape and presence of
    every dataset; the provenance; all offsets, ids and counts; some rows of the vectors. Files up
    to 8 MB are checked value by value. `check` checks everything.

    Raises DictionaryFileError with a message of one line: the path, what is wrong and what to do.
    """
    source, info, content = _open_checked(Path(path), thorough=False)
    return Dictionary(source, info, content.sizes["K"], Path(path))


def header(path: str | os.PathLike[str]) -> tuple[dict[str, Any], int, int]:
    """Return (provenance, K, d) of a file without reading anything else, for lists of many files.

    Raises DictionaryFileError as `open` does.
    """
    path, source = Path(path), None
    try:
        source = FileSource(path)
        return source.read_header()
    except (DictionaryFileError, MemoryError, *DAMAGE) as error:
        raise _with_path(path, error) from error
    finally:
        if source is not None:
            source.close()


def check(path: str | os.PathLike[str]) -> str:
    """Check every value and every checksum of a file and return its digest.

    Raises DictionaryFileError with the first fault.
    """
    source, info, content = _open_checked(Path(path), thorough=True)
    try:
        actual = {name: checksum(content, ARRAYS[name]) for name in content.names}
        for name, expected in source.checksums.items():
            if actual.get(name) != expected:
                raise DictionaryFileError(
                    f"{printable(path)}: {printable(name)} differs from its checksum, so the file "
                    f"was altered after it was written: {structure.RESAVE}"
                )
        return combine(actual, info)
    finally:
        source.close()


def digest(dictionary: Dictionary | str | os.PathLike[str]) -> str:
    """Return the SHA-256 of a dictionary's content.

    It covers all arrays and the provenance without the entries that differ between equal builds:
    creation date, wall time, versions, device and the folder of the model. Equal builds have equal
    digests, in memory or in a file, wherever it lies and however it is compressed. The digest is
    computed from the content; checksums in the file are not used.
    """
    if isinstance(dictionary, Dictionary):
        content = Content(dictionary.source, len(dictionary))
        return combine(
            {name: checksum(content, ARRAYS[name]) for name in content.names}, dictionary.info
        )
    source, info, content = _open_checked(Path(dictionary), thorough=False)
    try:
        return combine({name: checksum(content, ARRAYS[name]) for name in content.names}, info)
    finally:
        source.close()
