"""Writing a dictionary, completely or not at all: to a file beside the target, renamed over it.

The layout is in `docs/format.md`. The content is checked before a byte is written, so every file
that exists can be opened.
"""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
from contextlib import suppress
from pathlib import Path

import h5py
import numpy as np

from ep.errors import StorageError
from ep.leftovers import unfinished
from ep.method.dictionary import Dictionary
from ep.storage.checks import metric_version, verify
from ep.storage.content import Content, start_hash
from ep.storage.file import printable
from ep.storage.provenance import encode
from ep.storage.schema import ARRAYS, FORMAT, Array
from ep.storage.sink import Sink

CHUNK_BYTES = 32 * 2**10
"""Size of the chunks, of whole rows, in which a compressed array is stored."""

PLAIN_BELOW = 1024
"""Arrays smaller than this are stored uncompressed.

Their chunk index would take more space than compression saves.
"""

LIBRARY = ("v110", "v110")
"""The HDF5 file format: 1.10 (2016), which checksums its own metadata and keeps it small."""


def save(dictionary: Dictionary, path: str | os.PathLike[str]) -> Path:
    """Write a dictionary to a file and return its path.

    path: the target, `.ep.h5` by convention.

    An existing file is replaced in one step or left unchanged; dictionaries opened from it continue
    to read the old content. A dictionary opened from a file is copied in blocks, so memory stays
    bounded. Raises DictionaryFileError if the content contradicts itself, and StorageError if the
    disk is full or refuses.
    """
    target = Path(os.path.realpath(path))
    info = encode(dictionary.info)
    content = Content(dictionary.source, len(dictionary))
    version = metric_version(dictionary.info, content.names)
    verify(content)
    partial = unfinished(target)
    try:
        _check_space(content, target)
        _write(content, info, version, partial)
        _flush(partial)
        partial.replace(target)
        _flush(target.parent)
    except (OSError, RuntimeError, ValueError) as error:
        raise StorageError(f"{printable(path)} could not be written ({_reason(error)})") from error
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
    return target


def _check_space(content: Content, target: Path) -> None:
    """Raise OSError early if not even the vectors fit on the disk.

    A smaller shortage shows while writing.
    """
    if target.is_dir():
        raise IsADirectoryError(errno.EISDIR, "it is a folder: name a file in it")
    needed = sum(
        4 * content.sizes["K"] * content.sizes["d"]
        for name in content.names
        if ARRAYS[name].is_vectors
    )
    free = shutil.disk_usage(target.parent).free
    if free < needed:
        raise OSError(
            errno.ENOSPC,
            f"the disk is full: at least {needed / 1e6:,.0f} MB needed, {free / 1e6:,.0f} free",
        )


def _write(content: Content, info: bytes, version: int, path: Path) -> None:
    """Write provenance, checksums and all arrays to a new file."""
    with Sink(path) as sink:
        with h5py.File(sink, "w", libver=LIBRARY) as file:
            _fill(file, content, info, version, sink)
        sink.check()


def _fill(file: h5py.File, content: Content, info: bytes, version: int, sink: Sink) -> None:
    """Write provenance, checksums and all arrays; raise the first error of the disk early."""
    file.attrs.create("format", FORMAT.encode(), dtype=f"S{len(FORMAT)}")
    file.attrs.create("version", version, dtype="u4")
    checksums = {}
    for name in content.names:
        checksums[name] = _write_array(file, content, ARRAYS[name])
        sink.check()
    for name, data in (
        ("info", info),
        ("checksums", json.dumps(checksums, sort_keys=True).encode()),
    ):
        file.create_dataset(name, data=np.frombuffer(data, np.uint8), **_storage((len(data),), 1))


def _write_array(file: h5py.File, content: Content, array: Array) -> str:
    """Copy one array in blocks and return its SHA-256."""
    shape = content.shape(array)
    sha = start_hash(array, shape)
    options = {} if array.is_contiguous else _storage(shape, array.dtype.itemsize)
    stored = file.create_dataset(array.path, shape, array.dtype, **options)
    for start, rows in content.blocks(array):
        stored[start : start + len(rows)] = rows
        sha.update(rows.data)
    return sha.hexdigest()


def _storage(shape: tuple[int, ...], itemsize: int) -> dict[str, object]:
    """Return the options of a compressed dataset, for columns and text.

    Vectors are not compressed: float noise does not shrink, and a row remains one read.
    """
    row = itemsize
    for length in shape[1:]:
        row *= length
    if row * shape[0] < PLAIN_BELOW:
        return {}
    chunk = (min(shape[0], max(1, CHUNK_BYTES // row)), *shape[1:])
    return {"chunks": chunk, "compression": "gzip", "compression_opts": 9, "shuffle": itemsize > 1}


def _flush(path: Path) -> None:
    """Make the content of a file, or the names in a folder, survive a power failure."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _reason(error: BaseException) -> str:
    """Return what went wrong in a few words.

    HDF5 hides the system's error number in a long line.
    """
    if (
        isinstance(error, OSError)
        and error.strerror
        and error.strerror != os.strerror(error.errno or 0)
    ):
        return error.strerror
    match = re.search(r"errno = (\d+),", str(error))
    number = int(match[1]) if match else getattr(error, "errno", None)
    if number is None:
        return (str(error).splitlines() or ["unknown reason"])[0][:160]
    return WORDS.get(number) or os.strerror(number)


WORDS = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "the file grew beyond the size allowed here",
    errno.ENOENT: "the folder does not exist: make it first",
}
"""Messages for the system's error numbers, where its own are unclear."""
