"""Laws of directions and distances."""

from __future__ import annotations

import numpy as np
import pytest

from ep.errors import ActivationError
from ep.method.geometry import cosine_distance, directions


@pytest.fixture
def cloud() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return (rng.normal(size=(900, 48)) * 20 + 3).astype(np.float32), rng.normal(size=48).astype(
        np.float32
    )


def test_rows_are_unit_float32_and_point_away_from_the_center(cloud):
    x, center = cloud
    rows = directions(x, center)
    assert rows.dtype == np.float32
    assert np.allclose(np.linalg.norm(rows.astype(float), axis=1), 1, atol=1e-6)
    u = x.astype(float) - center
    assert np.allclose(rows, u / np.linalg.norm(u, axis=1, keepdims=True), atol=1e-6)


@pytest.mark.parametrize("size", [1, 2, 7, 64, 899])
def test_a_row_does_not_depend_on_its_batch(cloud, size):
    x, center = cloud
    parts = [directions(x[start : start + size], center) for start in range(0, len(x), size)]
    assert np.array_equal(np.concatenate(parts), directions(x, center))


@pytest.mark.parametrize("scale", [1e-30, 1e-18, 1e-9, 1e12, 1e25, 1e35])
def test_direction_ignores_length_at_any_scale(cloud, scale):
    x = cloud[0].astype(np.float64)
    zero = np.zeros(48, np.float32)
    if scale < 1e-12:
        assert (directions(x * scale, zero) == np.eye(48)[0]).all()
    else:
        assert np.allclose(directions(x * scale, zero), directions(x, zero), atol=1e-6)


def test_an_activation_on_the_center_gets_a_unit_row_and_leaves_the_others_alone(cloud):
    x, center = cloud
    with_zero = x.copy()
    with_zero[5] = center
    rows = directions(with_zero, center)
    assert np.array_equal(rows[5], np.eye(1, 48, dtype=np.float32)[0])
    assert np.array_equal(np.delete(rows, 5, 0), np.delete(directions(x, center), 5, 0))


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda x: _with(x, np.nan), "NaN at row 7, column 3"),
        (lambda x: _with(x, np.inf), "infinity at row 7, column 3"),
        (lambda x: x[:, :40], "40 wide"),
        (lambda x: x[0], r"shape \(48,\)"),
        (lambda x: x.astype(str), "dtype"),
    ],
)
def test_bad_activations_are_refused_in_one_line(cloud, spoil, words):
    x, center = cloud
    with pytest.raises(ActivationError, match=words) as caught:
        directions(spoil(x), center)
    assert "\n" not in str(caught.value)


def test_empty_batch_and_bad_center(cloud):
    x, center = cloud
    assert directions(x[:0], center).shape == (0, 48)
    with pytest.raises(ActivationError, match="centre"):
        directions(x, center * np.nan)


def test_half_precision_and_integers_are_read_as_floats(cloud):
    x, center = cloud
    half = x.astype(np.float16)
    assert np.array_equal(directions(half, center), directions(half.astype(np.float32), center))
    assert np.allclose(directions(np.full((1, 48), 3), np.zeros(48, np.float32)), 48**-0.5)


def test_distance_is_between_0_and_2(cloud):
    rows = directions(*cloud)
    distance = cosine_distance(rows, np.concatenate([rows[:50], -rows[:50]]))
    assert distance.min() >= 0 and distance.max() <= 2
    assert np.allclose(np.diag(distance[:50, :50]), 0, atol=1e-6)
    assert np.allclose(np.diag(distance[:50, 50:]), 2, atol=1e-6)


def _with(x: np.ndarray, value: float) -> np.ndarray:
    x = x.copy()
    x[7, 3] = value
    return x
