"""Rows of regions: nothing lost, nothing twice, and the same numbers as the region's own record."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ep.errors import RequestError
from ep.method.dictionary import Dictionary
from ep.method.source import MemorySource
from ep.storage import edits
from ep.storage.labels import Labels
from ep.text import label
from ep.views import tables
from ep.views.search import lens_columns
from tests.fixtures.dictionaries import synthetic


def test_the_order_is_a_permutation_with_the_selected_region_first() -> None:
    dictionary = synthetic(150, 16)
    count = dictionary.column("count_voronoi")
    ids = tables.order(dictionary, 77, None)
    assert ids[0] == 77 and sorted(ids) == list(range(150))
    assert (np.diff(count[ids[1:]]) <= 0).all()
    few = tables.order(dictionary, None, None, least_members=20)
    assert set(few) == set(np.flatnonzero(count >= 20))
    assert list(tables.order(dictionary, None, np.array([9, 4, 7]))) == [9, 4, 7]


def test_columns_say_what_the_region_says() -> None:
    dictionary = synthetic(40, 16)
    table = tables.columns(dictionary, np.array([7, 3]))
    for i, k in enumerate((7, 3)):
        region = dictionary.region(k)
        assert table["region"][i] == k
        assert (
            table["members"][i] == region.count_voronoi
            and table["arrival"][i] == region.count_arrival
        )
        assert table["coherence"][i] == pytest.approx(region.coherence)
        assert table["nearest"][i] == pytest.approx(region.nearest[0][1])
        assert len(table["lens"][i]) == tables.LENS_SHOWN


def test_a_file_without_lens_or_counts_gives_fewer_columns() -> None:
    full = synthetic(20, 8)
    bare = Dictionary(
        MemorySource({n: full.source.read(n) for n in ("center", "exemplars")}), full.info, 20
    )
    assert list(tables.columns(bare, np.arange(20))) == ["region", "name", "lens"]
    assert tables.cells(bare, [3]) == ["region 3"] and tables.group_names(bare) == ["regions"]
    assert tables.opening_region(bare) in range(20)


def test_without_a_lens_the_members_tokens_speak() -> None:
    full = synthetic(20, 8)
    names = (
        "center",
        "exemplars",
        "token_ids",
        "token_counts",
        "vocabulary_ids",
        "vocabulary_pieces",
    )
    bare = Dictionary(MemorySource({n: full.source.read(n) for n in names}), full.info, 20)
    assert full.region(4).tokens[0].token.strip() in tables.cells(bare, [4])[0]


def test_names_on_the_map_are_never_empty_and_show_whitespace() -> None:
    assert tables.map_name(" cat") == "cat"
    assert (
        tables.map_name("\n") == "↵"
        and tables.map_name("  ") == "··"
        and tables.map_name("\t") == "→"
    )
    assert tables.map_name("") == tables.NAMELESS


def test_hostile_text_is_one_line_without_controls() -> None:
    dictionary = synthetic(60, 16, hostile=True)
    texts = [
        t for row in tables.lens_tokens(dictionary, np.arange(60)) for t in row
    ] + tables.group_names(dictionary)
    assert texts and all(
        not set(text) & set("\n\r\t\0\u202e\u200f") and len(text) < 120 for text in texts
    )


def test_the_opening_region_is_a_frequented_one_named_by_a_word() -> None:
    for seed in range(5):
        dictionary = synthetic(200, 16, seed=seed)
        k = tables.opening_region(dictionary)
        assert dictionary.column("count_voronoi")[k] > np.median(dictionary.column("count_voronoi"))
        assert (
            tables.cells(dictionary, [k])[0].split()[0].isalpha()
            and dictionary.column("neighbourhood")[k] > 0
        )


def test_no_region_no_opening() -> None:
    nothing = Dictionary(MemorySource({"center": np.zeros(4, np.float32)}), {"threshold": 0.5}, 0)
    with pytest.raises(RequestError, match="no regions"):
        tables.opening_region(nothing)


def test_a_label_by_hand_is_the_name_in_the_table() -> None:
    dictionary = synthetic(20, 8)
    labels = Labels(Path("x.ep.h5"), 20, {}).after(edits.label(7, "by hand"))
    table = tables.columns(dictionary, np.array([7, 3]), labels)
    assert table["name"] == ["by hand", *tables.cells(dictionary, [3])]
    assert list(tables.columns(dictionary, np.array([7]))) == list(table)


def test_screens_and_search_use_the_lens_that_the_build_chose() -> None:
    """One choice for tables, cards and search; the paper's rule where there is none."""
    plain = synthetic(40, 16)
    chosen = Dictionary(plain.source, plain.info | {"first_lens": "mean_up"}, len(plain))
    for dictionary, name in ((plain, "exemplar_up"), (chosen, "mean_up")):
        tokens = [[label(s.token) for s in dictionary.lens(k, name)[:4]] for k in range(40)]
        assert tables.lens_tokens(dictionary, range(40)) == tokens
        assert tables.first_lens(dictionary, 3) == dictionary.lens(3, name)
        searched = [f"lens_{one}_ids" for one in dict.fromkeys((name, "exemplar_up"))]
        assert list(lens_columns(dictionary)) == searched
    assert tables.first_lens(plain, 3, "mean") == plain.lens(3, "mean_up")
    assert tables.first_lens(chosen, 3, "exemplar") == chosen.lens(3, "mean_up")
    lost = Dictionary(plain.source, plain.info | {"first_lens": "nothing_up"}, len(plain))
    assert tables.first_lens_column(lost) == "lens_exemplar_up_ids"
