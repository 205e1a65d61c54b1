"""How many regions texts need: laws of the comparison, and of the estimates."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ep
from ep import saturating_rows, saturating_work
from ep.config import BuildConfig
from ep.errors import ConfigError, CorpusError
from ep.method.laws import COSINE, EUCLIDEAN
from ep.saturating import Step, saturate
from ep.storage.hub.texts import corpus_of
from ep.streaming import Stream
from ep.studies.saturation import Curve, chao, curve_of, growth_of
from ep.studies.saturation_result import Domain, Saturation
from ep.views import saturation as views
from tests.fixtures import tiny
from tests.fixtures.commands import output, refused

WORDS = {
    "a": ("cat", "sat", "bird", "sang", "old"),
    "b": ("two", "three", "five", "door", "moon"),
    "c": ("garden", "child", "said", "small", "cat"),
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("saturating")
    tiny.gemma(folder / "model")
    for seed, (name, words) in enumerate(WORDS.items()):
        rng = np.random.default_rng(seed)
        lines = [" ".join(rng.choice(words, rng.integers(4, 15))) for _ in range(90)]
        (folder / f"{name}.txt").write_text("\n".join(lines))
    return folder


@pytest.fixture(scope="module")
def model(place: Path) -> Any:
    return ep.load(str(place / "model"))


def settings(place: Path, **more: Any) -> BuildConfig:
    values: dict[str, Any] = {"layers": (1,), "percentiles": (8.0,), "tokens": 400}
    values |= {"model": str(place / "model"), "text": ("-",), "out": str(place)}
    return BuildConfig(**(values | more))


def study(place: Path, model: Any, texts: Mapping[str, str], **more: Any) -> Saturation:
    out = more.pop("out_folder", None)
    corpora = {name: (str(place / f"{file}.txt"),) for name, file in texts.items()}
    *steps, last = saturate(settings(place, **more), corpora, out, model)
    shares = [step.share for step in steps if isinstance(step, Step)]
    assert len(shares) == len(steps) and shares == sorted(shares) and 0 <= shares[0] <= shares[-1]
    assert shares[-1] <= 1 and isinstance(last, Saturation)
    return last


def told(domain: Domain, names: Mapping[str, str]) -> dict[str, Any]:
    """All that is found of a text, with other names for the texts."""
    found = views._domain(domain) | {"row": views.row(domain)["own"]}
    found["apart"] = {names[name]: rate for name, rate in found["apart"].items()}
    return found | {"name": names[domain.name]}


# -- the comparison --------------------------------------------------------------------------------


def test_one_text_under_two_names_gives_equal_figures_and_nothing_of_its_own(
    place: Path, model: Any
) -> None:
    (one,) = study(place, model, {"x": "a", "y": "a"}).comparisons
    first, second = one.domains
    assert told(first, {"x": "x", "y": "y"}) == told(second, {"x": "y", "y": "x"})
    assert len(first.own) == 0 and first.control == first.apart["y"]
    assert one.joint.regions <= first.regions and one.joint.alone == {"x": 0, "y": 0}


def test_another_order_or_other_names_change_no_figure(place: Path, model: Any) -> None:
    (one,) = study(place, model, {"a": "a", "b": "b", "c": "c"}).comparisons
    (two,) = study(place, model, {"r": "c", "p": "a", "q": "b"}).comparisons
    names = {"p": "a", "q": "b", "r": "c"}
    same = {name: name for name in WORDS}
    assert {d.name: told(d, same) for d in one.domains} == {
        names[d.name]: told(d, names) for d in two.domains
    }
    assert one.threshold == two.threshold and one.joint.shared == two.joint.shared
    assert one.joint.alone == {names[name]: n for name, n in two.joint.alone.items()}
    assert [d.name for d in two.domains] == ["r", "p", "q"]


@pytest.mark.slow
def test_the_batch_size_changes_nothing(
    place: Path, model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = []
    for batch, block in ((128, 1024), (1, 1), (7, 33)):
        monkeypatch.setattr(saturating_rows, "BLOCK", block)
        monkeypatch.setattr(saturating_work, "BLOCK", block)
        results.append(views.facts(study(place, model, {"a": "a", "b": "b"}, batch=batch)))
    assert results[0] == results[1] == results[2]


@pytest.mark.parametrize("metric", ["centred", "euclidean"])
def test_own_regions_are_those_that_no_other_activation_reaches(
    place: Path, model: Any, metric: Any
) -> None:
    found = study(place, model, {"a": "a", "b": "b"}, metric=metric, percentiles=(4.0,))
    (one,) = found.comparisons
    a, b = one.domains
    dictionary = a.dictionary
    config = settings(place, text=(str(place / "b.txt"),), batch=16)
    stream = Stream(config, model, corpus_of(config), 128)
    parts = [item[1].x[1] for item in stream.batches() if item is not None]
    x = np.concatenate(parts)[: found.n]
    nearest = dictionary.distances(x).min(axis=0)
    assert np.allclose(nearest, a.away["b"], atol=1e-5)
    clear = np.abs(nearest - one.threshold) > 1e-5
    own = np.isin(np.arange(len(dictionary)), a.own)
    assert (own == (nearest > one.threshold))[clear].all()
    assert 0 < len(a.own) <= a.regions and len(b.own) <= b.regions


def test_a_score_joins_as_its_distance_does() -> None:
    rows = np.eye(3, dtype=np.float32)
    score = COSINE.scores(rows, rows, np.array([[0], [0], [2]]))[:, 0]
    assert COSINE.joins(score, 0.5).tolist() == [True, False, True]
    assert EUCLIDEAN.joins(np.array([0.25, 0.26]), 0.5).tolist() == [True, False]


def test_a_text_has_the_regions_of_its_halves_and_its_curve(place: Path, model: Any) -> None:
    for one in study(place, model, {"a": "a", "b": "b"}, percentiles=(4.0, 16.0)).comparisons:
        for domain in one.domains:
            curve = dict(
                zip(domain.curve.seen.tolist(), domain.curve.regions.tolist(), strict=True)
            )
            assert curve[domain.n // 2] == domain.halves[0] and curve[domain.n] == domain.regions
            assert domain.dictionary.info["n_activations"] == domain.n == 400
            assert domain.members.total.value >= domain.regions
            assert domain.control.n == sum(domain.halves)


def test_all_are_cut_to_the_shortest_and_it_is_said(place: Path, model: Any) -> None:
    (place / "short.txt").write_text("\n".join(["cat sat on a mat there"] * 9 + ["two"] * 60))
    found = study(place, model, {"long": "a", "short": "short"})
    assert found.n < 400 and {d.n for d in found.comparisons[0].domains} == {found.n}
    assert found.notes[0].startswith(f"short gave {found.n} activations of 400")
    free = study(place, model, {"long": "a", "short": "short"}, tokens=None)
    assert free.n == found.n and not free.notes


def test_the_files_open_and_share_their_calibration(place: Path, model: Any) -> None:
    out = place / "library"
    found = study(place, model, {"Text A": "a", "b": "b"}, out_folder=out)
    assert [path.parent.name for path in found.files] == ["text-a", "b"]
    first, second = map(ep.open, found.files)
    assert first.threshold == second.threshold and np.array_equal(first.center, second.center)
    assert first.info["family"] != second.info["family"]
    assert first.info["saturation"]["id"] == second.info["saturation"]["id"]
    again = study(place, model, {"Text A": "a", "b": "b"}, out_folder=out)
    assert ep.digest(ep.open(again.files[0])) == ep.digest(first)
    with pytest.raises(ConfigError, match="exists"):
        study(place, model, {"Text A": "b", "b": "a"}, out_folder=out)


def test_stopping_it_leaves_nothing(
    place: Path, model: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import tempfile

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    corpora = {name: (str(place / f"{name}.txt"),) for name in "ab"}
    steps = saturate(settings(place), corpora, None, model)
    while not next(steps).activity.startswith("founding"):  # type: ignore[union-attr]
        assert list(tmp_path.iterdir())
    steps.close()
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_compared_is_refused_before_the_model_is_loaded(place: Path) -> None:
    def refuses(names: list[str], **more: Any) -> str:
        config = replace(settings(place, **more), model=str(place / "none"))
        with pytest.raises(ConfigError) as refusal:
            next(saturate(config, dict.fromkeys(names, (str(place / "a.txt"),))))
        return str(refusal.value)

    assert "2 to 4" in refuses(["a"]) and "2 to 4" in refuses([*"abcde"])
    assert "too alike" in refuses(["a b", "a-b"])
    assert "no name" in refuses(["a", "///"])
    assert "norm_cap" in refuses(["a", "b"], norm_cap=5.0)


def test_too_little_text_is_refused(place: Path, model: Any) -> None:
    (place / "tiny.txt").write_text("cat sat\nbird sang")
    with pytest.raises(CorpusError, match="tiny gave"):
        study(place, model, {"a": "a", "tiny": "tiny"})


# -- the estimates ---------------------------------------------------------------------------------


def test_chao_on_an_example_worked_by_hand() -> None:
    counts = np.array([1] * 8 + [2] * 4 + [5] * 10)
    n = int(counts.sum())
    found = chao(counts, n)
    assert found.total.value == pytest.approx(22 + (n - 1) / n * 64 / 8)
    assert 22 < found.total.low < found.total.value < found.total.high
    assert chao(np.array([3, 4]), 7).total == (lone := chao(np.array([3, 4]), 7)).total
    assert lone.total.value == lone.total.low == lone.total.high == 2
    assert chao(np.ones(5, int), 5).total.value == pytest.approx(5 + 4 / 5 * 10)


def test_chao_finds_the_number_of_equally_likely_regions() -> None:
    inside = 0
    for seed in range(40):
        draws = np.random.default_rng(seed).integers(0, 300, 400)
        found = chao(np.unique(draws, return_counts=True)[1], 400)
        inside += found.total.low <= 300 <= found.total.high
    assert inside >= 34


def test_a_curve_with_a_limit_has_one_and_a_power_law_has_none() -> None:
    seen = np.unique(np.geomspace(10, 20_000, 80).astype(int))
    limited = Curve(seen, np.round(500 * -np.expm1(-((seen / 3000) ** 0.8))).astype(int))
    growth = growth_of([limited, limited])
    assert not growth.reason and growth.limit.value == pytest.approx(500, rel=0.05)
    for b in (0.6, 1.0):
        power = growth_of([Curve(seen, np.round(3 * seen**b).astype(int))])
        assert power.reason and power.heaps[1] == pytest.approx(b, abs=0.02)
        assert power.exponent == pytest.approx(b, abs=0.02)
    assert "n^1.00" in power.reason


def test_the_curve_counts_founders() -> None:
    curve = curve_of(np.array([0, 1, 5, 50]), 100)
    assert dict(zip(curve.seen.tolist(), curve.regions.tolist(), strict=True))[100] == 4
    assert curve.regions[0] == 1 and (np.diff(curve.seen) > 0).all()


# -- the command -----------------------------------------------------------------------------------


def test_the_command_prints_a_table_and_json(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["saturate", str(place / "model"), "--layer", "1", "--tokens", "300"]
    options += ["--corpus", f"a={place / 'a.txt'}", "--corpus", f"b\x1b[1m={place / 'b.txt'}"]
    text = output(capsys, *options)
    assert "own regions" in text and "Chao1" in text and "\x1b" not in text
    found = json.loads(output(capsys, *options, "--json"))
    (one,) = found["comparisons"]
    assert found["n"] == 300 and [t["name"] for t in one["texts"]] == ["a", "b\x1b[1m"]
    assert one["percentile"] == 8.0 and one["texts"][0]["curve"][-1][0] == 300
    assert "NAME=FILE" in refused(capsys, 2, *options, "--corpus", "nothing")
