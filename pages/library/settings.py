"""The settings of the Library page, which its link contains."""

from __future__ import annotations

from dataclasses import dataclass

from pages.library.finding import NEWEST, ORDERS
from pages.shared.links import one_of, text

SHELF, GET, ADD, TIDY = "shelf", "get", "add", "tidy"
VIEWS = {
    SHELF: "On this machine",
    GET: "Get published ones",
    ADD: "Add or build",
    TIDY: "Tidy up",
}
"""The parts of the page, by what a visitor came for."""


@dataclass(frozen=True)
class Settings:
    """The settings of the Library page.

    view: the part that is shown, one of `VIEWS`. order: how the dictionaries are sorted, one of
    `finding.ORDERS`. find: words that those shown must have.
    """

    view: str = one_of("v", tuple(VIEWS), SHELF)
    order: str = one_of("sort", tuple(ORDERS), NEWEST)
    find: str = text("find", longest=200)
