"""One name for a region: by hand, else by a model, else automatic; short where there is no room."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import ep
from ep.completing import add_names
from ep.method.dictionary import Dictionary
from ep.method.source import AddedSource
from ep.storage import edits
from ep.storage.labels import Labels
from ep.storage.schema import ARRAYS
from ep.studies import grouping
from ep.studies.names import LONGEST_SHORT, name, names, short, with_names
from ep.studies.naming import LONGEST_STORED, automatic, compute, is_named
from tests.fixtures.builds import built
from tests.fixtures.dictionaries import synthetic


def test_a_hand_label_beats_a_models_and_a_models_beats_the_automatic_one(tmp_path: Path) -> None:
    dictionary = synthetic(20, 8)
    path = ep.save(dictionary, tmp_path / "d.ep.h5")
    labels = Labels.open(path, dictionary).after(
        edits.label(3, "by hand"),
        edits.label(3, "a model's", "model:m@host"),
        edits.label(4, "a model's", "model:m@host"),
    )
    computed = automatic(dictionary)
    expected = [*computed[:3], "by hand", "a model's", *computed[5:]]
    assert names(dictionary, labels=labels) == expected and names(dictionary) == computed
    assert [name(dictionary, k, labels) for k in range(20)] == expected
    assert names(dictionary, [4, 3, 4], labels) == ["a model's", "by hand", "a model's"]


def test_a_published_label_names_where_nobody_has_labelled() -> None:
    dictionary = synthetic(20, 8)
    dictionary.info["published_labels"] = [[2, "boats"]]
    assert name(dictionary, 2) == names(dictionary)[2] == "boats"


@pytest.mark.parametrize(
    ("whole", "expected"),
    [
        ('" much" / " deal" / " lots" → " of"', "much / deal…"),
        ('" part" → " of"', "part → of"),
        ('" the" after " of"', "the after of"),
        ('"," / " and"', ", / and"),
        ('"·"', "·"),
        ('lens " Paris" " Rome"', "lens Paris / Rome"),
        ('texts with "boat" / "harbour"', "boat / harbour"),
        ('" extraordinarily" / " indeed"', "extraordinarily…"),
        ("the moment a refusal begins", "the moment a…"),
        ("two lines\nof a label", "two lines of a…"),
        ("region 1234", "region 1234"),
        ("music / work / garden", "music / work…"),
    ],
)
def test_a_short_name_ends_between_tokens_or_words(whole: str, expected: str) -> None:
    assert short(whole) == expected


@pytest.mark.parametrize("hostile", ['"', '""', '" → "', "\u202e" * 40, "x" * 4000, '"a" / "', " "])
def test_a_short_name_is_one_short_line_whatever_it_is_made_of(hostile: str) -> None:
    found = short(hostile)
    assert len(found) <= LONGEST_SHORT and "\n" not in found and "\u202e" not in found


def test_all_short_names_of_automatic_labels_fit() -> None:
    for text in automatic(synthetic(60, 8, seed=2, hostile=True)):
        assert 0 < len(short(text)) <= LONGEST_SHORT


# -- stored names ----------------------------------------------------------------------------------


def refuse(_: object) -> list[str]:
    raise AssertionError("names are computed")


def test_stored_names_are_the_computed_ones_and_nothing_computes_them_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dictionary = synthetic(60, 8, seed=2, hostile=True)
    computed, groups = automatic(dictionary), grouping.compute(dictionary)
    path = ep.save(with_names(dictionary), tmp_path / "d.ep.h5")
    monkeypatch.setattr("ep.studies.naming.compute", refuse)
    monkeypatch.setattr("ep.studies.grouping.compute", refuse)
    opened = ep.open(path)
    assert is_named(opened) and automatic(opened) == computed
    assert grouping.of_groups(opened) == tuple(map(tuple, groups))


def test_adding_names_to_a_file_changes_nothing_else(tmp_path: Path) -> None:
    path = ep.save(synthetic(40, 8), tmp_path / "d.ep.h5")
    before = ep.open(path)
    digest, arrays = ep.digest(before), {name: before.column(name) for name in held(before)}
    after = ep.open(add_names(path))
    assert set(held(after)) == {*arrays, "name_offsets", "name_bytes"}
    for key, array in arrays.items():
        np.testing.assert_array_equal(array, after.column(key))
    changed = {key for key, value in after.info.items() if value != before.info.get(key)}
    assert changed <= {"group_names"}
    after.info["group_names"] = before.info["group_names"]
    assert ep.digest(after) == digest  # names follow from the rest


def held(dictionary: Dictionary) -> list[str]:
    return [name for name in ARRAYS if name in dictionary]


@pytest.mark.parametrize("stored", [b"", b"\xff\xfe", "a\nb\u202e\0".encode(), b"x" * 50_000])
def test_stored_names_of_a_hostile_file_are_short_lines(stored: bytes) -> None:
    arrays = {
        "name_offsets": np.array([0, len(stored)] + [len(stored)] * 19),
        "name_bytes": np.frombuffer(stored, np.uint8),
    }
    dictionary = synthetic(20, 8)
    found = automatic(Dictionary(AddedSource(dictionary.source, arrays), dictionary.info, 20))
    assert found[1:] == [f"region {k}" for k in range(1, 20)]
    assert found[0].isprintable() and 0 < len(found[0]) <= LONGEST_STORED


def test_a_built_dictionary_has_the_names_of_its_regions_and_groups(tmp_path: Path) -> None:
    dictionary = ep.open(built(tmp_path))
    assert "name_offsets" in dictionary and automatic(dictionary) == compute(dictionary)
    assert dictionary.info["group_names"] == grouping.compute(dictionary)


def test_the_demos_files_store_the_names_they_would_get_now() -> None:
    files = sorted((Path(__file__).parents[1] / "data" / "demo" / "dictionaries").rglob("*.ep.h5"))
    assert len(files) > 20
    for path in files:
        dictionary = ep.open(path)
        assert is_named(dictionary) and automatic(dictionary) == compute(dictionary), path.name
        assert dictionary.info["group_names"] == grouping.compute(dictionary), path.name
