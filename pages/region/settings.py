"""The settings of the Region page, which its link contains besides the region."""

from __future__ import annotations

from dataclasses import dataclass

from ep.method.lenses import LENSES
from pages.shared.links import one_of


@dataclass(frozen=True)
class Settings:
    """The settings of the Region page.

    lens: the name of the lens that is shown, one of `LENSES`; None for the dictionary's first one.
    """

    lens: str | None = one_of("lens", tuple(LENSES), None)
