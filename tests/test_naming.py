"""Automatic labels: the same file gives the same labels, they quote what is there, and they tell
regions apart.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

import ep
from ep.errors import UnknownRegion
from ep.method.dictionary import Dictionary
from ep.method.source import MemorySource
from ep.studies.contrasting import contrast
from ep.studies.naming import (
    LONGEST_TOKEN,
    automatic,
    compute,
    is_numbered,
    numbered,
)
from ep.studies.rates import balanced, wilson
from ep.studies.whole_words import is_content, stem
from tests.fixtures.dictionaries import synthetic

DEMO = Path(__file__).resolve().parents[1] / "data" / "demo" / "dictionaries"


def without(dictionary: Dictionary, *names: str) -> Dictionary:
    """The dictionary without the arrays whose names begin so."""
    arrays = {n: dictionary.column(n) for n in dictionary.source._arrays if not n.startswith(names)}
    return Dictionary(MemorySource(arrays), dictionary.info, len(dictionary))


def test_the_same_dictionary_gives_the_same_labels_in_any_order() -> None:
    dictionary = synthetic(size=60, seed=3)
    names = automatic(dictionary)
    assert names == automatic(synthetic(size=60, seed=3)) and len(names) == 60
    assert automatic(dictionary, [7, 0, 7]) == [names[7], names[0], names[7]]
    with pytest.raises(UnknownRegion):
        automatic(dictionary, [60])


def test_a_label_quotes_the_regions_most_frequent_token() -> None:
    dictionary = synthetic(size=60, seed=3)
    for k, name in enumerate(automatic(dictionary)):
        frequent = [score.token for score in dictionary.region(k).tokens]
        if frequent and frequent[0].strip().isalpha():
            assert f'"{frequent[0]}"' in name


def test_what_tells_a_region_from_its_neighbours_is_clear_and_what_they_share_is_not() -> None:
    ids = np.array([[1, 2, 3], [1, 4, -1], [1, 4, -1]])
    counts = np.array([[50, 40, 1], [50, 40, 0], [50, 40, 0]])
    nearest = np.array([[1, 2], [0, 2], [0, 1]])
    z = contrast(ids, counts, nearest)
    assert z[0, 1] > 4 and z[0, 1] > z[0, 0] and z[0, 1] > z[0, 2] and abs(z[0, 0]) < 1.96
    alone = contrast(ids[:1], counts[:1], np.full((1, 2), -1))
    assert np.isfinite(alone).all()


def counted(vocabulary: list[str], *rows: dict[str, int]) -> Dictionary:
    """A dictionary with these members' tokens and counts, one row a region, all neighbours."""
    size, ids = len(rows), np.full((len(rows), 10), -1, np.int32)
    counts = np.zeros((size, 10), np.uint32)
    for k, row in enumerate(rows):
        ids[k, : len(row)] = [vocabulary.index(token) for token in row]
        counts[k, : len(row)] = list(row.values())
    nearest = np.array([[j for j in range(size) if j != k] for k in range(size)], np.int32)
    pieces = np.empty(len(vocabulary), object)
    pieces[:] = [token.encode() for token in vocabulary]
    arrays = {
        "exemplars": np.eye(size, dtype=np.float32),
        "nearest_ids": nearest,
        "token_ids": ids,
        "token_counts": counts,
        "count_voronoi": np.array([2 * sum(row.values()) for row in rows]),
        "vocabulary_ids": np.arange(len(vocabulary)),
        "vocabulary_pieces": pieces,
    }
    return Dictionary(MemorySource(arrays), {"threshold": 0.5}, size)


def test_a_label_leaves_out_what_the_neighbours_have_more_often_and_what_is_said_twice() -> None:
    found = counted(
        [" of", " than", " Than", " to", " as"],
        {" of": 20, " than": 18, " Than": 16, " as": 15},
        {" of": 90, " to": 10},
        {" of": 95, " to": 5},
    )
    assert automatic(found)[0] == '" than" / " as"'


def test_members_of_many_tokens_are_named_by_whole_words() -> None:
    found = counted(
        ["ias", "on", " tulip", " rose", " oak", " tax"],
        {"ias": 9, "on": 8, " tulip": 5, " rose": 4, " oak": 4},
        {" tax": 10},
    )
    assert automatic(found)[0] == '" tulip" / " rose" / " oak"'


def test_pieces_become_the_words_to_which_they_belong_and_forms_of_a_word_count_once() -> None:
    pieces = [" pet", "un", "ias", " and", " resulting", " resulted", " in", "."]
    sentence = [0, 1, 2, 3, 0, 1, 2, 6, 4, 5, 7]
    arrays = {
        name: counted(pieces, {"ias": 9}, {" resulting": 5, " resulted": 4}).column(name)
        for name in (
            "exemplars",
            "nearest_ids",
            "token_ids",
            "token_counts",
            "count_voronoi",
            "vocabulary_ids",
            "vocabulary_pieces",
        )
    } | {
        "passage_ids": np.array([7]),
        "passage_offsets": np.array([0, len(sentence)]),
        "passage_tokens": np.array(sentence, np.int32),
        "excerpt_offsets": np.array([0, 2, 4]),
        "excerpt_passage": np.array([7, 7, 7, 7]),
        "excerpt_position": np.array([2, 6, 8, 9], np.int32),
    }
    names = automatic(Dictionary(MemorySource(arrays), {"threshold": 0.5}, 2))
    assert [name.partition(" after ")[0] for name in names] == ['" petunias"', '" resulting"']


@pytest.mark.parametrize(
    ("forms", "other"),
    [(("result", " Resulted", " resulting", "results"), "resist"), (("run", " running"), "rung")],
)
def test_the_forms_of_a_word_have_one_stem(forms: tuple[str, ...], other: str) -> None:
    assert len({stem(form) for form in forms}) == 1 and stem(other) != stem(forms[0])


def test_words_of_grammar_never_say_in_which_texts_a_region_occurs() -> None:
    for path in ("all-tokens/tuned-L4-p2", "last-token/tuned-L4-final-p2"):
        for name in compute(ep.open(DEMO / f"{path}.ep.h5")):
            texts = name.partition("in texts with ")[2].partition(", lens")[0]
            assert all(is_content(word.strip('"')) for word in texts.split(" / ") if word), name


def test_fewer_arrays_give_labels_all_the_same() -> None:
    dictionary = synthetic(size=40, seed=1)
    whole = automatic(dictionary)
    from_excerpts = automatic(without(dictionary, "token_", "next_"))
    lens = automatic(without(dictionary, "token_", "next_", "excerpt_"))
    assert all(name.startswith('"') for name in whole + from_excerpts)
    assert all(name.startswith('lens "') for name in lens)
    nothing = automatic(without(dictionary, "token_", "next_", "excerpt_", "lens_"))
    assert nothing == [f"region {k}" for k in range(40)]
    assert automatic(without(dictionary, "nearest_", "vocabulary_"))[0].startswith('"<')


@pytest.mark.parametrize("size", [1, 2, 3])
def test_the_smallest_dictionaries_have_labels(size: int) -> None:
    assert all(automatic(synthetic(size=size)))


def test_hostile_tokens_stay_on_one_short_line() -> None:
    for name in automatic(synthetic(size=60, seed=2, hostile=True)):
        assert name.isprintable() and "\u202e" not in name and len(name) < 8 * (LONGEST_TOKEN + 24)


@pytest.mark.parametrize(
    ("name", "least"),
    [
        ("all-tokens/tuned-L4-p2", 0.99),
        ("all-tokens/base-L2-p1", 0.99),
        # every member is the same token: the text before names them
        ("last-token/tuned-L4-final-p2", 0.85),
        ("last-token/base-L2-final-p2", 0.7),
    ],
)
def test_nearly_every_region_of_the_demo_has_a_label_of_its_own(name: str, least: float) -> None:
    labels = Counter(automatic(ep.open(DEMO / f"{name}.ep.h5")))
    assert sum(n == 1 for n in labels.values()) / labels.total() >= least


def test_texts_without_tokens_are_named_by_words_their_neighbours_lack() -> None:
    texts = [
        "a boat in the harbour",
        "the old boat by the sea",
        "the bread in the oven",
        "bread and butter, the end",
    ]
    arrays = {
        "center": np.zeros(2, np.float32),
        "exemplars": np.eye(2, dtype=np.float32),
        "mean_directions": np.eye(2, dtype=np.float32),
        "nearest_ids": np.array([[1], [0]], np.int32),
        "nearest_distances": np.ones((2, 1), np.float32),
        "plain_ids": np.arange(4),
        "plain_offsets": np.cumsum([0, *map(len, texts)]),
        "plain_bytes": np.frombuffer("".join(texts).encode(), np.uint8),
        "excerpt_offsets": np.array([0, 2, 4]),
        "excerpt_passage": np.arange(4),
        "excerpt_position": np.full(4, 3, np.int32),
        "excerpt_distance": np.full(4, 0.1, np.float32),
        "excerpt_band": np.zeros(4, np.uint8),
    }
    dictionary = Dictionary(MemorySource(arrays), {"threshold": 0.5}, 2)
    assert [name.split(" / ")[0] for name in automatic(dictionary)] == [
        'texts with "boat"',
        'texts with "bread"',
    ]


def test_an_interval_holds_its_value_and_narrows_with_n() -> None:
    for n in (1, 2, 5, 40):
        for hits in range(n + 1):
            low, high = wilson(hits, n)
            assert 0 <= low <= hits / n <= high <= 1
            for rejected in range(n + 1):
                value, low, high = balanced(hits, n, rejected, n)
                assert 0 <= low <= value <= high <= 1 and low < high
    widths = [np.diff(balanced(n // 2, n, n // 2, n)[1:])[0] for n in (4, 16, 64)]
    assert widths == sorted(widths, reverse=True)
    assert balanced(5, 5, 0, 7)[0] == 0.5


def test_a_number_is_known_as_no_name() -> None:
    assert is_numbered(numbered(7)) and is_numbered(numbered(4826).replace(" ", "\u2002"))
    assert not any(map(is_numbered, ("", "region", "region of boats", '"region" / "7"', "17")))
