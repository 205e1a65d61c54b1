"""Laws of refining: what is added up adds up, rules do not depend on order, the origin stays."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import ep
from ep import storage
from ep.cli import main
from ep.completing import complete
from ep.errors import ConfigError, CorpusError, RequestError
from ep.method.central import Preferred, draw, nearness
from ep.method.dictionary import Dictionary
from ep.method.members import Events
from ep.method.refine import Plan, at_random, combine, merging, pruning, sums, unchanged
from ep.method.source import MemorySource
from ep.models import LanguageModel, load
from ep.refined_file import check_target, save_refined
from ep.refining import refine
from ep.rereading import StoredMembers, WholeStream
from ep.storage import edits
from ep.storage.labels import Labels
from ep.storage.schema import ARRAYS
from ep.studies.refinement import figures
from ep.studies.refining import Rules, plan, unstable
from ep.studies.stability import strengths
from ep.studies.survival import rate_of_region, share
from ep.studies.surviving import survived
from ep.views import refined as lines_of
from tests.fixtures.builds import built
from tests.fixtures.dictionaries import in_metric, synthetic
from tests.fixtures.directions import unit


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(tmp_path_factory.mktemp("refining"))


@pytest.fixture(scope="module")
def origin(file: Path) -> Dictionary:
    return storage.open(file)


@pytest.fixture(scope="module")
def model(file: Path) -> LanguageModel:
    return load(str(file.parent / "models" / "m"), device="cpu")


@pytest.fixture(scope="module")
def whole(origin: Dictionary, model: LanguageModel, file: Path) -> WholeStream:
    return WholeStream(origin, model, [str(file.parent / "text.txt")])


def rows(n: int = 60, d: int = 6, seed: int = 0) -> np.ndarray:
    return unit(np.random.default_rng(seed).normal(size=(n, d)))


def arrays_of(dictionary: Dictionary) -> dict[str, np.ndarray]:
    return {n: dictionary.column(n) for n in ARRAYS if n in dictionary}


# -- plans -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("within", [0.2, 0.5, 0.9])
def test_regions_that_stay_lie_apart_and_the_others_near_the_one_they_join(within: float) -> None:
    exemplars, weight = rows(), np.random.default_rng(1).integers(1, 9, 60)
    made = merging(exemplars, weight, within)
    distance = 1 - exemplars.astype(float) @ exemplars.astype(float).T
    among = distance[np.ix_(made.kept, made.kept)]
    assert among[~np.eye(len(made), dtype=bool)].min() > within
    joined = np.setdiff1d(np.arange(60), made.kept)
    into = made.kept[made.target[joined]]
    assert (distance[joined, into] <= within + 1e-6).all()
    assert np.allclose(distance[joined, into], distance[np.ix_(joined, made.kept)].min(1))
    assert (weight[into] >= 1).all() and (np.diff(made.kept) > 0).all()


def test_merging_does_not_depend_on_the_order_of_the_rows() -> None:
    exemplars, weight = rows(), np.random.default_rng(1).integers(1, 4, 60)
    made = merging(exemplars, weight, 0.5)
    for seed in range(5):
        order = np.random.default_rng(seed).permutation(60)
        other = merging(exemplars[order], weight[order], 0.5)
        assert set(order[other.kept]) == set(made.kept)
        assert (order[other.kept[other.target]] == made.kept[made.target[order]]).all()


def test_removed_regions_go_to_the_nearest_that_stays_or_nowhere() -> None:
    exemplars, remove = rows(), np.arange(60) % 3 == 0
    near, out = (pruning(exemplars, remove, orphans) for orphans in ("nearest", "left-out"))
    assert (near.kept == np.flatnonzero(~remove)).all() and (out.kept == near.kept).all()
    cosine = exemplars[remove] @ exemplars[~remove].T
    assert (near.target[remove] == cosine.argmax(1)).all()
    assert (out.target[remove] == -1).all()
    with pytest.raises(ConfigError, match="all 60 regions"):
        pruning(exemplars, np.ones(60, bool), "nearest")


def test_plans_follow_each_other() -> None:
    exemplars, weight = rows(), np.ones(60, int)
    first = pruning(exemplars, np.arange(60) < 10, "left-out")
    second = merging(exemplars[first.kept], weight[first.kept], 0.5)
    both = first.then(second)
    assert (both.target[:10] == -1).all() and (both.kept >= 10).all()
    assert (both.kept[both.target[both.kept]] == both.kept).all()
    assert (unchanged(60).then(first).target == first.target).all()


def test_a_control_moves_as_many_regions() -> None:
    made = merging(rows(), np.ones(60, int), 0.5)
    other = at_random(made, 0)
    assert len(other) == len(made) and (other.target >= 0).all()
    out = pruning(rows(), np.arange(60) < 7, "left-out")
    assert (at_random(out, 0).target < 0).sum() == 7


# -- adding up -------------------------------------------------------------------------------------


@pytest.fixture(params=["merge", "nearest", "left-out"])
def made(request: pytest.FixtureRequest) -> tuple[Dictionary, Plan]:
    dictionary = synthetic(size=80, width=8)
    if request.param == "merge":
        return dictionary, merging(dictionary.exemplars, dictionary.members, 0.6)
    return dictionary, pruning(dictionary.exemplars, np.arange(80) % 4 == 1, request.param)


def test_counts_of_joined_regions_are_sums_and_none_are_lost(
    made: tuple[Dictionary, Plan],
) -> None:
    dictionary, how = made
    arrays = arrays_of(dictionary)
    new, goes = combine(arrays, how), how.target >= 0
    for name in ("count_arrival", "count_voronoi", "position_histogram"):
        assert new[name].sum() == arrays[name][goes].sum()
        for k in range(len(how)):
            assert (new[name][k] == arrays[name][how.target == k].sum(axis=0)).all()
    for name in ("token", "next"):
        for k in np.flatnonzero(how.parts > 1)[:5]:
            parts = np.flatnonzero(how.target == k)
            total: dict[int, int] = {}
            for part in parts:
                stored = (arrays[f"{name}_{what}"][part].tolist() for what in ("ids", "counts"))
                for token, count in zip(*stored, strict=True):
                    if token >= 0:
                        total[token] = total.get(token, 0) + count
            best = sorted(total.items(), key=lambda item: (-item[1], item[0]))[:10]
            listed = (new[f"{name}_{what}"][k].tolist() for what in ("ids", "counts"))
            assert [pair for pair in zip(*listed, strict=True) if pair[0] >= 0] == best


def test_sums_of_directions_add_up_and_untouched_rows_keep_their_bits(
    made: tuple[Dictionary, Plan],
) -> None:
    dictionary, how = made
    arrays = arrays_of(dictionary)
    new, total = combine(arrays, how), sums(arrays)
    expected = np.zeros((len(how), dictionary.width))
    np.add.at(expected, how.target[how.target >= 0], total[how.target >= 0])
    assert np.allclose(sums(new), expected, rtol=1e-5, atol=1e-4)
    alone = how.parts == 1
    for name in ("exemplars", "mean_directions", "coherence", "founder_token", "founded_at"):
        assert (new[name][alone] == arrays[name][how.kept[alone]]).all()


def test_members_agree_no_more_with_the_mean_after_merging() -> None:
    # ‖Σa + Σb‖ ≤ ‖Σa‖ + ‖Σb‖
    dictionary = synthetic(size=80, width=8)
    arrays = arrays_of(dictionary)
    made = merging(dictionary.exemplars, dictionary.members, 0.6)
    before, after = figures(arrays), figures(combine(arrays, made))
    assert after["to_mean"][0] <= before["to_mean"][0] + 1e-6
    assert after["members"] == before["members"] and after["regions"] == len(made)


# -- the member that is preferred ------------------------------------------------------------------


def _events(n: int) -> Events:
    numbers = np.arange(n)
    return Events(
        numbers, numbers.astype(np.int32), numbers, numbers, numbers.astype(np.uint64), numbers
    )


@pytest.mark.parametrize("step", [1, 7, 200])
def test_the_most_central_member_is_the_same_for_every_batch_size(step: int) -> None:
    members, means = rows(200), rows(5, seed=3)
    region = np.random.default_rng(0).integers(0, 4, 200)
    members[50] = members[20]  # a tie: the earlier one stays
    score, events = nearness(members, region, means), _events(200)
    best, random = Preferred(5, 6), Preferred(5, 6)
    for start in range(0, 200, step):
        part = slice(start, start + step)
        best.observe(region[part], score[part], members[part], events[part])
        drawn = draw(0, events.index[part])
        random.observe(region[part], drawn, members[part], events[part])
    for k in range(4):
        own = np.flatnonzero(region == k)
        assert best.place["passage"][k] == own[score[own].argmax()]
        assert (best.rows[k] == members[best.place["passage"][k]]).all()
        assert region[random.place["passage"][k]] == k
    assert not best.is_known[4]


# -- whole refinements -----------------------------------------------------------------------------


def test_counting_again_without_a_change_gives_the_origin(
    origin: Dictionary, model: LanguageModel, whole: WholeStream
) -> None:
    other = Dictionary(origin.source, {**origin.info, "seed": 1}, len(origin))
    new = refine(origin, Rules(), model, whole, [other]).dictionary
    assert new.info["refined"]["agreement"] == 1.0
    for name in ARRAYS:
        if name in origin and not name.startswith(("vocabulary", "name")):
            assert np.array_equal(new.column(name), origin.column(name)), name
    assert (new.column("survived") == 1).all()


def test_a_new_exemplar_is_the_member_nearest_to_its_mean_and_a_real_token(
    origin: Dictionary, model: LanguageModel, whole: WholeStream
) -> None:
    new = refine(origin, Rules(reanchor=True), model, whole).dictionary
    read, place = [], {}
    for directions, events in whole.read():
        for passage, position in zip(events.passage, events.position, strict=True):
            place[int(passage), int(position)] = len(place)
        read.append(directions)
    directions = np.concatenate(read)
    region = (directions @ origin.exemplars.T).argmax(1)
    for k in range(len(new)):
        founder = new.region(k).founder
        assert founder is not None
        own = directions[place[founder.passage, founder.position]]
        assert (own == new.exemplars[k]).all()
        best = (directions[region == k] @ origin.mean_directions[k]).max()
        assert own @ origin.mean_directions[k] == pytest.approx(best, abs=1e-6)
    counts = new.info["refined"]["figures"]
    assert counts["after"]["members"] == counts["before"]["members"] == len(directions)
    assert new.column("count_voronoi").sum() == len(directions)
    assert (new.column("exemplar_mean_cosine") >= origin.column("exemplar_mean_cosine")).all()


def test_without_the_text_a_new_exemplar_is_a_stored_excerpt(
    origin: Dictionary, model: LanguageModel
) -> None:
    new = refine(origin, Rules(reanchor=True), model, StoredMembers(origin, model)).dictionary
    stored = {
        (int(p), int(t))
        for kind in ("excerpt", "founder")
        for p, t in zip(
            origin.column(f"{kind}_passage"), origin.column(f"{kind}_position"), strict=True
        )
    }
    founders = zip(new.column("founder_passage"), new.column("founder_position"), strict=True)
    assert {(int(p), int(t)) for p, t in founders} <= stored
    assert "rival_ids" in new.info["refined"]["missing"]
    assert (new.column("count_voronoi") == origin.column("count_voronoi")).all()


def test_members_of_regions_left_out_are_in_no_region(
    origin: Dictionary, model: LanguageModel, whole: WholeStream
) -> None:
    rules = Rules(prune_weakest=0.3, orphans="left-out")
    alone, counted = (
        refine(origin, rules).dictionary,
        refine(origin, rules, model, whole).dictionary,
    )
    left = alone.info["refined"]["left_out"]["count_voronoi"]
    assert left > 0 and left + alone.column("count_voronoi").sum() == origin.members.sum()
    for name in ("count_voronoi", "mean_distance", "excerpt_passage", "token_ids"):
        assert np.array_equal(alone.column(name), counted.column(name)), name
    with pytest.raises(RequestError, match="left members out"):
        refine(counted, Rules(merge=1.2), model, whole)


def test_a_refined_file_opens_and_states_what_was_done(
    origin: Dictionary, tmp_path: Path, model: LanguageModel
) -> None:
    path = save_refined(refine(origin, Rules(merge=1.3)), origin, tmp_path / "new.ep.h5")
    storage.check(path)
    new, facts = storage.open(path), storage.open(path).info["refined"]
    assert facts["origin"] == storage.digest(origin) and facts["rules"] == {"merge": 1.3}
    assert len(new) < len(origin) and facts["merged"] == len(origin) - len(new)
    assert new.info["family"] != origin.info["family"]
    assert ep.model_of(new) == ep.model_of(origin)
    assert all(isinstance(line, str) for line in lines_of.lines(new.info))
    complete(path, model)
    whole = storage.open(path)
    assert "lens_mean_up_ids" in whole
    missing = [name for name in facts["missing"] if name not in whole]
    assert whole.info["refined"] == facts | {"missing": missing}
    again = refine(whole, Rules(merge=1.5)).dictionary
    assert again.info["refined"]["earlier"]["rules"] == {"merge": 1.3}


def test_labels_go_with_their_regions(origin: Dictionary, tmp_path: Path) -> None:
    path = storage.save(origin, tmp_path / "old.ep.h5")
    old = storage.open(path)
    made = plan(old, Rules(merge=1.3))
    gone = int(np.setdiff1d(np.arange(len(old)), made.kept)[0])
    kept = int(made.kept[-1])
    Labels.open(path).save(
        edits.label(kept, "kept"), edits.label(gone, "gone"), edits.put("mine", [gone, kept])
    )
    stray = edits.describe("mine", "a note") | {"region": [], "regions": 7}  # of a newer version
    Labels.open(path).save(stray)
    new = save_refined(refine(old, Rules(merge=1.3)), old, tmp_path / "new.ep.h5")
    labels = Labels.open(new)
    assert not labels.problem
    assert labels.texts(automatic=False) == {int(made.target[kept]): "kept"}
    mine = labels.lists["mine"]
    assert mine.regions == (int(made.target[kept]),) and mine.note == "a note"


def test_flagged_regions_stay_and_are_on_a_list(origin: Dictionary, tmp_path: Path) -> None:
    rules = Rules(prune_weakest=0.3, flag=True)
    path = save_refined(refine(origin, rules), origin, tmp_path / "flagged.ep.h5")
    assert len(storage.open(path)) == len(origin)
    flagged = Labels.open(path).lists["unstable"].regions
    values = strengths(origin)
    assert values is not None and len(flagged) == int(0.3 * len(origin))
    assert values[list(flagged)].max() <= np.delete(values, list(flagged)).min()


def test_survival_counts_the_seeds_that_find_a_region_again() -> None:
    one = synthetic(size=40, width=8)
    info = {**one.info, "seed": 0, "corpus": {"digest": "x"}}
    own = Dictionary(one.source, info, len(one))
    arrays = {n: one.column(n) for n in ("center", "exemplars", "mean_directions")}
    turned = arrays | {"mean_directions": -arrays["mean_directions"]}
    others = [
        Dictionary(MemorySource(a), {**info, "seed": seed}, len(one))
        for seed, a in ((1, arrays), (2, turned))
    ]
    assert (survived(own, others[:1]) == 1).all()
    found = survived(own, others, cutoff=0.99)
    assert (found == 1).all()
    new = refine(own, Rules(), others=others).dictionary
    shares = share(new)
    assert shares is not None and len(shares) == 40
    rate = rate_of_region(new, 3)
    assert rate is not None and rate.n == 2 and rate.interval is not None
    named = unstable(new, Rules(prune_survival=0.6), found, 2)
    assert named.all()
    with pytest.raises(RequestError, match="no other seed of this dictionary"):
        refine(own, Rules(), others=[own])


# -- what is refused -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "values",
    [{"merge": 1.0}, {"merge_within": 2.0}, {"prune_weakest": 1.0}, {"prune_survival": 0.0}],
)
def test_values_out_of_range_are_refused(values: dict[str, float]) -> None:
    with pytest.raises(ConfigError):
        Rules(**values)


def test_what_cannot_be_done_is_refused_before_any_work(
    origin: Dictionary, tmp_path: Path, model: LanguageModel
) -> None:
    with pytest.raises(ConfigError, match="nothing is to be refined"):
        refine(origin, Rules())
    with pytest.raises(RequestError, match="needs the dictionary's model"):
        refine(origin, Rules(reanchor=True))
    with pytest.raises(RequestError, match="survival is not known"):
        refine(origin, Rules(prune_survival=0.5))
    with pytest.raises(ConfigError, match="in θ and as a distance"):
        Rules(merge=1.2, merge_within=0.5)
    with pytest.raises(ConfigError, match="prune rule"):
        replace(Rules(merge=1.2), flag=True)
    assert origin.path is not None
    with pytest.raises(ConfigError, match="file to refine"):
        check_target(origin, origin.path, replace=True)
    (tmp_path / "other.txt").write_text("another text\nof two lines\n")
    with pytest.raises(CorpusError, match="not the text of this dictionary"):
        WholeStream(origin, model, [str(tmp_path / "other.txt")])


def test_the_command_counts_writes_and_refuses(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before, out = file.read_bytes(), tmp_path / "new.ep.h5"
    assert main(["refine", str(file), "--merge", "1.3", "--dry-run", "--json"]) == 0
    counts = json.loads(capsys.readouterr().out)
    assert main(["refine", str(file), "--merge", "1.3", "--out", str(out), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["regions"] == counts["regions"]
    assert main(["refine", str(file), "--merge", "1.3", "--out", str(out)]) == 2
    assert "--replace" in capsys.readouterr().err
    assert main(["info", str(out)]) == 0
    assert "exemplars within 1.3 θ merged" in capsys.readouterr().out
    text = str(file.parent / "text.txt")
    command = ["refine", str(file), "--reanchor", "--text", text, "--out", str(out), "--replace"]
    assert main(command) == 0
    assert storage.open(out).info["refined"]["read"] == "whole stream"
    assert file.read_bytes() == before


@pytest.mark.slow
def test_the_command_builds_the_other_seeds_that_it_counts_on(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, library = tmp_path / "new.ep.h5", tmp_path / "library"
    command = ["refine", str(file), "--seeds", "2", "--prune-survival", "0.5"]
    command += ["--library", str(library), "--out", str(out)]
    assert main(command) == 0
    printed = capsys.readouterr()
    assert printed.out == f"{out}\n" and "among 2 other seeds" in printed.err
    refined, origin = storage.open(out), storage.open(file)
    seeds = [storage.open(path) for path in sorted(library.rglob("*.ep.h5"))]
    assert [one.info["seed"] for one in seeds] == [1, 2]
    assert refined.info["survival"]["seeds"] == [1, 2]
    kept = survived(origin, seeds, 0.7) / 2 >= 0.5
    assert refined.info["refined"]["origin_ids"] == np.flatnonzero(kept).tolist()
    assert 0 < len(refined) < len(origin)
    files = {path: path.read_bytes() for path in library.rglob("*.ep.h5")}
    again = [*command, "--seeds", "3", "--other", str(seeds[0].path), "--replace"]
    assert main(again) == 0  # those that exist are opened, and only what is missing is built
    assert all(path.read_bytes() == data for path, data in files.items())
    assert storage.open(out).info["survival"]["seeds"] == [1, 2, 3, 4]


def test_a_euclidean_dictionary_is_refused_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = storage.save(in_metric(synthetic(20, 8), "euclidean"), tmp_path / "e.ep.h5")
    out = str(tmp_path / "new.ep.h5")
    for rule in (["--merge", "1.3"], ["--seeds", "2"], ["--prune-weakest", "0.1", "--dry-run"]):
        assert main(["refine", str(path), *rule, "--out", out]) == 2
        said = capsys.readouterr().err
        assert said.count("\n") == 1 and "this dictionary is euclidean" in said
    assert [path.name for path in tmp_path.iterdir()] == ["e.ep.h5"]


def test_a_completed_file_lists_nothing_as_missing_that_it_has(
    origin: Dictionary, model: LanguageModel, tmp_path: Path
) -> None:
    made = refine(origin, Rules(merge=1.3))
    path = save_refined(made, origin, tmp_path / "new.ep.h5")
    before = storage.open(path).info["refined"]["missing"]
    assert any(name.startswith("lens_") for name in before)
    complete(path, model)
    after = storage.open(path)
    assert after.info["refined"]["missing"] == [name for name in before if name not in after]
    assert not any(name.startswith("lens_") for name in after.info["refined"]["missing"])
    assert "lenses" not in " ".join(lines_of.lines(after.info))
