"""The search box keeps every letter, a link shows another visitor the same view, a download holds
what is shown.
"""

from __future__ import annotations

import json
import re

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

import ep
from tests.browser.conftest import App


def search_box(page: Page) -> Locator:
    return page.get_by_label("Find regions")


def test_results_follow_the_typing_and_no_letter_is_lost(app: App, page: Page) -> None:
    page.goto(app.link(d="plain", r=17))
    box = search_box(page)
    box.click()
    box.press_sequentially("the dog finds every cat", delay=60)
    assert box.input_value() == "the dog finds every cat"
    expect(page.get_by_text(re.compile(r"\d+ regions?: |No region has"))).to_be_visible()
    for _ in range(4):
        box.press("ArrowLeft")
    box.press_sequentially("XY", delay=300)  # slower than the pause: a search runs between the two
    expect(box).to_have_value("the dog finds everyXY cat")
    expect(box).to_be_focused()


def test_enter_asks_at_once_and_escape_empties(app: App, page: Page) -> None:
    page.goto(app.link(d="plain", r=17))
    box = search_box(page)
    box.fill("cat")
    box.press("Enter")
    expect(page.get_by_text(re.compile(r"\d+ regions: \d+ by "))).to_be_visible()
    box.press("Escape")
    expect(box).to_have_value("")
    expect(page.get_by_text(re.compile(r"\d+ regions: \d+ by "))).to_be_hidden()


def test_a_pasted_text_ranks_regions_by_meaning_and_the_link_keeps_it(
    app: App, page: Page, browser: Browser
) -> None:
    page.goto(app.link())
    search_box(page).fill("Could you tell me how to bake a chocolate cake for my sister?")
    page.get_by_role("button", name="Rank regions by what this text means").click()
    said = page.get_by_text(re.compile(r"\d+ regions by meaning"))
    expect(said).to_be_visible()
    other = browser.new_context(viewport={"width": 1280, "height": 800}).new_page()
    other.goto(page.url)
    expect(other.get_by_text(said.inner_text())).to_be_visible()
    other.context.close()
    page.get_by_role("button", name="Look for its words instead").click()
    expect(page.get_by_text(re.compile("No region has|by excerpts"))).to_be_visible()


def test_without_the_model_a_text_is_still_looked_for_by_its_words(app: App, page: Page) -> None:
    page.goto(
        app.link(d="plain", r=17, find="the dog sees one cat and it likes this bird", by="meaning")
    )
    expect(page.get_by_text("The model reads this text to rank regions by it.")).to_be_visible()
    page.get_by_role("button", name="Rank regions by what this text means").click()
    expect(page.get_by_text("only its words can be looked for")).to_be_visible()
    page.get_by_role("button", name="Look for its words instead").click()
    expect(page.get_by_text(re.compile("No region has|by excerpts"))).to_be_visible()


@pytest.mark.parametrize(
    "text", ["<img src=x onerror=alert(1)>", "$x$ :red[x] **b**", "\u202eabc", "="]
)
def test_hostile_text_is_text(app: App, page: Page, text: str) -> None:
    page.goto(app.link(d="hostile", r=3))
    box = search_box(page)
    box.fill(text)
    box.press("Enter")
    expect(page.get_by_text(re.compile(r"\d+ regions?: |No region has")).first).to_be_visible()


def test_a_prompts_link_shows_another_visitor_the_same(
    app: App, page: Page, browser: Browser
) -> None:
    page.goto(
        app.link(
            "prompt",
            q="How do I bake a cake?",
            **{"as": "chat", "sys": "Be brief.", "readout": "Otsu"},
        )
    )
    page.get_by_role("button", name=re.compile("cake")).first.click()
    page.wait_for_url(re.compile(r"[?&]token=\d+"))
    card = page.locator(".ep-band", has_text="locked")
    expect(card).to_contain_text("cake")
    other = browser.new_context(viewport={"width": 1280, "height": 800}).new_page()
    other.goto(page.url)
    expect(other.locator(".ep-band", has_text="locked")).to_contain_text("cake")
    expect(other.get_by_role("button", name=re.compile("start_of_turn")).first).to_be_visible()
    expect(other.get_by_text(re.compile("^Otsu: "))).to_be_visible()
    assert other.locator(".ep-band", has_text="locked").inner_text() == card.inner_text()
    strips = [one.locator(".box.running").first.inner_text() for one in (page, other)]
    assert strips[0] == strips[1] and "rief" in re.sub(r"\s", "", strips[0])
    other.context.close()


def test_what_is_downloaded_is_what_is_stored(app: App, page: Page) -> None:
    page.goto(app.link("region", d="plain", r=42))
    page.get_by_role("button", name="Export").click()
    with page.expect_download() as download:
        page.get_by_role("button", name="JSON", exact=True).click()
    whole = json.loads(download.value.path().read_text())
    region = ep.open(app.shelf / "plain.ep.h5").region(42)
    assert len(whole["rows"]) == len(region.excerpts) + (region.founder is not None)
    assert whole["rows"][-1]["token"] == region.excerpts[-1].token
    assert whole["provenance"]["built"]["model"] == "synthetic-model"


def test_the_link_is_copied_and_the_code_is_shown(app: App, page: Page) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto(app.link("region", d="plain", r=42))
    page.get_by_role("button", name="Copy link").click()
    expect(page.get_by_text("Link copied")).to_be_visible()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert "/region" in copied and "d=plain" in copied and "r=42" in copied
    page.get_by_role("button", name="Show the code").click()
    expect(page.locator("code", has_text="d.region(42)")).to_be_visible()
