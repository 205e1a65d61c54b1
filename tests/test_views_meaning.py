"""Search by meaning: a text of a region's own direction finds that region; the score is the sum it
claims to be, and regions of grammar and of first tokens do not crowd out the others.
"""

from __future__ import annotations

import numpy as np
import pytest

from ep.errors import RequestError
from ep.method.dictionary import Dictionary
from ep.method.source import MemorySource
from ep.views import meaning
from ep.views.meaning import LEAST_CONTENT, near, rank, weights
from ep.views.search import MEANING
from tests.fixtures.dictionaries import synthetic


@pytest.fixture(scope="module")
def dictionary() -> Dictionary:
    return synthetic(150, 16, seed=3)


@pytest.fixture(scope="module")
def bare(dictionary: Dictionary) -> Dictionary:
    """The same regions in a file without counts and texts."""
    arrays = {name: dictionary.column(name) for name in ("center", "exemplars")}
    return Dictionary(MemorySource(arrays), dictionary.info, len(dictionary))


def on(dictionary: Dictionary, regions: list[int]) -> np.ndarray:
    """Activations on the exemplars of some regions, at different lengths."""
    return (
        dictionary.center
        + dictionary.exemplars[regions] * np.linspace(2, 9, len(regions), dtype=np.float32)[:, None]
    )


def test_a_text_on_an_exemplar_finds_it_first(bare: Dictionary) -> None:
    for k in (0, 17, 149):
        found = rank(bare, on(bare, [k, k, k]))
        assert found.regions[0] == k and found.score[0] == pytest.approx(3, abs=1e-4)
        assert found.nearest[0] == found.tokens[0] == found.of == 3


def test_a_text_of_one_token_finds_its_region_whatever_the_weight(dictionary: Dictionary) -> None:
    for k in range(len(dictionary)):
        found = rank(dictionary, on(dictionary, [k]), limit=None)
        assert found.nearest[found.regions == k].tolist() == [1] and (found.score > 0).all()


@pytest.mark.parametrize("chunk", [1, 7, 1000])
def test_the_ranking_does_not_depend_on_the_chunk(
    dictionary: Dictionary, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # beside exemplars, not on them, where regions of equal weight would tie
    x = on(dictionary, list(range(130)))
    x += 0.2 * np.random.default_rng(1).standard_normal(x.shape).astype(np.float32)
    expected, places = rank(dictionary, x), near(dictionary, x, np.arange(150))
    monkeypatch.setattr(meaning, "CHUNK", chunk)
    found = rank(dictionary, x)
    np.testing.assert_array_equal(found.regions, expected.regions)
    np.testing.assert_allclose(found.score, expected.score, rtol=1e-5)
    for ours, theirs in zip(near(dictionary, x, np.arange(150)), places, strict=True):
        assert sorted(ours.tolist()) == sorted(theirs.tolist())


def test_the_score_is_the_sum_over_tokens_one_by_one(dictionary: Dictionary) -> None:
    x = dictionary.center + np.random.default_rng(0).standard_normal((200, 16)).astype(np.float32)
    x[:20] = on(dictionary, list(range(20)))
    found = rank(dictionary, x, limit=None)
    plain = np.maximum(0, 1 - dictionary.distances(x).astype(np.float64) / dictionary.threshold)
    wanted = plain.sum(0) * weights(dictionary)
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


# -- what a region's members say -------------------------------------------------------------------


def spoken(counts: list[int] | None, excerpts: list[list[tuple[int, int]]]) -> Dictionary:
    """A dictionary of the passage "<s> The cat of Rome , and it sat" with marked tokens.

    excerpts: for each region the passages and positions that it marks; there are two passages.
    """
    pieces = ["<s>", "The", " cat", " of", " Ro", "me", ",", " and", " it", " sat"]
    size, flat = len(excerpts), [place for region in excerpts for place in region]
    passages, positions = zip(*flat, strict=True)
    arrays = {
        "center": np.zeros(size, np.float32),
        "exemplars": np.eye(size, dtype=np.float32),
        "vocabulary_ids": np.arange(len(pieces), dtype=np.int32),
        "vocabulary_pieces": np.array([piece.encode() for piece in pieces], object),
        "passage_ids": np.arange(2),
        "passage_offsets": np.arange(3) * len(pieces),
        "passage_tokens": np.tile(np.arange(len(pieces), dtype=np.int32), 2),
        "excerpt_offsets": np.cumsum([0, *map(len, excerpts)]),
        "excerpt_passage": np.array(passages),
        "excerpt_position": np.array(positions, np.int32),
    }
    if counts is not None:
        arrays["count_voronoi"] = np.array(counts)
    return Dictionary(MemorySource(arrays), {"threshold": 0.5}, size)


def test_grammar_commas_and_first_tokens_say_nothing_and_pieces_of_words_do() -> None:
    regions = [[(0, 1)], [(0, 3)], [(1, 6)], [(0, 4), (1, 5)], [(0, 2), (1, 3)], [(0, 9)], []]
    found = weights(spoken(None, regions))
    np.testing.assert_allclose(found, [LEAST_CONTENT] * 3 + [1, 0.5, 1, 1])


def test_a_region_of_few_members_weighs_more_and_none_weighs_nothing() -> None:
    found = weights(spoken([0, 1, 10, 10_000], [[(0, 2)]] * 4))
    assert (np.diff(found) < 0).all() and found[-1] > 0
    np.testing.assert_allclose(found, np.log(10_011 + 4 + 1) - np.log([1, 2, 11, 10_001]))
    assert weights(spoken([5], [[(0, 2)]]))[0] > 0


def test_a_text_with_more_commas_than_words_is_still_about_its_words() -> None:
    dictionary = spoken([50, 50], [[(0, 6)], [(0, 2)]])
    assert rank(dictionary, on(dictionary, [0, 0, 0, 1])).regions.tolist() == [1, 0]


def test_without_counts_and_texts_every_region_weighs_the_same(bare: Dictionary) -> None:
    np.testing.assert_array_equal(weights(bare), np.ones(150))


def test_the_tokens_near_a_region_are_those_within_the_threshold_nearest_first(
    dictionary: Dictionary,
) -> None:
    x = on(dictionary, [3, 60, 3, 9])
    x[2] += np.random.default_rng(0).standard_normal(16).astype(np.float32) * 0.1
    content = np.array([True, True, True, False])
    three, nine, sixty = near(dictionary, x, np.array([3, 9, 60]), content)
    assert three[:2].tolist() == [0, 2] and sixty[0] == 1 and 3 not in nine
    distances = dictionary.distances(x)
    for k, rows in ((3, three), (9, nine), (60, sixty)):
        assert set(rows.tolist()) == set(
            np.flatnonzero((distances[:, k] < dictionary.threshold) & content).tolist()
        )
    assert [len(rows) for rows in near(dictionary, x[:0], np.array([3]))] == [0]
