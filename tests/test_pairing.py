"""One-to-one pairs: as good as the best of all, whatever the shape; nearest counterparts; bounded
memory.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from ep.method import pairing
from ep.method.pairing import TOLERANCE, counterpart, pair


def rows(n: int, d: int, seed: int, crowded: bool = False) -> np.ndarray:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, d))
    if crowded:  # a few places that many want, and exact doubles
        x = x[rng.integers(max(1, n // 6), size=n)] + 0.02 * x * (rng.random((n, 1)) < 0.5)
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 60), st.integers(1, 60), st.integers(2, 8), st.booleans(), st.integers(0, 9))
def test_no_pairing_is_better(n: int, m: int, d: int, crowded: bool, seed: int) -> None:
    a, b = rows(n, d, seed, crowded), rows(m, d, seed + 1, crowded)
    found = pair(a, b)
    best = (a @ b.T)[linear_sum_assignment(-(a @ b.T).astype(np.float64))].sum()
    assert len(found.first) == min(n, m)
    assert len(set(found.first)) == len(found.first) and len(set(found.second)) == len(found.second)
    assert found.cosine.sum() >= best - 3 * TOLERANCE * min(n, m) - 1e-4
    np.testing.assert_allclose(
        found.cosine, np.einsum("kd,kd->k", a[found.first], b[found.second]), atol=1e-6
    )
    assert (np.diff(found.first) > 0).all()


@pytest.mark.parametrize(("n", "m"), [(400, 400), (300, 500), (500, 300)])
def test_short_lists_and_small_blocks_change_nothing(
    monkeypatch: pytest.MonkeyPatch, n: int, m: int
) -> None:
    a, b = rows(n, 6, 1, crowded=True), rows(m, 6, 2)
    best = (a @ b.T)[linear_sum_assignment(-(a @ b.T).astype(np.float64))].sum()
    monkeypatch.setattr(pairing, "NEAREST", 2)
    monkeypatch.setattr(pairing, "BLOCK_BYTES", 10_000)
    assert pair(a, b).cosine.sum() == pytest.approx(best, abs=3 * TOLERANCE * min(n, m) + 1e-3)


def test_a_set_pairs_with_itself_and_with_itself_shuffled() -> None:
    a = rows(200, 16, 3)
    order = np.random.default_rng(0).permutation(200)
    found = pair(a, a[order])
    np.testing.assert_array_equal(order[found.second], found.first)
    np.testing.assert_allclose(found.cosine, 1, atol=1e-6)


def test_turning_it_round_turns_the_pairs() -> None:
    a, b = rows(30, 5, 0), rows(50, 5, 1)
    there, back = pair(a, b), pair(b, a)
    assert set(zip(there.first.tolist(), there.second.tolist(), strict=True)) == set(
        zip(back.second.tolist(), back.first.tolist(), strict=True)
    )


def test_it_says_how_far_it_is_and_can_be_ended() -> None:
    shares: list[float] = []
    pair(rows(80, 4, 0), rows(90, 4, 1), shares.append)
    assert shares == sorted(shares) and shares[-1] == 1.0

    def stop(share: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pair(rows(80, 4, 0), rows(90, 4, 1), stop)


def test_a_counterpart_is_the_nearest_of_all() -> None:
    a, b = rows(70, 6, 0), rows(90, 6, 1)
    found, cosine = counterpart(a, b)
    np.testing.assert_array_equal(found, np.argmax(a @ b.T, axis=1))
    np.testing.assert_allclose(cosine, (a @ b.T).max(axis=1), atol=1e-6)
