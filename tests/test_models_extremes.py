"""Laws of the fast search for extremes: it is a plain float64 product, rounded and sorted."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch

from ep.errors import ModelError
from ep.models import extremes
from ep.models.extremes import Unembedding
from ep.models.token_groups import Groups

KINDS = (torch.float32, torch.bfloat16)


def plain(w: torch.Tensor, x: torch.Tensor, k: int, minus: torch.Tensor | float = 0.0):
    """Ids and float32 values of the k highest scores of each row, ties to the smaller id."""
    scores = (x.double() @ w.double().T - minus).float().numpy()
    ids = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return ids, np.take_along_axis(scores, ids, 1)


def case(words: int, width: int, states: int, seed: int = 0):
    rng = torch.Generator().manual_seed(seed)
    w = torch.randn(words, width, generator=rng) * torch.rand(words, 1, generator=rng) * 3
    x = torch.randn(states, width, generator=rng)
    x[0] = 0  # every token has the same score
    w[words // 2] = w[1]  # two tokens that always tie
    return w, x


@pytest.fixture(params=["as it is", "small blocks"])
def blocks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "small blocks":
        monkeypatch.setattr(extremes, "_ROWS", 7)
        monkeypatch.setattr(extremes, "_PRODUCTS", 60)
        monkeypatch.setattr(extremes, "Groups", partial(Groups, members=3, step=50))


@pytest.mark.usefixtures("blocks")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("words, width, states", [(5, 8, 3), (100, 16, 9), (9000, 24, 33)])
def test_both_ends_are_those_of_a_plain_product(kind, words, width, states):
    w, x = case(words, width, states)
    k = min(12, words)
    highest, lowest = Unembedding(w, kind).both(x, k)
    for found, (ids, values) in ((highest, plain(w, x, k)), (lowest, plain(w, -x, k))):
        np.testing.assert_array_equal(found.ids, ids)
        np.testing.assert_array_equal(np.abs(found.values), np.abs(values))
    assert (np.diff(lowest.values, axis=1) >= 0).all()
    assert (np.diff(highest.values, axis=1) <= 0).all()


@pytest.mark.usefixtures("blocks")
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_subtracted_counts(kind):
    w, x = case(700, 16, 20)
    rng = torch.Generator().manual_seed(1)
    offset = torch.rand(700, generator=rng).double() * 40 - 80
    shift = torch.rand(20, generator=rng).double() * 9 + 10
    found = Unembedding(w, kind).highest(x, 12, offset, shift)
    ids, values = plain(w, x, 12, offset + shift[:, None])
    np.testing.assert_array_equal(found.ids, ids)
    np.testing.assert_array_equal(found.values, values)


def test_scores_closer_than_the_screen_can_tell_are_ordered_exactly():
    """All tokens are nearly the same: bfloat16 sees no difference, and the bound keeps them all."""
    rng = torch.Generator().manual_seed(2)
    w = torch.ones(3000, 32) + 1e-5 * torch.randn(3000, 32, generator=rng)
    x = torch.randn(40, 32, generator=rng)
    found, _ = Unembedding(w, torch.bfloat16).both(x, 12)
    np.testing.assert_array_equal(found.ids, plain(w, x, 12)[0])


def test_weights_in_half_precision_and_no_states():
    w, x = case(300, 16, 5)
    half = w.bfloat16()
    found, _ = Unembedding(half).both(x, 3)
    np.testing.assert_array_equal(found.ids, plain(half, x, 3)[0])
    assert [part.shape for part in Unembedding(w).both(x[:0], 3)[1]] == [(0, 3), (0, 3)]


def test_states_that_are_not_finite_are_refused():
    w, x = case(300, 16, 5)
    x[3, 2] = torch.inf
    with pytest.raises(ModelError, match="not finite"):
        Unembedding(w).both(x, 3)


def test_states_that_need_more_groups_than_others_are_exact_too():
    """Some rows of a block are decided by the bound of bfloat16, one only by exact products."""
    w, x = case(9000, 24, 33)
    x[5] *= 1e-4  # beside what is subtracted, all its scores are nearly the same
    offset, shift = torch.rand(9000).double() * 3, torch.zeros(33).double()
    found = Unembedding(w, torch.bfloat16).highest(x, 12, offset, shift)
    ids, values = plain(w, x, 12, offset)
    np.testing.assert_array_equal(found.ids, ids)
    np.testing.assert_array_equal(found.values, values)
