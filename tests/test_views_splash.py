"""The splash figure: eight cards, the same every time, nothing unescaped, nothing from outside."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import numpy as np
import pytest

from ep.errors import UnknownRegion
from ep.method.dictionary import Dictionary
from ep.method.source import MemorySource
from ep.views import splash
from tests.fixtures.dictionaries import synthetic

PLAIN = synthetic(size=300, width=24, seed=3)
PAGE = ("html", "head", "meta", "title", "style", "body", "main", "section", "footer", "article")
PICTURE = ("svg", "defs", "radialgradient", "stop", "g", "polygon", "circle", "path", "text")
TAGS = {*PAGE, *PICTURE, "h2", "i", "small", "p", "span", "u", "mark", "b"}


class Reader(HTMLParser):
    """The tags of a page and the text of each, one level deep."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs


@pytest.mark.parametrize("brushed", [(), (4, 9), range(20, 60)])
def test_eight_cards_the_selected_region_first_then_the_brushed(
    brushed: range | tuple[int, ...],
) -> None:
    page = splash.html(PLAIN, 17, list(brushed))
    numbers = [int(n) for n in re.findall(r"</i>Region (\d+)<", page)]
    assert len(numbers) == len(set(numbers)) == splash.CARDS and numbers[0] == 17
    inside = [k for k in numbers[1:] if k in brushed]
    assert len(inside) == min(len(brushed), splash.CARDS - 1)
    assert Reader(page).tags.count("article") == 8
    assert page == splash.html(PLAIN, 17, list(brushed))


def test_those_chosen_lie_far_apart_in_the_full_space() -> None:
    chosen = splash.choose(PLAIN, 17)
    cosine = PLAIN.exemplars[chosen] @ PLAIN.exemplars[chosen].T
    apart = 1 - cosine[np.triu_indices(len(chosen), 1)]
    everyone = 1 - (PLAIN.exemplars @ PLAIN.exemplars.T)[np.triu_indices(300, 1)]
    assert apart.min() > np.median(everyone) / 2 and apart.mean() > everyone.mean()
    assert np.median(PLAIN.members[chosen]) >= np.median(PLAIN.members)


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 7, 9])
def test_a_small_dictionary_has_a_card_for_each_region(size: int) -> None:
    found = synthetic(size=size, width=8, seed=1)
    page = splash.html(found, 0)
    assert Reader(page).tags.count("article") == min(size, 8)
    assert ("needs at least" in page) == (size < 4)


def test_hostile_text_is_text_and_nothing_is_asked_from_outside() -> None:
    found = synthetic(60, 16, hostile=True)
    for region in (0, 3, 41):
        page = splash.html(found, region)
        read = Reader(page)
        assert set(read.tags) <= TAGS
        assert not [
            name for name, _ in read.attributes if name.startswith("on") or name in ("src", "href")
        ]
        for bad in ("\0", "\u202e", "@import", "url(http"):
            assert bad not in page.partition("</style>")[2]


def test_a_file_with_geometry_alone_has_a_figure_and_a_wrong_region_is_refused() -> None:
    arrays = {n: PLAIN.column(n) for n in ("center", "exemplars", "mean_directions")}
    bare = Dictionary(MemorySource(arrays), {"threshold": 0.5}, 300)
    assert Reader(splash.html(bare, 3)).tags.count("article") == 8
    with pytest.raises(UnknownRegion):
        splash.html(PLAIN, 300)


def test_the_selected_cell_lies_up_left_and_every_front_card_is_marked() -> None:
    turned = splash._turned(splash._cells(PLAIN), 17)
    assert np.allclose(np.linalg.norm(turned, axis=1), 1, atol=1e-5)
    assert np.allclose(turned[17, :2], splash.PLACE[:2], atol=1e-5)
    chosen = splash.choose(PLAIN, 17, front=turned[:, 2] > 0.3)
    marks = Reader(splash._marks(chosen, turned)[0]).tags.count("g")
    assert marks == int((turned[chosen, 2] >= 0.12).sum()) >= 6
    for center in ([0, 0, 1.0], [0.3, -0.34, -0.8912911], [1.0, 0, 0]):
        turn = splash._rotation(np.array(center) / np.linalg.norm(center))
        assert np.allclose(turn @ turn.T, np.eye(3), atol=1e-9)
