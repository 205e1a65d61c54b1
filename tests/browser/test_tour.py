"""The four steps by clicking alone: each lands on its page, with content and without an error."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from tests.browser.conftest import App


def test_the_four_steps_by_clicking_alone(app: App, page: Page) -> None:
    page.goto(app.url)
    page.wait_for_function("() => window.epBlobs?.size > 0")
    strip = page.locator(".st-key-ep_tour")
    for title, heading in (
        ("1 The map", "Atlas"),
        ("2 A region", re.compile(r"Region \d+")),
        ("3 Your sentence", "Prompt"),
        ("4 Take the refusal out", "Steer"),
    ):
        strip.get_by_role("link", name=title).click()
        expect(page.get_by_role("heading", name=heading, level=1)).to_be_visible()
        expect(page.get_by_text("Something went wrong")).to_have_count(0)
    page.get_by_role("button", name="Generate").click()
    expect(page.get_by_text(re.compile("refuses|does not refuse")).first).to_be_visible()
    strip.get_by_role("button", name="Done").click()
    expect(strip).to_have_count(0)
    page.reload()
    expect(page.get_by_role("heading", name="Steer", level=1)).to_be_visible()
    page.goto(app.url)  # remembered by the browser
    expect(page.get_by_role("heading", name="Atlas", level=1)).to_be_visible()
    expect(strip).to_have_count(0)
