"""Renaming and deleting dictionaries of the shelf, and undoing it; all for callbacks.

What cannot be done is left as a problem for the page to show, see `take_problem`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import streamlit as st

from ep.errors import EPError, RequestError
from ep.public import is_public
from ep.storage import Entry, titles, trash
from ep.storage.trash import Trashed
from pages.library import cards
from pages.shared import loading, messages, state

MOST_SHOWN = 3
"""Deletions that can be undone at the head of the page; Tidy up lists all."""
_DELETED, _PROBLEM = "library_deleted", "library_problem"


def rename(family: str, title: str) -> None:
    """Give a family another title; an empty one restores the title in its files."""
    with _reporting("The title was not changed"):
        entries = loading.families().get(family, ())
        _check(entries)
        titles.write([entry.path for entry in entries], title)
        loading.refresh()


def delete(keys: Sequence[str]) -> None:
    """Move dictionaries, or files that cannot be read, to the trash of their folder."""
    with _reporting("Nothing was deleted"):
        shelf = loading.shelf()
        found = [entry for key in keys if (entry := shelf.find(key)) is not None]
        _check(found)
        undo = [_discard(root, some) for root, some in _by_root(found).items()]
        st.session_state[_DELETED] = [*undo, *st.session_state.get(_DELETED, [])][:MOST_SHOWN]
        loading.refresh()
        _open_another(keys)


def restore(trashed: Trashed) -> None:
    """Put what was deleted back."""
    with _reporting("It was not put back"):
        trash.restore(trashed)
        dismiss(trashed)
        loading.refresh()


def dismiss(trashed: Trashed) -> None:
    """Offer to undo this deletion no longer at the head of the page."""
    st.session_state[_DELETED] = [one for one in deleted() if one != trashed]


def deleted() -> list[Trashed]:
    """Return the visitor's deletions that can be undone, the newest first."""
    return [one for one in st.session_state.get(_DELETED, []) if one.place.is_dir()]


def take_problem() -> tuple[str, str] | None:
    """Return the headline and the sentence of what failed since the last call, or None."""
    problem: tuple[str, str] | None = st.session_state.pop(_PROBLEM, None)
    return problem


def put_problem(headline: str, error: EPError) -> None:
    """Leave a problem for the page to show."""
    st.session_state[_PROBLEM] = (headline, messages.sentence(error))


def expire() -> None:
    """Remove what was deleted more than a day ago."""
    for folder in loading.folders():
        if (folder / trash.FOLDER).is_dir():
            trash.empty(folder, trash.KEPT_S)


@contextmanager
def _reporting(headline: str) -> Iterator[None]:
    """Turn an error of ours into a problem for the page."""
    try:
        yield
    except EPError as error:
        put_problem(headline, error)


def _check(entries: Sequence[Entry]) -> None:
    """Raise RequestError unless all of the dictionaries are there and may be changed."""
    if not entries:
        raise RequestError("it is not on the shelf any more: it was deleted or moved meanwhile")
    if is_public():
        raise RequestError(f"{cards.FIXED[0].lower()}{cards.FIXED[1:]}: change a copy of your own")
    if any(cards.is_bundled(entry) for entry in entries):
        raise RequestError(
            "it is bundled with the explorer, whose pages and tests need it: build or get one of "
            "your own to change"
        )


def _by_root(entries: Sequence[Entry]) -> dict[Path, list[Entry]]:
    """Return entries by the folder of the shelf that they lie in, the innermost of several."""
    folders = sorted(loading.folders(), key=lambda folder: -len(folder.parts))
    roots: dict[Path, list[Entry]] = {}
    for entry in entries:
        root = next((f for f in folders if entry.path.is_relative_to(f)), entry.path.parent)
        roots.setdefault(root, []).append(entry)
    return roots


def _discard(root: Path, entries: Sequence[Entry]) -> Trashed:
    first = entries[0]
    name = first.path.name if first.error else loading.title(first.family)
    return trash.discard([entry.path for entry in entries], root, cards.cut(name, 120))


def _open_another(keys: Sequence[str]) -> None:
    """Open another dictionary where the one that is open was deleted."""
    if state.current().dictionary not in keys:
        return
    state.update_selection(dictionary=None, region=None, second=None)
    if (entry := loading.default_entry()) is not None:
        state.open_dictionary(entry.key)
