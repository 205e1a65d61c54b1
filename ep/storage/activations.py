"""Activations of one layer on the disk, by passage: written once, read in any order.

    layer-4.rows    the activations one after another, in the precision of the model
    layer-4.index   one record for each passage: where its activations are, and checksums

Both files only grow. Rows are written before the record that refers to them, so what a killed
process leaves is whole up to its last records; what is cut short or damaged is not used. A model
that computes in 16 bits is stored in 16 bits, without loss.
"""

from __future__ import annotations

import errno
import os
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from ep.errors import StorageError
from ep.shapes import Float32, Int64, UInt64

RECORD = np.dtype(
    [
        ("passage", "<i8"),
        ("key", "<u8"),
        ("start", "<i8"),
        ("rows", "<i4"),
        ("kind", "u1"),
        ("crc", "<u4"),
        ("own", "<u4"),
    ]
)
"""Passage id, key of its tokens, first byte, number of rows, encoding, and two checksums: of the
rows, and of the record itself."""
FLOAT32, BFLOAT16, FLOAT16 = range(3)
_ITEM: dict[int, np.dtype[Any]] = {
    FLOAT32: np.dtype("<f4"),
    BFLOAT16: np.dtype("<u2"),
    FLOAT16: np.dtype("<f2"),
}


class LayerStore:
    """The stored activations of one layer.

    folder: where its files are; it is created when something is added.
    layer: its number.
    width: d. Records that do not fit it are not used.
    """

    def __init__(self, folder: Path, layer: int, width: int) -> None:
        self.width = width
        self._rows_path = folder / f"layer-{layer}.rows"
        self._index_path = folder / f"layer-{layer}.index"
        self._size = 0
        self._records: dict[int, np.void] = {}
        self._n_index = 0
        self._restore()

    def __len__(self) -> int:
        """Number of passages stored."""
        return len(self._records)

    def holds(self, passages: Int64[np.ndarray, " m"], keys: UInt64[np.ndarray, " m"]) -> bool:
        """Return whether the activations of all these passages are stored, with these keys."""
        return all(
            (record := self._records.get(passage)) is not None and record["key"] == key
            for passage, key in zip(passages.tolist(), keys.tolist(), strict=True)
        )

    def differs(self, passages: Int64[np.ndarray, " m"], keys: UInt64[np.ndarray, " m"]) -> bool:
        """Return whether one of these passages is stored with another key."""
        return any(
            (record := self._records.get(passage)) is not None and record["key"] != key
            for passage, key in zip(passages.tolist(), keys.tolist(), strict=True)
        )

    def read(self, passages: Int64[np.ndarray, " m"]) -> Float32[np.ndarray, "n d"] | None:
        """Return the activations of stored passages, one passage after another.

        Returns None, and forgets the passage, where one is damaged.
        """
        parts = []
        with self._rows_path.open("rb") as file:
            for passage in passages.tolist():
                record = self._records[passage]
                file.seek(int(record["start"]))
                item = _ITEM[int(record["kind"])]
                data = file.read(int(record["rows"]) * self.width * item.itemsize)
                if zlib.crc32(data) != record["crc"]:
                    del self._records[passage]
                    return None
                parts.append(decoded(np.frombuffer(data, item), int(record["kind"])))
        return np.concatenate(parts).reshape(-1, self.width)

    def add(
        self,
        passages: Int64[np.ndarray, " m"],
        keys: UInt64[np.ndarray, " m"],
        counts: Int64[np.ndarray, " m"],
        x: Float32[np.ndarray, "n d"],
        dtype: str,
    ) -> None:
        """Store the activations of some passages, one passage after another.

        counts: rows of each passage, which sum to n.
        dtype: that of the model, which decides how many bytes a number takes.

        Raises OSError where the disk is full; what was stored before stays.
        """
        kind = kind_of(x, dtype)
        records = np.zeros(len(passages), RECORD)
        records["passage"], records["key"], records["rows"] = passages, keys, counts
        records["kind"] = kind
        shortest = encoded(x, kind)
        ends = np.cumsum(counts) * self.width * shortest.itemsize
        data = shortest.tobytes()
        for number, end in enumerate(ends.tolist()):
            start = 0 if number == 0 else int(ends[number - 1])
            records["start"][number] = self._size + start
            records["crc"][number] = zlib.crc32(data[start:end])
        records["own"] = [_checksum(record) for record in records]
        self._write(self._rows_path, self._size, data)
        self._write(self._index_path, self._n_index * RECORD.itemsize, records.tobytes())
        self._n_index += len(records)
        self._size += len(data)
        self._records |= {int(record["passage"]): record for record in records}

    @property
    def size(self) -> int:
        """Size of the stored activations."""
        return self._size

    def _write(self, path: Path, place: int, data: bytes) -> None:
        """Write behind what is whole; what a killed process left there is cut off."""
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("r+b" if path.exists() else "xb", buffering=0) as file:
            file.truncate(place)
            file.seek(place)
            if file.write(data) != len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _restore(self) -> None:
        """Read the index of an earlier process, up to the first record that is not whole."""
        try:
            data = self._index_path.read_bytes()
            size = self._rows_path.stat().st_size
        except FileNotFoundError:
            return
        except OSError as error:
            raise StorageError(
                f"the activations in {self._index_path.parent} cannot be read ({error.strerror})"
            ) from error
        records = np.frombuffer(data[: len(data) // RECORD.itemsize * RECORD.itemsize], RECORD)
        for record in records:
            if int(record["kind"]) not in _ITEM or _checksum(record) != record["own"]:
                break
            length = int(record["rows"]) * self.width * _ITEM[int(record["kind"])].itemsize
            end = int(record["start"]) + length
            if record["start"] != self._size or end > size:
                break
            self._size, self._n_index = end, self._n_index + 1
            self._records[int(record["passage"])] = record


def _checksum(record: np.void) -> int:
    return zlib.crc32(record.tobytes()[: -RECORD["own"].itemsize])


def kind_of(x: Float32[np.ndarray, "n d"], dtype: str) -> int:
    """Return the shortest encoding that keeps every bit of x, given the model's dtype."""
    if dtype == "bfloat16" and not (x.view(np.uint32) & 0xFFFF).any():
        return BFLOAT16
    if dtype == "float16":
        with np.errstate(over="ignore"):
            if np.array_equal(x, x.astype(np.float16).astype(np.float32)):
                return FLOAT16
    return FLOAT32


def encoded(x: Float32[np.ndarray, "n d"], kind: int) -> np.ndarray:
    """Return x (n, d) in an encoding of `kind_of`, as an array of 16 or 32 bits a number."""
    if kind == BFLOAT16:
        return (x.view(np.uint32) >> 16).astype(_ITEM[kind])
    return x.astype(_ITEM[kind])


def decoded(data: np.ndarray, kind: int) -> Float32[np.ndarray, ...]:
    """Return what `encoded` was given, in the shape of its result."""
    if kind == BFLOAT16:
        return (data.astype(np.uint32) << 16).view(np.float32)
    return data.astype(np.float32)
