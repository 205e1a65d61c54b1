"""A fingerprint of a model's weights, by which a dictionary knows the model it was built on.

It is a SHA-256 over the config, and over the name, dtype, shape and some bytes of every tensor: its
first and last bytes and evenly spaced ones between them, 1 KB in all. Reading those takes less than
a second for any model. Training changes nearly every number and therefore the fingerprint; a change
of a few rows of one matrix may be missed. How the tensors are divided among files does not matter,
and neither does the version of transformers that wrote the config; the same model in another dtype
has another fingerprint.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from ep.models.weights import weight_files

_PIECES, _PIECE_BYTES = 8, 128
_UNIMPORTANT = ("_name_or_path", "transformers_version", "dtype", "torch_dtype")
"""Entries of a config that say nothing of the model's numbers; dtypes are those of the tensors."""


def fingerprint(directory: Path, name: str) -> str:
    """Return the fingerprint of the model in a directory, as 64 hexadecimal digits.

    name: how the caller named the model. Raises the errors of `weight_files`.
    """
    config = json.loads((directory / "config.json").read_bytes())
    facts = {key: value for key, value in config.items() if key not in _UNIMPORTANT}
    sha = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
    digests: dict[str, bytes] = {}
    for path in weight_files(directory, name):
        with path.open("rb") as file:
            if path.suffix == ".safetensors":
                digests.update(_tensors(file))
            else:  # a pickle, which is not looked into
                digests[path.name] = samples(file, 0, path.stat().st_size)
    for tensor in sorted(digests):
        sha.update(tensor.encode() + b"\0" + digests[tensor])
    return sha.hexdigest()


def _tensors(file: BinaryIO) -> Iterator[tuple[str, bytes]]:
    """Yield the name and the digest of every tensor of a safetensors file."""
    length = int.from_bytes(file.read(8), "little")
    header = json.loads(file.read(length))
    header.pop("__metadata__", None)
    for tensor, facts in header.items():
        start, end = facts["data_offsets"]
        sha = hashlib.sha256(repr((facts["dtype"], facts["shape"])).encode())
        sha.update(samples(file, 8 + length + start, end - start))
        yield tensor, sha.digest()


def samples(
    file: BinaryIO, start: int, length: int, pieces: int = _PIECES, size: int = _PIECE_BYTES
) -> bytes:
    """Return a digest of evenly spaced bytes of a part of a file, its first and last included.

    start, length: the part, in bytes. pieces: how many samples. size: of each, in bytes.
    """
    sha = hashlib.sha256(str(length).encode())
    for piece in range(pieces):
        file.seek(start + piece * max(0, length - size) // (pieces - 1))
        sha.update(file.read(min(size, length)))
    return sha.digest()
