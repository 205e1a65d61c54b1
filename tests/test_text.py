"""Laws of visible text and of excerpts: nothing invisible passes, nothing is lost, the marked token
stays marked.
"""

from __future__ import annotations

import unicodedata

import pytest

from ep.method.region import Excerpt
from ep.text import LONGEST, label, one_line, plain, segments, shorten
from ep.views import excerpts
from tests.fixtures.dictionaries import HOSTILE

ODD = (
    *HOSTILE,
    "",
    " ",
    "\t\n\r",
    " the",
    "naïve 東京 🙂",
    "\u2067x\u2069",
    "\ud800",
    "\x1b[31m",
    "a" * 5000,
)


@pytest.mark.parametrize("token", ODD)
def test_a_label_is_one_line_of_characters_that_can_be_seen(token: str) -> None:
    shown = label(token)
    assert shown
    assert not any(unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp") for c in shown)
    assert not any(c.isspace() for c in shown)


@pytest.mark.parametrize("token", ODD)
def test_segments_alternate_and_join_to_the_label(token: str) -> None:
    runs = segments(token)
    assert "".join(run.text for run in runs) == label(token)
    assert all(a.mark != b.mark for a, b in zip(runs, runs[1:], strict=False))


def test_ordinary_words_stay_as_they_are() -> None:
    assert label("word") == "word"
    assert label(" word") == "·word"
    assert segments(" two words", spaces=False)[0] == (" two words", False)
    assert plain("one\ntwo three") == "one\ntwo three"


def test_nul_becomes_the_replacement_character_everywhere() -> None:
    for shown in (label("a\0b"), plain("a\0b")):
        assert shown == "a\N{REPLACEMENT CHARACTER}b"


@pytest.mark.parametrize("length", [1, LONGEST, LONGEST + 1, 10_000])
def test_long_tokens_are_cut_and_say_how_much(length: int) -> None:
    short = shorten("x" * length)
    assert len(short) <= LONGEST + 12
    assert (short == "x" * length) == (length <= LONGEST)
    if length > LONGEST:
        kept = short.count("x")
        assert f"{length - kept:,} more" in short


def _excerpt(position: int = 60, distance: float = 0.2, band: str = "near") -> Excerpt:
    return Excerpt(7, position, tuple(f" w{i}" for i in range(200)), distance, band)


@pytest.mark.parametrize("token", ODD)
def test_one_line_is_one_printable_line_of_bounded_length(token: str) -> None:
    for text in (token, f"a{token}b" * 99):
        line = one_line(text, 40)
        assert len(line) <= 40
        assert not [c for c in line if unicodedata.category(c) in ("Cc", "Zl", "Zp", "Cs")]
    assert one_line(" two \n words ") == "two words"


def test_a_full_excerpt_is_the_whole_passage_in_order() -> None:
    excerpt = _excerpt()
    row = excerpts.full(excerpt)
    assert (*row.left, row.token, *row.right) == excerpt.pieces
    assert (row.passage, row.position, row.distance) == (7, 60, 0.2)


@pytest.mark.parametrize("position", [0, 1, 60, 199])
def test_an_aligned_excerpt_is_the_stretch_around_its_token(position: int) -> None:
    excerpt = _excerpt(position)
    row = excerpts.aligned(excerpt)
    start = position - len(row.left)
    assert (*row.left, row.token, *row.right) == excerpt.pieces[
        start : position + 1 + len(row.right)
    ]
    assert row.token == f" w{position}"
    assert sum(map(len, row.left)) < 2 * excerpts.LEFT_CHARACTERS


def test_bands_keep_their_order_and_empty_ones_are_left_out() -> None:
    rows = [
        _excerpt(distance=d, band=b)
        for d, b in ((0.3, "far"), (0.1, "near"), (0.2, "near"), (0.25, "far"))
    ]
    groups = excerpts.by_band(rows)
    assert list(groups) == ["near", "far"]
    assert [e.distance for e in groups["near"]] == [0.1, 0.2]
    assert [e.distance for e in groups["far"]] == [0.3, 0.25]
