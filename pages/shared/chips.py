"""Tokens one can click: a row of chips, or a text whose tokens are chips. One component, mounted as
often as needed.

The browser side is `chips.js` and `chips.css`; text reaches the page as `textContent` only.
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

    id: what a click hands to `on_pick`; color: a palette colour; strength: of its tint, in [0, 1];
    before, after: small numbers on either side; title: shown on hover; on: drawn with a ring of
    ink.
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
    """Draw chips in a row, or as running text; a click or Enter calls `on_pick(id)` before the page
    runs again.
    """
    data = {"running": running, "items": [_item(chip) for chip in items]}
    _CHIPS(key, data, {"picked": lambda value: on_pick(int(value))})


def _item(chip: Chip) -> dict[str, Any]:
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
