"""Laws of builds in each metric: resumable, other seeds, and steering along raw directions."""

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
from ep.config import METRICS, BuildConfig, MetricName
from ep.errors import ConfigError
from ep.method.dictionary import Dictionary
from ep.method.metrics import is_cosine
from ep.models.interventions import mean_point, of_regions
from ep.models.saebench import Readout
from ep.storage.interop import gguf, neuronpedia, saelens
from ep.studies.matching import distances, match, same_setting
from ep.views import matching as view
from tests.fixtures import tiny

OTHERS: tuple[MetricName, ...] = tuple(name for name in METRICS if name != "centred")
Make = Callable[..., BuildConfig]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny model and a text."""
    folder = tmp_path_factory.mktemp("place")
    tiny.gemma(folder / "m")
    words = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
    rng = np.random.default_rng(0)
    (folder / "t.txt").write_text("\n".join(" ".join(rng.choice(words, 12)) for _ in range(80)))
    return folder


@pytest.fixture(scope="module")
def make(place: Path) -> Make:
    def settings(metric: MetricName, out: str = "out", **changes: Any) -> BuildConfig:
        common = {"tokens": 600, "context": 64, "calibration": 600, "batch": 16}
        return BuildConfig(
            **{
                "model": str(place / "m"),
                "text": (str(place / "t.txt"),),
                "layers": (1,),
                "out": str(place / out),
                "percentiles": (4.0, 10.0),
                "metric": metric,
                **common,
                **changes,
            }
        )

    return settings


@pytest.fixture(scope="module")
def made(make: Make) -> dict[MetricName, Dictionary]:
    """A dictionary of each metric, all in one folder."""
    return {name: ep.open(list(build(make(name)))[-1].files[0]) for name in METRICS}


def test_the_papers_metric_leaves_no_trace(make: Make, made: dict[MetricName, Dictionary]) -> None:
    assert "metric" not in make("centred").deciding()
    assert not [key for key in made["centred"].info if key.startswith("metric")]
    assert made["centred"].path is not None
    assert made["centred"].path.name == "m-L1-p4.ep.h5"
    families = {dictionary.info["family"] for dictionary in made.values()}
    assert len(families) == len(METRICS)


def test_a_name_that_is_no_metric_is_refused(make: Make) -> None:
    with pytest.raises(ConfigError, match="metric is 'manhattan'"):
        make("manhattan")  # type: ignore[arg-type]


@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.parametrize("stage", ["stream", "assign"])
def test_interrupted_and_resumed_equals_never_stopped(
    make: Make, made: dict[MetricName, Dictionary], name: MetricName, stage: str
) -> None:
    config = make(name, f"cut-{name}-{stage}")
    steps, seen = build(config), 0
    for progress in steps:
        seen += progress.stage == stage and progress.done > 0
        if seen == 2:
            break
    steps.close()
    again = list(build(config, resume=True))[-1].files[0]
    assert ep.digest(again) == ep.digest(made[name])


@pytest.mark.parametrize("name", OTHERS)
def test_the_other_seed_is_of_the_same_metric(
    made: dict[MetricName, Dictionary], place: Path, name: MetricName
) -> None:
    dictionary = made[name]
    config = reseeding.settings(dictionary, place / "library")
    assert config.metric == name
    other = ep.open(list(reseeding.rebuild(config))[-1].files[0])
    assert other.metric.name == name
    assert same_setting(dictionary.info, other.info)
    assert not same_setting(made["centred"].info, other.info)
    assert reseeding.find_stored(dictionary, [place / "library"]) is not None


@pytest.mark.parametrize("name", METRICS)
def test_steering_and_vectors_point_from_the_centre_to_the_founder(
    made: dict[MetricName, Dictionary], place: Path, name: MetricName
) -> None:
    dictionary = made[name]
    model = ep.load(str(place / "m"))
    k = len(dictionary) // 2
    founder = dictionary.region(k).founder
    assert founder is not None
    ids = model.tokens.encode("".join(founder.pieces[1:]))
    x = ep.models.read(model, ids, [1])[1][founder.position]
    assert dictionary.assign(x[None]).region[0] == k
    wanted = x - dictionary.center
    wanted = wanted / np.linalg.norm(wanted)
    step = of_regions(dictionary, "add", [k])
    vector = neuronpedia.vector(dictionary, k, "m")["vector"]
    for direction in (step.directions[0], np.array(vector) / np.linalg.norm(vector)):
        assert float(direction @ wanted) > 1 - 1e-3
    assert gguf.write(dictionary, k, place / f"{name}.gguf").exists()
    lens = ep.models.logit_lens(model, wanted[None].astype(np.float32), 12)
    assert np.allclose(lens.up_values[0], dictionary.row("lens_exemplar_up_values", k), rtol=1e-2)


@pytest.mark.parametrize("name", METRICS)
def test_the_mean_point_lies_in_its_region(
    made: dict[MetricName, Dictionary], name: MetricName
) -> None:
    dictionary = made[name]
    points = np.stack([mean_point(dictionary, k) for k in range(len(dictionary))])
    distances = dictionary.distances(points, "mean")
    assert (distances.argmin(1) == np.arange(len(dictionary))).all()
    assert distances.min(1).max() < 1e-3


@pytest.mark.parametrize("name", METRICS)
def test_a_saelens_folder_finds_the_nearest_region(
    made: dict[MetricName, Dictionary], place: Path, name: MetricName
) -> None:
    from safetensors.numpy import load_file

    dictionary = made[name]
    if not is_cosine(name):
        with pytest.raises(ConfigError, match="metric is euclidean: a SAELens folder"):
            saelens.write(dictionary, place / f"sae-{name}")
        with pytest.raises(ConfigError, match="metric is euclidean: features"):
            list(neuronpedia.features(dictionary, [0], "m", "s"))
        return
    folder = saelens.write(dictionary, place / f"sae-{name}")
    weights = load_file(folder / saelens.WEIGHTS)
    config = json.loads((folder / saelens.CONFIG).read_text())
    x = dictionary.center + np.random.default_rng(0).normal(size=(50, dictionary.width))
    scores = (x - weights["b_dec"]) @ weights["W_enc"]
    assert np.array_equal(scores.argmax(1), dictionary.assign(x.astype(np.float32)).region)
    lengths = dictionary.metric.lengths(x)
    assert np.allclose(1 - scores / lengths[:, None], dictionary.distances(x), atol=1e-4)
    # one region's coefficient and decoder row give the part of x along that region
    k = int(scores[0].argmax())
    part = scores[0, k] * weights["W_dec"][k]
    assert np.allclose(part @ weights["W_enc"][:, k], scores[0, k], rtol=1e-3)
    assert config["metadata"]["ep_metric"] == name
    unit = np.allclose(np.linalg.norm(weights["W_dec"], axis=1), 1, atol=1e-3)
    assert config["rescale_acts_by_decoder_norm"] == unit == dictionary.metric.is_plain


@pytest.mark.parametrize("name", METRICS)
def test_saebench_refuses_what_it_cannot_express(
    made: dict[MetricName, Dictionary], name: MetricName
) -> None:
    if made[name].metric.is_plain and is_cosine(name):
        assert Readout(made[name]).check_decoder_norms()
    else:
        with pytest.raises(ConfigError, match=f"metric is {name}: SAEBench"):
            Readout(made[name])


def test_two_metrics_are_matched_by_raw_directions(made: dict[MetricName, Dictionary]) -> None:
    one, other = made["standardised"], made["whitened"]
    found = match(one, other)
    # the founders that both have, about one and the same mean, are the same directions
    both = np.intersect1d(one.column("founded_at"), other.column("founded_at"), False, True)
    shared, a, b = both
    assert len(shared) > 3
    cosines = np.einsum("kd,kd->k", one.raw_basis("exemplar")[a], other.raw_basis("exemplar")[b])
    assert cosines.min() > 1 - 1e-4
    assert (found.a.nearest_cosine[a] > 1 - 1e-4).all()


@pytest.mark.parametrize("name", METRICS)
def test_the_command_line_names_the_metric(
    made: dict[MetricName, Dictionary], name: MetricName, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(made[name].path)
    assert main(["info", path]) == 0
    assert f"metric             {name}" in capsys.readouterr().out
    assert main(["assign", path, "--prompt", "one two three"]) == 0
    out = capsys.readouterr().out
    assert f"({made[name].distance_name}, θ = " in out


def test_two_metrics_are_compared_by_members_beside_another_seed(
    made: dict[MetricName, Dictionary], place: Path
) -> None:
    pair = (made["centred"], made["whitened"])
    model = ep.load(str(place / "m"))
    other = ep.open(
        list(reseeding.rebuild(reseeding.settings(pair[1], place / "null")))[-1].files[0]
    )
    shared = comparing.shared(pair, (model, model), lambda share: None, others=(None, other))
    assert 0 < shared.together.information < 1
    assert shared.nulls[0] is None and shared.nulls[1] is not None
    assert 0 < shared.nulls[1].information < 1
    alike = comparing.shared((pair[0], pair[0]), (model, model), lambda share: None)
    assert alike.together.information == pytest.approx(1)
    report = view.report(*pair, match(*pair), 0.7)
    assert "A is centred and B whitened" in report and "nan" not in report.lower()


def test_theta_is_no_unit_of_raw_cosines_in_a_stretched_space(
    made: dict[MetricName, Dictionary],
) -> None:
    found = match(made["centred"], made["whitened"])
    assert found.a.threshold == made["centred"].threshold and np.isnan(found.b.threshold)
    assert "theta_median" in distances(found.a) and "theta_median" not in distances(found.b)
    assert found.turned.metrics == ("whitened", "centred")
    rows = view.pairs(made["centred"], made["whitened"], found, 0.7)
    assert np.isnan(rows["distance_in_theta_b"].to_numpy()).all()
