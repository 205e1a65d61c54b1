"""The neighbourhood figure in a real browser: hover shows a region, a click looks at it, links
restore the view.
"""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from tests.browser.conftest import App


def test_the_figure_stands_at_every_percentile_and_a_card_answers(app: App, page: Page) -> None:
    page.goto(app.link("between"))
    columns = page.locator(".column")
    expect(columns).to_have_count(6)
    expect(columns.first.locator("header b")).to_have_text("p = 16")
    expect(columns.last.locator("header b")).to_have_text("p = 1")
    card = page.locator(".column.current .card").nth(1)
    card.hover()
    pop = page.locator(".pop")
    expect(pop).to_be_visible()
    region = re.search(r"Region (\d+)", pop.inner_text()).group(1)  # type: ignore[union-attr]
    card.click()
    expect(page.get_by_text(f"Region {region}", exact=True).last).to_be_visible()
    page.get_by_role("button", name="Make it A").click()
    page.wait_for_url(re.compile(rf"[?&]r={region}(&|$)"))
    expect(page.locator(".column.current .anchor.a .card")).to_have_attribute(
        "aria-label", re.compile(rf"^region {region}(,|$)")
    )


def test_path_and_basis_are_kept_in_the_link_and_survive_a_reload(app: App, page: Page) -> None:
    page.goto(app.link("between", d="plain", r=17))
    expect(page.locator(".column")).to_have_count(1)
    page.get_by_role("radio", name="Path").click()
    page.wait_for_url(re.compile("between=path"))
    page.get_by_role("radio", name="Exemplars").click()
    page.wait_for_url(re.compile("basis=exemplar"))
    expect(page.get_by_text("Neighbour lists: computed once")).to_be_visible()
    page.reload()
    expect(page.get_by_role("radio", name="Path")).to_be_checked()
    expect(page.get_by_role("radio", name="Exemplars")).to_be_checked()


def test_hostile_tokens_are_text_in_the_figure(app: App, page: Page) -> None:
    """The page fixture fails on any dialog or script error."""
    page.goto(app.link("between", d="hostile", r=1))
    expect(page.locator(".column")).to_have_count(1)
    for card in page.locator(".column .card").all()[:4]:
        card.hover()
        expect(page.locator(".pop")).to_be_visible()
    assert page.locator(".figure img, .figure script, .pop img, .pop script").count() == 0


def test_from_a_region_to_what_lies_between_it_and_another(app: App, page: Page) -> None:
    page.goto(app.link("region", d="plain", r=17))
    expect(page.get_by_text("Farthest", exact=True)).to_be_visible()
    page.get_by_test_id("stPopover").filter(has_text="Between").get_by_role("button").click()
    page.get_by_test_id("stPopoverBody").locator(".chip").first.click()
    page.wait_for_url(re.compile(r"/between\?.*b=\d+"))
    expect(page.get_by_role("heading", name="Between")).to_be_visible()
    expect(page.locator(".anchor.a .card").first).to_have_attribute(
        "aria-label", re.compile("^region 17(,|$)")
    )
