"""Laws of the second nearest and of nesting: equal to the plain computation, whatever the cut, and
they add up.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

import ep
from ep.building import build
from ep.config import BuildConfig
from ep.errors import ConfigError
from ep.method.coarser import Homes
from ep.method.draft import Draft
from ep.method.leaders import Leaders
from ep.method.members import Events
from ep.method.nearest import folded_cosine
from ep.method.rivals import Rivals, share_within
from ep.method.saturation import StopRule
from tests.fixtures import tiny

D, CONTEXT = 16, 40


def unit(n: int, seed: int = 0, width: int = D) -> np.ndarray:
    rows = np.random.default_rng(seed).standard_normal((n, width)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True).astype(np.float32)


def events(n: int, start: int = 0) -> Events:
    at = np.arange(start, start + n)
    return Events(
        at // 30,
        (at % 30).astype(np.int32),
        at.astype(np.int32) % 7,
        at.astype(np.int32) % 5,
        at.astype(np.uint64),
        at,
    )


def plain(rows: np.ndarray, exemplars: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """First, second and margin by sorting every folded cosine; a stable sort leaves ties to the
    older.
    """
    cosine = np.stack(
        [folded_cosine(rows, np.broadcast_to(e, rows.shape)) for e in exemplars], axis=1
    )
    order = np.argsort(-cosine, axis=1, kind="stable")[:, :2]
    values = np.take_along_axis(cosine, order, axis=1)
    return order[:, 0], order[:, 1], values[:, 0] - values[:, 1]


@pytest.mark.parametrize("size", [2, 3, 90, 300, 2100])
def test_the_runner_up_is_the_second_of_a_plain_sort(size: int) -> None:
    """Few exemplars (float screen), many (int8), more than one tile; with coinciding exemplars
    among them.
    """
    exemplars = unit(size, 1)
    exemplars[-1] = exemplars[0]
    leaders = Leaders.from_state(
        {
            "threshold": np.array(0.5),
            "n_seen": np.array(size),
            "exemplars": exemplars,
            "founded_at": np.arange(size),
        }
    )
    rows = np.concatenate([unit(400, 2), exemplars[:20]])
    region = leaders.assign(rows).region
    rival, margin = leaders.runner_up(rows, region)
    first, second, gap = plain(rows, exemplars)
    np.testing.assert_array_equal(region, first)
    np.testing.assert_array_equal(rival, second)
    np.testing.assert_array_equal(margin, gap)
    assert (margin >= 0).all()


def test_a_single_exemplar_has_no_rival() -> None:
    leaders = Leaders(0.5, D)
    leaders.partial_fit(unit(1))
    rival, margin = leaders.runner_up(unit(5, 3), np.zeros(5, np.int64))
    assert (rival == -1).all() and np.isinf(margin).all()
    counted = Rivals(0.5)
    counted.observe(np.zeros(5, np.int64), rival, margin)
    columns = counted.columns(1)
    assert columns["rival_ids"].tolist() == [[-1] * 4]
    assert columns["rival_seen"].tolist() == [5] and columns["contested"].tolist() == [0]


def streamed(
    threshold: float, rows: np.ndarray, budget: float = 1e13, tokens: int | None = None
) -> Draft:
    rule = StopRule(tokens, None, 50_000, None)
    draft = Draft(threshold, D, CONTEXT, rule, seed=3, rival_budget=budget)
    draft.stream(rows, events(len(rows)))
    return draft


def second_pass(
    fine: Draft, coarse: Draft, rows: np.ndarray, size: int, pause: int | None = None
) -> tuple[Draft, Draft]:
    """Both drafts over the stream again; at `pause` both are put away and taken up from their
    states.
    """
    for draft, other in ((coarse, fine), (fine, fine)):
        draft.reach = max(draft.reach, other.n_seen)
    for start in range(0, len(rows), size):
        if pause is not None and start >= pause:
            fine, coarse, pause = again(fine), again(coarse), None
            coarse.reach = fine.n_seen
        part, where = rows[start : start + size], events(len(rows[start : start + size]), start)
        mine, theirs = fine.reassign(part, where), coarse.reassign(part, where)
        fine.nest(mine, {8.0: theirs}, where)
    return fine, coarse


def again(draft: Draft) -> Draft:
    taken = Draft(
        draft.leaders.threshold, D, CONTEXT, draft.rule, draft.seed, rival_budget=draft.rival_budget
    )
    taken.restore({name: array.copy() for name, array in draft.state().items()})
    return taken


def kin(draft: Draft) -> dict[str, np.ndarray]:
    return {
        name: array
        for name, array in draft.arrays().items()
        if name.startswith(("rival", "contest", "coarser"))
    }


def test_columns_are_the_plain_counts_and_add_up() -> None:
    rows = unit(3000, 5)
    fine, coarse = second_pass(streamed(0.5, rows), streamed(0.8, rows), rows, 512)
    columns, exemplars = fine.arrays(), fine.leaders.exemplars
    first, second, margin = plain(rows, exemplars)
    above = plain(rows, coarse.leaders.exemplars)[0]
    for k in range(len(fine)):
        own = first == k
        assert columns["rival_seen"][k] == columns["count_voronoi"][k] == own.sum()
        assert columns["contested"][k] == (margin[own] < 0.1 * 0.5).sum()
        for name, values in (("rival", second[own]), ("coarser", above[own])):
            expected = sorted(
                Counter(values.tolist()).items(), key=lambda pair: (-pair[1], pair[0])
            )[:4]
            stored = zip(
                columns[f"{name}_ids"][k].tolist(),
                columns[f"{name}_counts"][k].tolist(),
                strict=True,
            )
            assert [pair for pair in stored if pair[0] >= 0] == expected
    few = (columns["coarser_ids"] < 0).any(axis=1)
    total = columns["coarser_counts"].sum(axis=1)
    assert (total <= columns["count_voronoi"]).all() and few.any() and (~few).any()
    np.testing.assert_array_equal(total[few], columns["count_voronoi"][few])
    assert "coarser_ids" not in coarse.arrays()


@pytest.mark.parametrize("budget", [1e13, 2e6])
@pytest.mark.parametrize(("size", "pause"), [(1, None), (7, None), (640, 640), (100, 1000)])
def test_neither_the_cut_nor_an_interruption_shows(
    budget: float, size: int, pause: int | None
) -> None:
    rows = unit(1500, 6)
    made = [
        second_pass(streamed(0.6, rows, budget), streamed(0.9, rows, budget), rows, *how)[0]
        for how in ((1500, None), (size, pause))
    ]
    whole, parts = map(kin, made)
    assert len(whole) == 6
    for name in whole:
        assert whole[name].dtype == parts[name].dtype
        np.testing.assert_array_equal(whole[name], parts[name], err_msg=name)


def test_a_large_dictionary_examines_a_seeded_share_and_says_so() -> None:
    rows = unit(4000, 7)
    draft = streamed(0.5, rows, budget=1.0)
    budget = 0.25 * 4000 * len(draft) * D
    draft = second_pass(streamed(0.5, rows, budget), streamed(0.9, rows), rows, 512)[0]
    columns = draft.arrays()
    seen = int(columns["rival_seen"].sum())
    assert abs(seen - 1000) < 5 * (1000 * 0.75) ** 0.5
    assert (columns["rival_seen"] <= columns["count_voronoi"]).all()
    assert (columns["contested"] <= columns["rival_seen"]).all()
    assert (columns["rival_counts"].sum(axis=1) <= columns["rival_seen"]).all()
    other = Rivals(0.5, 0.25, seed=4).examines(np.arange(4000))
    assert (other != Rivals(0.5, 0.25, seed=3).examines(np.arange(4000))).any()


def test_homes_are_counted_for_every_coarser_percentile_and_resume() -> None:
    rng = np.random.default_rng(9)
    region, near, far = (rng.integers(0, n, 2000) for n in (30, 9, 5))
    homes = Homes((16.0, 8.0))
    assert homes.percentiles == (8.0, 16.0)
    for part in (slice(0, 700), slice(700, 2000)):
        homes = Homes.from_state({name: array.copy() for name, array in homes.state().items()})
        homes.observe(region[part], {8.0: near[part], 16.0: far[part]})
    columns = homes.columns(31)
    for k in range(31):
        for ids, counts, values in (
            (columns["coarser_ids"][k], columns["coarser_counts"][k], near[region == k]),
            (columns["farther_ids"][k, 0], columns["farther_counts"][k, 0], far[region == k]),
        ):
            expected = sorted(
                Counter(values.tolist()).items(), key=lambda pair: (-pair[1], pair[0])
            )[:4]
            assert [
                pair for pair in zip(ids.tolist(), counts.tolist(), strict=True) if pair[0] >= 0
            ] == expected
    assert (columns["farther_ids"][:, 1:] == -1).all()
    assert Homes().columns(3) == {}
    many = Homes(tuple(map(float, range(1, 30))))
    assert len(many.percentiles) == 9


def test_the_share_follows_the_budget() -> None:
    assert share_within(1e13, 75_000, 3322, 128) == 1.0
    assert share_within(1e13, 15_000_000, 20_295, 2304) == pytest.approx(217_000 / 15e6, rel=0.02)
    assert share_within(0, 10, 10, 10) == 0.0
    assert Rivals(0.5, 1.0).examines(np.arange(1000)).all()
    assert not Rivals(0.5, 0.0).examines(np.arange(1000)).any()


def test_a_coarser_draft_that_stopped_early_still_answers_for_the_finer_ones_members() -> None:
    rows = unit(1200, 8)
    fine, coarse = second_pass(streamed(0.5, rows), streamed(0.9, rows, tokens=300), rows, 128)
    columns = fine.arrays()
    assert coarse.n_seen == 300 and coarse.arrays()["count_voronoi"].sum() == 300
    few = (columns["coarser_ids"] < 0).any(axis=1)
    np.testing.assert_array_equal(
        columns["coarser_counts"].sum(axis=1)[few], columns["count_voronoi"][few]
    )
    fine, coarse = second_pass(streamed(0.5, rows, tokens=300), streamed(0.9, rows), rows, 128)
    assert fine.arrays()["coarser_counts"].sum() <= 300 == fine.arrays()["count_voronoi"].sum()


# -- in a build ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> BuildConfig:
    folder = tmp_path_factory.mktemp("build")
    (folder / "t.json").write_text(json.dumps(tiny.passages(120, seed=1)))
    return BuildConfig(
        model=str(tiny.gemma(folder / "gemma")),
        text=(str(folder / "t.json"),),
        layers=(1, 2),
        percentiles=(2.0, 10.0, 30.0),
        out=str(folder / "out"),
        batch=16,
        calibration=300,
    )


def test_the_files_of_a_build_nest_and_name_their_coarser(config: BuildConfig) -> None:
    files = list(build(config))[-1].files
    ladder: dict[int, dict[float, ep.Dictionary]] = {}
    for path in files:
        dictionary = ep.open(path)
        ladder.setdefault(dictionary.info["layer"], {})[dictionary.info["percentile"]] = dictionary
    for rungs in ladder.values():
        assert [rungs[p].info["coarser_percentile"] for p in (2.0, 10.0, 30.0)] == [
            10.0,
            30.0,
            None,
        ]
        assert [rungs[p].info["farther_percentiles"] for p in (2.0, 10.0, 30.0)] == [[30.0], [], []]
        assert "farther_ids" in rungs[2.0] and "farther_ids" not in rungs[10.0]
        ids, counts = rungs[2.0].column("farther_ids"), rungs[2.0].column("farther_counts")
        assert ids.shape == counts.shape == (len(rungs[2.0]), 8, 4)
        assert (ids[:, 1:] == -1).all() and ids.max() < len(rungs[30.0])
        few, sums = (ids[:, 0] < 0).any(axis=1), counts[:, 0].sum(axis=1)
        np.testing.assert_array_equal(sums[few], rungs[2.0].column("count_voronoi")[few])
        assert (sums <= rungs[2.0].column("count_voronoi")).all()
        assert "coarser_ids" not in rungs[30.0]
        for p in (2.0, 10.0):
            coarser = rungs[rungs[p].info["coarser_percentile"]]
            ids, counts = rungs[p].column("coarser_ids"), rungs[p].column("coarser_counts")
            assert ids.max() < len(coarser)
            reached = np.bincount(ids[ids >= 0], counts[ids >= 0], len(coarser))
            assert (reached <= coarser.column("count_voronoi")).all()
            region = rungs[p].region(0)
            assert sum(n for _, n in region.coarser) <= region.count_voronoi
        for dictionary in rungs.values():
            seen = dictionary.column("rival_seen")
            np.testing.assert_array_equal(seen, dictionary.column("count_voronoi"))
            assert (dictionary.column("contested") <= seen).all()
            assert (dictionary.column("rival_ids") != np.arange(len(dictionary))[:, None]).all()
            region = dictionary.region(0)
            assert region.columns["contested"] <= region.columns["rival_seen"]
            assert all(isinstance(k, int) and n > 0 for k, n in region.rivals)


def test_the_budget_decides_no_region_and_a_nonsensical_one_is_refused(config: BuildConfig) -> None:
    fields = {name: getattr(config, name) for name in config.__dataclass_fields__}
    thrifty = BuildConfig(
        **(fields | {"rival_budget": 0.0, "out": str(Path(config.out).parent / "thrifty")})
    )
    assert thrifty.deciding() == config.deciding()
    full, none = (ep.open(list(build(c))[-1].files[0]) for c in (config, thrifty))
    np.testing.assert_array_equal(full.exemplars, none.exemplars)
    assert none.column("rival_seen").sum() == 0 and (none.column("rival_ids") == -1).all()
    with pytest.raises(ConfigError, match="rival_budget"):
        BuildConfig(**(fields | {"rival_budget": -1.0}))
