"""Every page, in both themes, by the rules of WCAG 2.2 A and AA that axe-core can check: contrast,
names, roles, focus, sizes of targets.
"""

from __future__ import annotations

from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from tests.browser.conftest import settle

pytestmark = [pytest.mark.browser, pytest.mark.slow]
OPTIONS = {
    "resultTypes": ["violations"],
    "runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]},
    # still called experimental, and therefore off by default
    "rules": {"label-content-name-mismatch": {"enabled": True}},
}
DARK = "dark => getComputedStyle(document.querySelector('.stApp')).colorScheme === dark"


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_no_rule_is_broken(everywhere: Page, theme: str) -> None:
    everywhere.set_viewport_size({"width": 1280, "height": 800})
    everywhere.emulate_media(color_scheme=theme)
    everywhere.wait_for_function(DARK, arg=theme)
    settle(everywhere)
    found = Axe().run(everywhere, options=OPTIONS).response["violations"]
    assert not found, "\n".join(lines(found))


def lines(violations: list[dict[str, Any]]) -> list[str]:
    """One line for each element that breaks a rule."""
    return [
        f"{rule['id']}: {node['html'][:160]} {[one['message'] for one in checks(node)][:1]}"
        for rule in violations
        for node in rule["nodes"]
    ]


def checks(node: dict[str, Any]) -> list[dict[str, Any]]:
    return [*node["any"], *node["all"], *node["none"]]
