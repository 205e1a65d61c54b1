"""Compare in a real browser: two maps, a table and a pair under one selection; links restore the
view.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

import ep
from ep.storage import Shelf
from tests.browser.conftest import ROOT, App

DEMO = ROOT / "data" / "demo"


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
    page.get_by_role("button", name="Read the prompts").click()
    expect(page.get_by_text("tells them apart better than")).to_be_visible(timeout=120_000)
    expect(page.get_by_text("holds most harmful-style last tokens of")).to_be_visible()


@pytest.fixture
def fresh(app: App) -> Iterator[str]:
    """The key of a dictionary with its model and text of which no other seed was ever built."""
    text = DEMO / "text" / "mixed.jsonl"
    dictionary = ep.open(DEMO / "dictionaries" / "all-tokens" / "tuned-L4-p4.ep.h5")
    dictionary.info |= {
        "n_activations": 74_321,
        "model": str(DEMO / "models" / "tuned"),
        "family": "fresh",
    }
    ep.save(dictionary, app.shelf / "fresh.ep.h5")
    shutil.copy(text, app.shelf / text.name)
    yield next(entry.key for entry in Shelf((app.shelf,)).entries if entry.family == "fresh")
    (app.shelf / "fresh.ep.h5").unlink()
    (app.shelf / text.name).unlink()


def test_the_page_is_usable_while_another_seed_is_built_and_the_build_can_be_stopped(
    app: App, page: Page, fresh: str
) -> None:
    page.goto(app.link("compare", d=fresh))
    build = page.get_by_role("button", name="Build another seed of A")
    building = page.get_by_text("Building A again")
    expect(build).to_be_visible()
    expect(building).to_have_count(0)
    build.click()
    expect(building).to_be_visible()
    expect(page.locator("canvas[role=application]")).to_have_count(2)
    page.get_by_role("radio", name="Only in B").click()
    page.wait_for_url(re.compile("ckind=there"))
    expect(building).to_be_visible()
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_text("It was cancelled")).to_be_visible()
    page.get_by_role("button", name="Close").click()
    expect(build).to_be_visible()
    assert not list((app.shelf / ".other-seeds").glob("fresh*"))
    page.get_by_text("One prompt", exact=True).click()
    page.get_by_test_id("stFormSubmitButton").get_by_role("button").click()
    expect(page.get_by_text("fall in regions that are not each other's partners")).to_be_visible()
    expect(page.get_by_text("Show the code")).to_be_visible()
