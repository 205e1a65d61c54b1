"""Laws of the read-outs: each equals its formula, written out plainly."""

from __future__ import annotations

import numpy as np
import pytest

from ep.errors import ActivationError, ConfigError
from ep.method import readouts
from ep.method.geometry import directions


@pytest.fixture(scope="module")
def setting() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(4)
    basis = directions(rng.normal(size=(30, 9)), np.zeros(9, np.float32))
    return (
        rng.normal(size=(50, 9)).astype(np.float32) * 7,
        rng.normal(size=9).astype(np.float32),
        basis,
    )


@pytest.fixture(scope="module")
def distances(setting) -> np.ndarray:
    x, center, basis = setting
    return np.round(1 - directions(x, center) @ basis.T, 1)  # rounded: full of ties


@pytest.mark.parametrize("k", [1, 2, 5, 29, 30, 99])
def test_top_k_is_the_head_of_a_stable_sort(distances, k):
    mask = readouts.top_k(distances, k)
    order = np.argsort(distances, axis=1, kind="stable")[:, :k]
    for row in range(len(distances)):
        assert set(np.flatnonzero(mask[row])) == set(order[row])
    assert (mask.sum(1) == min(k, 30)).all()
    assert np.array_equal(readouts.top1(distances), readouts.top_k(distances, 1))


def test_within_threshold_includes_its_edge(distances):
    edge = float(distances[0, 3])
    assert readouts.within_threshold(distances, edge)[0, 3]
    assert np.array_equal(readouts.within_threshold(distances, 0.7), distances <= 0.7)


@pytest.mark.parametrize("block", [1, 2**22])
def test_otsu_maximises_the_variance_between_the_parts(distances, monkeypatch, block):
    monkeypatch.setattr(readouts, "OTSU_BLOCK", block)
    mask = readouts.otsu(distances)

    def between(row: np.ndarray, near: np.ndarray) -> float:
        return float(near.mean() * (~near).mean() * (row[near].mean() - row[~near].mean()) ** 2)

    for row, near in zip(distances.astype(float), mask, strict=True):
        best = max(between(row, row <= cut) for cut in np.unique(row)[:-1])
        assert between(row, near) == pytest.approx(best)
        assert row[near].max() < row[~near].min()


def test_otsu_of_equal_distances_and_of_one_region_keeps_all():
    assert readouts.otsu(np.full((2, 6), 0.4, np.float32)).all()
    assert readouts.otsu(np.array([[0.2]])).all()
    assert readouts.otsu(np.array([[0.1, 0.9]])).tolist() == [[True, False]]


@pytest.mark.parametrize("k", [1, 3, 30])
def test_features_are_their_formulas(setting, k):
    x, center, basis = setting
    u = x.astype(float) - center
    unit = u / np.linalg.norm(u, axis=1, keepdims=True)
    s, cos = u @ basis.T, unit @ basis.T

    def kept(scores: np.ndarray) -> np.ndarray:
        floor = np.sort(scores, axis=1)[:, -k][:, None]
        return np.where(scores >= floor, np.maximum(scores, 0), 0)

    assert np.allclose(readouts.signed(x, center, basis), s, atol=1e-4)
    assert np.allclose(readouts.cosine(x, center, basis), cos, atol=1e-6)
    assert np.array_equal(readouts.signed_norm(x, center, basis), readouts.cosine(x, center, basis))
    assert np.allclose(readouts.topk(x, center, basis, k), kept(s), atol=1e-4)
    assert np.allclose(readouts.topk_norm(x, center, basis, k), kept(cos), atol=1e-6)
    assert np.array_equal(readouts.binary(x, center, basis), np.eye(30)[cos.argmax(1)])


def test_every_readout_decodes_to_the_shape_of_its_input(setting):
    x, center, basis = setting
    for name, readout in readouts.FEATURES.items():
        features = readout(x, center, basis)
        assert features.dtype == np.float32, name
        assert np.allclose(
            readouts.decode(features, center, basis), features @ basis + center, atol=1e-4
        )
    assert np.allclose(readouts.decode(np.zeros((2, 30)), center, basis), center)


def test_decode_inverts_signed_on_an_orthonormal_basis(setting):
    x, center, _ = setting
    basis = np.eye(9, dtype=np.float32)
    assert np.allclose(
        readouts.decode(readouts.signed(x, center, basis), center, basis), x, atol=1e-4
    )


def test_bad_input_is_refused_by_name(setting, distances):
    x, center, basis = setting
    with pytest.raises(ConfigError, match="k = 0"):
        readouts.top_k(distances, 0)
    with pytest.raises(ActivationError, match="NaN"):
        readouts.signed(np.where(x > 5, np.nan, x), center, basis)
