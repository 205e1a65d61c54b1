"""No page is wider than its window, and nothing sticks out of its column, from a telephone's width
to a large screen's.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page
from playwright.sync_api import TimeoutError as Late

from tests.browser.conftest import settle

pytestmark = [pytest.mark.browser, pytest.mark.slow]
WIDTHS = (1920, 1440, 1280, 900, 390)
LOOK = Path(__file__).with_name("too_wide.js").read_text(encoding="utf-8")


def test_nothing_is_wider_than_its_column(everywhere: Page) -> None:
    everywhere.emulate_media(color_scheme="light")
    wrong = {}
    for width in WIDTHS:
        everywhere.set_viewport_size({"width": width, "height": 800})
        everywhere.wait_for_timeout(250)
        settle(everywhere)
        try:  # tables and maps follow the width a moment later
            everywhere.wait_for_function(f"() => !({LOOK})().length", timeout=15_000)
        except Late:
            wrong[width] = everywhere.evaluate(LOOK)
    assert not wrong, wrong
