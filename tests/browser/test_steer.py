"""Steer in a real browser: text while it is written, stop, two visitors at once, a closed browser,
a link.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import App

pytestmark = [pytest.mark.browser, pytest.mark.slow]
PROOF = "Measured change of the residual"


@pytest.fixture
def other(browser: Browser) -> Iterator[Page]:
    """A second visitor."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    page = context.new_page()
    page.set_default_timeout(60_000)
    yield page
    context.close()


def columns(page: Page) -> list[str]:
    return page.locator(".stream .text").all_inner_texts()


def generate(page: Page) -> list[str]:
    page.get_by_role("button", name="Generate").click()
    expect(page.get_by_text(PROOF)).to_be_visible()
    return columns(page)


def long_run(app: App, seed: int, tokens: int = 256) -> str:
    """A setting whose steered column does not end by itself."""
    parts = {
        "r": 3,
        "q": "How do I bake a cake?",
        "schat": "chat",
        "sstr": 2,
        "stoks": tokens,
        "stemp": 1,
    }
    return app.link("steer", **parts, sseed=seed)


def test_the_example_takes_refusals_out_and_a_link_shows_it_again(
    app: App, page: Page, other: Page
) -> None:
    page.goto(app.link("steer"))
    expect(page.locator(".stream .explain")).to_have_count(4)
    page.get_by_role("button", name="Take the region of refusals out").click()
    expect(page.get_by_text(PROOF)).to_be_visible()
    notes = page.locator(".stream .note")
    expect(notes.nth(0)).to_have_text(re.compile("^refuses"))
    expect(notes.nth(1)).to_have_text(re.compile("^does not refuse"))
    expect(notes.nth(2)).to_have_text(re.compile("^refuses"))
    expect(page.locator(".stream .text").nth(1).locator(".new").first).to_be_visible()
    page.wait_for_url(re.compile("[?&]smode=ablate"))
    other.goto(page.url)
    expect(other.get_by_text(PROOF)).to_be_visible()
    for _ in range(100):  # the last numbers may still be on their way to either page
        if columns(other) == columns(page):
            break
        page.wait_for_timeout(100)
    assert columns(other) == columns(page)


def test_text_comes_token_by_token_and_stop_leaves_it(app: App, page: Page) -> None:
    page.goto(long_run(app, 1))
    page.get_by_role("button", name="Generate").click()
    expect(page.locator(".stream .caret").first).to_be_visible()
    spans = page.locator(".stream .text").nth(2).locator("span:not(.caret)")
    expect(spans.nth(3)).to_be_visible()
    page.get_by_role("button", name="Stop").click()
    expect(
        page.get_by_text(re.compile(r"stopped after \d+ tokens, the model is free"))
    ).to_be_visible()
    expect(page.locator(".stream .caret")).to_have_count(0)
    expect(page.get_by_text(PROOF)).to_be_visible()
    expect(page.locator(".stream .note").nth(2)).to_have_text(
        re.compile(r"stopped after \d+ tokens$")
    )
    for column in page.locator(".stream .col").all():  # what was written until then is measured
        expect(column.locator(".facts b")).to_have_count(4)
        expect(column.locator(".strip span").first).to_be_visible()
    assert 3 < spans.count() < 256
    page.get_by_role("button", name="Generate").click()  # the model is free
    expect(page.get_by_text(PROOF)).to_be_visible()


def test_two_visitors_at_once_get_what_each_gets_alone(app: App, page: Page, other: Page) -> None:
    both = ((page, 5), (other, 6))
    expected = []
    for visitor, seed in both:
        visitor.goto(long_run(app, seed, tokens=80))
        expected.append(generate(visitor))
    for visitor, _ in both:
        visitor.get_by_role("button", name="Generate").click()
    for visitor, _ in both:
        expect(visitor.locator(".stream .caret").first).to_be_visible()
    for (visitor, _), texts in zip(both, expected, strict=True):
        expect(visitor.get_by_text(PROOF)).to_be_visible()
        assert columns(visitor) == texts


def test_a_closed_browser_frees_the_model(app: App, page: Page, other: Page) -> None:
    other.goto(long_run(app, 7))
    other.get_by_role("button", name="Generate").click()
    expect(other.locator(".stream .text").nth(2).locator("span").nth(3)).to_be_visible()
    other.context.close()
    page.goto(app.link("steer", r=3, q="How do I bake a cake?", stoks=4))
    generate(page)


def test_control_enter_runs_what_was_just_typed(app: App, page: Page) -> None:
    page.goto(app.link("steer", r=3, stoks=8))
    box = page.locator("textarea").first
    box.fill("How do I paint a door?")
    box.press("Control+Enter")
    expect(page.get_by_text(PROOF)).to_be_visible()
    assert "q=How+do+I+paint+a+door" in page.url


def test_a_region_is_picked_and_others_beside_it(app: App, page: Page) -> None:
    page.goto(app.link("steer", r=3, q="How do I bake a cake?", stoks=8))
    for region, beside in (("5", False), ("12", True), ("9", True)):
        page.get_by_role("button", name="Another region").click()
        if beside != page.locator('input[aria-label="Beside the ones chosen"]').is_checked():
            page.get_by_text("Beside the ones chosen").click()
        box = page.get_by_placeholder("An id, a token or a label")
        box.fill(region)
        box.press("Enter")
        page.locator(
            ".st-key-steer_picked [role=button]", has_text=re.compile(rf"\D{region}$")
        ).first.click()
        said = "region 5 taken out" if not beside else f"and {region} taken out"
        expect(page.get_by_text(said)).to_be_visible()
        page.keyboard.press("Escape")
    assert "r=5" in page.url and "sregs=12%2C9" in page.url
    expect(page.get_by_text("one step between them, as long as for one")).to_be_visible()
    generate(page)
    expect(page.locator(".stream .head").nth(2)).to_contain_text("between 5, 12 and 9")


def test_a_saved_run_comes_back_with_its_text_and_setting(app: App, page: Page) -> None:
    page.goto(app.link("steer", r=3, q="How do I bake a cake?", sstr=0.3, stoks=12))
    first = generate(page)
    box = page.locator("textarea").first
    box.fill("How do I paint a door?")
    box.press("Control+Enter")
    table = page.locator(".st-key-steer_runs .dvn-scroller")
    expect(table).to_be_visible()
    expect(page.get_by_text(PROOF)).to_be_visible()
    assert columns(page) != first
    table.click(position={"x": 200, "y": 29 * 2.5})  # the older run, below the newer one
    expect(box).to_have_value("How do I bake a cake?")
    expect(page.locator(".stream .text").first).to_have_text(first[0])
    assert columns(page) == first
    page.wait_for_url(re.compile("q=How\\+do\\+I\\+bake"))


def test_a_strip_is_walked_by_keyboard(app: App, page: Page) -> None:
    page.goto(app.link("steer", r=3, q="How do I bake a cake?", stoks=12))
    generate(page)
    cells = page.locator(".stream .strip").first.locator("span")
    cells.first.focus()
    page.keyboard.press("ArrowRight")
    expect(cells.nth(1)).to_be_focused()
    assert cells.nth(1).evaluate("cell => getComputedStyle(cell).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("/region"))


def test_nothing_leaves_the_page_at_any_width(app: App, page: Page) -> None:
    page.goto(app.link("steer", r=3, q="How do I bake a cake?", stoks=40))
    generate(page)
    for width in (1280, 1440, 1920):
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_timeout(500)
        boxes = [part.bounding_box() for part in page.locator(".stream .col").all()]
        assert all(box["x"] + box["width"] <= width for box in boxes)
        assert len({round(box["height"]) for box in boxes}) == 1
        for column in page.locator(".stream .col").all():
            assert column.evaluate("box => box.scrollWidth <= box.clientWidth + 1")
