"""Laws of the scores of read-outs: a plain count gives the same, and chance has a ratio of 1."""

from __future__ import annotations

import re

import numpy as np
import pytest

from ep.errors import RequestError
from ep.method.dictionary import Dictionary
from ep.method.lenses import PAPER
from ep.method.source import AddedSource, MemorySource
from ep.studies import lens_scores as study
from ep.studies import lens_words
from ep.studies.lens_words import Numbers, deranged, following, shared, strongest
from tests.fixtures.dictionaries import synthetic

K = 80


@pytest.fixture(scope="module")
def dictionary() -> Dictionary:
    return synthetic(K, 16)


def plain_words(dictionary: Dictionary, region: int) -> set[str]:
    """The whole words in the windows of a region, by a plain loop over its excerpts."""
    found: set[str] = set()
    for excerpt in dictionary.excerpts(region):
        text, begins = "".join(excerpt.pieces), np.cumsum([0, *map(len, excerpt.pieces)])
        first = min(excerpt.position + 2, len(excerpt.pieces))
        last = min(first + lens_words.WINDOW, len(excerpt.pieces))
        for word in re.finditer(r"[^\W\d_]{4,}", text):
            if begins[first] <= word.start() and word.end() <= begins[last]:
                found.add(word.group().lower())
    return found


def test_the_words_that_follow_are_those_of_a_plain_loop(
    dictionary: Dictionary, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lens_words, "PASSAGES_AT_ONCE", 3)
    regions, numbers = np.arange(3, K, 4), Numbers()
    row, word = following(dictionary, regions, numbers)
    names = list(numbers)
    found = [{names[w] for w in word[row == i]} for i in range(len(regions))]
    assert any(found)
    assert found == [plain_words(dictionary, int(k)) for k in regions]


def test_words_of_any_bytes_are_found_where_they_are() -> None:
    pieces = [
        b"<bos>",
        b"x",
        b"y",
        b"\xff na",
        b"\xc3\xafve caf\xc3",
        b"\xa9s",
        b" \xf0\x9f\x99\x82",
    ]
    pieces += [b"WORD", b"s ends", b"here"]
    arrays = {
        "center": np.zeros(4, np.float32),
        "passage_ids": np.array([5]),
        "passage_offsets": np.array([0, len(pieces)]),
        "passage_tokens": np.arange(len(pieces), dtype=np.int32),
        "vocabulary_ids": np.arange(len(pieces), dtype=np.int32),
        "vocabulary_pieces": np.array(pieces, object),
        "excerpt_offsets": np.array([0, 1]),
        "excerpt_passage": np.array([5]),
        "excerpt_position": np.array([1], np.int32),
    }
    made = Dictionary(MemorySource(arrays), {"threshold": 0.5}, 1)
    numbers = Numbers()
    following(made, np.array([0]), numbers)
    assert list(numbers) == ["naïve", "cafés", "words", "endshere"]


def test_the_words_of_a_read_out_are_its_strongest_whole_ones(dictionary: Dictionary) -> None:
    numbers, regions = Numbers(), np.arange(K)
    found = strongest(dictionary, PAPER, regions, numbers)
    names = list(numbers)
    for k in range(K):
        words = [score.token.strip().lower() for score in dictionary.lens(k, PAPER)]
        words = [word for word in words if re.fullmatch(r"[^\W\d_]{4,}", word)]
        expected = list(dict.fromkeys(words))[: lens_words.WORDS]
        assert [names[n] for n in found[k] if n >= 0] == expected


def test_shared_words_are_counted_as_sets() -> None:
    row, word = np.array([0, 0, 2]), np.array([1, 3, 0])
    asked = np.array([[1, 2, 3], [-1, 0, -1], [0, -1, 1]])
    assert shared(row, word, asked, np.arange(3), 4).tolist() == [2, 0, 1]
    assert shared(row, word, asked, np.array([2, 2, 0]), 4).tolist() == [0, 1, 1]
    none = np.zeros(0, np.int64)
    assert shared(none, none, asked, np.arange(3), 4).tolist() == [0, 0, 0]


@pytest.mark.parametrize("n", [2, 3, 50])
def test_a_derangement_leaves_nothing_in_its_place(n: int) -> None:
    for order in deranged(n, 20, np.random.default_rng(0)):
        assert sorted(order) == list(range(n))
        assert (order != np.arange(n)).all()


def replaced(dictionary: Dictionary, **arrays: np.ndarray) -> Dictionary:
    return Dictionary(AddedSource(dictionary.source, arrays), dictionary.info, len(dictionary))


def test_a_lens_that_says_the_next_token_has_every_hit_and_noise_has_none_more(
    dictionary: Dictionary,
) -> None:
    following_ids = dictionary.column("next_ids")
    knowing = np.repeat(following_ids[:, :1], 12, axis=1)
    rng = np.random.default_rng(0)
    noise = dictionary.column("lens_mean_up_ids")[rng.permutation(K)]
    made = replaced(dictionary, lens_exemplar_up_ids=knowing, lens_mean_up_ids=noise)
    scores = study.next_scores(made)
    assert scores["exemplar_up"].own.value == 1.0
    own = scores["mean_up"].own
    assert own.interval is not None
    assert own.interval[0] <= scores["mean_up"].other <= own.interval[1]


def test_read_outs_dealt_at_random_have_a_ratio_of_one_and_decide_nothing() -> None:
    big = synthetic(600, 8)
    rng = np.random.default_rng(1)
    names = [name for name in big.lenses if name.endswith("_up")]
    dealt = {
        f"lens_{n}_{part}": big.column(f"lens_{n}_{part}")[order]
        for n in names
        for order in [rng.permutation(600)]
        for part in ("ids", "values")
    }
    scores = study.word_scores(replaced(big, **dealt))
    assert set(scores) == set(names)
    assert all(score.low < 1 < score.high and score.bits_low < 0 for score in scores.values())
    assert study.first_lens(scores, tuple(names))[0] == study.STANDING


def score(bits_low: float, n: int = 500) -> study.WordScore:
    return study.WordScore(0.2, 0.1, 2.0, 1.5, 2.5, bits_low + 0.01, bits_low, n, 5.0)


@pytest.mark.parametrize(
    "bounds, n, expected, why",
    [
        ({"mean_up": 0.021, PAPER: 0.01, study.STANDING: 0.0}, 500, "mean_up", "2.0 times"),
        ({"mean_up": 0.02, PAPER: 0.01}, 29, PAPER, "only 29 regions"),
        ({"mean_up": 0.02, study.STANDING: 0.0}, 29, study.STANDING, "only 29 regions"),
        ({"mean_up": -0.02, PAPER: -0.01}, 500, PAPER, "no lens says more"),
        ({"mean_up": 0.0199, PAPER: 0.01}, 500, PAPER, "2.0 times"),
        ({"mean_up": 0.0199, study.STANDING: 0.01, PAPER: 0.1}, 500, PAPER, "2.0 times"),
        ({}, 500, PAPER, "only 0 regions"),
    ],
)
def test_the_lens_with_the_surest_evidence_comes_first(
    bounds: dict[str, float], n: int, expected: str, why: str
) -> None:
    scores = {name: score(bound, n) for name, bound in bounds.items()}
    found, reason = study.first_lens(scores, (*bounds, PAPER))
    assert found == expected
    assert why in reason


def test_a_dictionary_agrees_with_itself_and_refuses_another_kind(dictionary: Dictionary) -> None:
    for found in study.agreement(dictionary, dictionary).values():
        assert found.own == 1.0 > found.other
        assert found.n == K
    with pytest.raises(RequestError, match="layer"):
        other = Dictionary(dictionary.source, {**dictionary.info, "layer": 77}, K)
        study.agreement(dictionary, other)
    with pytest.raises(RequestError, match="width"):
        study.agreement(dictionary, synthetic(20, 8))


def test_files_without_texts_or_counts_are_not_scored(dictionary: Dictionary) -> None:
    names = ("center", "exemplars", "mean_directions", "lens_exemplar_up_ids")
    bare = Dictionary(MemorySource({n: dictionary.column(n) for n in names}), {"threshold": 0.5}, K)
    assert study.next_scores(bare) == study.word_scores(bare) == {}
    assert study.choice(bare)["first_lens"] == PAPER
