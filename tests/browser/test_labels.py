"""The label card in a real browser: naming in place, taking back, a model that labels, hostile
labels, a stuck disk.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from ep.storage import edits
from ep.storage.labels import Labels
from ep.storage.sidecar import LABELS, beside
from tests.browser.conftest import App
from tests.fixtures.dictionaries import HOSTILE
from tests.fixtures.endpoint import good_reader, serving

KEY = "sk-quite-secret-0123456789"


@pytest.fixture
def plain(app: App) -> Iterator[Path]:
    """A dictionary nobody has said anything of yet, and nobody will have afterwards."""
    path = app.shelf / "plain.ep.h5"
    yield path
    beside(path, LABELS).unlink(missing_ok=True)


def name(page: Page, text: str) -> None:
    box = page.get_by_role("textbox", name="Label", exact=True)
    box.fill(text)
    box.press("Enter")


def test_a_region_is_named_in_place_and_the_name_is_taken_back(
    app: App, page: Page, plain: Path
) -> None:
    page.goto(app.link("region", d="plain", r=111))
    box = page.get_by_role("textbox", name="Label", exact=True)
    expect(page.get_by_text("automatic: tokens that set it apart")).to_be_visible()
    expect(box).to_have_value("")
    name(page, "small animals $x$ <b>")
    expect(page.get_by_text(re.compile("by hand, someone"))).to_be_visible()
    assert Labels.open(plain).best(111) == "small animals $x$ <b>"
    page.reload()
    expect(box).to_have_value("small animals $x$ <b>")
    page.get_by_role("button", name="Lock").click()
    expect(page.get_by_role("button", name="Unlock")).to_be_visible()
    expect(box).to_have_count(1)  # for a moment the old one is there beside the new one
    expect(box).to_be_disabled()
    page.get_by_role("button", name="Unlock").click()
    expect(page.get_by_role("button", name="Lock", exact=True)).to_be_visible()
    expect(box).to_have_count(1)
    expect(box).to_be_enabled()
    for _ in range(3):
        page.get_by_role("button", name="Undo").click()
        page.wait_for_timeout(700)
    expect(box).to_have_value("")
    assert Labels.open(plain).texts() == {}


def test_notes_and_lists_are_kept(app: App, page: Page, plain: Path) -> None:
    page.goto(app.link("region", d="plain", r=112))
    page.get_by_role("button", name="Lists").click()
    page.get_by_label("Lists this region is on").fill("water <i>")
    page.keyboard.press("Enter")
    page.keyboard.press("Escape")
    expect(page.get_by_text("On the list")).to_be_visible()
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Note").click()
    page.get_by_label("Note on this region").fill("see 4")
    page.keyboard.press("Control+Enter")
    expect(page.get_by_text("see 4").first).to_be_visible()
    page.wait_for_timeout(500)
    found = Labels.open(plain)
    assert found.lists["water <i>"].regions == (112,) and found.notes == {112: "see 4"}


def test_a_model_labels_the_region_and_its_key_stays_in_the_session(
    app: App, page: Page, plain: Path
) -> None:
    page.goto(app.link("region", d="plain", r=20))
    with serving(good_reader) as server:
        page.get_by_role("button", name="Ask a model").click()
        for field, text in (
            ("Address", server.url),
            ("Model", "reader"),
            ("Key, if it needs one", KEY),
        ):
            page.get_by_label(field, exact=True).fill(text)
            page.keyboard.press("Tab")
            page.wait_for_timeout(400)
        page.get_by_text("It is this machine or in its network").click()
        page.get_by_role("button", name="Label", exact=True).click()
        expect(page.get_by_text(re.compile("1 region labelled"))).to_be_visible()
    expect(page.get_by_text(re.compile(r"detection \d\.\d\d .*n = \d+, control"))).to_be_visible()
    assert server.seen[0].key == KEY and KEY not in page.url
    assert Labels.open(plain).stored(20)[0].source.startswith("model:reader@127.0.0.1")
    assert not any(
        KEY.encode() in file.read_bytes() for file in app.shelf.iterdir() if file.is_file()
    )
    page.get_by_role("button", name="Ask a model").click()
    page.get_by_label("Address", exact=True).fill("file:///etc/passwd")
    page.keyboard.press("Tab")
    page.wait_for_timeout(400)
    page.get_by_role("button", name="Label", exact=True).click()
    expect(page.get_by_text("That is not the address of a server")).to_be_visible()


def test_what_the_disk_refuses_stays_in_the_session_until_it_can_be_saved(
    app: App, page: Page, plain: Path
) -> None:
    stuck = plain.with_name(f".{beside(plain, LABELS).name}.lock")
    stuck.mkdir()
    try:
        page.goto(app.link("region", d="plain", r=113))
        name(page, "kept")
        expect(page.get_by_text("cannot be written")).to_be_visible()
        expect(page.get_by_text("1 edit of yours is in this session only")).to_be_visible()
        box = page.get_by_role("textbox", name="Label", exact=True)
        expect(box).to_have_count(1)
        expect(box).to_have_value("kept")
    finally:
        stuck.rmdir()
    page.get_by_role("button", name="Save again").click()
    expect(page.get_by_text("in this session only")).to_have_count(0)
    assert Labels.open(plain).best(113) == "kept"


def test_hostile_labels_are_shown_as_text_and_cut(app: App, page: Page, plain: Path) -> None:
    labels = Labels.open(plain)
    hostile = [edits.label(114, text) for text in HOSTILE if text.strip()]
    labels.save(*hostile, edits.note(114, HOSTILE[0]), edits.put(HOSTILE[0], [114]), by=HOSTILE[1])
    page.goto(app.link("region", d="plain", r=114))
    expect(page.get_by_text(re.compile("more labels are in the file"))).to_be_visible()
    expect(page.get_by_text("<img src=x onerror").first).to_be_visible()
    assert page.title() != "hacked" and page.locator("img[src=x]").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_a_side_car_that_cannot_be_used_is_a_sentence(app: App, page: Page, plain: Path) -> None:
    beside(plain, LABELS).write_bytes(b"{")
    page.goto(app.link("region", d="plain", r=115))
    expect(page.get_by_text("it is left as it is")).to_be_visible()
    assert beside(plain, LABELS).read_bytes() == b"{"
