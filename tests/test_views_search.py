"""The search box finds exactly what reading every region would find, in a fixed order of
reasons.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import ep
from ep.method.dictionary import Dictionary
from ep.method.source import MemorySource
from ep.studies.names import names, short
from ep.views.matches import LEFT_IN_LINE, LONGEST_NAME, matches
from ep.views.passages import AFTER, BEFORE, fold
from ep.views.search import EXCERPTS, LABEL, LENS, REASONS, Index
from tests.fixtures.dictionaries import synthetic

DEMO = Path(__file__).parent.parent / "data/demo/dictionaries/all-tokens/base-L4-p2.ep.h5"
LABELS = {3: "Cats and dogs", 7: "harbour", 9: "the Σίσυφος, rolling", 11: "cat"}


@pytest.fixture(scope="module")
def dictionary() -> Dictionary:
    return synthetic(120, 16)


@pytest.fixture(scope="module")
def index(dictionary: Dictionary) -> Index:
    return Index(dictionary)


def read_through(dictionary: Dictionary, phrase: str) -> set[int]:
    """Regions with the phrase in a lens token, a member token or around an excerpt's marked token,
    read one by one.
    """
    found = set()
    for k in range(len(dictionary)):
        region = dictionary.region(k)
        if any(
            phrase in t.token.strip().casefold()
            for t in (*region.lens["exemplar_up"], *region.tokens)
        ):
            found.add(k)
        for excerpt in region.excerpts:
            pieces, m = [p.casefold() for p in excerpt.pieces], excerpt.marked
            text, starts = (
                "".join(pieces),
                np.concatenate([[0], np.cumsum([len(p) for p in pieces])]),
            )
            at = text.find(phrase)
            while at >= 0:
                first = int(np.searchsorted(starts, at, "right")) - 1
                last = int(np.searchsorted(starts, at + len(phrase) - 1, "right")) - 1
                if first - AFTER <= m <= last + BEFORE:
                    found.add(k)
                at = text.find(phrase, at + 1)
    return found


PHRASES = (
    "cat",
    "the",
    "every dog",
    "a cat sees",
    "horse",
    "needs",
    "zzz",
    "e d",
    "ry",
    "naïve",
    "😀",
    "s. every",
    "<bos>",
)


@pytest.mark.parametrize("phrase", PHRASES)
def test_search_finds_what_reading_finds(dictionary: Dictionary, index: Index, phrase: str) -> None:
    wanted = read_through(dictionary, phrase)
    if " " in phrase:
        wanted |= set.intersection(
            *(set(index.find(word).regions.tolist()) for word in phrase.split())
        )
    assert set(index.find(phrase).regions.tolist()) == wanted


def test_the_phrase_comes_before_its_words_apart(dictionary: Dictionary, index: Index) -> None:
    found = index.find("every dog").regions
    phrase = read_through(dictionary, "every dog")
    assert 0 < len(phrase) < len(found)
    assert set(found[: len(phrase)].tolist()) == phrase


def test_labels_are_found_whatever_their_case_and_script(index: Index) -> None:
    assert index.find("HARBOUR", LABELS).regions[0] == 7
    assert index.find("σίσυφοσ", LABELS).regions.tolist()[0] == 9
    found = index.find("cat", LABELS)
    assert found.regions[:2].tolist() == [11, 3] and found.reasons[:3].tolist() == [
        LABEL,
        LABEL,
        LENS,
    ]
    assert "2 by label" in found.summary()
    assert (
        3
        in index.find(
            "dogs harbours cats", {3: "dogs", 5: "harbours"} | {3: "dogs harbours cats"}
        ).regions
    )
    assert 7 not in index.find("harbour").regions


def test_letters_beyond_ascii_match_whatever_their_case(index: Index) -> None:
    np.testing.assert_array_equal(index.find("NAÏVE").regions, index.find("naïve").regions)
    assert (
        len(index.find("NAÏVE"))
        and fold("ÄÖÜẞ".encode()) == "äöüss".encode()
        and fold(b"\xc3") == b"\xc3"
    )


def test_plain_passages_are_found_anywhere_in_their_text() -> None:
    full = synthetic(20, 8)
    texts = [f"passage {i} tells of {'Ärger' if i % 3 else 'a harbour'}".encode() for i in range(5)]
    starts = np.concatenate([[0], np.cumsum(np.arange(20) % 3)])
    arrays = {name: full.source.read(name) for name in ("center", "exemplars")} | {
        "plain_ids": np.arange(5),
        "plain_offsets": np.concatenate([[0], np.cumsum([len(t) for t in texts])]),
        "plain_bytes": np.frombuffer(b"".join(texts), np.uint8),
        "excerpt_offsets": starts,
        "excerpt_passage": np.arange(starts[-1]) % 5,
    }
    index = Index(Dictionary(MemorySource(arrays), full.info, 20))
    wanted = {k for k in range(20) for e in range(starts[k], starts[k + 1]) if e % 5 % 3}
    found = index.find("ÄRGER")
    assert set(found.regions.tolist()) == wanted and set(found.reasons.tolist()) == {EXCERPTS}
    assert len(index.find("nowhere")) == 0


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
    assert (
        (np.diff(found.reasons) >= 0).all()
        and found.reasons.max() < len(REASONS)
        and len(set(found.regions.tolist())) == len(found)
    )
    assert found.summary().startswith(f"{len(found)} regions: ")


def test_nothing_asked_nothing_found(index: Index) -> None:
    assert (
        len(index.find("")) == len(index.find("   ")) == 0
        and index.find("zzz").summary() == "no region"
    )


@pytest.mark.parametrize(
    "query", ["<img", "$x$", ":red[x]", "\u202e", "\0", "(", "[", "\\", "%", "x" * 5000, "é", "😀"]
)
def test_any_text_may_be_asked(query: str) -> None:
    Index(synthetic(40, 16, hostile=True)).find(query)


def test_a_file_without_text_is_searched_by_id() -> None:
    full = synthetic(20, 8)
    bare = Dictionary(
        MemorySource({n: full.source.read(n) for n in ("center", "exemplars")}), full.info, 20
    )
    assert Index(bare).find("7").regions.tolist() == [7] and len(Index(bare).find("cat")) == 0


def test_the_first_hits_show_the_field_that_matched_and_the_words_around() -> None:
    dictionary = synthetic(60, 16, seed=3)
    index, seen = Index(dictionary), set()
    for query in ("museum", "mus", "17", "bee"):
        hits = index.find(query)
        for match in matches(dictionary, hits, query, n=40):
            assert match.field == REASONS[hits.reasons[hits.regions.tolist().index(match.region)]]
            assert match.name == short(names(dictionary, [match.region])[0], LONGEST_NAME)
            if match.field != "id":
                assert match.match.lower() == query
                line = match.line().removeprefix(f"{match.field}: ")
                assert match.match + match.after in line
                assert line.removeprefix("…") in match.before + match.match + match.after
                assert line.index(match.match) <= LEFT_IN_LINE + 1
                assert "\n" not in match.before + match.after
            seen.add(match.field)
    assert len(seen) > 2


def test_a_hit_by_any_searched_lens_shows_its_token() -> None:
    """A token may be in the paper's lens alone, and not in the one that is shown first."""
    dictionary = ep.open(DEMO)
    hits = Index(dictionary).find("river")
    by_lens = [m for m in matches(dictionary, hits, "river", n=40) if m.field == REASONS[LENS]]
    assert by_lens and all("river" in match.match for match in by_lens)
