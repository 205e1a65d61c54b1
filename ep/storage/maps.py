"""`NAME.ep.maps.h5`: maps of a dictionary that took long to compute, stored beside it.

The file has one array of coordinates for each layout, with the settings it was computed with, a
measure of how well it preserves neighbours, and the identity of the exemplars it belongs to. A file
that is damaged, altered or belongs to another dictionary counts as absent and is overwritten:
everything in it can be computed again. How a map is computed is not defined here.
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

from ep.errors import DictionaryFileError, StorageError
from ep.method.dictionary import Dictionary
from ep.shapes import Float32
from ep.storage import structure
from ep.storage.faults import DAMAGE
from ep.storage.labelfile import identity
from ep.storage.sidecar import MAPS, beside, write_bytes

FORMAT, VERSION = "ep-maps", 1
MOST_BYTES = 256 * 2**20
"""Larger files are not read."""
AXES = (2, 3)
"""The permitted numbers of coordinates: of a flat map, and of a sphere."""
_WRITING = Lock()


@dataclass(frozen=True, eq=False)
class StoredMap:
    """One layout of K regions.

    coordinates: (K, 2) for a flat map, (K, 3) for a sphere.
    settings: what it was computed with (numbers and texts).
    trustworthiness: how well it preserves neighbours, in [0, 1]; None where it was not measured.
    neighbours: number of neighbours in that measure.
    sampled: number of regions it was measured on, each against all regions.
    """

    coordinates: Float32[np.ndarray, "K a"]
    settings: Mapping[str, Any] = field(default_factory=dict)
    trustworthiness: float | None = None
    neighbours: int = 0
    sampled: int = 0


def load(path: str | Path, dictionary: Dictionary) -> dict[str, StoredMap]:
    """Return the maps beside a dictionary's file, by layout.

    There are none if the side-car file is absent, damaged, altered or belongs to another
    dictionary.
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


def save(path: str | Path, dictionary: Dictionary, name: str, layout_map: StoredMap) -> None:
    """Store a map beside a dictionary's file, with the maps already there.

    path: the dictionary's file.
    dictionary: the dictionary in it.
    name: the layout; a stored map of the same name is replaced.

    Raises StorageError if the folder cannot be written; the stored maps then stay as they were.
    """
    with _WRITING:
        maps = load(path, dictionary) | {name: layout_map}
        write_bytes(beside(path, MAPS), _bytes(maps, dictionary))


def _bytes(maps: Mapping[str, StoredMap], dictionary: Dictionary) -> bytes:
    """Return the content of the file for these maps."""
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
            for name, stored_map in sorted(maps.items()):
                array = np.ascontiguousarray(stored_map.coordinates, "<f4")
                file.create_dataset(name, data=array)
                about["maps"][name] = {
                    "settings": dict(stored_map.settings),
                    "trustworthiness": stored_map.trustworthiness,
                    "neighbours": stored_map.neighbours,
                    "sampled": stored_map.sampled,
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
    """Return the maps in an open file; none if it is of another format or dictionary."""
    about = json.loads(structure.read_bytes(file, "about", size))
    if (about["format"], about["version"]) != (FORMAT, VERSION):
        return {}
    if (about["exemplars"], about["regions"]) != (identity(dictionary), len(dictionary)):
        return {}
    return {
        str(name): _map(file, str(name), description, size, len(dictionary))
        for name, description in about["maps"].items()
    }


def _map(
    file: h5py.File, name: str, description: Mapping[str, Any], size: int, regions: int
) -> StoredMap:
    """Return one map, or raise DictionaryFileError if it does not fit or was altered."""
    node = structure.dataset(file, name, np.dtype("<f4"), size)
    if (
        node is None
        or len(node.shape) != 2
        or node.shape[0] != regions
        or node.shape[1] not in AXES
    ):
        raise DictionaryFileError(f"the map {name} does not fit its dictionary")
    coordinates = h5py.Dataset(node)[:]
    if (
        sha256(coordinates.data).hexdigest() != description["sha256"]
        or not np.isfinite(coordinates).all()
    ):
        raise DictionaryFileError(f"the map {name} was altered")
    coordinates.setflags(write=False)
    share = description["trustworthiness"]
    return StoredMap(
        coordinates,
        dict(description["settings"]),
        None if share is None else min(1.0, max(0.0, float(share))),
        int(description["neighbours"]),
        int(description["sampled"]),
    )
