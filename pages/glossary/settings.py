"""The settings of the Glossary page, which its link contains."""

from __future__ import annotations

from dataclasses import dataclass

from ep.views.glossary import TERMS
from pages.shared.links import one_of


@dataclass(frozen=True)
class Settings:
    """The settings of the Glossary page.

    term: the key of the term that the page scrolls to and marks, one of `TERMS`, or None.
    """

    term: str | None = one_of("term", tuple(TERMS), None)
