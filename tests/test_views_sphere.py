"""The map's laws: every region has a cell, the cells fill the sphere, and the blob says what the
dictionary says.
"""

from __future__ import annotations

import numpy as np
import pytest

from ep.errors import RequestError
from ep.method.dictionary import Dictionary
from ep.method.source import MemorySource
from ep.studies.names import LONGEST_SHORT, name, short
from ep.views import blob, colorings, layouts, sphere, tables
from tests.fixtures.blobs import unpack
from tests.fixtures.dictionaries import synthetic

CLOUDS = {
    "scattered": np.random.default_rng(0).normal(size=(300, 3)),
    "four": np.random.default_rng(1).normal(size=(4, 3)),
    "in pairs": np.repeat(np.random.default_rng(2).normal(size=(40, 3)), 3, axis=0).astype(
        np.float32
    ),
    "on a great circle": np.random.default_rng(3).normal(size=(60, 3)) * [1, 1, 0],
    "on one line": np.outer(np.linspace(-1, 1, 30), [1, 2, 3]),
    "in one place": np.ones((9, 3)),
    "at the origin": np.zeros((6, 3)),
    "one side only": np.random.default_rng(4).normal(size=(50, 3)) * 0.01 + [5, 0, 0],
    "with infinities": np.where(
        np.eye(30, 3) > 0, np.inf, np.random.default_rng(5).normal(size=(30, 3))
    ),
}


@pytest.mark.parametrize("name", CLOUDS)
def test_cells_fill_the_sphere_and_each_holds_its_centre(name: str) -> None:
    points = CLOUDS[name]
    found = sphere.cells(points)
    assert len(found.counts) == len(points) and found.counts.min() >= 2
    assert found.counts.sum() == len(found.corners) and found.corners.max() < len(found.vertices)
    np.testing.assert_allclose(found.areas.sum(), 4 * np.pi, rtol=1e-3)
    np.testing.assert_allclose(np.linalg.norm(found.centers, axis=1), 1, atol=1e-6)
    # the browser tells cells apart by their centres
    assert len(np.unique(found.centers, axis=0)) == len(points)


def test_every_corner_is_as_near_to_its_cell_as_to_any_other() -> None:
    found = sphere.cells(CLOUDS["scattered"])
    owner = np.repeat(np.arange(len(found.counts)), found.counts)
    cosine = found.vertices @ found.centers.astype(np.float64).T
    np.testing.assert_allclose(
        cosine[found.corners, owner], cosine.max(axis=1)[found.corners], atol=1e-6
    )


def test_fewer_than_four_regions_have_no_map() -> None:
    with pytest.raises(RequestError, match="at least 4"):
        sphere.cells(np.eye(3))


@pytest.mark.parametrize("layout", ["pca-sphere", "pca-flat"])
def test_the_blob_says_what_the_dictionary_says(layout: str) -> None:
    dictionary = synthetic(80, 16)
    head, arrays = unpack(
        blob.blob(dictionary, layouts.coordinates(dictionary, layout), layout, "name")
    )
    texts = head["texts"]
    assert head["id"] == "name" and texts["kind"] == layout.rpartition("-")[2]
    assert all(offset % 4 == 0 for _, _, offset, _ in head["arrays"])
    np.testing.assert_array_equal(arrays["members"], dictionary.column("count_voronoi"))
    np.testing.assert_array_equal(arrays["groups"], dictionary.column("neighbourhood"))
    assert sorted(arrays["ranking"]) == list(range(80))
    for k in (0, 7, 79):
        assert texts["words"][arrays["names"][k]] == short(name(dictionary, k))
        assert texts["words"][arrays["wholes"][k]] == name(dictionary, k)
        tips = [texts["words"][i] for i in arrays["tips"][3 * k : 3 * k + 3]]
        assert tips == tables.lens_tokens(dictionary, [k], 3)[0]


def test_colours_travel_by_themselves_and_equal_ones_have_one_name() -> None:
    dictionary = synthetic(80, 16)
    for column in ("neighbourhood", "members"):
        coloring = colorings.coloring(dictionary, column)
        named, packed = blob.colors(coloring, "file")
        head, arrays = unpack(packed)
        assert (
            head["id"] == named
            and named == blob.colors(colorings.coloring(dictionary, column), "file")[0]
        )
        np.testing.assert_array_equal(arrays["light"].reshape(-1, 3), coloring.light)
        np.testing.assert_array_equal(
            arrays.get("dark", arrays["light"]).reshape(-1, 3), coloring.dark
        )
    assert blob.legend(colorings.coloring(dictionary, "members"))["ramp"]["light"]


def test_cells_turn_counter_clockwise_seen_from_outside() -> None:
    found = sphere.cells(CLOUDS["scattered"])
    starts = np.concatenate([[0], np.cumsum(found.counts, dtype=np.int64)])
    for k in range(300):
        corners = found.vertices[found.corners[starts[k] : starts[k + 1]]]
        turns = np.cross(corners, np.roll(corners, -1, axis=0)).sum(axis=0) @ found.centers[k]
        assert turns > 0


def test_hostile_names_stay_short_and_on_one_line() -> None:
    dictionary = synthetic(60, 16, hostile=True)
    head, arrays = unpack(blob.blob(dictionary, dictionary.column("map_pca"), "pca-sphere", "h"))
    for place in arrays["names"]:
        text = head["texts"]["words"][place]
        assert 0 < len(text) <= LONGEST_SHORT
        assert not set(text) & set("\n\t\0\u202e\u200f")


def test_a_file_without_numbers_is_drawn_all_the_same() -> None:
    full = synthetic(30, 16)
    arrays = {
        name: full.source.read(name)
        for name in ("center", "exemplars", "mean_directions", "map_pca")
    }
    bare = Dictionary(MemorySource(arrays), full.info, 30)
    _, packed = unpack(blob.blob(bare, bare.column("map_pca"), "pca-sphere", "bare"))
    assert packed["members"].sum() == 0 and np.isnan(packed["coherence"]).all()
    assert (packed["tips"] == blob.NONE).all()


def test_the_wrong_number_of_places_is_refused() -> None:
    with pytest.raises(RequestError, match="29 coordinates"):
        blob.blob(synthetic(30, 16), np.zeros((29, 3)), "pca-sphere", "x")
