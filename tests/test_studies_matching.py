"""Laws of matching: a dictionary with itself persists, sides mirror, counts add up, identical
models return all.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

import ep
from ep import reseeding
from ep.errors import CorpusError, RequestError
from ep.method.dictionary import Dictionary
from ep.method.source import MemorySource
from ep.studies import final_token, inputs
from ep.studies import matching as study
from ep.studies.matching import MOVED, ONLY, PERSISTED
from ep.views import layouts
from ep.views import matching as view
from tests.fixtures.builds import built
from tests.fixtures.dictionaries import synthetic

DEMO = Path(__file__).resolve().parents[1] / "data" / "demo" / "dictionaries"


def near(
    dictionary: Dictionary, noise: float, seed: int = 0, keep: int | None = None
) -> Dictionary:
    """A dictionary whose exemplars and means lie near another's, in another order; `keep` of its
    regions only.
    """
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(dictionary))[:keep]
    arrays = {
        "center": dictionary.center + 0.1 * rng.normal(size=dictionary.width).astype(np.float32)
    }
    for name in ("exemplars", "mean_directions"):
        rows = dictionary.column(name)[order] + noise * rng.normal(
            size=(len(order), dictionary.width)
        )
        arrays[name] = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    arrays["count_arrival"] = dictionary.column("count_arrival")[order]
    return Dictionary(MemorySource(arrays), dictionary.info, len(order))


@pytest.fixture(scope="module")
def pair() -> tuple[Dictionary, Dictionary]:
    a = synthetic(size=160, width=24, seed=1)
    a.info["typical_norm"] = 3.0
    return a, near(a, 0.12, keep=130)


@pytest.mark.parametrize("basis", study.BASES)
@pytest.mark.parametrize("centre", study.CENTRES)
def test_a_dictionary_with_itself_persists_all(
    pair: tuple[Dictionary, Dictionary], basis: str, centre: str
) -> None:
    a, _ = pair
    found = study.match(a, a, basis, centre)
    assert np.array_equal(found.a.partner, np.arange(len(a)))
    assert found.a.matched.min() > 1 - 1e-5
    assert study.summary(found, 0.99).a[PERSISTED].hits == len(a)
    assert found.centres.cosine == pytest.approx(1)
    assert found.centres.apart == 0


@pytest.mark.parametrize("centre", study.CENTRES)
def test_sides_mirror_and_counts_add_up(pair: tuple[Dictionary, Dictionary], centre: str) -> None:
    a, b = pair
    there = study.match(a, b, "mean", centre)
    back = study.match(b, a, "mean", there.turned.centre)
    for cutoff, levels in ((0.7, None), (0.9, (0.4, 0.6)), (0.95, (0.99, 0.3))):
        one, other = (
            study.summary(there, cutoff, levels),
            study.summary(back, cutoff, levels and levels[::-1]),
        )
        assert one.a == other.b
        assert one.b == other.a
        assert sum(share.hits for share in one.a.values()) == len(a)
        assert sum(share.hits for share in one.b.values()) == len(b)
        assert one.pairs == one.a[PERSISTED].hits == one.b[PERSISTED].hits
    assert np.array_equal(there.a.partner, back.b.partner)


def test_equal_sizes_mirror_too(pair: tuple[Dictionary, Dictionary]) -> None:
    a = pair[0]
    b = near(a, 0.4, seed=2)
    assert np.array_equal(study.match(a, b).a.partner, study.match(b, a).b.partner)


def test_the_nearest_counterpart_is_never_farther_than_the_partner(
    pair: tuple[Dictionary, Dictionary],
) -> None:
    found = study.match(*pair)
    for side in (found.a, found.b):
        has = side.partner >= 0
        assert (side.nearest_cosine[has] >= side.cosine[has] - 1e-5).all()
        assert np.isnan(side.cosine[~has]).all()


def test_verdicts_follow_their_definition(pair: tuple[Dictionary, Dictionary]) -> None:
    side = study.match(*pair).a
    kinds = study.verdicts(side, 0.85, 0.6)
    for k, kind in enumerate(kinds):
        cosine = side.cosine[k] if side.partner[k] >= 0 else -2
        expected = PERSISTED if cosine >= 0.85 else MOVED if side.nearest_cosine[k] >= 0.6 else ONLY
        assert kind == expected


def test_recentring_on_the_own_centre_changes_nothing(pair: tuple[Dictionary, Dictionary]) -> None:
    a, b = pair
    assert study.recentred(a.exemplars, a.center, 3.0, a.center) is a.exemplars
    moved = study.recentred(a.exemplars, a.center, 3.0, b.center)
    assert np.allclose(np.linalg.norm(moved, axis=1), 1, atol=1e-6)
    point = a.center + 3.0 * a.exemplars[5]
    expected = (point - b.center) / np.linalg.norm(point - b.center)
    assert np.allclose(moved[5], expected, atol=1e-5)


def test_what_cannot_be_matched_is_said(pair: tuple[Dictionary, Dictionary]) -> None:
    a, b = pair
    with pytest.raises(RequestError, match="shared inputs"):
        study.match(a, synthetic(size=20, width=8, seed=3))
    bare = Dictionary(
        MemorySource({name: b.source.read(name) for name in ("center", "exemplars")}),
        {"threshold": 0.5},
        len(b),
    )
    with pytest.raises(RequestError, match="match by exemplars"):
        study.match(a, bare, "mean")
    with pytest.raises(RequestError, match="typical norm"):
        study.match(a, bare, "exemplar", "common")
    assert study.match(a, bare).centres.apart is None


def test_the_null_of_two_halves_of_one_set_says_so(pair: tuple[Dictionary, Dictionary]) -> None:
    a, b = pair
    null = study.null(a, near(a, 0.02, seed=5), "mean", "b")
    assert null.match.centre == "common"
    assert null.persisted(0.7).value > 0.95
    assert null.level > 0.7
    assert (null.match.a.nearest_cosine >= null.level).mean() == pytest.approx(0.9, abs=0.02)
    found = study.match(a, b, "mean")
    assert null.counted(0.7)[PERSISTED] == null.persisted(0.7)
    assert "another seed of A" in view.result_sentence(found, study.summary(found), (null, None))


def test_each_side_is_held_against_its_own_null(pair: tuple[Dictionary, Dictionary]) -> None:
    a, b = pair
    found = study.match(a, b, "mean")
    nulls = (
        study.null(a, near(a, 0.02, seed=5), "mean"),
        study.null(b, near(b, 0.3, seed=6), "mean"),
    )
    assert study.levels(nulls) == (nulls[0].level, nulls[1].level)
    assert study.levels((None, nulls[1])) == (nulls[1].level, nulls[1].level)
    assert study.levels(study.NO_NULLS) is None
    counted = study.summary(found, 0.99, study.levels(nulls))
    for side, null, shares in zip((found.a, found.b), nulls, (counted.a, counted.b), strict=True):
        kinds = study.verdicts(side, 0.99, null.level)
        assert [shares[kind].hits for kind in range(3)] == np.bincount(kinds, minlength=3).tolist()
        assert sum(share.n for share in null.counted().values()) == 3 * len(side)
    rows = view.pairs(a, b, found, 0.99, nulls)
    seen = dict(zip(*(rows[n].to_pylist() for n in ("region_b", "another_seed_b")), strict=True))
    seen.pop(None, None)
    assert np.allclose([seen[k] for k in range(len(b))], nulls[1].match.a.cosine, equal_nan=True)
    said = view.result_sentence(found, counted, nulls)
    assert "another seed of A" in said
    assert "another seed of B" in said
    assert "another seed of B" in view.report(a, b, found, 0.99, nulls)


def test_the_same_setting_differs_in_the_seed_only() -> None:
    one = {"model_name": "m", "layer": 2, "percentile": 1.0, "seed": 0, "corpus": {"digest": "x"}}
    assert study.same_setting(one, one | {"seed": 1})
    assert not study.same_setting(one, one)
    for other in ({"layer": 3}, {"deduplicate": True}, {"text_weights": [1.0, 2.0]}):
        assert not study.same_setting(one, one | {"seed": 1} | other)
        assert study.same_setting(one | other, one | {"seed": 1} | other)
    assert not study.same_setting(one | {"corpus": {}}, one | {"seed": 1, "corpus": {}})


def test_another_seed_of_the_demo_can_be_built_from_what_lies_beside_it(tmp_path: Path) -> None:
    path = DEMO / "all-tokens" / "tuned-L2-p16.ep.h5"
    dictionary = ep.open(path)
    config = reseeding.settings(dictionary, tmp_path)
    assert (config.seed, config.tokens, config.layers) == (1, 75_000, (2,))
    assert reseeding.HIDDEN in config.out
    assert reseeding.find_stored(dictionary, [tmp_path]) is None
    alone = ep.open(shutil.copy(path, tmp_path))
    with pytest.raises(CorpusError, match="another --seed"):
        reseeding.text_of(alone)


def test_what_cannot_be_built_again_is_one_line(tmp_path: Path) -> None:
    dictionary = synthetic(size=20, width=8, seed=3)
    with pytest.raises(CorpusError, match="another --seed"):
        reseeding.settings(dictionary, tmp_path)
    for name in ("layer", "percentile", "n_activations"):
        with pytest.raises(RequestError, match=name):
            reseeding.settings(
                Dictionary(
                    dictionary.source, dictionary.info | {"n_activations": 10, name: None}, 20
                ),
                tmp_path,
            )
    large = Dictionary(dictionary.source, dictionary.info, reseeding.MOST_REGIONS + 1)
    with pytest.raises(RequestError, match="20,001 regions"):
        reseeding.settings(large, tmp_path)


def test_a_seed_that_was_not_finished_is_none_and_leaves_nothing(tmp_path: Path) -> None:
    path = built(tmp_path)
    dictionary = ep.open(path)
    config = reseeding.settings(dictionary, tmp_path)
    steps = reseeding.rebuild(config)
    assert next(step for step in steps if step.stage == "assign")
    steps.close()
    assert not config.folder.exists()
    for progress in ep.build(config):
        assert 0 <= reseeding.share(progress) <= 1
    whole = progress.files[0]
    assert reseeding.find_stored(dictionary, [tmp_path]) is not None
    part = ep.open(whole)
    ep.save(
        Dictionary(part.source, part.info | {"complete": False}, len(part)), tmp_path / "part.ep.h5"
    )
    whole.unlink()
    assert reseeding.find_stored(dictionary, [tmp_path], [tmp_path / "part.ep.h5"]) is None


def test_shared_positions_add_up_and_find_a_relabelling() -> None:
    rng = np.random.default_rng(0)
    first = rng.integers(0, 30, 4000)
    names = rng.permutation(40)
    found = inputs.co_assignment(first, names[first], (30, 40))
    assert found.n == 4000 == int(found.both.sum())
    assert found.agreement == 1
    assert found.chance < 0.3
    assert (found.overlap == 1).all()
    assert found.mutual.all()
    apart = inputs.co_assignment(first, rng.integers(0, 40, 4000), (30, 40))
    assert abs(apart.agreement - apart.chance) < 0.05
    with pytest.raises(RequestError):
        inputs.co_assignment(np.zeros(0, np.int64), np.zeros(0, np.int64), (3, 3))


@pytest.mark.parametrize("kind", [str, bytes])
def test_two_cuts_of_one_text_meet_where_tokens_of_both_end(kind: type) -> None:
    def cut(*tokens: str) -> list[str] | list[bytes]:
        return list(tokens) if kind is str else [token.encode() for token in tokens]

    one, other = cut(" The", " cat", " s", "at"), cut("T", "he", " c", "at", " sat", " down")
    here, there = inputs.meeting(one, other)
    assert here.tolist() == [0, 1, 3]
    assert there.tolist() == [1, 3, 4]
    back = inputs.meeting(other, one)
    assert [at.tolist() for at in back] == [there.tolist(), here.tolist()]
    same = inputs.meeting(other, other)
    assert same[0].tolist() == same[1].tolist() == list(range(6))
    # a tokenizer may drop capitals
    assert inputs.meeting(cut("the cat"), cut("The", " cat"))[1].tolist() == [1]
    assert not len(inputs.meeting(one, cut("A", " dog"))[0])
    assert not len(inputs.meeting(one, cut())[0])
    # of tokens that add nothing the last
    assert inputs.meeting(cut("a", "", ""), cut("a"))[0].tolist() == [2]


def test_the_round_trip_of_identical_models_returns_everything() -> None:
    regions = np.arange(50)
    found = inputs.round_trip(regions, regions, regions)
    assert found.hits == 50
    assert found.null_mean == pytest.approx(1, abs=0.2)
    lost = inputs.round_trip(regions, np.zeros(50, np.int64), np.full(50, 7))
    assert lost.hits == 1 == lost.null_most


def test_separation_is_none_where_one_region_holds_all_and_whole_where_two_part() -> None:
    labels = np.arange(200) % 2 == 0
    parted = final_token.separate(
        labels.astype(np.int64), labels, labels.astype(np.int64), labels, 2
    )
    assert parted.auroc == 1
    assert parted.region == 1
    assert (parted.yes.hits, parted.no.hits) == (100, 0)
    one = final_token.separate(np.zeros(200, np.int64), labels, np.zeros(200, np.int64), labels, 2)
    assert one.auroc == 0.5
    assert one.interval == (0.5, 0.5)
    assert final_token.gap(parted, one, labels) == (0.5, 0.5, 0.5)
    with pytest.raises(RequestError):
        final_token.separate(
            np.zeros(4, np.int64), np.ones(4, bool), np.zeros(4, np.int64), np.ones(4, bool), 2
        )


def test_the_auroc_is_the_share_of_ordered_pairs() -> None:
    rng = np.random.default_rng(3)
    score, labels = rng.integers(0, 6, 60).astype(np.float64), rng.random(60) < 0.4
    gap = score[labels][:, None] - score[~labels]
    assert final_token.auroc(score, labels) == pytest.approx(
        (gap > 0).mean() + (gap == 0).mean() / 2
    )


def test_places_count_prompts_that_reach_them() -> None:
    region = np.array([4, 5, 5, 4, 5])
    share = final_token.from_end(region, np.array([0, 0, 0, 1, 1]), np.array([2, 1, 0, 1, 0]), 5, 4)
    assert np.array_equal(share[:3], [1.0, 0.5, 0.0])
    assert np.isnan(share[3])


def test_the_report_holds_every_pair_and_escapes() -> None:
    a = synthetic(size=40, width=12, seed=4, hostile=True)
    a.info["title"] = "<script>alert(1)</script>"
    b = synthetic(size=30, width=12, seed=5)
    found = study.match(a, b)
    page = view.report(a, b, found, 0.7)
    assert "<script" not in page
    assert "&lt;script" in page
    rows = view.pairs(a, b, found, 0.7)
    assert rows.num_rows == 40
    assert sorted(rows["region_a"].to_pylist()) == list(range(40))
    turned = view.pairs(b, a, found.turned, 0.7)
    assert turned.num_rows == 40
    assert sum(value is None for value in turned["region_a"].to_pylist()) == 10
    counted = study.summary(found, 0.7)
    assert rows["verdict_a"].to_pylist().count("persisted") == counted.pairs


def test_colours_say_what_the_counts_say(pair: tuple[Dictionary, Dictionary]) -> None:
    found = study.match(*pair)
    kinds = study.verdicts(found.a)
    shown = view.by_verdict(kinds)
    assert sum(line.regions for line in shown.legend) == len(kinds)
    ramp = view.by_cosine(found.a)
    assert ramp.light.shape == (160, 3)
    assert ramp.ramp is not None
    assert ramp.ramp.missing == int((found.a.partner < 0).sum())


def test_a_dictionary_on_its_own_axes_lies_where_its_map_has_it() -> None:
    a = ep.open(DEMO / "all-tokens" / "tuned-L2-p2.ep.h5")
    place = layouts.coordinates(a, "pca-sphere")
    assert np.allclose(layouts.on_axes_of(a, a, "pca-sphere"), place, atol=2e-3)
    with pytest.raises(RequestError):
        layouts.on_axes_of(a, a, "umap-flat")
