"""Search by meaning: a text of a region's own direction finds that region; the score is the sum it
claims to be.
"""

from __future__ import annotations

import numpy as np
import pytest

from ep.errors import RequestError
from ep.method.dictionary import Dictionary
from ep.views.meaning import rank
from ep.views.search import MEANING
from tests.fixtures.dictionaries import synthetic


@pytest.fixture(scope="module")
def dictionary() -> Dictionary:
    return synthetic(150, 16, seed=3)


def on(dictionary: Dictionary, regions: list[int]) -> np.ndarray:
    """Activations on the exemplars of some regions, at different lengths."""
    return (
        dictionary.center
        + dictionary.exemplars[regions] * np.linspace(2, 9, len(regions), dtype=np.float32)[:, None]
    )


def test_a_text_on_an_exemplar_finds_it_first(dictionary: Dictionary) -> None:
    for k in (0, 17, 149):
        found = rank(dictionary, on(dictionary, [k, k, k]))
        assert found.regions[0] == k and found.score[0] == pytest.approx(3, abs=1e-4)
        assert found.nearest[0] == found.tokens[0] == found.of == 3


def test_the_score_is_the_sum_over_tokens_one_by_one(dictionary: Dictionary) -> None:
    x = dictionary.center + np.random.default_rng(0).standard_normal((200, 16)).astype(np.float32)
    x[:20] = on(dictionary, list(range(20)))
    found = rank(dictionary, x, limit=None)
    wanted = np.maximum(
        0, 1 - dictionary.distances(x).astype(np.float64) / dictionary.threshold
    ).sum(0)
    np.testing.assert_allclose(found.score, wanted[found.regions], atol=1e-9)
    assert set(found.regions.tolist()) == set(np.flatnonzero(wanted > 0).tolist())
    assert (np.diff(found.score) <= 0).all() and found.nearest.sum() <= 200


def test_parts_of_a_text_add_up(dictionary: Dictionary) -> None:
    x = on(dictionary, [3, 3, 9, 40])
    whole, parts = np.zeros(150), np.zeros(150)
    for total, texts in ((whole, [x]), (parts, [x[:1], x[1:]])):
        for text in texts:
            found = rank(dictionary, text, limit=None)
            total[found.regions] += found.score
    np.testing.assert_allclose(whole, parts, atol=1e-9)


def test_what_is_left_out_does_not_count(dictionary: Dictionary) -> None:
    x = on(dictionary, [5, 5, 5, 8])
    found = rank(dictionary, x, np.array([False, False, False, True]))
    assert found.regions[0] == 8 and found.of == 1
    with pytest.raises(RequestError, match="no token"):
        rank(dictionary, x, np.zeros(4, bool))


def test_the_limit_keeps_the_best(dictionary: Dictionary) -> None:
    x = on(dictionary, list(range(0, 150, 3)))
    every, some = rank(dictionary, x, limit=None), rank(dictionary, x, limit=7)
    np.testing.assert_array_equal(some.regions, every.regions[:7])
    assert set(some.found().reasons.tolist()) == {MEANING}
    assert some.found().summary() == "7 regions: 7 by meaning"
