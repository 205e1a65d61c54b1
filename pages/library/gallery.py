"""The gallery: a card for each family of dictionaries, drawn by `gallery.js` and `gallery.css`.

It draws and reports clicks; what they do is done by the listeners it is given. Text reaches the
page as `textContent` only, so it can never become markup.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pages.shared.components import Component

_GALLERY = Component.beside(__file__, "gallery", '<div class="gallery"></div>')


def gallery(
    cards: Sequence[Mapping[str, Any]],
    on_open: Callable[[str], None],
    on_pick: Callable[[str, str], None],
    on_rename: Callable[[str, str], None],
    on_delete: Callable[[str, str], None],
) -> None:
    """Draw the cards that `pages.library.cards.card` returns.

    on_open: called with the key of a dictionary. on_pick: called with the id of a family and the
    key of one of its dictionaries. on_rename: called with the id of a family and its new title.
    on_delete: called with the id of a family and the key of the dictionary to delete, "" for all.
    """
    _GALLERY(
        "library_gallery",
        {"cards": list(cards)},
        {
            "opened": lambda value: on_open(str(value)),
            "picked": lambda value: on_pick(str(value["id"]), str(value["key"])),
            "renamed": lambda value: on_rename(str(value["id"]), str(value["title"])),
            "deleted": lambda value: on_delete(str(value["id"]), str(value["key"])),
        },
    )
