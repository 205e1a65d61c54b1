"""Laws of nearest regions, map axes, groups and their names."""

from __future__ import annotations

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from ep.errors import ConfigError
from ep.method import surroundings
from ep.method.calibration import Thresholds
from ep.method.closest import closest
from ep.method.geometry import directions
from ep.method.surroundings import group_names, nearest, neighbourhoods, principal_axes, surround


def unit(x: np.ndarray) -> np.ndarray:
    return directions(x, np.zeros(x.shape[1], np.float32))


@pytest.fixture(scope="module")
def exemplars() -> np.ndarray:
    rng = np.random.default_rng(8)
    clusters = rng.normal(size=(6, 1, 20)) * 1.5 + rng.normal(size=(6, 25, 20)) * 0.4
    rows = unit(clusters.reshape(-1, 20))
    rows[70] = rows[3]  # exact duplicates happen in foreign dictionaries
    rows[71] = rows[3]
    return rows


@pytest.mark.parametrize("choose", [None, closest])
@pytest.mark.parametrize("chunk", [1, 2**26])
def test_nearest_is_the_head_of_a_stable_sort_without_the_region_itself(
    exemplars, monkeypatch, chunk, choose
):
    if chunk == 1:
        monkeypatch.setattr(surroundings, "PRODUCT_BYTES", chunk)
    wide = exemplars.astype(np.float64)
    distance = (1 - wide @ wide.T).astype(np.float32)
    np.fill_diagonal(distance, np.inf)
    ids, distances = nearest(exemplars, 8, choose=choose)
    assert np.array_equal(ids, np.argsort(distance, axis=1, kind="stable")[:, :8])
    assert np.array_equal(distances, np.clip(np.take_along_axis(distance, ids, 1), 0, 2))
    assert distances.dtype == np.float32


def test_surroundings_and_thresholds_do_not_depend_on_the_number_of_threads() -> None:
    rng = np.random.default_rng(2)
    raw = (rng.normal(size=(1501, 96)) + rng.normal(size=96)).astype(np.float32)
    rows, weight = unit(raw), np.arange(1501)
    found = []
    for threads in (1, 2):
        with threadpool_limits(threads):
            columns, kept = surround(rows, weight)
            calibration = Thresholds(np.zeros(96, np.float32), (1.0, 8.0))
            calibration.update(raw)
            found.append((columns, kept, calibration.thresholds()))
    (one, kept, thresholds), (other, *rest) = found
    assert [kept, thresholds] == rest
    for name in one:
        assert np.array_equal(one[name], other[name]), name


@pytest.mark.parametrize("choose", [None, closest])
def test_nearest_of_equals_is_the_older(choose):
    rows = np.repeat(np.eye(2, dtype=np.float32), [5, 1], axis=0)
    assert nearest(rows, 2, choose=choose)[0].tolist() == [
        [1, 2],
        [0, 2],
        [0, 1],
        [0, 1],
        [0, 1],
        [0, 1],
    ]


@pytest.mark.parametrize(("size", "found"), [(1, 0), (2, 1), (9, 8), (30, 8)])
def test_few_regions_have_few_neighbours(exemplars, size, found):
    ids, distances = nearest(exemplars[:size], 8)
    assert ids.shape == distances.shape == (size, found)
    assert not (ids == np.arange(size)[:, None]).any()


@pytest.mark.parametrize("size", [150, 15])
def test_axes_are_those_of_the_singular_value_decomposition(exemplars, size):
    rows = exemplars[:size].astype(float)
    centered = rows - rows.mean(0)
    u, s, _ = np.linalg.svd(centered, full_matrices=False)
    coordinates, kept = principal_axes(exemplars[:size])
    assert np.allclose(np.abs(coordinates), np.abs(u[:, :3] * s[:3]), atol=1e-4)
    assert np.allclose(kept, s[:3] ** 2 / (s**2).sum(), atol=1e-5)
    again, _ = principal_axes(exemplars[:size].copy())
    assert np.array_equal(coordinates, again)


@pytest.mark.parametrize("size", [1, 2, 3])
def test_axes_that_do_not_exist_are_zero(exemplars, size):
    coordinates, kept = principal_axes(exemplars[:size])
    assert coordinates.shape == (size, 3)
    assert not coordinates[:, size - 1 :].any()
    assert not kept[size - 1 :].any()
    assert kept.sum() == pytest.approx(1 if size > 1 else 0, abs=1e-5)
    flat, _ = principal_axes(unit(np.eye(2)))
    assert flat.shape == (2, 3)


def test_groups_find_clusters_and_are_ordered_by_weight(exemplars):
    weight = np.arange(150)[::-1] + 1
    group = neighbourhoods(exemplars, weight, n_groups=6)
    assert group.dtype == np.uint8
    totals = np.bincount(group, weights=weight)
    assert (np.diff(totals) <= 0).all()
    clusters = np.delete(group, [70, 71])  # 25 regions each, in order
    assert len(np.unique(clusters[:25])) == 1
    assert np.array_equal(group, neighbourhoods(exemplars, weight, n_groups=6))


@pytest.mark.parametrize(("size", "groups"), [(1, 1), (2, 2), (5, 5), (40, 8)])
def test_there_are_never_more_groups_than_regions(exemplars, size, groups):
    group = neighbourhoods(exemplars[:size], np.ones(size))
    assert sorted(set(group.tolist())) == list(range(groups))


def test_groups_of_a_wide_dictionary_are_found_on_fewer_axes(monkeypatch, exemplars):
    plain = neighbourhoods(exemplars, np.ones(150), n_groups=6)
    monkeypatch.setattr(surroundings, "GROUP_AXES", 10)
    assert np.array_equal(plain, neighbourhoods(exemplars, np.ones(150), n_groups=6))


def test_identical_exemplars_are_one_group():
    rows = np.repeat(np.eye(1, 5, dtype=np.float32), 4, axis=0)
    assert neighbourhoods(rows, np.ones(4)).tolist() == [0, 0, 0, 0]


def test_names_are_what_is_common_inside_and_rare_outside():
    group = np.array([0] * 5 + [1] * 5)
    tokens = np.array([[7, 1]] * 5 + [[7, 2]] * 4 + [[7, -1]])
    names = group_names(group, np.ones(10), tokens)
    assert names[:, 0].tolist() == [1, 2]
    assert 7 in names[0]
    assert names.shape == (2, 3)
    assert (names[:, 2] == -1).all()


def test_a_huge_region_does_not_name_its_group_alone():
    group = np.array([0] * 9 + [1])
    tokens = np.array([[5]] * 8 + [[6], [9]])
    assert group_names(group, np.array([1] * 8 + [10_000] + [1]), tokens)[0, 0] == 5


def test_bad_questions_are_refused(exemplars):
    with pytest.raises(ConfigError, match="0 groups"):
        neighbourhoods(exemplars, np.ones(150), n_groups=0)
