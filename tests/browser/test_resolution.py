"""Resolution in a real browser: the flow is drawn at once, a click follows another region, text in
it stays text.
"""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import App

pytestmark = [pytest.mark.browser, pytest.mark.slow]
BOXES = "svg => [svg, ...svg.querySelectorAll('text')].map((one) => one.getBoundingClientRect())"


def test_a_click_in_the_flow_follows_that_region_at_its_percentile(app: App, page: Page) -> None:
    page.goto(app.link("resolution"))
    expect(page.locator(".flow .title")).to_have_count(6)
    expect(page.locator(".node.followed")).to_have_count(1)
    page.wait_for_url(re.compile(r"[?&]d="))
    before = re.search(r"[?&]d=([^&]+)", page.url)
    other = page.locator(".node.own:not(.followed)").first
    region = other.get_attribute("aria-label").split()[1]
    other.click()
    expect(page.get_by_text(f"Where the members of region {region} lie")).to_be_visible()
    page.wait_for_url(re.compile(rf"[?&]r={region}(&|$)"))
    assert re.search(r"[?&]d=([^&]+)", page.url)[1] != before[1]
    expect(page.locator(".node.followed")).to_have_attribute(
        "aria-label", re.compile(rf"^region {region} ")
    )


def test_the_keyboard_follows_too_and_no_label_leaves_the_picture(app: App, page: Page) -> None:
    page.goto(app.link("resolution"))
    node = page.locator(".node.own:not(.followed)").first
    region = node.get_attribute("aria-label").split()[1]
    node.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text(f"Where the members of region {region} lie")).to_be_visible()
    expect(page.locator(".node.followed")).to_have_attribute(
        "aria-label", re.compile(rf"^region {region} ")
    )
    for width in (1280, 1920):
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_timeout(500)
        frame, *labels = page.locator(".flow svg").evaluate(BOXES)  # at once: it may be redrawn
        assert labels
        for box in labels:
            assert box["left"] >= frame["left"] - 1 and box["right"] <= frame["right"] + 1
            assert box["bottom"] <= frame["bottom"] + 1


def test_two_texts_part_and_a_chip_leads_on(app: App, page: Page) -> None:
    page.goto(app.link("resolution"))
    page.get_by_role("button", name="Two countries").click()
    expect(page.get_by_text("Their cosine about the centre")).to_be_visible()
    page.wait_for_url(re.compile("[?&]sa=The"))
    link = page.url
    page.goto(link)  # the link restores both texts
    expect(page.get_by_text("Their cosine about the centre")).to_be_visible()
    chip = page.locator('[title$=": open it"]').last
    region = re.search(r"region (\d+) at p", chip.get_attribute("title")).group(1)
    chip.click()
    expect(page.get_by_text(f"Where the members of region {region} lie")).to_be_visible()
    page.wait_for_url(re.compile(rf"[?&]r={region}(&|$)"))
