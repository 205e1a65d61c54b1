"""Compare in a real browser: two maps, a table and a pair under one selection; links restore the view."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from tests.browser.conftest import App


def test_two_maps_a_pair_and_the_cutoff(app: App, page: Page) -> None:
    page.goto(app.link("compare", d="plain", r=17, cb=app.keys["plain"]))
    expect(page.get_by_text("300 pairs")).to_be_visible()
    expect(page.get_by_text("are the same dictionary")).to_be_visible()
    expect(page.locator("canvas[role=application]")).to_have_count(2)
    expect(page.get_by_text("A 17", exact=True)).to_be_visible()
    expect(page.get_by_text("B 17", exact=True)).to_be_visible()
    page.get_by_role("radio", name="Only in A").click()
    page.wait_for_url(re.compile("ckind=here"))
    expect(page.get_by_text("0 rows; a click shows the pair above")).to_be_visible()


def test_the_way_of_comparing_is_kept_in_the_link(app: App, page: Page) -> None:
    page.goto(app.link("compare", d="hostile", r=1, cb=app.keys["tiny"]))
    expect(page.get_by_text("cannot be compared")).to_be_visible()
    page.goto(app.link("compare", d="hostile", r=1, cb=app.keys["hostile"]))
    page.get_by_role("radio", name="Matched cosine").click()
    page.wait_for_url(re.compile("cmap=cosine"))
    page.reload()
    expect(page.get_by_role("radio", name="Matched cosine")).to_be_checked()
    assert page.locator("[data-testid=stMain] img[src=x]").count() == 0


def test_the_demo_parts_at_the_final_token(app: App, page: Page) -> None:
    page.goto(app.link("compare", cview="final"))
    expect(page.get_by_text("tells them apart better than")).to_be_visible(timeout=120_000)
    expect(page.get_by_text("holds most harmful-style last tokens of")).to_be_visible()
