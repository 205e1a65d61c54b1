"""The settings of the Atlas page, which its link contains."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ep.views.colorings import NAMES, NEIGHBOURHOOD
from ep.views.layouts import DEFAULT, LAYOUTS
from pages.shared.links import flag, one_of, text

MEANING: Literal["meaning"] = "meaning"
LEAST_FOUND = (0, 25, 50, 75, 100)
LEAST_MEMBERS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)


@dataclass(frozen=True)
class Settings:
    """The settings of the Atlas page.

    layout, second: the layouts of the first map and of the second one, if any. path: whether a
    prompt's path is drawn. coloring: the column that colours the cells, one of
    `ep.views.colorings.NAMES`. find: the query of the search. by: the kind of search, by meaning
    or (None) by words. least: the smallest number of members of a listed region, one of
    `LEAST_MEMBERS`. found: the least share of other seeds that find a listed region again, in
    percent, one of `LEAST_FOUND`.
    """

    layout: str = one_of("layout", tuple(LAYOUTS), DEFAULT)
    second: str | None = one_of("two", tuple(LAYOUTS), None)
    path: bool = flag("route")
    coloring: str = one_of("c", NAMES, NEIGHBOURHOOD)
    find: str = text("find")
    by: Literal["meaning"] | None = one_of("by", (MEANING,), None)
    least: int = one_of("least", LEAST_MEMBERS, 1)
    found: int = one_of("found", LEAST_FOUND, 0)
