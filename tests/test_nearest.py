"""Laws of the exact nearest exemplar: the float64 fold decides, whatever the batch, the order of
work or the screen.
"""

from __future__ import annotations

import numpy as np
import pytest

from ep.errors import ActivationError
from ep.method.nearest import fold, folded_cosine, nearest_exemplar, rounding_bound
from tests.fixtures.directions import CASES, unit


def brute(x: np.ndarray, exemplars: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Every pair by the law, one row at a time; numpy's argmax takes the first, the older."""
    cosines = np.stack(
        [folded_cosine(np.broadcast_to(row, exemplars.shape), exemplars) for row in x]
    )
    return cosines.max(1), cosines.argmax(1)


@pytest.mark.parametrize("name", CASES)
def test_equals_brute_force_bit_for_bit(name):
    x, exemplars = CASES[name]
    cosine, region = nearest_exemplar(x, exemplars)
    expected_cosine, expected_region = brute(x, exemplars)
    assert np.array_equal(cosine, expected_cosine)
    assert np.array_equal(region, expected_region)


def test_tiles_and_row_blocks_do_not_show(monkeypatch):
    x, exemplars = CASES["near-duplicates"]
    whole = nearest_exemplar(x, exemplars)
    monkeypatch.setattr("ep.method.nearest.TILE", 7)
    monkeypatch.setattr("ep.method.nearest.ROWS_AT_A_TIME", 3)
    assert all(
        np.array_equal(a, b) for a, b in zip(nearest_exemplar(x, exemplars), whole, strict=True)
    )


def test_one_row_at_a_time_equals_all_at_once():
    x, exemplars = CASES["clustered"]
    cosine, region = nearest_exemplar(x, exemplars)
    alone = [nearest_exemplar(x[i : i + 1], exemplars) for i in range(len(x))]
    assert np.array_equal(cosine, np.concatenate([c for c, _ in alone]))
    assert np.array_equal(region, np.concatenate([r for _, r in alone]))


@pytest.mark.parametrize("width", [1, 2, 3, 5, 64, 131, 2304])
def test_fold_is_a_sum_and_does_not_depend_on_the_batch(width):
    rng = np.random.default_rng(width)
    v = rng.standard_normal((9, width))
    whole = fold(v.copy())
    assert np.allclose(whole, v.sum(1), atol=1e-12)
    assert np.array_equal(whole, [fold(row.copy()) for row in v])


@pytest.mark.parametrize("width", [64, 131, 2304])
def test_rounding_bound_holds(width):
    rng = np.random.default_rng(width)
    a, b = unit(rng.standard_normal((300, width))), unit(np.abs(rng.standard_normal((300, width))))
    exact = folded_cosine(a, b)
    assert np.abs(np.einsum("nd,nd->n", a, b) - exact).max() <= rounding_bound(width)
    assert np.abs((a.astype(float) * b).sum(1) - exact).max() <= rounding_bound(width, np.float64)


def test_a_float32_product_would_have_decided_otherwise():
    """Two exemplars a hair apart: the float32 product ranks some rows wrongly, the search none."""
    x, exemplars = CASES["float32 twins"]
    assert (nearest_exemplar(x, exemplars)[1] != (x @ exemplars.T).argmax(1)).any()


def test_no_exemplars_and_no_rows():
    cosine, region = nearest_exemplar(np.ones((2, 1), np.float32), np.empty((0, 1), np.float32))
    assert np.array_equal(cosine, [-np.inf, -np.inf]) and np.array_equal(region, [-1, -1])
    cosine, region = nearest_exemplar(np.empty((0, 4), np.float32), np.eye(4, dtype=np.float32))
    assert cosine.shape == region.shape == (0,)


def test_another_width_is_refused():
    with pytest.raises(ActivationError, match="one width"):
        nearest_exemplar(np.ones((2, 3), np.float32), np.ones((2, 4), np.float32))
