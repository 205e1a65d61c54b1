"""The search box finds exactly what reading every region would find, in a fixed order of reasons."""

from __future__ import annotations

import time

import numpy as np
import pytest

from ep.method.dictionary import Dictionary, MemorySource
from ep.views.search import AFTER, BEFORE, Index
from tests.fixtures.dictionaries import synthetic


@pytest.fixture(scope="module")
def dictionary() -> Dictionary:
    return synthetic(120, 16)


@pytest.fixture(scope="module")
def index(dictionary: Dictionary) -> Index:
    return Index(dictionary)


def read_through(dictionary: Dictionary, phrase: str) -> set[int]:
    """Regions with the phrase in a lens token, a member token or around an excerpt's marked token, read one by one."""
    found = set()
    for k in range(len(dictionary)):
        region = dictionary.region(k)
        if any(phrase in t.token.strip().lower() for t in (*region.lens["exemplar_up"], *region.tokens)):
            found.add(k)
        for excerpt in region.excerpts:
            pieces, m = [p.lower() for p in excerpt.pieces], excerpt.marked
            text, starts = "".join(pieces), np.concatenate([[0], np.cumsum([len(p) for p in pieces])])
            at = text.find(phrase)
            while at >= 0:
                first = int(np.searchsorted(starts, at, "right")) - 1
                last = int(np.searchsorted(starts, at + len(phrase) - 1, "right")) - 1
                if first - AFTER <= m <= last + BEFORE:
                    found.add(k)
                at = text.find(phrase, at + len(phrase))
    return found


@pytest.mark.parametrize("phrase", ["cat", "the", "every dog", "a cat sees", "horse", "needs", "zzz"])
def test_search_finds_what_reading_finds(dictionary: Dictionary, index: Index, phrase: str) -> None:
    assert set(index.find(phrase).regions.tolist()) == read_through(dictionary, phrase)


def test_case_and_space_around_the_phrase_do_not_matter(index: Index) -> None:
    plain = index.find("cat").regions
    np.testing.assert_array_equal(plain, index.find("  CAT ").regions)


def test_an_id_comes_first_whatever_else_matches(index: Index) -> None:
    for query in ("17", "#17", "region 17"):
        found = index.find(query)
        assert found.regions[0] == 17 and found.reasons[0] == 0
    assert 99999 not in index.find("99999").regions and len(index.find("²")) == 0


def test_reasons_are_in_order_and_no_region_comes_twice(index: Index) -> None:
    found = index.find("the")
    assert (np.diff(found.reasons) >= 0).all() and len(set(found.regions.tolist())) == len(found)
    assert found.summary().startswith(f"{len(found)} regions: ")


def test_nothing_asked_nothing_found(index: Index) -> None:
    assert len(index.find("")) == len(index.find("   ")) == 0 and index.find("zzz").summary() == "no region"


@pytest.mark.parametrize(
    "query", ["<img", "$x$", ":red[x]", "\u202e", "\0", "(", "[", "\\", "%", "x" * 5000, "é", "😀"]
)
def test_any_text_may_be_asked(query: str) -> None:
    Index(synthetic(40, 16, hostile=True)).find(query)


def test_a_file_without_text_is_searched_by_id() -> None:
    full = synthetic(20, 8)
    bare = Dictionary(MemorySource({n: full.source.read(n) for n in ("center", "exemplars")}), full.info, 20)
    assert Index(bare).find("7").regions.tolist() == [7] and len(Index(bare).find("cat")) == 0


@pytest.mark.slow
def test_a_search_of_twenty_thousand_regions_is_quick() -> None:
    index = Index(synthetic(20_000, 32))
    started = time.process_time()
    for query in ("cat", "the cat", ".", "412"):
        index.find(query)
    assert (time.process_time() - started) / 4 < 0.3
