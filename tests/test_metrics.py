"""Laws of the metrics: exact in any batch, invariant where they should be, with a way back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import ep
from ep.config import METRICS, MetricName
from ep.errors import ActivationError, ConfigError, DictionaryFileError
from ep.method.calibration import Calibration, calibrate
from ep.method.dictionary import Dictionary
from ep.method.laws import law_of
from ep.method.metrics import Metric, carried, distance_name, is_cosine, products
from ep.method.moments import MetricSum, whitening
from ep.method.nearest import fold
from ep.method.source import MemorySource
from ep.storage import schema

STRETCHED: tuple[MetricName, ...] = ("standardised", "whitened")


@pytest.fixture(scope="module")
def stream() -> np.ndarray:
    """1,500 activations in clusters, with correlated dimensions of very different spread."""
    rng = np.random.default_rng(0)
    themes = rng.normal(size=(30, 24))
    x = themes[rng.integers(30, size=1500)] + 0.4 * rng.normal(size=(1500, 24))
    return ((x @ rng.normal(size=(24, 24))) * 10 ** rng.uniform(-1, 1, 24) + 3).astype(np.float32)


def measured(x: np.ndarray, name: MetricName) -> Metric:
    sums = MetricSum(x.shape[1], name)
    sums.update(x)
    return sums.metric()


def partition(x: np.ndarray, name: MetricName, p: float = 4.0) -> tuple[np.ndarray, Calibration]:
    found = calibrate([x], (p,), metric=name)
    leaders = law_of(name).leaders(found.thresholds[p])
    return leaders.partial_fit(found.metric.rows(x)).region, found


def plain_distance(name: MetricName, row: np.ndarray, other: np.ndarray) -> float:
    """The distance of two rows in float64, written out one number after the other."""
    a, b = row.astype(np.float64), other.astype(np.float64)
    if is_cosine(name):
        return float(1 - fold(a * b))
    return float(np.sqrt(fold((a[-1] * a[:-1] - b[-1] * b[:-1]) ** 2)))


def dictionary(x: np.ndarray, name: MetricName) -> Dictionary:
    found = calibrate([x], (4.0,), metric=name)
    rows, law = found.metric.rows(x), law_of(name)
    leaders, members = law.leaders(found.thresholds[4.0]), law.arrival(x.shape[1])
    members.observe(leaders.partial_fit(rows), rows)
    arrays = {
        **found.metric.arrays(),
        **law.columns(leaders.exemplars),
        "founded_at": leaders.founded_at,
        **members.columns(),
    }
    info = {
        "threshold": leaders.threshold,
        "typical_norm": found.typical_norm,
        "layer": 1,
        **found.provenance(),
    }
    return Dictionary(MemorySource(arrays), info, len(leaders))


# -- exactness -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", METRICS)
def test_a_direction_has_the_same_bits_in_every_batch(stream: np.ndarray, name: MetricName) -> None:
    metric = measured(stream, name)
    whole = metric.directions(stream)
    assert np.allclose(np.linalg.norm(whole, axis=1), 1, atol=1e-6)
    for size in (1, 7, 128):
        parts = [metric.directions(stream[start : start + size]) for start in range(0, 300, size)]
        assert np.concatenate(parts)[:300].tobytes() == whole[:300].tobytes()
    order = np.random.default_rng(1).permutation(len(stream))
    assert metric.directions(stream[order]).tobytes() == whole[order].tobytes()
    rows = metric.rows(stream)
    assert rows[:, : len(metric.center)].tobytes() == whole.tobytes()
    alone = [metric.rows(stream[[i]]) for i in range(100)]
    assert np.concatenate(alone).tobytes() == rows[:100].tobytes()


def test_products_are_the_folded_sums_whatever_the_magnitudes() -> None:
    rng = np.random.default_rng(0)
    # sums that cancel, so that many entries lie where a float64 product could round otherwise
    u = (rng.normal(size=(40, 33)) * 10.0 ** rng.integers(-6, 1, (40, 33))).astype(np.float32)
    m = (rng.normal(size=(33, 33)) * 10.0 ** rng.integers(-6, 1, (33, 33))).astype(np.float32)
    m[:, 0], m[:, 1] = -m[:, 1], m[:, 0]
    u[3] = 0
    wanted = fold(u.astype(np.float64)[:, None, :] * m).astype(np.float32)
    assert np.array_equal(products(u, m), wanted)
    assert not np.signbit(products(u, m)[3]).any()


@pytest.mark.parametrize("name", METRICS)
def test_the_regions_are_those_of_a_plain_leader_in_float64(
    stream: np.ndarray, name: MetricName
) -> None:
    found = calibrate([stream], (4.0,), metric=name)
    rows, theta = found.metric.rows(stream), found.thresholds[4.0]
    exemplars: list[np.ndarray] = []
    wanted = []
    for row in rows:
        distances = [plain_distance(name, row, e) for e in exemplars]
        best = int(np.argmin(distances)) if distances else -1
        if best < 0 or not distances[best] <= theta:
            exemplars.append(row)
            best = len(exemplars) - 1
        wanted.append(best)
    leaders = law_of(name).leaders(theta)
    regions = [
        leaders.partial_fit(found.metric.rows(stream[start : start + 190])).region
        for start in range(0, len(stream), 190)
    ]
    assert np.concatenate(regions).tolist() == wanted
    assert leaders.exemplars.tobytes() == np.array(exemplars, np.float32).tobytes()
    assert 10 < len(leaders) < 1000
    found_regions, law = leaders.assign(rows), law_of(name)
    distance, region = law.nearest(rows, leaders.exemplars)
    assert np.array_equal(region, found_regions.region)
    assert np.array_equal(distance, found_regions.distance)
    rival, margin = leaders.runner_up(rows[:50], region[:50])
    for i in range(50):
        distances = [plain_distance(name, rows[i], e) for e in exemplars]
        own = distances[region[i]]
        assert region[i] == int(np.argmin(distances))
        assert distance[i] == np.float32(max(own, 0))
        distances[region[i]] = np.inf
        assert rival[i] == int(np.argmin(distances))
        assert margin[i] == pytest.approx(min(distances) - own, abs=1e-12)


# -- invariance ------------------------------------------------------------------------------------


def test_uncentred_does_not_depend_on_the_scale_of_the_activations(stream: np.ndarray) -> None:
    for factor in (1e-3, 8.0):
        assert np.array_equal(
            partition(stream, "uncentred")[0],
            partition(stream * np.float32(factor), "uncentred")[0],
        )


@pytest.mark.parametrize("name", STRETCHED)
def test_stretched_metrics_do_not_depend_on_the_unit_of_a_dimension(
    stream: np.ndarray, name: MetricName
) -> None:
    units = 10 ** np.random.default_rng(2).uniform(-3, 3, stream.shape[1])
    scaled = (stream.astype(np.float64) * units).astype(np.float32)
    region, found = partition(stream, name)
    again, moved = partition(scaled, name)
    assert np.array_equal(region, again)
    assert moved.thresholds[4.0] == pytest.approx(found.thresholds[4.0], rel=1e-4)
    assert moved.metric.shrinkage == pytest.approx(found.metric.shrinkage, rel=1e-4)
    centred, other = partition(stream, "centred")[0], partition(scaled, "centred")[0]
    assert not np.array_equal(centred, other)  # where the paper's metric does


def test_whitened_does_not_depend_on_the_axes_up_to_regularisation() -> None:
    rng = np.random.default_rng(3)
    stream = rng.normal(size=(20, 24))[rng.integers(20, size=1500)]
    stream = (stream + 0.3 * rng.normal(size=stream.shape)).astype(np.float32)
    turn = np.linalg.qr(rng.normal(size=(24, 24)))[0] * np.geomspace(0.2, 5, 24)
    turned = (
        stream.astype(np.float64) @ (turn @ np.linalg.qr(rng.normal(size=(24, 24)))[0])
    ).astype(np.float32)
    rows = []
    for x in (stream, turned):
        wide = x.astype(np.float64) - x.mean(axis=0, dtype=np.float64)
        covariance = wide.T @ wide / len(x)
        scale = np.sqrt(covariance.diagonal()).astype(np.float32)
        matrix, _ = whitening(covariance, scale, len(x), shrinkage=0.0)
        metric = Metric(x.mean(axis=0, dtype=np.float64).astype("f4"), "whitened", scale, matrix)
        rows.append(metric.directions(x))
    one, other = (law_of("whitened").leaders(0.8).partial_fit(part).region for part in rows)
    assert np.array_equal(one, other)
    cosines = [part[:200].astype(np.float64) @ part[:200].T for part in rows]
    assert np.allclose(*cosines, atol=1e-4)
    # regularised, which is tied to the axes, the cosines change far less than centred ones do
    changes = {}
    for name in ("centred", "whitened"):
        both = [measured(x, name).directions(x[:200]).astype(np.float64) for x in (stream, turned)]
        changes[name] = np.abs(np.subtract(*[part @ part.T for part in both])).mean()
    assert changes["whitened"] < 0.3 * changes["centred"]


def test_spread_and_covariance_are_those_of_the_activations(stream: np.ndarray) -> None:
    wide = stream.astype(np.float64)
    for name in STRETCHED:
        metric = measured(stream, name)
        assert np.allclose(metric.center, wide.mean(0), rtol=1e-5)
        assert np.allclose(metric.scale, wide.std(0), rtol=1e-5)
    z = (wide - metric.center) / metric.scale @ metric.matrix.T
    correlation = np.cov(z.T, bias=True)
    assert np.allclose(correlation, np.eye(24), atol=40 * metric.shrinkage)
    assert 1e-4 <= metric.shrinkage < 0.02


def test_few_activations_are_whitened_only_in_part() -> None:
    x = np.random.default_rng(0).normal(size=(10, 40)).astype(np.float32)
    metric = measured(x, "whitened")
    assert metric.shrinkage > 0.3
    assert np.isfinite(metric.directions(x)).all()


@pytest.mark.parametrize("name", STRETCHED)
def test_a_dimension_that_does_not_vary_is_left_out(stream: np.ndarray, name: MetricName) -> None:
    x = np.concatenate([stream, np.full((len(stream), 1), 7.0, np.float32)], axis=1)
    metric = measured(x, name)
    assert metric.scale is not None and metric.scale[-1] == 0
    assert (metric.directions(x)[:, -1] == 0).all()
    assert np.array_equal(partition(x, name)[0], partition(stream, name)[0])
    with pytest.raises(ActivationError, match="no dimension"):
        measured(np.ones((20, 4), np.float32), name)


# -- the way back ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", METRICS)
def test_the_raw_direction_of_an_exemplar_points_to_its_founder(
    stream: np.ndarray, name: MetricName
) -> None:
    made = dictionary(stream, name)
    founders = stream[made.column("founded_at")].astype(np.float64) - made.center
    founders /= np.linalg.norm(founders, axis=1, keepdims=True)
    cosines = np.einsum("kd,kd->k", made.raw_basis("exemplar"), founders)
    assert cosines.min() > 1 - 1e-4
    some = made.raw_basis("exemplar", [3, 1])
    assert np.allclose(some, made.raw_basis("exemplar")[[3, 1]], atol=1e-6)
    if made.metric.is_plain:
        assert made.raw_basis("mean") is made.mean_directions


@pytest.mark.parametrize("name", METRICS)
def test_back_and_forth_is_where_one_was(stream: np.ndarray, name: MetricName) -> None:
    metric = measured(stream, name)
    rows = metric.directions(stream[:50])
    assert np.allclose(metric.facing(metric.raw(rows)), rows, atol=1e-4)
    lengths = metric.lengths(stream[:50])[:, None]
    assert np.allclose(metric.center + metric.displaced(lengths * rows), stream[:50], atol=1e-2)
    assert np.allclose(
        np.einsum("nd,nd->n", metric.readers(rows), stream[:50] - metric.center.astype(np.float64)),
        lengths[:, 0],
        rtol=1e-5,
    )


def test_directions_are_carried_from_one_metric_to_another(stream: np.ndarray) -> None:
    standardised, whitened = (measured(stream, name) for name in STRETCHED)
    rows = standardised.directions(stream[:50])
    # both have the mean as their origin, so this is exact
    assert np.allclose(
        carried(rows, standardised, whitened), whitened.directions(stream[:50]), atol=1e-4
    )
    assert carried(rows, standardised, measured(stream, "standardised")) is rows
    assert carried(rows, measured(stream, "centred"), measured(stream, "uncentred")) is rows


# -- files, states and names -----------------------------------------------------------------------


@pytest.mark.parametrize("name", METRICS)
def test_the_metric_survives_file_and_state(
    stream: np.ndarray, name: MetricName, tmp_path: Path
) -> None:
    made = dictionary(stream, name)
    ep.save(made, tmp_path / "d.ep.h5")
    opened = ep.open(tmp_path / "d.ep.h5")
    assert opened.metric.name == name and ep.digest(made) == ep.digest(opened)
    one, other = made.assign(stream), opened.assign(stream)
    assert np.array_equal(one.region, other.region)
    assert np.array_equal(one.distance, other.distance)
    assert np.array_equal(opened.distances(stream[:9]).argmin(1), one.region[:9])
    found = calibrate([stream], (4.0,), metric=name)
    again = Calibration.from_state(found.state())
    assert again.metric.name == name and again.provenance() == found.provenance()
    assert again.metric.directions(stream).tobytes() == found.metric.directions(stream).tobytes()


def test_a_state_without_a_metric_is_of_the_papers(stream: np.ndarray) -> None:
    state = calibrate([stream]).state()
    for name in ("metric", "metric_norm", "shrinkage"):
        del state[name]
    assert Calibration.from_state(state).metric.name == "centred"


@pytest.mark.parametrize("name", METRICS)
def test_a_program_that_knows_no_metrics_refuses_all_but_the_papers(
    stream: np.ndarray, name: MetricName, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = ep.save(dictionary(stream, name), tmp_path / "d.ep.h5")
    needed = 1 if name == "centred" else 2 if is_cosine(name) else 3
    for known in (1, 2):
        monkeypatch.setattr("ep.storage.structure.VERSION", known)
        if known >= needed:
            assert len(ep.open(path))
            assert ("metric" in ep.open(path).info) == (name != "centred")
        else:
            with pytest.raises(DictionaryFileError, match=f"written in format {needed}"):
                ep.open(path)


def test_a_metric_and_its_arrays_belong_together(stream: np.ndarray, tmp_path: Path) -> None:
    made = dictionary(stream, "standardised")
    arrays = {name: made.column(name) for name in schema.ARRAYS if name in made}

    def save(info: dict[str, object], **changes: np.ndarray | None) -> None:
        kept = {n: a for n, a in (arrays | changes).items() if a is not None}
        ep.save(Dictionary(MemorySource(kept), made.info | info, len(made)), tmp_path / "d.ep.h5")

    save({})
    for info, changes, message in (
        ({}, {"metric_scale": None}, "metric_scale is missing"),
        ({"metric": "whitened"}, {}, "metric_matrix is missing"),
        ({"metric": None}, {}, "metric_scale is there"),
        ({"metric": "manhattan"}, {}, "update ep"),
        ({}, {"metric_scale": -made.column("metric_scale")}, "metric_scale, row 0"),
    ):
        with pytest.raises(DictionaryFileError, match=message):
            save(info, **changes)


def test_a_matrix_without_an_inverse_is_an_error_of_the_file(stream: np.ndarray) -> None:
    metric = Metric(
        np.zeros(3, np.float32), "whitened", np.ones(3, np.float32), np.zeros((3, 3), np.float32)
    )
    with pytest.raises(DictionaryFileError, match="no inverse"):
        metric.raw(np.eye(3, dtype=np.float32))


def test_a_distance_is_called_by_its_metric() -> None:
    assert distance_name({}) == "cosine distance"
    assert distance_name({"metric": "whitened"}) == "whitened cosine distance"
    assert distance_name({"metric": "euclidean"}) == "Euclidean distance in typical norms"
    with pytest.raises(ConfigError, match="unknown"):
        MetricSum(3, "manhattan")  # type: ignore[arg-type]


@pytest.mark.parametrize("name", STRETCHED)
def test_bad_activations_are_named(stream: np.ndarray, name: MetricName) -> None:
    metric = measured(stream, name)
    x = stream[:700].copy()
    x[650, 3] = np.nan
    with pytest.raises(ActivationError, match="NaN at row 650, column 3"):
        metric.directions(x)
    with pytest.raises(ActivationError, match="wide"):
        metric.directions(x[:, :5])
    huge = np.full((2, 24), 3e38, np.float32)
    huge[1] *= -1
    assert np.allclose(np.linalg.norm(metric.directions(huge), axis=1), 1, atol=1e-5)
    assert metric.directions(stream[:0]).shape == (0, 24)
