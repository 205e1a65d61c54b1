"""Between and paths: the fast answer is the definition, exchanging A and B changes names only,
links are neighbours.
"""

from __future__ import annotations

import json
from collections import deque
from pathlib import Path

import numpy as np
import pytest

import ep
from ep.cli import main
from ep.errors import RequestError
from ep.method.dictionary import Dictionary
from ep.method.nearest import folded_cosine
from ep.method.source import MemorySource
from ep.studies import between as study
from tests.fixtures.dictionaries import synthetic


def rows(n: int, width: int, seed: int = 0) -> np.ndarray:
    x = np.random.default_rng(seed).standard_normal((n, width))
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)


def definition(vectors: np.ndarray, a: int, b: int) -> set[int]:
    """Protocol 11.1, word for word."""

    def d(i: int, j: int) -> float:
        return 1 - float(folded_cosine(vectors[i : i + 1], vectors[j : j + 1])[0])

    ends = d(a, b)
    return {c for c in range(len(vectors)) if c not in (a, b) and d(a, c) < ends and d(c, b) < ends}


@pytest.mark.parametrize("width", [2, 3, 16, 200])
def test_it_is_the_definition(width: int) -> None:
    vectors = rows(60, width, seed=width)
    for a, b in ((0, 1), (5, 40), (59, 3)):
        found = study.between(vectors, a, b)
        assert set(found.regions.tolist()) == definition(vectors, a, b)
        assert len(found) == len(set(found.regions.tolist()))


def test_equal_distances_are_not_between() -> None:
    """A copy of A is exactly as far from B as A is; a nearly equal one is decided in float64."""
    vectors = rows(40, 64)
    vectors[7], vectors[8], vectors[9] = vectors[0], vectors[1], np.nextafter(vectors[0], 2)
    vectors[20] = -vectors[0]
    assert set(study.between(vectors, 0, 1).regions.tolist()) == definition(vectors, 0, 1)
    assert not {7, 8} & set(study.between(vectors, 0, 1).regions.tolist())


def test_between_two_regions_that_point_apart_means_nothing() -> None:
    vectors = rows(300, 12)
    for a, b in np.random.default_rng(1).integers(0, 300, (200, 2)).tolist():
        if a != b:
            found = study.between(vectors, a, b)
            share = len(found) / (len(vectors) - 2)
            assert found.is_meaningful == (found.distance < 1 and share <= 0.5)
            assert found.is_meaningful == study.between(vectors, b, a).is_meaningful


@pytest.mark.parametrize("a", [0, 17])
def test_offered_regions_are_the_nearest_with_some_between(a: int) -> None:
    vectors = rows(300, 12)
    offered = study.alike(vectors, a, n=3, among=299)
    order = [b for b in np.argsort(-(vectors @ vectors[a])).tolist() if b != a]
    fitting = [b for b in order if 0 < len(definition(vectors, a, b)) <= 149]
    assert offered == fitting[:3]
    assert all(study.between(vectors, a, b).is_meaningful for b in offered)


def test_exchanging_a_and_b_exchanges_the_names_only() -> None:
    vectors = rows(300, 12)
    for a, b in ((0, 1), (17, 250)):
        one, other = study.between(vectors, a, b), study.between(vectors, b, a)
        assert one.regions.tolist() == other.regions.tolist() and one.distance == other.distance
        assert np.array_equal(one.from_a, other.to_b) and np.array_equal(one.to_b, other.from_a)
        assert one.misses == other.misses and not {k for k, _ in one.misses} & {
            a,
            b,
            *one.regions.tolist(),
        }


def test_the_closest_to_both_comes_first_and_misses_miss_least() -> None:
    vectors = rows(300, 8)
    found = study.between(vectors, 3, 4)
    mean = (found.from_a + found.to_b) / 2
    assert (np.diff(mean) >= 0).all()
    assert (np.maximum(found.from_a, found.to_b) <= found.distance + 1e-6).all()
    excess = [value for _, value in found.misses]
    assert len(excess) == 3 and excess == sorted(excess) and min(excess) >= 0


def test_one_region_twice_is_refused() -> None:
    with pytest.raises(RequestError, match="both region 4"):
        study.between(rows(9, 4), 4, 4)
    assert (
        len(study.between(rows(2, 4), 0, 1)) == 0 and study.between(rows(2, 4), 0, 1).misses == ()
    )


# -- anchors ---------------------------------------------------------------------------------------


def moved(dictionary: Dictionary, **arrays: np.ndarray) -> Dictionary:
    kept = {
        name: dictionary.column(name)
        for name in ("center", "exemplars", "mean_directions", "count_arrival")
    }
    return Dictionary(
        MemorySource(kept | arrays),
        dictionary.info,
        len(arrays.get("exemplars", kept["exemplars"])),
    )


@pytest.mark.parametrize(("cosine", "same"), [(1 - 0.5e-4, True), (1 - 2e-4, False)])
def test_an_anchor_is_the_same_exemplar_iff_the_cosine_says_so(cosine: float, same: bool) -> None:
    seed = synthetic(30, 24)
    exemplars = rows(50, 24, seed=9)
    v, w = seed.exemplars[11].astype(np.float64), exemplars[33].astype(np.float64)
    w -= (w @ v) * v
    exemplars[33] = cosine * v + np.sqrt(1 - cosine**2) * w / np.linalg.norm(w)
    other = moved(seed, exemplars=exemplars, mean_directions=rows(50, 24, seed=10))
    found = study.counterpart(seed, 11, other, "mean")
    assert found.same == same
    if same:
        assert found.region == 33 and found.cosine == pytest.approx(cosine, abs=1e-6)
    else:
        nearest = other.mean_directions @ seed.mean_directions[11]
        assert found.region == nearest.argmax() and found.cosine == pytest.approx(
            nearest.max(), abs=1e-6
        )


def test_another_centre_is_another_space() -> None:
    seed = synthetic(30, 24)
    assert study.counterpart(seed, 5, moved(seed)).same
    assert not study.counterpart(seed, 5, moved(seed, center=seed.center + 1)).same
    with pytest.raises(RequestError, match="no counterpart"):
        study.counterpart(seed, 5, synthetic(30, 16))


def test_pairs_are_edges_cleanest_first_and_partners_are_others() -> None:
    dictionary, coarser = synthetic(200, 16), synthetic(20, 16)
    clean = study.cleanliness(dictionary)
    assert clean.shape == (200,) and clean.min() >= 0 and clean.max() <= 1
    listed = study.neighbours(dictionary.exemplars)
    pairs = study.anchor_pairs(listed, clean)
    assert len(pairs) == 5 and len({end for pair in pairs for end in pair}) == 10
    assert all(b in listed.ids[a, :3] or a in listed.ids[b, :3] for a, b in pairs)
    sums = [clean[a] + clean[b] for a, b in pairs]
    assert sums == sorted(sums, reverse=True)
    b = study.partner(dictionary, 7, [coarser])
    assert b not in (None, 7)
    homes = (dictionary.exemplars[[7, b]] @ coarser.exemplars.T).argmax(1)
    assert homes[0] != homes[1]
    assert (
        study.partner(moved(dictionary, exemplars=rows(1, 16), mean_directions=rows(1, 16)), 0)
        is None
    )


# -- paths -----------------------------------------------------------------------------------------


def plain_neighbours(vectors: np.ndarray, k: int) -> list[set[int]]:
    distance = 1 - vectors.astype(np.float64) @ vectors.T
    np.fill_diagonal(distance, np.inf)
    out: list[set[int]] = [set() for _ in vectors]
    for i, row in enumerate(np.argsort(distance, axis=1)[:, :k].tolist()):
        for j in row:
            out[i].add(j)
            out[j].add(i)
    return out


def breadth_first(links: list[set[int]], a: int, b: int) -> int | None:
    steps, queue = {a: 0}, deque([a])
    while queue:
        at = queue.popleft()
        for to in links[at] - steps.keys():
            steps[to] = steps[at] + 1
            queue.append(to)
    return steps.get(b)


@pytest.mark.parametrize("k", [2, 3, 6])
def test_a_path_walks_along_neighbours_and_is_the_shortest(k: int) -> None:
    vectors = rows(150, 5)
    listed, links = study.neighbours(vectors), plain_neighbours(vectors, k)
    for a, b in ((0, 1), (3, 140), (77, 12)):
        found, hops = study.path(vectors, listed, a, b, k), breadth_first(links, a, b)
        assert (found is None) == (hops is None)
        if found is None:
            continue
        assert (
            found.regions[0] == a
            and found.regions[-1] == b
            and found.hops == hops == len(found.cosines)
        )
        assert all(
            to in links[at] for at, to in zip(found.regions, found.regions[1:], strict=False)
        )
        weighted = study.path(vectors, listed, a, b, k, weighted=True)
        assert weighted is not None and weighted.hops >= found.hops
        assert sum(1 - c for c in weighted.cosines) <= sum(1 - c for c in found.cosines) + 1e-6
        assert study.path(vectors, listed, b, a, k).hops == hops  # type: ignore[union-attr]


def test_where_no_path_is_the_smallest_k_that_makes_one_is_named() -> None:
    """Two clouds of ten: every list of fewer than ten neighbours stays within its own."""
    cloud = 0.01 * np.random.default_rng(0).standard_normal((20, 6))
    cloud[:10, 0] += 1
    cloud[10:, 1] += 1
    vectors = (cloud / np.linalg.norm(cloud, axis=1, keepdims=True)).astype(np.float32)
    listed = study.neighbours(vectors)
    assert study.path(vectors, listed, 0, 15, 3) is None
    least = study.connecting_k(listed, 0, 15)
    assert least is not None and study.path(vectors, listed, 0, 15, least - 1) is None
    assert study.path(vectors, listed, 0, 15, least) is not None
    assert least == 10


# -- the command -----------------------------------------------------------------------------------


def test_the_command_prints_what_the_study_finds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dictionary = synthetic(200, 16)
    file = tmp_path / "d.ep.h5"
    ep.save(dictionary, file)
    assert main(["between", str(file), "3", "90", "--json", "--limit", "0"]) == 0
    said = json.loads(capsys.readouterr().out)
    found = study.between(dictionary.mean_directions, 3, 90)
    assert [row["region"] for row in said["between"]] == found.regions.tolist() and said[
        "total"
    ] == len(found)
    assert main(["between", str(file), "3", "90", "--path", "-k", "10", "--json"]) == 0
    path = json.loads(capsys.readouterr().out)
    assert path["path"][0]["region"] == 3 and path["path"][-1]["region"] == 90
    assert (
        main(["between", str(file), "3", "90"]) == 0
        and "lie between 3 and 90" in capsys.readouterr().out
    )
    for wrong in (["3", "3"], ["3", "999"], ["3", "4", "--path", "-k", "99"]):
        assert main(["between", str(file), *wrong]) == 2
        assert capsys.readouterr().err.count("\n") == 1
