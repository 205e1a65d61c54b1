"""Laws of the fast search: every screen, on every path, gives the plain search's answer bit for
bit.
"""

from __future__ import annotations

import time

import numpy as np
import pytest
import torch
from scipy.linalg import hadamard

from ep.errors import ActivationError, ConfigError
from ep.method import codes as codes_module
from ep.method import screens, search
from ep.method.codes import LONGEST, MIX, Coder
from ep.method.nearest import nearest_exemplar
from ep.method.search import ExemplarIndex
from tests.fixtures.directions import CASES, unit

PATHS = ("float32", "int8", "float32 on device", "int8 on device", "short products")


def take_the_device_path(monkeypatch):
    on_device = codes_module._encode_on_device
    monkeypatch.setattr(codes_module, "_encode", on_device)


@pytest.fixture(params=PATHS)
def path(request, monkeypatch):
    """Each way through the search; the last three as a GPU would take them."""
    monkeypatch.setattr(search, "INT8_FROM", 1 if "int8" in request.param else 10**9)
    monkeypatch.setattr(search, "int8_is_exact_and_faster", lambda device: True)
    if "on device" in request.param:
        monkeypatch.setattr(search, "on_cpu", lambda x: False)
        take_the_device_path(monkeypatch)
        monkeypatch.setattr(search, "DEVICE_NUMBERS", 4096)
    if request.param == "short products":
        monkeypatch.setattr(screens, "short_products", lambda: True)
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
    # one row's own cosine: at the floor is not below it
    floor = float(np.sort(expected_cosine)[len(x) // 2])
    cosine, region = index.nearest(x, floor)
    below = expected_cosine < floor
    assert below.any() and not below.all()
    assert np.array_equal(region, np.where(below, -1, expected_region))
    assert np.array_equal(cosine, np.where(below, -np.inf, expected_cosine))


def test_growing_one_by_one_equals_all_at_once(path, monkeypatch):
    """Small tiles, exemplars of growing width in the rotated frame: codes are renewed on the way,
    nothing changes.
    """
    monkeypatch.setattr(search, "TILE", 24)
    rng = np.random.default_rng(1)
    spread = np.linspace(0.0, 30.0, 100)[:, None] * np.eye(1, 64)
    exemplars, x = (
        unit(rng.standard_normal((100, 64)) + spread),
        unit(rng.standard_normal((80, 64))),
    )
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


def plainly_mixed(x: np.ndarray, coder: Coder) -> np.ndarray:
    """The mixing in float64, by the matrix of its definition."""
    padded = np.zeros((len(x), coder.width))
    padded[:, : x.shape[1]] = x.astype(np.float64) * coder.signs
    parts = padded.reshape(len(x), MIX, -1)
    return np.einsum("pq,nqj->npj", hadamard(MIX) / np.sqrt(MIX), parts).reshape(len(x), -1)


@pytest.mark.parametrize("scale", [None, 3e-3])
@pytest.mark.parametrize("encode", ["_encode", "_encode_on_device"])
@pytest.mark.parametrize("width", [1, 5, 64, 131, 2304])
def test_codes_bound_what_they_miss(width, encode, scale, monkeypatch):
    if encode == "_encode_on_device":
        take_the_device_path(monkeypatch)
    rng = np.random.default_rng(width)
    x = rng.standard_normal((60, width))
    x[:, 0] *= 40
    x = unit(x)
    coder = Coder(width)
    codes = coder(torch.from_numpy(x), scale)
    mixed = plainly_mixed(x, coder)
    assert np.allclose(mixed @ mixed.T, x.astype(float) @ x.T.astype(float), atol=1e-12)
    missed = np.linalg.norm(
        mixed - codes.numbers.double().numpy() * codes.scale.numpy()[:, None], axis=1
    )
    residual = codes.residual.numpy()
    assert (missed <= residual).all()
    assert (residual <= missed * (1 + 1e-3) + 1e-4 * LONGEST).all(), "a bound, but no loose one"
    assert coder.widest(torch.from_numpy(x)) == pytest.approx(np.abs(mixed).max(), rel=1e-5)


def test_int8_products_are_exact_at_their_largest():
    extremes = torch.full((32, 4096), 127, dtype=torch.int8)
    extremes[1] = -127
    expected = (extremes.double() @ extremes.double().T).to(torch.int32)
    assert torch.equal(screens.int8_products(extremes, extremes, 32), expected)


def test_refusals():
    with pytest.raises(ConfigError, match="'cpu' or 'cuda'"):
        ExemplarIndex(4, "mps")
    with pytest.raises(ActivationError, match=r"expected \(n, 4\)"):
        ExemplarIndex(4).nearest(np.ones((2, 5), np.float32))
    assert ExemplarIndex(4).exemplars.shape == (0, 4)
    cosine, region = ExemplarIndex(4).nearest(np.ones((1, 4), np.float32) / 2)
    assert cosine[0] == -np.inf and region[0] == -1


def test_the_choice_of_a_screen_counts_no_time_of_other_programs():
    """On a busy machine the int8 screen was taken for the slower one, for the rest of a build."""
    assert screens._seconds(lambda: time.sleep(0.05)) < 0.025
