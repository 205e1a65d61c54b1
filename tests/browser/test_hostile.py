"""Text from models, corpora, titles and file names is shown as text: no script, no style, no
formatting.
"""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import App

FORMATTED = """() => ({
  title: document.title,
  images: document.querySelectorAll('img[src="x"]').length,
  formulas: document.querySelectorAll('.katex').length,
  links: document.querySelectorAll('a[href^="javascript"]').length,
  scripts: [...document.querySelectorAll('script')]
    .filter((s) => s.textContent.includes('alert(1)')).length,
  styles: [...document.querySelectorAll('style')]
    .filter((s) => s.textContent.includes('*{display:none}')).length,
})"""


@pytest.mark.parametrize("where", ["", "region", "library", "prompt"])
def test_hostile_text_stays_text(app: App, page: Page, where: str) -> None:
    page.goto(app.link(where, d="hostile", r=0))
    expect(page.locator(".ep-h h1")).to_be_visible()
    if where == "library":
        expect(page.locator("article").first).to_be_visible()
    page.wait_for_timeout(2500)
    found = page.evaluate(FORMATTED)
    assert found.pop("title") == "EP Explorer" or "EP Explorer" in page.title()
    assert not any(found.values()), found
    # a <style> that hid everything would hide this
    expect(page.locator(".ep-h h1")).to_be_visible()


def test_every_region_of_a_hostile_dictionary_can_be_read(app: App, page: Page) -> None:
    for region in (0, 7, 13, 31, 59):
        page.goto(app.link("region", d="hostile", r=region))
        expect(page.get_by_role("heading", name=f"Region {region}")).to_be_visible()
        expect(page.get_by_text("Something went wrong")).to_have_count(0)
