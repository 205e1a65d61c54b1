"""Library: find a dictionary and open it, get one, add one, and tidy up."""

from __future__ import annotations

from collections.abc import Callable

from ep.public import is_public
from pages.library import adding, arrivals, changes, publishing, repositories, shelf, tidying
from pages.library.settings import ADD, GET, SHELF, TIDY, VIEWS, Settings
from pages.shared import controls, frame, state

SENTENCE = (
    "Every dictionary within reach: those that came with the explorer, your own, those others "
    "published."
)


def show() -> None:
    """Draw the page."""
    with arrivals.opening_arrivals():
        frame.page_head("Library", SENTENCE)
    changes.expire()
    if is_public():  # the other parts change what is on the shelf
        shelf.section()
        return
    controls.setting_choice(Settings, "view", "Part of the Library", VIEWS, key="library_view")
    _PARTS[state.settings(Settings).view]()


def _get() -> None:
    """Draw what others published."""
    publishing.section()
    repositories.section()


_PARTS: dict[str, Callable[[], None]] = {
    SHELF: shelf.section,
    GET: _get,
    ADD: adding.section,
    TIDY: tidying.section,
}

show()
