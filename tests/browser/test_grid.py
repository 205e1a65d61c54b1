"""The grid of layers in a real browser: from a cell to its region, and a token pinned there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, Page, expect

import ep
from ep.storage import Shelf
from tests.browser.conftest import PATIENCE_MS, serving
from tests.fixtures import tiny
from tests.fixtures.dictionaries import synthetic

TEXT = "The cat sat on the mat."


@pytest.fixture
def link(tmp_path: Path, browser: Browser) -> Iterator[str]:
    """A prompt to a dictionary whose model is here, on a server that somebody has visited."""
    model = tiny.gemma(tmp_path / "model")
    shelf, home = tmp_path / "shelf", tmp_path / "home"
    shelf.mkdir()
    home.mkdir()
    made = synthetic(60, 32, model=str(model), layer=2, family="plain", title="plain")
    ep.save(made, shelf / "d.ep.h5")
    key = quote(Shelf((shelf,)).entries[0].key, safe="")
    with serving(shelf, home) as url:
        first = browser.new_page()
        first.goto(url, timeout=PATIENCE_MS)
        expect(first.get_by_role("heading", name="Atlas")).to_be_visible()
        first.close()
        yield f"{url}/prompt?d={key}&q={quote(TEXT)}"


def test_a_cell_leads_to_its_region_and_its_tokens_can_be_pinned(link: str, page: Page) -> None:
    page.goto(link)
    page.get_by_role("button", name="Read", exact=True).click()
    expect(page.get_by_text("Regions in this text")).to_be_visible()
    page.get_by_text("Every layer", exact=True).first.click()
    cell = page.locator('.cell[data-row="1"][data-column="3"]')
    expect(cell).to_be_visible()
    cell.click()
    expect(page.get_by_text("Layer 2, token 3")).to_be_visible()
    page.wait_for_url(re.compile(r"[?&]layer=2(&|$)"))
    cell.hover()
    expect(page.locator(".tip .line")).to_have_count(5)
    page.locator(".st-key-prompt_cell_tokens .chip").first.click()
    expect(page.get_by_text("at token 3; best 1")).to_be_visible()
    expect(cell).to_have_text("1")
    page.get_by_role("button", name=re.compile("^Open region")).click()
    expect(page.get_by_role("heading", name=re.compile("^Region [0-9]+"))).to_be_visible()
