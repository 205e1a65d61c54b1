"""The side-car of maps: what is kept comes back, and what does not belong or is damaged counts as
nothing.
"""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

import ep
from ep.errors import StorageError
from ep.method.dictionary import Dictionary
from ep.storage import maps
from ep.storage.maps import StoredMap
from ep.storage.sidecar import MAPS, beside
from tests.fixtures.dictionaries import synthetic


@pytest.fixture
def stored(tmp_path: Path) -> tuple[Path, Dictionary]:
    path = ep.save(synthetic(size=30, width=8, seed=1), tmp_path / "a.ep.h5")
    return path, ep.open(path)


def made(size: int = 30, axes: int = 2, seed: int = 0) -> StoredMap:
    place = np.random.default_rng(seed).standard_normal((size, axes)).astype(np.float32)
    return StoredMap(place, {"neighbours": 15, "min_dist": 0.1}, 0.875, 14, size)


def same(a: StoredMap, b: StoredMap) -> bool:
    told = [(m.settings, m.trustworthiness, m.neighbours, m.sampled) for m in (a, b)]
    return told[0] == told[1] and np.array_equal(a.coordinates, b.coordinates)


def test_what_is_kept_comes_back_and_each_name_by_itself(stored: tuple[Path, Dictionary]) -> None:
    path, dictionary = stored
    before = path.read_bytes()
    assert maps.load(path, dictionary) == {}
    flat, ball, newer = made(), made(axes=3, seed=1), made(seed=2)
    maps.save(path, dictionary, "umap-flat", flat)
    maps.save(path, dictionary, "umap-sphere", ball)
    found = maps.load(path, dictionary)
    assert set(found) == {"umap-flat", "umap-sphere"}
    assert same(found["umap-flat"], flat) and same(found["umap-sphere"], ball)
    maps.save(path, dictionary, "umap-flat", newer)
    found = maps.load(path, dictionary)
    assert same(found["umap-flat"], newer) and same(found["umap-sphere"], ball)
    assert path.read_bytes() == before  # the dictionary itself never changes
    assert sorted(p.name for p in path.parent.iterdir()) == ["a.ep.h5", "a.ep.maps.h5"]


def test_another_dictionary_s_maps_are_ignored_and_replaced(
    stored: tuple[Path, Dictionary], tmp_path: Path
) -> None:
    path, dictionary = stored
    maps.save(path, dictionary, "umap-flat", made())
    other = synthetic(size=30, width=8, seed=2)
    assert maps.load(path, other) == {}
    other_path = ep.save(other, tmp_path / "b.ep.h5")
    beside(path, MAPS).rename(beside(other_path, MAPS))
    found = ep.open(other_path)
    assert maps.load(other_path, found) == {}
    maps.save(other_path, found, "umap-sphere", made(axes=3))
    assert set(maps.load(other_path, found)) == {"umap-sphere"}


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_a_damaged_side_car_counts_as_none_and_is_rewritten(
    stored: tuple[Path, Dictionary], share: float
) -> None:
    path, dictionary = stored
    maps.save(path, dictionary, "umap-flat", made())
    file = beside(path, MAPS)
    data = file.read_bytes()
    file.write_bytes(data[: int(share * len(data))])
    assert maps.load(path, dictionary) == {}
    maps.save(path, dictionary, "umap-flat", made(seed=3))
    assert same(maps.load(path, dictionary)["umap-flat"], made(seed=3))


def test_a_flipped_byte_never_raises_and_never_moves_a_region(
    stored: tuple[Path, Dictionary],
) -> None:
    path, dictionary = stored
    maps.save(path, dictionary, "umap-flat", made())
    file = beside(path, MAPS)
    data = file.read_bytes()
    for at in np.random.default_rng(0).integers(0, len(data), 60).tolist():
        changed = bytearray(data)
        changed[at] ^= 0x40
        file.write_bytes(bytes(changed))
        for found in maps.load(path, dictionary).values():
            assert np.array_equal(found.coordinates, made().coordinates)


def test_a_side_car_that_points_elsewhere_is_refused(stored: tuple[Path, Dictionary]) -> None:
    path, dictionary = stored
    maps.save(path, dictionary, "umap-flat", made())
    with h5py.File(beside(path, MAPS), "a") as file:
        del file["umap-flat"]
        file["umap-flat"] = h5py.ExternalLink("a.ep.h5", "/geometry/map_pca")
    assert maps.load(path, dictionary) == {}


def test_a_place_that_cannot_be_written_says_so(stored: tuple[Path, Dictionary]) -> None:
    path, dictionary = stored
    beside(path, MAPS).mkdir()
    with pytest.raises(StorageError):
        maps.save(path, dictionary, "umap-flat", made())
    assert [p.name for p in path.parent.iterdir() if ".tmp" in p.name] == []
