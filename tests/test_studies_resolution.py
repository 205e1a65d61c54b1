"""Laws of following a region: counts are the plain counts, nothing is lost between levels,
estimates say they are.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from ep.errors import RequestError, UnknownRegion
from ep.method.dictionary import Dictionary
from ep.method.draft import Draft
from ep.method.members import Events
from ep.method.saturation import StopRule
from ep.method.source import MemorySource
from ep.studies import resolution as study
from ep.studies.parting import Rung, apart_for_good, cosine, first_apart, part
from ep.views import flow as view
from tests.fixtures.dictionaries import synthetic

D, N = 12, 2500
THRESHOLDS = {16.0: 0.9, 8.0: 0.75, 4.0: 0.55, 1.0: 0.35}


@cache
def stream() -> np.ndarray:
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((40, D))[rng.integers(0, 40, N)] + 0.6 * rng.standard_normal((N, D))
    rows = rows.astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True).astype(np.float32)


@cache
def built() -> tuple[tuple[Dictionary, ...], tuple[np.ndarray, ...]]:
    """A ladder over one stream, coarse to fine, as a build makes it; and each activation's region
    on every rung.
    """
    rows, at = stream(), np.arange(N)
    events = Events(at, *(np.zeros(N, np.int32),) * 3, at.astype(np.uint64), at)
    drafts, regions = {}, {}
    for p, threshold in THRESHOLDS.items():
        drafts[p] = Draft(threshold, D, 10, StopRule(None, None, 50_000, None))
        drafts[p].stream(rows, events)
        regions[p] = drafts[p].reassign(rows, events)
    ladder = []
    for p, draft in drafts.items():
        coarser = sorted(q for q in THRESHOLDS if q > p)
        if coarser:
            draft.nest(regions[p], {q: regions[q] for q in coarser}, events)
        info = {"threshold": THRESHOLDS[p], "percentile": p, "layer": 3, "family": "f"}
        info |= {
            "coarser_percentile": coarser[0] if coarser else None,
            "farther_percentiles": coarser[1:],
        }
        arrays = draft.arrays() | {"center": np.zeros(D, np.float32)}
        ladder.append(Dictionary(MemorySource(arrays), info, len(draft)))
    return tuple(ladder), tuple(regions.values())


def bare(dictionary: Dictionary) -> Dictionary:
    """The same without recorded overlaps, as a published file is."""
    names = ("center", "exemplars", "mean_directions", "count_arrival", "count_voronoi")
    return Dictionary(
        MemorySource({n: dictionary.column(n) for n in names}), dictionary.info, len(dictionary)
    )


def conserved(flow: study.Flow) -> None:
    """Every level holds all followed members, and every node gives and gets exactly what it has."""
    for i, level in enumerate(flow.levels):
        assert sum(node.members for node in level.nodes) == pytest.approx(flow.members, abs=1e-6)
        assert sum(node.share for node in level.nodes) == pytest.approx(1 if flow.members else 0)
        for node in level.nodes:
            given = sum(
                link.count for link in flow.links if (link.level, link.coarser) == (i, node.region)
            )
            got = sum(
                link.count
                for link in flow.links
                if (link.level + 1, link.finer) == (i, node.region)
            )
            if i < len(flow.levels) - 1:
                assert given == pytest.approx(node.members, rel=1e-6, abs=1e-6 * flow.members)
            if i > 0:
                assert got == pytest.approx(node.members, rel=1e-6, abs=1e-6 * flow.members)


@pytest.mark.parametrize("origin", range(4))
def test_nodes_are_the_plain_counts_and_nothing_is_lost(origin: int) -> None:
    ladder, regions = built()
    for region in range(0, len(ladder[origin]), max(1, len(ladder[origin]) // 5)):
        flow = study.follow(ladder, origin, region)
        own = regions[origin] == region
        assert flow.members == own.sum()
        conserved(flow)
        for i, level in enumerate(flow.levels):
            assert level.known == "counted"
            counts = np.bincount(regions[i][own], minlength=len(ladder[i]))
            for node in level.nodes:
                if node.region >= 0:
                    pairs = np.bincount(
                        regions[origin][regions[i] == node.region], minlength=len(ladder[origin])
                    )
                    kept = i < origin or region in np.argsort(-pairs, kind="stable")[:4]
                    assert node.members in (
                        (counts[node.region],) if kept else (0, counts[node.region])
                    )
                    assert node.total == (regions[i] == node.region).sum()
            shown = sum(node.members for node in level.nodes if node.region != study.REST)
            assert shown <= flow.members
            if len({int(r) for r in np.flatnonzero(counts)}) <= 4 and i < origin:
                assert shown == flow.members  # at most four homes: all of them are recorded


def test_links_beside_the_followed_region_are_exact_and_the_others_say_they_are_not() -> None:
    ladder, regions = built()
    origin = 2
    region = int(np.bincount(regions[origin]).argmax())
    flow = study.follow(ladder, origin, region)
    for link in flow.links:
        beside = origin in (link.level, link.level + 1)
        assert link.exact == beside
        if beside and link.coarser >= 0 and link.finer >= 0:
            both = (regions[link.level] == link.coarser) & (regions[link.level + 1] == link.finer)
            assert link.count == pytest.approx(both.sum())


def test_few_nodes_are_shown_and_the_exemplars_home_is_always_one_of_them() -> None:
    ladder, _ = built()
    for region in range(0, len(ladder[0]), max(1, len(ladder[0]) // 5)):
        flow = study.follow(ladder, 0, region, shown=3)
        conserved(flow)
        for i, level in enumerate(flow.levels):
            own = [node.region for node in level.nodes if node.region >= 0]
            assert len(own) <= 3 and len(set(own)) == len(own)
            everything = study.follow(ladder, 0, region, shown=999).levels[i].nodes
            assert level.carried in own or level.carried not in [node.region for node in everything]


def test_the_exemplar_goes_to_the_nearest_and_is_the_same_only_when_it_is() -> None:
    ladder, _ = built()
    exemplar = ladder[1].exemplars[5]
    for dictionary, level in zip(ladder, study.follow(ladder, 1, 5).levels, strict=True):
        products = dictionary.exemplars.astype(np.float64) @ exemplar
        assert level.carried == products.argmax()
        assert level.cosine == pytest.approx(products.max())
        assert level.same == bool(products.max() >= 1 - 1e-4)
    assert study.follow(ladder, 1, 5).levels[1].same
    moved = MemorySource(
        {**{n: ladder[2].column(n) for n in ("exemplars", "mean_directions")}, "center": np.ones(D)}
    )
    away = Dictionary(moved, ladder[2].info, len(ladder[2]))
    assert not study.follow((*ladder[:2], away), 1, 0).levels[2].same  # another centre: no identity


def test_without_recorded_counts_it_estimates_says_so_and_still_loses_nothing() -> None:
    ladder = tuple(map(bare, built()[0]))
    for origin, region in ((0, 1), (2, 3), (3, 0)):
        flow = study.follow(ladder, origin, region)
        conserved(flow)
        assert [level.known for level in flow.levels] == [
            "counted" if i == origin else "estimated" for i in range(len(ladder))
        ]
        assert not any(link.exact for link in flow.links)
        above = flow.levels[0].nodes if origin else ()
        assert all(node.region in (flow.levels[0].carried, study.REST) for node in above)


def test_an_overlap_that_points_beyond_the_other_dictionary_is_not_believed() -> None:
    ladder, _ = built()
    small = synthetic(2, D, percentile=8.0, layer=3, family="f")
    assert study.recorded(ladder[2], ladder[1]) is not None
    assert study.recorded(ladder[3], ladder[1]) is not None
    assert study.recorded(ladder[2], small) is None
    assert study.recorded(ladder[1], ladder[2]) is None
    with pytest.raises(RequestError, match="12 and 4 wide"):
        study.overlap(ladder[2], synthetic(5, 4))
    with pytest.raises(UnknownRegion):
        study.follow(ladder, 0, 10**6)


def test_a_region_without_members_and_a_ladder_of_one() -> None:
    ladder, _ = built()
    counts = ladder[3].column("count_voronoi").copy()
    counts[0] = 0
    arrays = {n: ladder[3].column(n) for n in ("center", "exemplars", "mean_directions")}
    empty = Dictionary(
        MemorySource(arrays | {"count_voronoi": counts}), ladder[3].info, len(ladder[3])
    )
    flow = study.follow((*ladder[:3], empty), 3, 0)
    conserved(flow)
    assert flow.members == 0 and not flow.links
    assert len(study.follow(ladder[:1], 0, 0).levels) == 1


@pytest.mark.parametrize("seed", range(6))
def test_a_fit_has_the_sums_it_was_given(seed: int) -> None:
    rng = np.random.default_rng(seed)
    # zeros may make the sums impossible by scaling alone
    table = rng.random((5, 7)) * (rng.random((5, 7)) < 0.4)
    rows, columns = rng.random(5), rng.random(7)
    columns *= rows.sum() / columns.sum()
    fitted = study.fit(table, rows, columns)
    assert (fitted >= 0).all()
    np.testing.assert_allclose(fitted.sum(1), rows, atol=1e-9)
    np.testing.assert_allclose(fitted.sum(0), columns, atol=1e-9)
    whole = np.outer(rows, columns)
    np.testing.assert_allclose(study.fit(whole * 3, rows, columns), whole / rows.sum(), rtol=1e-9)


def test_the_picture_holds_every_node_and_link_once_and_its_columns_add_up() -> None:
    ladder, _ = built()
    flow = study.follow(ladder, 1, 0)
    drawn = view.picture(flow, ladder)
    ids = [node["id"] for column in drawn["columns"] for node in column["nodes"]]
    assert len(set(ids)) == len(ids) == sum(len(level.nodes) for level in flow.levels)
    for column in drawn["columns"]:
        assert sum(node["share"] for node in column["nodes"]) == pytest.approx(1)
        kinds = [
            (node["region"] is None, node["name"] == "not recorded") for node in column["nodes"]
        ]
        assert kinds == sorted(kinds)  # others, then the rest, at the foot
    assert {link["from"] for link in drawn["links"]} | {
        link["to"] for link in drawn["links"]
    } <= set(ids)
    assert [node["id"] for c in drawn["columns"] for node in c["nodes"] if node["followed"]] == [
        "1:0"
    ]
    assert (
        view.amount(0.4, False) == "< 1"
        and view.amount(12.4, False) == "≈ 12"
        and view.amount(12, True) == "12"
    )
    assert view.percent(0.00001) == "< 0.1 %" and view.percent(0.5) == "50 %"


# -- where two activations part --------------------------------------------------------------------


def test_the_strip_is_what_each_dictionary_assigns() -> None:
    ladder, regions = built()
    a, b = 3, 1717
    rungs = part(ladder, stream()[a], stream()[b])
    assert [rung.regions for rung in rungs] == [(int(r[a]), int(r[b])) for r in regions]
    assert [rung.percentile for rung in rungs] == list(THRESHOLDS)
    assert all(d <= rung.threshold for rung in rungs for d in rung.distances)
    assert cosine(ladder[0], stream()[a], stream()[a]) == pytest.approx(1)
    assert first_apart(part(ladder, stream()[a], stream()[a])) is None


@pytest.mark.parametrize(
    ("apart", "first", "good"),
    [
        ("0011", 4, 4),
        ("0101", 8, 1),
        ("1111", 16, 16),
        ("0000", None, None),
        ("1110", 16, None),
        ("0001", 1, 1),
    ],
)
def test_first_apart_and_apart_for_good(
    apart: str, first: float | None, good: float | None
) -> None:
    rungs = [Rung(p, (0, int(a)), (0.1, 0.1), 0.5) for p, a in zip(THRESHOLDS, apart, strict=True)]
    for found, expected in ((first_apart(rungs), first), (apart_for_good(rungs), good)):
        assert (found and found.percentile) == expected
