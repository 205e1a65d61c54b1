"""A saved page's laws: one file, nothing from outside, and no text of a dictionary can end a script
or add a tag.
"""

from __future__ import annotations

import json
import re
from base64 import b64decode
from html.parser import HTMLParser

import pytest

from ep.errors import RequestError
from ep.views import blob, colorings, standalone
from tests.fixtures.blobs import unpack
from tests.fixtures.dictionaries import HOSTILE, synthetic


class Tags(HTMLParser):
    """Counts the tags of a page and keeps what stands in its scripts."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.kept: dict[str, str] = {}
        self.inside: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.inside = dict(attrs).get("id", "code") if tag == "script" else None

    def handle_data(self, data: str) -> None:
        if self.inside:
            self.kept[self.inside] = self.kept.get(self.inside, "") + data

    def handle_endtag(self, tag: str) -> None:
        self.inside = None


def page(hostile: bool = False, layout: str = "pca-sphere", **more: object) -> str:
    dictionary = synthetic(60, 16, hostile=hostile)
    return standalone.html(
        dictionary, layout, colorings.coloring(dictionary, "neighbourhood"), 3, **more
    )


def parsed(text: str) -> Tags:
    found = Tags()
    found.feed(text)
    return found


@pytest.mark.parametrize("layout", ["pca-sphere", "pca-flat"])
def test_the_page_holds_the_map_and_asks_nobody(layout: str) -> None:
    text = page(layout=layout)
    found = parsed(text)
    assert not re.search(r"(src|href)=[\"']?(http|//)", text) and "import(" not in text
    assert text.count("default-src 'none'") == 1
    data = json.loads(found.kept["data"])
    head, arrays = unpack(b64decode(found.kept["map"]))
    assert head["id"] == data["blob"] and head["texts"]["kind"] == layout.rpartition("-")[2]
    assert len(arrays["counts"]) == 60 and data["selected"] == 3
    color_head, colors = unpack(b64decode(found.kept["colors"]))
    assert color_head["id"] == data["colors"] and colors["light"].size == 180
    assert (
        "of the variance" in data["note"]
        and "synthetic corpus" in data["made"]
        and "layer 2" in data["title"]
    )


def test_hostile_text_adds_no_tag_and_ends_no_script() -> None:
    more = {
        "path": [1, 2],
        "path_labels": ["</script><b>", "\u2028"],
        "names": {4: "</script><img src=x>"},
    }
    tame, hostile = parsed(page(**more)), parsed(page(hostile=True, **more))
    assert hostile.tags == tame.tags
    data = json.loads(hostile.kept["data"])
    assert data["path_labels"] == more["path_labels"] and data["names"] == {
        "4": ["</script><img…", "</script><img src=x>"]
    }
    head, _ = unpack(b64decode(hostile.kept["map"]))
    # kept as text, shown by textContent
    assert any("<img" in word for word in head["texts"]["words"])


@pytest.mark.parametrize("text", HOSTILE)
def test_a_file_name_holds_letters_digits_dots_and_dashes(text: str) -> None:
    dictionary = synthetic(10, 8, layer=3, percentile=2.0)
    dictionary.info["model"] = text
    coloring = colorings.coloring(dictionary, "members")
    name = standalone.file_name(dictionary, "pca-flat", coloring)
    assert name == "atlas-layer3-p2-pca-flat-members"
    assert "\n" not in standalone.title(dictionary) and "\n" not in standalone.provenance(
        dictionary
    )


def test_an_unknown_layout_is_refused() -> None:
    with pytest.raises(RequestError, match="layout"):
        blob.kind("cube")
