"""A build from the form to the opened dictionary: it goes on over a reload of the page, and its
owner is still its owner.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from ep import jobs
from tests.browser.conftest import PATIENCE_MS, serving
from tests.browser.test_library import visited


@pytest.fixture(scope="module")
def explorer(tmp_path_factory: pytest.TempPathFactory, browser: Browser) -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EP_CACHE", str(tmp_path_factory.mktemp("jobs")))
        patch.setenv("OMP_NUM_THREADS", "1")
        patch.delenv("EP_PUBLIC", raising=False)
        shelf = tmp_path_factory.mktemp("built")
        with serving(shelf, tmp_path_factory.mktemp("builder")) as url:
            visited(browser, url)
            yield url
        for job in jobs.listed():
            if job.is_active:
                jobs.cancel(job)


def test_from_the_form_to_the_opened_dictionary(explorer: str, page: Page) -> None:
    page.goto(f"{explorer}/build", timeout=PATIENCE_MS)
    page.get_by_role("button", name="Fill in an example").click()
    start = page.get_by_role("button", name="Start", exact=True)
    expect(page.get_by_role("textbox", name="Model").first).to_have_value("data/demo/models/base")
    expect(start).to_be_enabled()
    start.click()
    expect(page.get_by_role("button", name="Cancel", exact=True)).to_be_visible()
    page.reload()
    expect(page.get_by_role("button", name="Cancel", exact=True)).to_be_visible()
    line = page.get_by_test_id("stSidebar").get_by_role("button", name=re.compile("build", re.I))
    expect(line).to_be_visible()
    opener = page.locator(".st-key-build_open").get_by_role("button")
    expect(opener).to_be_visible(timeout=5 * PATIENCE_MS)
    expect(page.get_by_text("Newest exemplars")).to_be_visible()
    expect(line).to_have_count(0)
    (job,) = jobs.listed()
    assert job.status.state == "done" and len(job.status.files) == 2
    opener.click()
    expect(page.get_by_role("heading", name="Atlas")).to_be_visible()
    expect(page).to_have_url(re.compile("[?&]d=(?!demo)"))
