"""Pages in a real browser: links restore the view, pages switch and keep it, no question is a dead
end.
"""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, Page, expect

import ep
from ep.storage import Shelf
from tests.browser.conftest import PATIENCE_MS, App, serving
from tests.fixtures.dictionaries import synthetic

PAGES = ("Library", "Atlas", "Region", "Prompt")


def test_the_first_screen_is_the_atlas_of_the_demo_already_drawn(app: App, page: Page) -> None:
    page.goto(app.url)
    expect(page.get_by_role("heading", name="Atlas")).to_be_visible()
    page.wait_for_function("() => window.epBlobs?.size > 0")
    expect(page.get_by_text("of the variance")).to_be_visible()
    expect(page.get_by_text("Dictionary", exact=True)).to_be_visible()


def test_a_link_restores_dictionary_region_and_colouring(app: App, page: Page) -> None:
    page.goto(app.link(d="plain", r=17, c="coherence"))
    expect(page.get_by_text("Region 17", exact=True).first).to_be_visible()
    expect(page.get_by_text(re.compile("coherence ‖Σû‖/N")).first).to_be_visible()
    page.goto(app.link("region", d="plain", r=42))
    expect(page.get_by_role("heading", name="Region 42")).to_be_visible()


def test_the_first_visitor_of_a_server_may_come_by_a_deep_link(
    tmp_path: Path, browser: Browser
) -> None:
    """Until its first run, the server takes the folder of pages for a list of pages."""
    ep.save(synthetic(size=60, width=16, family="plain", title="plain"), tmp_path / "d.ep.h5")
    key = Shelf((tmp_path,)).entries[0].key
    home = tmp_path / "home"
    home.mkdir()
    with serving(tmp_path, home) as url:
        page = browser.new_page()
        page.goto(f"{url}/region?d={quote(key, safe='')}&r=17", timeout=PATIENCE_MS)
        expect(page.get_by_role("heading", name="Region 17")).to_be_visible()
        expect(page.get_by_text("does not seem to exist")).to_have_count(0)
        page.close()


def test_no_page_carries_an_advertisement(app: App, page: Page) -> None:
    """The server runs as on the machine of somebody with a coding assistant, the condition under
    which Streamlit advertises its skills for them over the top right of a page.
    """
    for name in ("library", "", "region"):
        page.goto(app.link(name, d="plain"))
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        page.wait_for_load_state("networkidle")
        expect(page.get_by_text("Help agents")).to_have_count(0)
        expect(page.get_by_text("skills")).to_have_count(0)


def test_every_page_keeps_the_selection(app: App, page: Page) -> None:
    page.goto(app.link("region", d="plain", r=17))
    expect(page.get_by_role("heading", name="Region 17")).to_be_visible()
    for name in (*PAGES, "Region"):
        page.get_by_role("link", name=name, exact=True).click()
        expect(page.get_by_role("link", name=name, exact=True)).to_be_visible()
        page.wait_for_url(re.compile(r"[?&]r=17(&|$)"))
        page.wait_for_url(re.compile(r"[?&]d=plain"))
    expect(page.get_by_role("heading", name="Region 17")).to_be_visible()


@pytest.mark.parametrize("region", ["99999", "-1", "x", "<img src=x onerror=alert(1)>"])
def test_an_unknown_region_is_a_calm_note_with_the_range(app: App, page: Page, region: str) -> None:
    page.goto(app.link("region", d="plain", r=region))
    expect(page.get_by_text("0 to 299").first).to_be_visible()
    expect(page.get_by_role("heading", name=re.compile(r"Region \d+"))).to_be_visible()


def test_an_unknown_dictionary_is_a_calm_note(app: App, page: Page) -> None:
    page.goto(app.link("region", d="nobody/has/this"))
    expect(page.get_by_text("is on the shelf")).to_be_visible()
    expect(page.get_by_role("heading", name=re.compile(r"Region \d+"))).to_be_visible()


def test_walking_to_a_neighbour_changes_the_page_and_the_link(app: App, page: Page) -> None:
    page.goto(app.link("region", d="plain", r=17))
    expect(page.get_by_text("Nearest regions", exact=True)).to_be_visible()
    page.get_by_role("button", name=re.compile(r"^\d+")).first.click()
    page.wait_for_url(re.compile(r"[?&]r=(?!17(&|$))\d+"))


def test_the_library_lists_what_is_there_and_what_is_broken(app: App, page: Page) -> None:
    page.goto(app.link("library"))
    for text in ("plain", "tiny", "cannot be opened"):
        expect(page.get_by_text(text).first).to_be_visible()
    page.get_by_text("Add or build").click()
    for text in ("Upload a file", "python -m ep build"):
        expect(page.get_by_text(text).first).to_be_visible()


def test_a_prompt_is_read_token_by_token_and_leads_to_a_region(app: App, page: Page) -> None:
    page.goto(app.link("prompt"))
    expect(page.get_by_role("heading", name="Prompt")).to_be_visible()
    page.get_by_role("textbox").first.fill("Tom went to the old house and saw a red bird.")
    page.get_by_role("button", name=re.compile("^(Read|Run)")).first.click()
    token = page.get_by_role("button", name=re.compile("house")).first
    expect(token).to_be_visible()
    token.click()
    # the card has taken the token over, and no part of it still shows the token before
    expect(page.locator(".ep-band", has_text="house")).to_be_visible()
    expect(page.locator("[data-stale='true']")).to_have_count(0)
    button = page.get_by_role("button", name=re.compile(r"Open region \d+"))
    expect(button).to_be_visible()
    region = re.search(r"\d+", button.inner_text()).group(0)
    button.click()
    expect(page.get_by_role("heading", name=f"Region {region}")).to_be_visible()


def test_a_link_to_a_dictionary_that_is_not_here_keeps_its_prompt_and_says_so(
    app: App, page: Page
) -> None:
    text = "One morning, Lily went to the harbour."
    page.goto(app.link("prompt", d="nobody/has/this", q=text))
    expect(page.get_by_text("is on the shelf")).to_be_visible()
    token = page.get_by_role("button", name=re.compile("harbour")).first
    box = page.get_by_role("textbox").first
    expect(token.or_(box)).to_be_visible()
    expect(page.get_by_text("is on the shelf")).to_be_visible()
    if box.is_visible():  # nobody has had the model loaded yet
        expect(box).to_have_value(text)
        page.get_by_role("button", name="Read", exact=True).click()
    expect(token).to_be_visible()


def test_a_typed_link_to_the_atlas_leads_there_with_its_selection(app: App, page: Page) -> None:
    page.goto(app.link("", d="plain"))
    expect(page.locator(".ep-h h1")).to_have_text("Atlas")
    page.goto(app.link("atlas", d="plain", r=17, c="coherence"))  # it answers at / only
    expect(page.locator(".ep-card-name")).to_have_text("Region 17")
    expect(page.get_by_text(re.compile("coherence ‖Σû‖/N")).first).to_be_visible()
    page.wait_for_url(re.compile(r"[?&]c=coherence(&|$)"))
    expect(page.get_by_text("Page not found")).to_have_count(0)
