"""The neighbourhood figure: a component with one column per dictionary, whose cards can be clicked.

The browser side is `neighbourhood.js` and `neighbourhood.css`. Text reaches the page as
`textContent` only, so it can never become markup.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from ep.studies.between import Counterpart
from ep.studies.names import one_line, short
from ep.text import segments
from ep.views.excerpts import Row
from ep.views.neighbourhood import Card, Column, Step
from pages.shared.components import Component

_FIGURE = Component.beside(
    __file__, "neighbourhood", '<div class="figure"></div><div class="pop" hidden></div>'
)
LONGEST_NAME = 40
"""Characters of a name on a card, which shows as many as it has room for."""
LEFT, RIGHT = 44, 56
"""Characters of an excerpt before and after its marked token, in the card shown on hover."""


def figure(
    columns: Sequence[Column],
    current: str,
    key: str,
    on_pick: Callable[[str, int], None],
    on_more: Callable[[str], None],
    picked: tuple[str, int] | None = None,
) -> None:
    """Draw the figure.

    current: the key of the open dictionary, whose column is wider. on_pick: called with dictionary
    key and region when a card is clicked. on_more: called with the dictionary key when "and N
    more" is clicked. picked: dictionary key and region of the highlighted card.
    """
    data = {
        "columns": [_column(column, column.key == current) for column in columns],
        "picked": list(picked or ()),
    }
    heard = {
        "picked": lambda value: on_pick(str(value["key"]), int(value["region"])),
        "listed": lambda value: on_more(str(value["key"])),
    }
    _FIGURE(key, data, heard)


def _column(column: Column, current: bool) -> dict[str, Any]:
    return {
        "key": column.key,
        "title": column.title,
        "size": f"{column.size:,} regions",
        "result": column.result,
        "kind": column.kind,
        "current": current,
        "cosine": f"{column.cosine:.2f}",
        "a": _card(column.a) | {"carried": counterpart_text(column.counterpart_a)},
        "b": _card(column.b) | {"carried": counterpart_text(column.counterpart_b)},
        "steps": [_step(step) for step in column.steps],
        "more": column.total - len(column.steps) if column.kind == "between" else 0,
    }


def _step(step: Step) -> dict[str, Any]:
    return {
        **_card(step.card),
        "before": f"{step.before:.2f}",
        "after": f"{step.after:.2f}",
        "excess": f"misses by {step.excess:.3f}" if step.excess else "",
    }


def _card(card: Card) -> dict[str, Any]:
    return {
        "region": card.region,
        "name": short(card.name, LONGEST_NAME),
        "whole": one_line(card.name),
        "tokens": [_parts(token) for token in card.tokens],
        "color": card.color,
        "members": f"{card.members:,} members",
        "excerpts": [_row(row) for row in card.excerpts],
    }


def _row(row: Row) -> list[list[Any]]:
    """Return an excerpt as three [text, is marked] runs: before, at and after the marked token."""
    left = "".join(text for text in _texts(row.left))[-LEFT:]
    right = "".join(text for text in _texts(row.right))[
        : RIGHT if row.token is not None else LEFT + RIGHT
    ]
    return [
        [left, False],
        ["".join(_texts((row.token or "",))) if row.token else "", True],
        [right, False],
    ]


def _texts(pieces: Iterable[str]) -> Iterable[str]:
    """Yield the tokens as running text, with their invisible characters made visible."""
    return (
        "".join(segment.text for segment in segments(piece, spaces=False))
        for piece in pieces
        if piece
    )


def _parts(token: str) -> list[list[Any]]:
    """Return a token as [text, is a mark] runs."""
    return [[segment.text, segment.mark] for segment in segments(token)]


def counterpart_text(counterpart: Counterpart | None) -> str:
    """Return how an anchor was transferred to a dictionary, in a few words; empty where it was
    chosen in it.
    """
    if counterpart is None:
        return ""
    return "same exemplar" if counterpart.same else f"nearest, cos {counterpart.cosine:.2f}"
