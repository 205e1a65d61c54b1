"""What the Atlas keeps in its link."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ep.views.colorings import NAMES, NEIGHBOURHOOD
from ep.views.layouts import DEFAULT, LAYOUTS
from pages.shared.links import flag, one_of, text

MEANING: Literal["meaning"] = "meaning"
LEAST_MEMBERS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)


@dataclass(frozen=True)
class Settings:
    """layout, second: of the first map and of one beside it, if any. path: whether a prompt's path
    is drawn. coloring: what colours the cells, one of `ep.views.colorings.NAMES`. find: what is
    looked for in the table; by: how, by its words or by what it means. least: members that a listed
    region has at least, one of `LEAST_MEMBERS`.
    """

    layout: str = one_of("layout", tuple(LAYOUTS), DEFAULT)
    second: str | None = one_of("two", tuple(LAYOUTS), None)
    path: bool = flag("route")
    coloring: str = one_of("c", NAMES, NEIGHBOURHOOD)
    find: str = text("find")
    by: Literal["meaning"] | None = one_of("by", (MEANING,), None)
    least: int = one_of("least", LEAST_MEMBERS, 1)
