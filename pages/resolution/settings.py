"""The settings of the Resolution page that its link keeps: two texts, and a token of each."""

from __future__ import annotations

from dataclasses import dataclass

from pages.shared.links import integer, text

MOST_CHARACTERS = 1500
"""Length of one text, short enough that both fit into a link."""


@dataclass(frozen=True)
class Settings:
    """What is compared.

    first, second: the two texts.
    first_token, second_token: index of a token of each; None for its last.
    """

    first: str = text("sa", longest=MOST_CHARACTERS)
    second: str = text("sb", longest=MOST_CHARACTERS)
    first_token: int | None = integer("ta")
    second_token: int | None = integer("tb")
