"""What an HDF5 file may look like before a single value is read from it.

HDF5 can point elsewhere (external links and storage, virtual datasets), hold Python-like objects,
and declare terabytes in a kilobyte. A dictionary needs none of that, so all of it is refused by
name. This room knows nothing of the values.
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
MAX_CHUNK_BYTES = 16 * 2**20
MAX_INFLATION = 64
"""Arrays may be this many times larger than the file (deflate alone could reach 1,032), or
`FREE_BYTES` if more.
"""

FREE_BYTES = 16 * 2**20
RESAVE = "restore the file or build it again"


def signed(path: str | os.PathLike[str]) -> None:
    """DictionaryFileError, with what to do, unless the file can be read and begins like HDF5."""
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
        what = "the file is empty" if not head else "this is not an HDF5 file"
        raise DictionaryFileError(
            f"{what}: expected an .ep.h5 dictionary, as `ep build` writes them"
        )


def version(file: h5py.File) -> None:
    """DictionaryFileError for HDF5 of another kind, or written in a newer format than this program
    reads.
    """
    name, number = (
        _attribute(file, b"format", h5t.STRING),
        _attribute(file, b"version", h5t.INTEGER),
    )
    if name != FORMAT.encode():
        raise DictionaryFileError(
            "this is an HDF5 file but no EP dictionary: expected one made by `ep build`"
        )
    if not isinstance(number, int) or number < 1:
        raise DictionaryFileError(f"the format version is not readable: {RESAVE}")
    if number > VERSION:
        raise DictionaryFileError(
            f"written in format {number}, this program reads up to {VERSION}: update ep"
        )


def _attribute(file: h5py.File, name: bytes, kind: int) -> bytes | int | None:
    """A scalar attribute of fixed length, or None."""
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
    """The plain dataset at `path`, or None when there is nothing. `size` is that of the whole file
    in bytes.

    DictionaryFileError for anything reached by a soft, external or user-defined link, of another
    type, stored outside the file, virtual, filtered by something other than gzip, shuffle or lzf,
    or not fully present in the file.
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
    _plain(node, path)
    _present(node, path, dtype.itemsize, size)
    return node


def _walk(file: h5py.File, path: str) -> h5py.h5g.GroupID | h5d.DatasetID | None:
    """Follow hard links only."""
    node = file["/"].id
    for part in path.encode().split(b"/"):
        if not isinstance(node, h5py.h5g.GroupID):
            raise DictionaryFileError(f"{path} lies inside something that is no group: {RESAVE}")
        if not node.links.exists(part):
            return None
        if node.links.get_info(part).type != h5py.h5l.TYPE_HARD:
            raise DictionaryFileError(
                f"{path} is a link to another place: refused, a dictionary holds its own arrays"
            )
        node = h5o.open(node, part)
    return node


def _plain(node: h5d.DatasetID, path: str) -> None:
    plan = node.get_create_plist()
    if plan.get_layout() not in (h5d.COMPACT, h5d.CONTIGUOUS, h5d.CHUNKED):
        raise DictionaryFileError(
            f"{path} is a virtual dataset: refused, a dictionary holds its own arrays"
        )
    if plan.get_external_count():
        raise DictionaryFileError(
            f"{path} is stored in another file: refused, a dictionary holds its own arrays"
        )
    for i in range(plan.get_nfilters()):
        code = plan.get_filter(i)[0]
        if code not in FILTERS:
            raise DictionaryFileError(
                f"{path} uses HDF5 filter {code}: expected none, {', '.join(FILTERS.values())}"
            )


def _present(node: h5d.DatasetID, path: str, itemsize: int, size: int) -> None:
    """Every byte the dataset declares must be in the file, at a believable compression."""
    shape = node.shape
    declared = itemsize
    for length in shape:
        declared *= int(length)
    if declared > max(FREE_BYTES, MAX_INFLATION * size):
        raise DictionaryFileError(
            f"{path} declares {declared:,} bytes in a file of {size:,}: {RESAVE}"
        )
    plan = node.get_create_plist()
    if plan.get_layout() != h5d.CHUNKED:
        if node.get_storage_size() != declared or declared > size:
            raise DictionaryFileError(f"{path} is incomplete: {RESAVE}")
        return
    chunk = plan.get_chunk()
    if itemsize * int(np.prod(chunk, dtype=float)) > MAX_CHUNK_BYTES:
        raise DictionaryFileError(f"{path} has chunks above {MAX_CHUNK_BYTES:,} bytes: {RESAVE}")
    expected = 1
    for length, step in zip(shape, chunk, strict=True):
        expected *= -(-int(length) // int(step))
    if node.get_num_chunks() != expected or node.get_storage_size() > size:
        raise DictionaryFileError(f"{path} is incomplete: {RESAVE}")


def small(file: h5py.File, path: str, size: int) -> bytes:
    """A one-dimensional byte dataset of at most `MAX_BYTES`, as bytes."""
    node = dataset(file, path, np.dtype(np.uint8), size)
    if node is None:
        raise DictionaryFileError(f"the dataset {path} is missing: {RESAVE}")
    if len(node.shape) != 1 or node.shape[0] > MAX_BYTES:
        raise DictionaryFileError(
            f"{path} has shape {node.shape}, expected one row of at most {MAX_BYTES:,} bytes"
        )
    return h5py.Dataset(node)[:].tobytes()


def arrays(file: h5py.File, size: int) -> dict[str, h5py.Dataset]:
    """The arrays of `ep.storage.schema` the file holds, by name; types, places and shapes are
    right, values unread.
    """
    found: dict[str, h5py.Dataset] = {}
    sizes: dict[str, int] = {}
    total = 0
    for name, array in ARRAYS.items():
        node = dataset(file, array.path, array.dtype, size)
        if node is None:
            continue
        found[name] = h5py.Dataset(node)
        if len(node.shape) != len(array.shape):
            raise DictionaryFileError(
                f"{name} has shape {node.shape}, expected ({', '.join(map(str, array.shape))})"
            )
        for part, length in zip(array.shape, node.shape, strict=True):
            _fits(name, part, int(length), sizes)
        total += int(np.prod(node.shape, dtype=float)) * array.dtype.itemsize
    if total > max(FREE_BYTES, MAX_INFLATION * size):
        raise DictionaryFileError(
            f"the arrays declare {total:,} bytes in a file of {size:,}: {RESAVE}"
        )
    return found


def _fits(name: str, part: int | str, length: int, sizes: dict[str, int]) -> None:
    if isinstance(part, int):
        expected = part
    else:
        more = part.endswith("+1")
        expected = sizes.setdefault(part.removesuffix("+1"), length - more) + more
    if length != expected:
        raise DictionaryFileError(
            f"{name} has {length} where {expected} is expected ({part}): {RESAVE}"
        )
