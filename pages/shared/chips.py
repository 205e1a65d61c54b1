"""Clickable tokens: a row of chips, or a text whose tokens are chips.

The browser side is `chips.js` and `chips.css`. Text reaches the page as `textContent` only, so it
can never become markup.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ep.text import segments
from pages.shared.components import Component

_CHIPS = Component.beside(__file__, "chips", '<div class="box"></div>')


@dataclass(frozen=True)
class Chip:
    """One clickable token.

    id: the number passed to `on_pick` on a click. color: a colour of the palette. strength: the
    opacity of the tint, in [0, 1]. before, after: small numbers on either side. title: the tooltip.
    on: whether the chip is highlighted with an outline.
    """

    id: int
    token: str
    color: str
    strength: float = 0.22
    before: str = ""
    after: str = ""
    title: str = ""
    on: bool = False


def chips(
    items: Sequence[Chip], key: str, on_pick: Callable[[int], None], running: bool = False
) -> None:
    """Draw chips in a row, or as running text.

    key: of the component on the page. on_pick: called with the id of a chip when it is clicked or
    Enter is pressed on it, before the page reruns. running: whether to draw running text.
    """
    data = {"running": running, "items": [_item_data(chip) for chip in items]}
    _CHIPS(key, data, {"picked": lambda value: on_pick(int(value))})


def _item_data(chip: Chip) -> dict[str, Any]:
    """Return a chip as the data that `chips.js` expects."""
    return {
        "id": chip.id,
        "parts": [[segment.text, segment.mark] for segment in segments(chip.token)],
        "color": chip.color,
        "strength": round(chip.strength, 3),
        "before": chip.before,
        "after": chip.after,
        "title": chip.title,
        "on": chip.on,
    }
