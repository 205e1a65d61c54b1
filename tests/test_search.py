"""Laws of the fast search: every screen, on every path, gives the plain search's answer bit for bit."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ep.errors import ActivationError, ConfigError
from ep.method import search
from ep.method.codes import Rotation, codes_of
from ep.method.nearest import folded_cosine, nearest_exemplar, rounding_bound
from ep.method.search import ExemplarIndex
from tests.test_nearest import CASES, unit

PATHS = ("float32", "int8", "float32 on device", "int8 on device", "short products")


@pytest.fixture(params=PATHS)
def path(request, monkeypatch):
    """Each way through the search; the last three as a GPU would take them."""
    monkeypatch.setattr(search, "INT8_FROM", 1 if "int8" in request.param else 10**9)
    monkeypatch.setattr(search, "_int8_is_exact_and_faster", lambda device: True)
    if "on device" in request.param:
        monkeypatch.setattr(search, "challenge", search._challenge_on_device)
        monkeypatch.setattr(search, "DEVICE_NUMBERS", 4096)
    if request.param == "short products":
        monkeypatch.setattr(search, "_short_products", lambda: True)
    return request.param


@pytest.mark.parametrize("name", CASES)
def test_equals_the_plain_search(name, path):
    x, exemplars = CASES[name]
    index = ExemplarIndex(x.shape[1])
    index.add(exemplars)
    cosine, region = index.nearest(x)
    expected_cosine, expected_region = nearest_exemplar(x, exemplars)
    assert np.array_equal(region, expected_region)
    assert np.array_equal(cosine, expected_cosine)


@pytest.mark.parametrize("name", ["random", "all negative", "near-duplicates"])
def test_below_the_floor_there_is_none(name, path):
    x, exemplars = CASES[name]
    index = ExemplarIndex(x.shape[1])
    index.add(exemplars)
    expected_cosine, expected_region = nearest_exemplar(x, exemplars)
    floor = float(np.sort(expected_cosine)[len(x) // 2])  # one row's own cosine: at the floor is not below it
    cosine, region = index.nearest(x, floor)
    below = expected_cosine < floor
    assert below.any() and not below.all()
    assert np.array_equal(region, np.where(below, -1, expected_region))
    assert np.array_equal(cosine, np.where(below, -np.inf, expected_cosine))


def test_growing_one_by_one_equals_all_at_once(path, monkeypatch):
    """Small tiles, exemplars of growing width in the rotated frame: codes are renewed on the way, nothing changes."""
    monkeypatch.setattr(search, "TILE", 24)
    rng = np.random.default_rng(1)
    spread = np.linspace(0.0, 30.0, 100)[:, None] * np.eye(1, 64)
    exemplars, x = unit(rng.standard_normal((100, 64)) + spread), unit(rng.standard_normal((80, 64)))
    index = ExemplarIndex(64)
    for k in range(0, 100, 5):
        index.add(exemplars[k : k + 5])
        cosine, region = index.nearest(x)
        expected = nearest_exemplar(x, exemplars[: k + 5])
        assert np.array_equal(cosine, expected[0]) and np.array_equal(region, expected[1])
    assert len(index) == 100 and np.array_equal(index.exemplars, exemplars)


def test_any_batch_gives_the_same(path, monkeypatch):
    x, exemplars = CASES["clustered"]
    index = ExemplarIndex(64)
    index.add(exemplars)
    whole = index.nearest(x)
    monkeypatch.setattr(search, "ROWS_AT_A_TIME", 7)
    assert all(np.array_equal(a, b) for a, b in zip(index.nearest(x), whole, strict=True))
    alone = [index.nearest(row[None]) for row in x]
    assert np.array_equal(whole[0], np.concatenate([c for c, _ in alone]))
    assert np.array_equal(whole[1], np.concatenate([r for _, r in alone]))


@pytest.mark.parametrize("width", [1, 5, 64, 131, 2304])
def test_the_codes_bound_what_they_lose(width):
    rng = np.random.default_rng(width)
    x = rng.standard_normal((60, width))
    x[:, 0] *= 40
    x = unit(x)
    rotation = Rotation(width, torch.zeros(1))
    codes = codes_of(rotation(torch.from_numpy(x)), rotation)
    stands_for = codes.numbers.double().numpy() * codes.scale.numpy()[:, None]
    stretch, residual = rotation.stretch, codes.residual.numpy()
    between = folded_cosine(np.repeat(x, 60, 0), np.tile(x, (60, 1))).reshape(60, 60)
    error = np.abs(between - stands_for @ stands_for.T)
    assert (error <= residual[:, None] * stretch + (stretch + residual[:, None]) * residual + rotation.distortion).all()
    assert residual.max() < 0.05


def test_int8_products_are_exact_at_their_largest():
    extremes = torch.full((32, 4096), 127, dtype=torch.int8)
    extremes[1] = -127
    expected = (extremes.double() @ extremes.double().T).to(torch.int32)
    assert torch.equal(search._int8_products(extremes, extremes, 32), expected)


def test_rotation_keeps_products_within_its_bound():
    rng = np.random.default_rng(0)
    x = unit(rng.standard_normal((50, 2304)))
    rotation = Rotation(2304, torch.zeros(1))
    y = rotation(torch.from_numpy(x)).double().numpy()
    bound = rotation.distortion + 2 * rotation.error * rotation.stretch + rotation.error**2 + rounding_bound(2304)
    assert np.abs(y @ y.T - x.astype(float) @ x.T.astype(float)).max() < bound < 1e-3


def test_refusals():
    with pytest.raises(ConfigError, match="'cpu' or 'cuda'"):
        ExemplarIndex(4, "mps")
    with pytest.raises(ActivationError, match=r"expected \(n, 4\)"):
        ExemplarIndex(4).nearest(np.ones((2, 5), np.float32))
    assert ExemplarIndex(4).exemplars.shape == (0, 4)
    cosine, region = ExemplarIndex(4).nearest(np.ones((1, 4), np.float32) / 2)
    assert cosine[0] == -np.inf and region[0] == -1
