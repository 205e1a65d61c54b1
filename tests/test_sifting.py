"""Laws of what a build leaves out: as if it had been removed by hand, counted, and said."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ep
from ep import comparing, reseeding
from ep.building import build
from ep.cli import main
from ep.config import BuildConfig
from ep.corpus import Corpus
from ep.errors import ConfigError, CorpusError
from ep.method.calibration import calibrate
from ep.method.geometry import directions
from ep.method.leaders import Leaders
from ep.method.members import Events
from ep.method.outliers import MASSIVE
from ep.method.sieve import LeftOut, Sieve, first_kept, left_out, sieve_of
from ep.models import LanguageModel, harvest, load
from ep.models.prompts import read_prompt
from ep.reporting import Progress
from ep.studies.matching import same_setting
from ep.views import outliers
from ep.views import prompt as view
from tests.fixtures import tiny

SKIP, CAP = 2, 1.1
Make = Callable[..., BuildConfig]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sifting")
    tiny.gemma(path / "gemma")
    (path / "t.json").write_text(json.dumps(tiny.passages(150)))
    return path


@pytest.fixture(scope="module")
def model(folder: Path) -> LanguageModel:
    return load(str(folder / "gemma"), device="cpu")


@pytest.fixture
def settings(folder: Path, tmp_path: Path) -> Make:
    def make(out: str = "out", **changes: Any) -> BuildConfig:
        base: dict[str, Any] = {
            "model": str(folder / "gemma"),
            "text": (str(folder / "t.json"),),
            "layers": (1, 2),
            "percentiles": (2.0, 10.0),
            "out": str(tmp_path / out),
            "batch": 16,
            "calibration": 400,
            "skip_first": SKIP,
            "norm_cap": CAP,
        }
        return BuildConfig(**(base | changes))

    return make


def finished(config: BuildConfig, resume: bool = False) -> Progress:
    return list(build(config, resume))[-1]


def opened(config: BuildConfig) -> dict[tuple[int, float], ep.Dictionary]:
    files = [ep.open(path) for path in finished(config).files]
    return {(int(d.info["layer"]), float(d.info["percentile"])): d for d in files}


def activations(model: LanguageModel, config: BuildConfig, layer: int) -> list[tuple[Any, Any]]:
    """(x, position) of every batch of passages, nothing left out."""
    batches = model.tokens.batches(Corpus(config.text, config.seed), config.batch, 128)
    harvests = [harvest(model, batch, [layer]) for batch in batches]
    return [(one.x[layer], one.events.position) for one in harvests]


# -- the options -----------------------------------------------------------------------------------


@pytest.mark.parametrize("changes", [{}, {"skip_first": 0}, {"norm_cap": None}])
def test_leaving_out_equals_removing_by_hand(
    settings: Make, model: LanguageModel, changes: dict[str, Any]
) -> None:
    config = settings(layers=(2,), percentiles=(5.0,), **changes)
    dictionary = opened(config)[2, 5.0]
    batches = activations(model, config, 2)
    start = config.skip_first + 1 if config.skip_first else 0  # position 0 is BOS
    later = [(x[position >= start], (position < start).sum()) for x, position in batches]
    limit = np.inf
    if config.norm_cap is not None:
        head = later[: 1 + int(np.argmax(np.cumsum([len(x) for x, _ in later]) >= 400))]
        norms = [np.linalg.norm(x.astype(np.float64), axis=1) for x, _ in head]
        limit = config.norm_cap * np.median(np.concatenate(norms))
    kept = [x[np.linalg.norm(x.astype(np.float64), axis=1) <= limit] for x, _ in later]
    assert 0 < sum(map(len, kept)) < sum(len(x) for x, _ in batches)

    head = kept[: 1 + int(np.argmax(np.cumsum([len(x) for x in kept]) >= 400))]
    by_hand = calibrate(head, (5.0,))
    np.testing.assert_array_equal(dictionary.center, by_hand.center)
    assert dictionary.threshold == by_hand.thresholds[5.0]
    assert dictionary.info["typical_norm"] == by_hand.typical_norm
    leaders = Leaders(dictionary.threshold, width=model.width)
    regions = [leaders.partial_fit(directions(x, by_hand.center)).region for x in kept]
    np.testing.assert_array_equal(dictionary.exemplars, leaders.exemplars)
    arrival = np.bincount(np.concatenate(regions))
    np.testing.assert_array_equal(dictionary.column("count_arrival"), arrival)
    total = sum(map(len, kept))
    assert dictionary.info["n_activations"] == dictionary.info["n_voronoi"] == total
    assert dictionary.column("count_voronoi").sum() == total
    assert dictionary.info["left_out"] == {
        "first": sum(int(skipped) for _, skipped in later),
        "norm": sum(len(x) for x, _ in later) - total,
    }


def test_what_is_left_out_does_not_depend_on_the_batch(settings: Make) -> None:
    same = {"protocol": "global", "tokens": 600, "calibration": 300}
    one, other = (opened(settings(f"{b}", batch=b, **same)) for b in (16, 5))
    assert any(d.info["left_out"]["norm"] for d in one.values())
    for key, dictionary in one.items():
        again = other[key]
        np.testing.assert_allclose(dictionary.exemplars, again.exemplars, atol=1e-5)
        for name in ("count_arrival", "count_voronoi", "founder_passage", "founder_position"):
            np.testing.assert_array_equal(dictionary.column(name), again.column(name))
        assert dictionary.info["left_out"] == again.info["left_out"]
        assert dictionary.info["norms"] == pytest.approx(again.info["norms"], rel=1e-5)
        assert dictionary.info["norm_limit"] == pytest.approx(again.info["norm_limit"], rel=1e-5)
        assert dictionary.info["n_activations"] == 600


@pytest.mark.parametrize("stage", ["stream", "assign"])
def test_resumed_equals_never_stopped(settings: Make, stage: str) -> None:
    whole = [ep.digest(path) for path in finished(settings("whole")).files]
    config = settings("cut")
    steps, seen = build(config), 0
    for progress in steps:
        seen += progress.stage == stage and progress.done > 0
        if seen == 3:
            break
    steps.close()
    assert [ep.digest(path) for path in finished(config, resume=True).files] == whole


def test_layers_that_keep_different_activations_equal_layers_built_alone(settings: Make) -> None:
    together = opened(settings("together", protocol="global"))
    assert len({d.info["n_activations"] for d in together.values()}) > 1
    for layer in (1, 2):
        alone = opened(settings(f"{layer}", protocol="global", layers=(layer,)))
        for percentile in (2.0, 10.0):
            one, other = together[layer, percentile], alone[layer, percentile]
            assert one.info["family"] == other.info["family"]
            for name in ("exemplars", "count_voronoi", "excerpt_position"):
                np.testing.assert_array_equal(one.column(name), other.column(name))
            for name in ("coarser_ids", "coarser_counts"):
                if name in one:
                    np.testing.assert_array_equal(one.column(name), other.column(name))


def test_members_lie_behind_the_first_tokens(settings: Make) -> None:
    for dictionary in opened(settings(norm_cap=None)).values():
        assert dictionary.column("founder_position").min() == SKIP + 1
        assert dictionary.column("excerpt_position").min() >= SKIP + 1


def test_a_build_of_final_tokens_leaves_out_short_passages_alone(settings: Make) -> None:
    final = {"positions": "final", "layers": (2,), "percentiles": (20.0,), "norm_cap": None}
    whole, cut = (
        opened(settings(f"{n}", **final, skip_first=n))[2, 20.0].info["n_activations"]
        for n in (0, 12)
    )
    assert 0 < cut < whole == 150


def test_a_build_of_which_nothing_is_left_is_refused_in_one_line(settings: Make) -> None:
    for changes, message in (
        ({"skip_first": -1}, "skip_first is -1: expected a number of tokens from 0"),
        ({"norm_cap": 1.0}, "norm_cap is 1.0: expected more than 1 times the median"),
        ({"norm_cap": float("inf")}, "norm_cap is inf"),
    ):
        with pytest.raises(ConfigError, match=message):
            settings(**changes)
    with pytest.raises(ConfigError, match="nothing remains of passages of 128 tokens"):
        finished(settings(skip_first=128))
    with pytest.raises(CorpusError, match="--skip-first 100 leaves out every token"):
        finished(settings(skip_first=100))


def test_a_setting_that_changes_nothing_leaves_the_family_as_it_was(settings: Make) -> None:
    plain = settings(skip_first=0, norm_cap=None)
    assert not {"skip_first", "norm_cap"} & plain.deciding().keys()
    assert settings().deciding()["skip_first"] == SKIP
    dictionary = opened(plain)[1, 2.0]
    assert not {"skip_first", "norm_cap", "norm_limit", "left_out"} & dictionary.info.keys()
    with pytest.raises(ConfigError, match="another skip first and another norm cap"):
        finished(settings())


def test_another_seed_leaves_out_the_same(settings: Make, folder: Path, tmp_path: Path) -> None:
    dictionary = opened(settings(text=(str(folder / "t.json"),), out=str(folder / "seeds")))[2, 2.0]
    config = reseeding.settings(dictionary, tmp_path / "shelf")
    assert (config.skip_first, config.norm_cap) == (SKIP, CAP)
    other = ep.open(list(reseeding.rebuild(config))[-1].files[0])
    assert same_setting(dictionary.info, other.info)
    plain = {name: dictionary.info[name] for name in dictionary.info if name != "skip_first"}
    assert not same_setting(plain, other.info)


# -- what is measured ------------------------------------------------------------------------------


def test_outliers_are_those_of_the_whole_head(settings: Make, model: LanguageModel) -> None:
    config = settings(skip_first=0, norm_cap=None, protocol="global", calibration=10_000)
    dictionary = opened(config)[2, 2.0]
    batches = activations(model, config, 2)
    x = np.concatenate([x for x, _ in batches]).astype(np.float64)
    position, norm = np.concatenate([p for _, p in batches]), np.linalg.norm(x, axis=1)
    measured = dictionary.info["norms"]
    assert (measured["n"], measured["first"]) == (len(x), (position == 1).sum()) == (len(x), 150)
    assert measured["massive"] == (norm > MASSIVE * np.median(norm)).sum()
    np.testing.assert_allclose(
        [measured["median"], measured["largest"]], [np.median(norm), norm.max()], rtol=1e-6
    )
    shifted = x - dictionary.center
    unit = (shifted / np.linalg.norm(shifted, axis=1)[:, None]) ** 2
    largest, share = dictionary.info["largest_dimension"], unit.mean(axis=0)
    assert largest["dimension"] == np.argmax(share)
    assert largest["directions"] == pytest.approx(share.max(), abs=1e-4)
    variance = (shifted**2).sum(axis=0)[largest["dimension"]] / (shifted**2).sum()
    assert largest["variance"] == pytest.approx(variance, abs=1e-4)


def events(position: np.ndarray) -> Events:
    zeros = np.zeros(len(position), np.int64)
    return Events(zeros, position, zeros, zeros, zeros.astype(np.uint64), np.arange(len(position)))


def test_a_batch_cut_behind_a_kept_activation_counts_what_lies_before_it() -> None:
    x = np.array([[9], [1], [9], [1], [9]], np.float32)
    part = Sieve(1, limit=5.0).sift(x, events(np.array([0, 1, 2, 3, 4])))
    assert part.rows.tolist() == [1, 3] and part.events.index.tolist() == [0, 1]
    assert part.left_out == LeftOut(first=1, norm=2)
    cut = [part.until(n).left_out[:2] for n in (0, 1, 2, 3)]
    assert cut == [(0, 0), (1, 0), (1, 1), (1, 2)]
    assert len(part.until(0)) == 0 and len(part.until(3)) == 2


def test_no_copy_is_made_where_all_is_kept() -> None:
    x = np.ones((3, 2), np.float32)
    assert Sieve().sift(x, events(np.arange(3))).x is x


def test_bos_is_not_one_of_the_tokens_that_are_skipped() -> None:
    assert [first_kept(n, has_bos=True) for n in (0, 1, 3)] == [0, 2, 4]
    assert [first_kept(n, has_bos=False) for n in (0, 1, 3)] == [0, 1, 3]
    assert sieve_of({}, has_bos=True) == Sieve()
    assert sieve_of({"skip_first": 1, "norm_limit": 7.5}, has_bos=True) == Sieve(2, 7.5)
    x, outside = np.ones((4, 2), np.float32), np.array([True, False, False, False])
    assert left_out({"skip_first": 1}, x, outside).tolist() == [True, True, False, False]
    assert left_out({}, x, outside).tolist() == outside.tolist()


# -- where it is said ------------------------------------------------------------------------------


def test_a_prompt_marks_what_the_build_left_out(
    settings: Make, model: LanguageModel, capsys: pytest.CaptureFixture[str]
) -> None:
    dictionary = opened(settings(layers=(2,), percentiles=(2.0,)))[2, 2.0]
    read = read_prompt(model, "the cat sat on the old garden", [2], 100)
    reading = view.reading(dictionary, read.tokens, read.x[2], read.outside, read.template)
    norms = np.linalg.norm(read.x[2], axis=1)
    expected = (np.arange(len(norms)) <= SKIP) | (norms > dictionary.info["norm_limit"])
    assert reading.outside.tolist() == expected.tolist()
    assert view.path([dictionary], [read.x[2]], read.outside)[0, expected].tolist() == [-2] * int(
        expected.sum()
    )
    assert view.why_outside(0) != view.why_outside(1)
    assert main(["assign", str(dictionary.path), "--prompt", "the cat sat", "--json"]) == 0
    printed = capsys.readouterr()
    assert [row["outside"] for row in json.loads(printed.out)][: SKIP + 1] == [True] * (SKIP + 1)
    assert "of a kind that the build left out" in printed.err


def test_compared_texts_leave_out_what_either_build_left_out(
    settings: Make, model: LanguageModel
) -> None:
    whole = opened(settings("whole", skip_first=0, norm_cap=None))[2, 2.0]
    sifted = opened(settings("sifted", skip_first=3, norm_cap=None))[2, 2.0]
    texts = ["the cat sat on the old garden", "two three five"]
    n = {
        name: comparing.shared(pair, (model, model), lambda share: None, texts).together.n
        for name, pair in (
            ("whole", (whole, whole)),
            ("a", (sifted, whole)),
            ("b", (whole, sifted)),
        )
    }
    assert n["a"] == n["b"] == n["whole"] - 3 * len(texts)


def test_info_and_build_say_what_was_found_and_left_out(
    settings: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    config = settings()
    arguments = [
        "build",
        config.model,
        "--text",
        config.text[0],
        "--layer",
        "2",
        "--out",
        config.out,
    ]
    arguments += ["--percentile", "5", "--calibration", "400", "--batch", "16"]
    assert main([*arguments, "--skip-first", "2", "--norm-cap", "1.1"]) == 0
    printed = capsys.readouterr()
    assert (
        "left out of the build: the first 2 tokens of every passage (300 activations)"
        in printed.err
    )
    assert main(["info", printed.out.strip()]) == 0
    told = capsys.readouterr().out
    assert "no massive activations: the largest norm is" in told
    assert "are the first token of a passage" in told
    assert "norms above 1.1 times the median (" in told


@pytest.mark.parametrize(
    "info",
    [
        {},
        {"norms": 3},
        {"norms": {"n": "many", "massive": [1]}, "largest_dimension": {"dimension": None}},
        {"norms": {"n": 0, "massive": 1, "median": 0, "largest": 0}, "left_out": {}},
        {"norms": {"n": 10**400, "massive": True}, "left_out": {"first": 1e999, "norm": "<b>"}},
    ],
)
def test_no_provenance_stops_the_words(info: dict[str, Any]) -> None:
    assert isinstance(outliers.lines(info), list)
    assert isinstance(outliers.of_family([info, {}]), list)


def test_words_name_what_is_large() -> None:
    norms = {
        "n": 1000,
        "first": 20,
        "massive": 21,
        "first_massive": 20,
        "median": 2,
        "largest": 216,
    }
    info = {
        "layer": 9,
        "norms": norms | {"times": 5.0},
        "largest_dimension": {"dimension": 163, "directions": 0.304, "variance": 0.655},
        "skip_first": 1,
        "left_out": {"first": 20, "norm": 0},
        "n_activations": 980,
    }
    massive, first, out, dominated = outliers.lines(info)
    assert massive == (
        "21 of 1,000 activations (2.1 %) are massive, with a norm of more than 5 and up to 108 "
        "times the median; 20 of them are first tokens"
    )
    assert first == "20 of 1,000 activations (2.0 %) are the first token of a passage"
    assert out == "left out of the build: the first token of every passage (20 activations)"
    assert dominated.startswith("dimension 163 alone makes 30 % of all directions and 66 % of the")
    assert outliers.LEAVE_OUT in dominated
    assert outliers.LEAVE_OUT not in outliers.dominated(info | {"norm_cap": 5.0})
    small = {"dimension": 1, "directions": 0.2, "variance": 1}
    assert not outliers.dominated(info | {"largest_dimension": small})
    plain = {"layer": 3, "norms": norms | {"massive": 0, "first_massive": 0}}
    told = [line.split(":")[0] for line in outliers.of_family([info, info, plain])]
    assert told == [
        "layer 9",
        "no massive activations at layer 3",
        "layer 9",
        first,
        "left out of the build",
    ]
