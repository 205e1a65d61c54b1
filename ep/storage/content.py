"""The content of a dictionary in memory or in a file: sizes, arrays in blocks, and the digest.

Both kinds of dictionary have the same interface here, so checks, copies and digests are written
once, without HDF5.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from ep.errors import DictionaryFileError
from ep.method.source import Source
from ep.storage.provenance import canonical
from ep.storage.schema import ARRAYS, BLOCK_BYTES, DERIVED, Array

COUNTED = (
    ("P", "passage_ids"),
    ("V", "vocabulary_ids"),
    ("B", "vocabulary_bytes"),
    ("Q", "plain_ids"),
    ("C", "plain_bytes"),
    ("N", "name_bytes"),
)
"""Sizes that are the length of an array."""


class Content:
    """The arrays of a dictionary as the datasets of its file.

    The vocabulary's pieces, an array of `bytes` in Python, appear as bytes and offsets. The
    attribute `sizes` maps the letters of `ep.storage.schema` to numbers.

    source: provides the arrays.
    size: K.

    Raises DictionaryFileError if there is no centre.
    """

    def __init__(self, source: Source, size: int) -> None:
        self.source = source
        self._flat = _flat_vocabulary(source)
        self.names = tuple(name for name in ARRAYS if name in self._flat or name in source)
        if "center" not in self.names:
            raise DictionaryFileError("the array center is missing")
        self.sizes = {"K": size, "d": int(self.read("center").size)}
        for letter, name in COUNTED:
            self.sizes[letter] = len(self.read(name)) if name in self.names else 0
        # the other sizes are the last entry of an offsets array
        for letter, name, last in (
            ("E", "excerpt_offsets", size),
            ("T", "passage_offsets", self.sizes["P"]),
        ):
            tail = self.read(name, last, last + 1) if name in self.names else np.zeros(1, np.int64)
            self.sizes[letter] = max(0, int(tail[0])) if len(tail) else 0

    def __contains__(self, name: str) -> bool:
        return name in self.names

    def read(self, name: str, start: int | None = None, stop: int | None = None) -> np.ndarray:
        """Return the dataset called `name`, or its rows start to stop, in the dtype it has."""
        return (
            self._flat[name][start:stop]
            if name in self._flat
            else self.source.read(name, start, stop)
        )

    def shape(self, array: Array) -> tuple[int, ...]:
        """Return the shape an array must have, given the sizes."""
        return array.resolve(self.sizes)

    def blocks(self, array: Array) -> Iterator[tuple[int, np.ndarray]]:
        """Yield (first row, rows) of one array in the file's dtype, at most `BLOCK_BYTES` each."""
        for start, stop in spans(self.shape(array), array.dtype.itemsize):
            yield start, self.rows(array, start, stop)

    def check_length(self, array: Array) -> None:
        """Raise DictionaryFileError if an array has more rows than the sizes require."""
        length = self.shape(array)[0]
        if len(self.read(array.name, length, length + 1)):
            raise DictionaryFileError(f"{array.name} has more than the {length} rows expected")

    def rows(self, array: Array, start: int, stop: int) -> np.ndarray:
        """Return rows start to stop of an array in the file's dtype.

        Raises DictionaryFileError if the shape does not follow from the sizes, or a value does not
        fit the dtype.
        """
        expected = (stop - start, *self.shape(array)[1:])
        rows = self.read(array.name, start, stop)
        if rows.shape != expected:
            raise DictionaryFileError(
                f"{array.name} has rows of shape {rows.shape}, expected {expected}"
            )
        if rows.dtype == array.dtype:
            return np.ascontiguousarray(rows)
        if rows.dtype.kind not in "biuf":
            raise DictionaryFileError(
                f"{array.name} has dtype {rows.dtype}, expected {array.dtype}"
            )
        # a cast is accepted if it changes no value, so overflow needs no warning here
        with np.errstate(invalid="ignore", over="ignore"):
            cast = rows.astype(array.dtype)
        if not np.array_equal(cast, rows, equal_nan=array.dtype.kind == "f"):
            raise DictionaryFileError(
                f"{array.name} has {rows.dtype} values that do not fit {array.dtype}"
            )
        return cast


def spans(shape: tuple[int, ...], itemsize: int) -> Iterator[tuple[int, int]]:
    """Yield row ranges that cover `shape` in blocks of at most `BLOCK_BYTES`."""
    step = max(1, BLOCK_BYTES // max(1, itemsize * int(np.prod(shape[1:]))))
    for start in range(0, shape[0], step):
        yield start, min(shape[0], start + step)


def _flat_vocabulary(source: Source) -> dict[str, np.ndarray]:
    """Return the datasets that represent `vocabulary_pieces`.

    There are none if the source has these datasets itself, or no vocabulary.
    """
    if "vocabulary_bytes" in source or "vocabulary_pieces" not in source:
        return {}
    pieces = source.read("vocabulary_pieces").tolist()
    if not all(isinstance(piece, bytes) for piece in pieces):
        raise DictionaryFileError("vocabulary_pieces has an entry that is not bytes")
    offsets = np.concatenate(
        [[0], np.cumsum([len(piece) for piece in pieces], dtype=np.int64)]
    ).astype(np.int64)
    return {
        "vocabulary_offsets": offsets,
        "vocabulary_bytes": np.frombuffer(b"".join(pieces), np.uint8),
    }


def start_hash(array: Array, shape: tuple[int, ...]) -> Any:
    """Return a SHA-256 to which an array's name, dtype and shape have been added.

    The array's bytes are to follow, in C order, little-endian.
    """
    return hashlib.sha256(f"{array.name} {array.dtype.str} {list(shape)}\n".encode())


def checksum(content: Content, array: Array) -> str:
    """Return the SHA-256 of one array."""
    sha = start_hash(array, content.shape(array))
    for _, rows in content.blocks(array):
        sha.update(rows.data)
    return sha.hexdigest()


def combine(checksums: Mapping[str, str], info: Mapping[str, Any]) -> str:
    """Return the digest of a dictionary.

    checksums: SHA-256 of each array, by name; those of `DERIVED` are left out.
    info: the provenance; entries that differ between equal builds are left out.
    """
    kept = {name: value for name, value in checksums.items() if name not in DERIVED}
    listing = json.dumps(kept, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(listing.encode() + b"\n" + canonical(info)).hexdigest()
