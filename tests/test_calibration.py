"""Laws of the centre and of θ."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import pdist

from ep.errors import ActivationError, ConfigError
from ep.method import percentiles as percentiles_module
from ep.method.calibration import Calibration, Thresholds, calibrate
from ep.method.geometry import directions
from ep.method.moments import CenterSum
from ep.method.percentiles import pair_percentiles

PERCENTILES = (1, 2, 4, 8, 10)


@pytest.fixture(scope="module")
def stream() -> np.ndarray:
    rng = np.random.default_rng(1)
    topics = rng.normal(size=(30, 1, 24)) * 2
    x = (topics + rng.normal(size=(30, 40, 24))).reshape(-1, 24) * rng.gamma(4, size=(1200, 1)) + 5
    return x.astype(np.float32)


def cut(x: np.ndarray, size: int) -> list[np.ndarray]:
    return [x[start : start + size] for start in range(0, len(x), size)]


def test_center_is_the_projection_of_the_mean_on_the_mean_direction(stream):
    x = stream.astype(float)
    g = (x / np.linalg.norm(x, axis=1, keepdims=True)).mean(0)
    g /= np.linalg.norm(g)
    assert np.allclose(calibrate(cut(stream, 100)).center, (x.mean(0) @ g) * g, rtol=1e-5)


def test_center_does_not_depend_on_batches(stream):
    centers = []
    for size in (1, 7, 400, 1200):
        total = CenterSum(24)
        for x in cut(stream, size):
            total.update(x)
        centers.append(total.center())
    for center in centers:
        assert np.allclose(center, centers[0], rtol=1e-6)


@pytest.mark.parametrize("size", [2, 40, 131, 1199])
def test_paper_threshold_is_the_mean_of_each_batch_percentile(stream, size):
    found = calibrate(cut(stream, size), PERCENTILES)
    rows = [directions(x, found.center).astype(float) for x in cut(stream, size) if len(x) > 1]
    oracle = np.mean([np.percentile(pdist(r, "cosine"), PERCENTILES) for r in rows], axis=0)
    assert np.allclose(list(found.thresholds.values()), oracle, atol=1e-6)
    assert found.n_activations == len(stream)
    assert found.n_batches == len(cut(stream, size))


@pytest.mark.parametrize("size", [7, 300, 10_000])
def test_typical_norm_is_the_median_distance_from_the_center_for_any_batches(stream, size):
    found = calibrate(cut(stream, size))
    norms = np.linalg.norm(stream.astype(float) - found.center, axis=1)
    assert found.typical_norm == pytest.approx(np.median(norms), rel=1e-5)


def test_a_few_massive_activations_hardly_move_the_typical_norm(stream):
    """One position in 500 with 300 times the norm, as at attention sinks of large models."""
    thresholds = Thresholds(np.zeros(stream.shape[1]), (4,))
    thresholds.update(stream)
    before = thresholds.typical_norm
    thresholds.update(300 * stream[:: len(stream) // 4][:4])
    assert thresholds.typical_norm == pytest.approx(before, rel=0.02)


@pytest.mark.parametrize("every_pair", [False, True])
def test_global_threshold_does_not_depend_on_batches(stream, monkeypatch, every_pair):
    if not every_pair:
        monkeypatch.setattr("ep.method.calibration.SAMPLE", 300)
    center = calibrate(cut(stream, 100)).center
    found = []
    for size in (1, 37, 1200):
        measure = Thresholds(center, PERCENTILES, "global", seed=3)
        for x in cut(stream, size):
            measure.update(x)
        found.append(measure.thresholds())
    assert found[0] == found[1] == found[2]
    exact = np.percentile(pdist(directions(stream, center).astype(float), "cosine"), PERCENTILES)
    assert np.allclose(list(found[0].values()), exact, atol=1e-6 if every_pair else 0.1)


def test_global_sample_follows_the_seed(stream, monkeypatch):
    monkeypatch.setattr("ep.method.calibration.SAMPLE", 300)
    first, again, other = (calibrate(cut(stream, 90), protocol="global", seed=s) for s in (0, 0, 1))
    assert first.thresholds == again.thresholds
    assert first.thresholds != other.thresholds


@pytest.mark.parametrize("spread", [0.0, 0.3, 3.0])
@pytest.mark.parametrize("shares", [PERCENTILES, (0.01, 50, 99.99), (33,)])
def test_counting_pairs_equals_sorting_them(monkeypatch, spread, shares):
    rng = np.random.default_rng(2)
    x = np.repeat(rng.normal(size=(25, 16)), 40, axis=0) + spread * rng.normal(size=(1000, 16))
    rows = directions(x.astype(np.float32), np.zeros(16, np.float32))
    monkeypatch.setattr(percentiles_module, "SAMPLE_ROWS", 200)
    monkeypatch.setattr(percentiles_module, "BLOCK_VALUES", 40_000)
    pairs = np.concatenate(list(percentiles_module._pairs(rows)))
    assert len(pairs) == 1000 * 999 // 2
    monkeypatch.setattr(percentiles_module, "DIRECT_PAIRS", 0)
    assert np.array_equal(
        pair_percentiles(rows, shares), np.percentile(pairs.astype(float), shares)
    )


def test_thresholds_grow_with_the_percentile_and_duplicates_fold(stream):
    found = calibrate(cut(stream, 100), (10, 1, 10.0, 4))
    assert list(found.thresholds) == [1.0, 4.0, 10.0]
    assert list(found.thresholds.values()) == sorted(found.thresholds.values())
    assert all(0 < theta < 2 for theta in found.thresholds.values())


@pytest.mark.parametrize("percentile", [0, 100, -1, 250, float("nan")])
def test_percentile_outside_the_range_is_refused(stream, percentile):
    with pytest.raises(ConfigError, match="between 0 and 100"):
        calibrate([stream], (1, percentile))


@pytest.mark.parametrize(
    ("batches", "error", "words"),
    [
        (iter([np.ones((3, 4))]), ConfigError, "list_iterator"),
        (([np.ones((3, 4))] for _ in "ab"), ConfigError, "one-shot generator"),
        ([], ActivationError, "at least two"),
        ([np.ones((1, 4), np.float32)], ActivationError, "given 1 activations"),
        ([np.eye(1, 4), np.eye(2, 4)[1:]], ActivationError, "two in one batch"),
        ([np.ones((9, 4), np.float32)], ActivationError, "all alike"),
        ([np.ones((9, 4)), np.ones((9, 5))], ActivationError, "5 wide"),
        ([np.full((3, 4), np.nan)], ActivationError, "NaN at row 0, column 0"),
        (np.ones((3, 4)), ActivationError, r"shape \(4,\)"),
    ],
)
def test_bad_batches_are_refused_in_one_line(batches, error, words):
    with pytest.raises(error, match=words) as caught:
        calibrate(batches)
    assert "\n" not in str(caught.value)


def test_no_percentile_and_unknown_protocol_are_refused(stream):
    with pytest.raises(ConfigError, match="no percentile"):
        calibrate([stream], ())
    with pytest.raises(ConfigError, match="'papr'"):
        calibrate([stream], protocol="papr")


def test_batches_that_run_dry_are_noticed(stream):
    class Half:
        rounds = 0

        def __iter__(self):
            self.rounds += 1
            return iter([stream] if self.rounds == 1 else [])

    with pytest.raises(ConfigError, match="second time"):
        calibrate(Half())


def test_calibration_is_frozen(stream):
    found = calibrate([stream])
    with pytest.raises(AttributeError):
        found.protocol = "global"
    with pytest.raises(ValueError, match="read-only"):
        found.center[0] = 1


def test_calibration_survives_its_state(stream):
    found = calibrate([stream], protocol="global")
    again = Calibration.from_state(found.state())
    assert np.array_equal(found.center, again.center)
    assert (found.thresholds, found.typical_norm, found.protocol) == (
        again.thresholds,
        again.typical_norm,
        again.protocol,
    )
    assert (found.n_activations, found.n_batches) == (again.n_activations, again.n_batches)
