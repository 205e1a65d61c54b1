"""The permitted structure of an HDF5 file, checked before a single value is read.

HDF5 can refer to other files (external links and storage, virtual datasets), contain Python-like
objects, and declare terabytes in a kilobyte. A dictionary needs none of that, so all of it is
refused with a message that names it. Values are not checked here.
"""

from __future__ import annotations

import os
from pathlib import Path

import h5py
import numpy as np
from h5py import h5a, h5d, h5o, h5s, h5t, h5z

from ep.errors import DictionaryFileError
from ep.storage.provenance import MAX_BYTES
from ep.storage.schema import ARRAYS, FORMAT, VERSION

SIGNATURE = b"\x89HDF\r\n\x1a\n"
FILTERS = {h5z.FILTER_DEFLATE: "gzip", h5z.FILTER_SHUFFLE: "shuffle", h5z.FILTER_LZF: "lzf"}
"""The permitted filters."""
MAX_CHUNK_BYTES = 16 * 2**20
"""The largest chunk, decompressed, that a dataset may have."""
MAX_INFLATION = 64
"""How many times larger than the file its arrays may be; `FREE_BYTES` are always permitted.

Deflate alone could reach 1,032 times.
"""

FREE_BYTES = 16 * 2**20
RESAVE = "restore the file or build it again"
"""The advice that ends messages about damaged files."""


def check_signature(path: str | os.PathLike[str]) -> None:
    """Raise DictionaryFileError, with advice, unless the file can be read and begins like HDF5."""
    try:
        with Path(path).open("rb") as file:
            head = file.read(len(SIGNATURE))
    except FileNotFoundError:
        raise DictionaryFileError("there is no such file: check the path") from None
    except IsADirectoryError:
        raise DictionaryFileError("this is a folder: name one .ep.h5 file in it") from None
    except (OSError, ValueError) as error:
        raise DictionaryFileError(
            f"the file cannot be read ({getattr(error, 'strerror', None) or error})"
        ) from None
    if head != SIGNATURE:
        message = "the file is empty" if not head else "this is not an HDF5 file"
        raise DictionaryFileError(
            f"{message}: expected an .ep.h5 dictionary, as `ep build` writes them"
        )


def check_version(file: h5py.File) -> int:
    """Return the format version of a file.

    Raises DictionaryFileError for HDF5 files of another kind or of a newer version.
    """
    name, number = (
        _attribute(file, b"format", h5t.STRING),
        _attribute(file, b"version", h5t.INTEGER),
    )
    if name != FORMAT.encode():
        raise DictionaryFileError(
            "this is an HDF5 file but not an EP dictionary: expected one made by `ep build`"
        )
    if not isinstance(number, int) or number < 1:
        raise DictionaryFileError(f"the format version is not readable: {RESAVE}")
    if number > VERSION:
        raise DictionaryFileError(
            f"written in format {number}, this program reads up to {VERSION}: update ep"
        )
    return number


def _attribute(file: h5py.File, name: bytes, kind: int) -> bytes | int | None:
    """Return a scalar attribute of fixed length, or None."""
    if not h5a.exists(file.id, name):
        return None
    attribute = h5a.open(file.id, name)
    stored = attribute.get_type()
    if attribute.shape != () or stored.get_class() != kind or stored.get_size() > 64:
        return None
    if kind == h5t.STRING and stored.is_variable_str():
        return None
    value = np.empty((), attribute.dtype)
    attribute.read(value)
    return bytes(value.item()) if kind == h5t.STRING else int(value)


def dataset(file: h5py.File, path: str, dtype: np.dtype, size: int) -> h5d.DatasetID | None:
    """Return the plain dataset at `path`, or None if there is nothing.

    file: the open file.
    path: place of the dataset in the file.
    dtype: its expected dtype.
    size: size of the whole file in bytes.

    Raises DictionaryFileError if it is reached by a soft, external or user-defined link, has
    another type, is stored outside the file, is virtual, is filtered by anything but gzip, shuffle
    or lzf, or is not completely present in the file.
    """
    node = _walk(file, path)
    if node is None:
        return None
    if not isinstance(node, h5d.DatasetID):
        raise DictionaryFileError(f"{path} is not a dataset: {RESAVE}")
    if not node.get_type().equal(h5t.py_create(dtype)):
        raise DictionaryFileError(f"{path} has another type than {dtype} ({dtype.str}): {RESAVE}")
    if node.get_space().get_simple_extent_type() != h5s.SIMPLE:
        raise DictionaryFileError(f"{path} is not an array: {RESAVE}")
    _check_storage(node, path)
    _check_complete(node, path, dtype.itemsize, size)
    return node


def _walk(file: h5py.File, path: str) -> h5py.h5g.GroupID | h5d.DatasetID | None:
    """Return the object at `path`, following hard links only, or None."""
    node = file["/"].id
    for part in path.encode().split(b"/"):
        if not isinstance(node, h5py.h5g.GroupID):
            raise DictionaryFileError(f"{path} lies inside something that is not a group: {RESAVE}")
        if not node.links.exists(part):
            return None
        if node.links.get_info(part).type != h5py.h5l.TYPE_HARD:
            raise DictionaryFileError(
                f"{path} is a link to another place: refused, a dictionary contains its own arrays"
            )
        node = h5o.open(node, part)
    return node


def _check_storage(node: h5d.DatasetID, path: str) -> None:
    """Check that a dataset is neither virtual nor external and uses permitted filters only."""
    properties = node.get_create_plist()
    if properties.get_layout() not in (h5d.COMPACT, h5d.CONTIGUOUS, h5d.CHUNKED):
        raise DictionaryFileError(
            f"{path} is a virtual dataset: refused, a dictionary contains its own arrays"
        )
    if properties.get_external_count():
        raise DictionaryFileError(
            f"{path} is stored in another file: refused, a dictionary contains its own arrays"
        )
    for i in range(properties.get_nfilters()):
        filter_id = properties.get_filter(i)[0]
        if filter_id not in FILTERS:
            raise DictionaryFileError(
                f"{path} uses HDF5 filter {filter_id}: expected none, {', '.join(FILTERS.values())}"
            )


def _check_complete(node: h5d.DatasetID, path: str, itemsize: int, size: int) -> None:
    """Check that every declared byte is in the file, at a plausible compression."""
    shape = node.shape
    declared = itemsize
    for length in shape:
        declared *= int(length)
    if declared > max(FREE_BYTES, MAX_INFLATION * size):
        raise DictionaryFileError(
            f"{path} declares {declared:,} bytes in a file of {size:,}: {RESAVE}"
        )
    properties = node.get_create_plist()
    if properties.get_layout() != h5d.CHUNKED:
        if node.get_storage_size() != declared or declared > size:
            raise DictionaryFileError(f"{path} is incomplete: {RESAVE}")
        return
    chunk = properties.get_chunk()
    if itemsize * int(np.prod(chunk, dtype=float)) > MAX_CHUNK_BYTES:
        raise DictionaryFileError(f"{path} has chunks above {MAX_CHUNK_BYTES:,} bytes: {RESAVE}")
    expected = 1
    for length, step in zip(shape, chunk, strict=True):
        expected *= -(-int(length) // int(step))
    if node.get_num_chunks() != expected or node.get_storage_size() > size:
        raise DictionaryFileError(f"{path} is incomplete: {RESAVE}")


def read_bytes(file: h5py.File, path: str, size: int) -> bytes:
    """Return a one-dimensional byte dataset of at most `MAX_BYTES`, as bytes."""
    node = dataset(file, path, np.dtype(np.uint8), size)
    if node is None:
        raise DictionaryFileError(f"the dataset {path} is missing: {RESAVE}")
    if len(node.shape) != 1 or node.shape[0] > MAX_BYTES:
        raise DictionaryFileError(
            f"{path} has shape {node.shape}, expected one row of at most {MAX_BYTES:,} bytes"
        )
    return h5py.Dataset(node)[:].tobytes()


def arrays(file: h5py.File, size: int) -> dict[str, h5py.Dataset]:
    """Return the arrays of `ep.storage.schema` that the file contains, by name.

    Their types, places and shapes have been checked, their values have not been read.
    """
    datasets: dict[str, h5py.Dataset] = {}
    sizes: dict[str, int] = {}
    total = 0
    for name, array in ARRAYS.items():
        node = dataset(file, array.path, array.dtype, size)
        if node is None:
            continue
        datasets[name] = h5py.Dataset(node)
        if len(node.shape) != len(array.shape):
            raise DictionaryFileError(
                f"{name} has shape {node.shape}, expected ({', '.join(map(str, array.shape))})"
            )
        for part, length in zip(array.shape, node.shape, strict=True):
            _check_dimension(name, part, int(length), sizes)
        total += int(np.prod(node.shape, dtype=float)) * array.dtype.itemsize
    if total > max(FREE_BYTES, MAX_INFLATION * size):
        raise DictionaryFileError(
            f"the arrays declare {total:,} bytes in a file of {size:,}: {RESAVE}"
        )
    return datasets


def _check_dimension(name: str, part: int | str, length: int, sizes: dict[str, int]) -> None:
    """Check one dimension of an array against a number or the sizes known so far."""
    if isinstance(part, int):
        expected = part
    else:
        # the first array with a letter determines its size; an offsets array has one entry more
        extra = part.endswith("+1")
        expected = sizes.setdefault(part.removesuffix("+1"), length - extra) + extra
    if length != expected:
        raise DictionaryFileError(
            f"{name} has {length} where {expected} is expected ({part}): {RESAVE}"
        )
