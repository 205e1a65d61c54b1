"""What the Resolution page keeps in its link: two texts, and a token of each."""

from __future__ import annotations

from dataclasses import dataclass

from pages.shared.links import text, whole

MOST_CHARACTERS = 1500
"""Of one text: both fit into a link."""


@dataclass(frozen=True)
class Settings:
    """first, second: the texts that may part. first_token, second_token: the index of a token of
    each; None for its last.
    """

    first: str = text("sa", longest=MOST_CHARACTERS)
    second: str = text("sb", longest=MOST_CHARACTERS)
    first_token: int | None = whole("ta")
    second_token: int | None = whole("tb")
