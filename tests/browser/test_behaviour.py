"""Behaviour in a real browser: the stored run is a picture at once, a click selects, nothing is cut
off.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import App

pytestmark = [pytest.mark.browser, pytest.mark.slow]
STORED = Path(__file__).resolve().parents[2] / "data/demo/behaviour.json"
OVERFLOWING = """() => [...document.querySelectorAll('.eb-arms, .eb-read')]
    .filter(e => e.scrollWidth > e.clientWidth + 1).length"""


def test_the_stored_run_is_drawn_and_its_dictionary_opens(app: App, page: Page) -> None:
    page.goto(app.link("behaviour"))
    expect(page.get_by_text("Stored run of")).to_be_visible()
    expect(page.locator(".eb-arms.arms .a")).to_have_count(8)
    expect(page.locator("canvas").first).to_be_visible()
    page.get_by_role("button", name="Open that dictionary").click()
    page.wait_for_url(re.compile(r"[?&]r=\d+"))
    expect(page.get_by_role("button", name="Run it again")).to_be_enabled()
    region = re.search(r"[?&]r=(\d+)", page.url)[1]
    expect(page.get_by_text(f"Region {region} taken out, on held-out prompts")).to_be_visible()


@pytest.mark.parametrize("size", [(1280, 800), (1440, 900), (1920, 1080)])
def test_no_row_is_wider_than_its_card(app: App, page: Page, size: tuple[int, int]) -> None:
    page.set_viewport_size({"width": size[0], "height": size[1]})
    page.goto(app.link("behaviour"))
    expect(page.locator(".eb-arms.seeds")).to_be_visible()
    expect(page.locator(".eb-arms.others")).to_be_visible()
    assert page.evaluate(OVERFLOWING) == 0
    page.get_by_role("radiogroup", name="Share of behaving prompts").get_by_text("50%").click()
    page.wait_for_url(re.compile(r"[?&]bhalf=on"))
    expect(page.locator(".eb-arms.seeds .eb-no").first).to_be_visible()
    assert page.evaluate(OVERFLOWING) == 0


def test_texts_of_benign_prompts_and_of_the_swap_can_be_read(app: App, page: Page) -> None:
    page.goto(app.link("behaviour"))
    expect(page.locator(".eb-read .on").first).to_be_visible()
    page.get_by_role("radiogroup", name="Answers").get_by_text("Swapped").click()
    expect(page.locator(".eb-read .h", has_text="Swapped")).to_be_visible()
    before = page.locator(".eb-read .on").count()
    page.get_by_role("radiogroup", name="Prompts").get_by_text("Benign").click()
    page.wait_for_function(
        "most => document.querySelectorAll('.eb-read .on').length < most", arg=before / 2
    )


def test_a_click_on_the_map_opens_its_dictionary_and_one_in_the_table_selects(
    app: App, page: Page
) -> None:
    stored = json.loads(STORED.read_text())["choice"]["regions"]
    third = [row["region"] for row in stored if row["candidate"]][2]
    page.goto(app.link("behaviour"))
    expect(page.get_by_role("button", name="Open that dictionary")).to_be_visible()
    canvas = page.locator("canvas[role=application]")
    expect(canvas).to_be_visible()
    page.wait_for_timeout(1500)  # the map turns to its place
    canvas.click()
    expect(page.get_by_role("button", name="Run it again")).to_be_enabled()
    table = page.get_by_test_id("stDataFrame").first
    for _ in range(20):  # the page may still be moving under the pointer
        table.scroll_into_view_if_needed()
        table.click(position={"x": 80, "y": 36 + 29 * 2.5})
        page.wait_for_timeout(500)
        if re.search(rf"[?&]r={third}(&|$)", page.url):
            break
    page.wait_for_url(re.compile(rf"[?&]r={third}(&|$)"))
