"""Tokens as HTML: whatever the text, the markup holds our own elements only, and the text is still
there to read.
"""

from __future__ import annotations

from html.parser import HTMLParser

import pytest

from ep.method.region import Excerpt
from ep.text import label
from ep.views import excerpts
from pages.shared import tokens
from tests.fixtures.dictionaries import HOSTILE

COLOR = "#5199e5"


class Seen(HTMLParser):
    """What a browser would make of it: elements, attributes, and the text."""

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.styles: set[str] = set()
        self.text = ""
        self.open = 0
        self.feed(markup)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.styles |= {value or "" for name, value in attrs if name == "style"}
        self.open += tag != "br"

    def handle_endtag(self, tag: str) -> None:
        self.open -= 1

    def handle_data(self, data: str) -> None:
        self.text += data


def _made(token: str) -> list[str]:
    excerpt = Excerpt(0, 1, (token, token, token), 0.25, "near")
    rows = [excerpts.full(excerpt)]
    return [
        tokens.chip(token, COLOR, 0.3, title=token),
        tokens.chips([token, token]),
        tokens.marked_token(token, COLOR),
        tokens.aligned(rows, COLOR),
        tokens.full_text(rows, COLOR),
        tokens.one_line(rows, COLOR),
        tokens.heading(token, token),
        tokens.facts((token, token, token), (token, token), grid=True),
        f"<span>{tokens.escape(token)}</span>",
    ]


@pytest.mark.parametrize("token", HOSTILE)
def test_hostile_text_makes_no_element_attribute_or_style_of_its_own(token: str) -> None:
    for markup in _made(token):
        seen = Seen(markup)
        assert seen.tags <= {"div", "span", "b", "br"}
        assert seen.attributes <= {"class", "style", "title"}
        assert all(style.startswith(("--c:#", "gap:", "margin-right:")) for style in seen.styles)
        assert seen.open == 0
        assert "\0" not in markup


@pytest.mark.parametrize("token", HOSTILE)
def test_a_chip_shows_the_label_of_its_token(token: str) -> None:
    assert Seen(tokens.chip(token)).text == label(token)


def test_an_excerpt_marks_exactly_one_token() -> None:
    excerpt = Excerpt(0, 2, ("the", " the", " the", " the"), 0.25, "near")
    for show in (tokens.aligned, tokens.full_text, tokens.one_line):
        markup = show([excerpts.full(excerpt)], COLOR)
        assert markup.count("ep-mark") == 1
        assert Seen(markup).text == "0.25the the·the the"


def test_newlines_break_lines_in_full_text_only() -> None:
    excerpt = Excerpt(0, 0, ("a", "\n\n", "b"), 0.25, "near")
    rows = [excerpts.full(excerpt)]
    assert tokens.full_text(rows, COLOR).count("<br>") == 2
    assert "<br>" not in tokens.aligned(rows, COLOR)
