"""`NAME.ep.maps.h5`: maps of a dictionary that took long to make, beside it and never in it.

One array of coordinates a layout, with the settings it was made with and how well it keeps
neighbours, and whose exemplars they belong to. A file of another dictionary, an altered or a
damaged one counts as none and is written anew: everything in it can be computed again. Knows no way
to make a map.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from threading import Lock
from typing import Any

import h5py
import numpy as np
from jaxtyping import Float32

from ep.errors import DictionaryFileError, StorageError
from ep.method.dictionary import Dictionary
from ep.storage import structure
from ep.storage.file import DAMAGE
from ep.storage.labelfile import identity
from ep.storage.sidecar import MAPS, beside, write_bytes

FORMAT, VERSION = "ep-maps", 1
MOST_BYTES = 256 * 2**20
AXES = (2, 3)
_WRITING = Lock()


@dataclass(frozen=True, eq=False)
class StoredMap:
    """One layout of K regions.

    coordinates: (K, 2) for a flat map, (K, 3) for a sphere. settings: what it was made with
    (numbers and texts).
    trustworthiness: in [0, 1], with `neighbours` neighbours, measured on `sampled` regions against
    all.
    """

    coordinates: Float32[np.ndarray, "K a"]
    settings: Mapping[str, Any] = field(default_factory=dict)
    trustworthiness: float | None = None
    neighbours: int = 0
    sampled: int = 0


def load(path: str | Path, dictionary: Dictionary) -> dict[str, StoredMap]:
    """The maps beside a dictionary's file by layout; none when the side-car is absent, foreign,
    altered or damaged.
    """
    file = beside(path, MAPS)
    try:
        if not file.is_file() or file.stat().st_size > MOST_BYTES:
            return {}
        data = file.read_bytes()
        with h5py.File(io.BytesIO(data), "r") as stored:
            return _maps(stored, len(data), dictionary)
    except (*DAMAGE, DictionaryFileError, RecursionError):
        return {}


def save(path: str | Path, dictionary: Dictionary, name: str, made: StoredMap) -> None:
    """Keeps a map beside a dictionary's file, with the others there; replaces one of the same name.

    StorageError when the folder cannot be written; what was there stays then.
    """
    with _WRITING:
        maps = load(path, dictionary) | {name: made}
        write_bytes(beside(path, MAPS), _bytes(maps, dictionary))


def _bytes(maps: Mapping[str, StoredMap], dictionary: Dictionary) -> bytes:
    about: dict[str, Any] = {
        "format": FORMAT,
        "version": VERSION,
        "exemplars": identity(dictionary),
        "regions": len(dictionary),
        "maps": {},
    }
    buffer = io.BytesIO()
    try:
        with h5py.File(buffer, "w", libver=("v110", "v110")) as file:
            for name, made in sorted(maps.items()):
                array = np.ascontiguousarray(made.coordinates, "<f4")
                file.create_dataset(name, data=array)
                about["maps"][name] = {
                    "settings": dict(made.settings),
                    "trustworthiness": made.trustworthiness,
                    "neighbours": made.neighbours,
                    "sampled": made.sampled,
                    "sha256": sha256(array.data).hexdigest(),
                }
            text = json.dumps(about, sort_keys=True, allow_nan=False).encode()
            file.create_dataset("about", data=np.frombuffer(text, np.uint8))
    except DAMAGE as error:
        raise StorageError(
            f"the map could not be stored ({error}): it is kept until the explorer ends"
        ) from error
    return buffer.getvalue()


def _maps(file: h5py.File, size: int, dictionary: Dictionary) -> dict[str, StoredMap]:
    about = json.loads(structure.small(file, "about", size))
    if (about["format"], about["version"]) != (FORMAT, VERSION):
        return {}
    if (about["exemplars"], about["regions"]) != (identity(dictionary), len(dictionary)):
        return {}
    return {
        str(name): _map(file, str(name), told, size, len(dictionary))
        for name, told in about["maps"].items()
    }


def _map(file: h5py.File, name: str, told: Mapping[str, Any], size: int, regions: int) -> StoredMap:
    node = structure.dataset(file, name, np.dtype("<f4"), size)
    if (
        node is None
        or len(node.shape) != 2
        or node.shape[0] != regions
        or node.shape[1] not in AXES
    ):
        raise DictionaryFileError(f"the map {name} does not fit its dictionary")
    coordinates = h5py.Dataset(node)[:]
    if sha256(coordinates.data).hexdigest() != told["sha256"] or not np.isfinite(coordinates).all():
        raise DictionaryFileError(f"the map {name} was altered")
    coordinates.setflags(write=False)
    share = told["trustworthiness"]
    return StoredMap(
        coordinates,
        dict(told["settings"]),
        None if share is None else min(1.0, max(0.0, float(share))),
        int(told["neighbours"]),
        int(told["sampled"]),
    )
