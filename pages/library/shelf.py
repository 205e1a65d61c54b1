"""The part of the Library that lists what is on this machine: search, order, cards, and faults."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import streamlit as st

from ep.errors import EPError
from ep.public import is_public
from ep.storage import Entry, Family
from ep.storage.hub import in_bytes
from ep.storage.trash import Trashed
from pages.library import adding, cards, changes, completing, finding, problems
from pages.library.gallery import gallery
from pages.library.settings import ADD, GET, Settings
from pages.library.thumbnails import thumbnails
from pages.shared import frame, loading, messages, state
from pages.shared.controls import setting_widget
from pages.shared.searchbox import searchbox

SHOWN_AT_ONCE = 24
"""Cards of one page; a button shows as many more."""
REFRESH_S = 0.7
"""How often the page looks for pictures that are being drawn."""
_PICKED, _SHOWN, _WAITED = "library_picked", "library_shown", "library_waited"


@frame.fragment
def section() -> None:
    """Draw the shelf."""
    shelf = loading.shelf()
    _undo()
    problems.left_by_changes()
    problems.broken_files(shelf.broken)
    if shelf.families:
        _toolbar(len(shelf.families))
        settings = state.settings(Settings)
        found = finding.ordered(finding.found(shelf.families, settings.find), settings.order)
        _cards(found, settings.find)
        if shelf.truncated:
            messages.quiet(
                "There are more files than are listed here; give the path of one to open it."
            )
        if not is_public():
            completing.offers([entry for family in found for entry in family.entries])
    if not is_public() and not any(not cards.is_bundled(entry) for entry in shelf.entries):
        _nothing_of_your_own(has_demo=bool(shelf.families))


def _toolbar(count: int) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        with st.container(width=360):
            searchbox(
                "library_find",
                state.settings(Settings).find,
                "Title, model, text, file or label",
                _find,
                label="Search the library",
            )
        setting_widget(
            st.selectbox,
            Settings,
            "order",
            "Order",
            list(finding.ORDERS),
            key="library_order",
            format_func=finding.ORDERS.__getitem__,
            label_visibility="collapsed",
            width=180,
        )
        size = in_bytes(sum(entry.bytes for entry in loading.entries()))
        files = len(loading.entries())
        messages.quiet(
            f"{files:,} dictionaries in {count:,} builds · {size} on disk · each cell: regions K"
        )


def _find(text: str) -> None:
    state.update_settings(Settings, find=text[:200])


def _cards(found: list[Family], query: str) -> None:
    if not found:
        messages.quiet(f"Nothing on the shelf has “{query.strip()}”. Clear the search to see all.")
        return
    most = st.session_state.setdefault(_SHOWN, SHOWN_AT_ONCE)
    shown = found[:most]
    is_waiting = thumbnails().request(_picked(family) for family in shown)
    frame.fragment(_gallery, REFRESH_S if is_waiting else None)(shown)
    if len(found) > most:
        st.button(
            f"Show {min(SHOWN_AT_ONCE, len(found) - most)} more of {len(found) - most}",
            key="library_more",
            on_click=_show_more,
        )


def _show_more() -> None:
    st.session_state[_SHOWN] += SHOWN_AT_ONCE


def _gallery(families: list[Family]) -> None:
    """Draw the cards; a fragment that reruns by itself while pictures are being drawn."""
    is_waiting = thumbnails().request(_picked(family) for family in families)
    if st.session_state.get(_WAITED) and not is_waiting:
        st.session_state[_WAITED] = False
        state.rerun()  # ends the reruns of this fragment
    st.session_state[_WAITED] = is_waiting
    gallery(
        [_card(family) for family in families],
        on_open=open_dictionary,
        on_pick=_pick,
        on_rename=_rename,
        on_delete=_delete,
    )


def _card(family: Family) -> dict[str, object]:
    entry, chosen = _picked(family), state.current().dictionary
    is_open = any(other.key == chosen for other in family.entries)
    return cards.card(family, entry.key, is_open, thumbnails().get(entry))


def _picked(family: Family) -> Entry:
    """Return the dictionary that the selector has chosen: at first the one that is open, or one of
    about a thousand regions.
    """
    key = st.session_state.get(_PICKED, {}).get(family.id, state.current().dictionary)
    chosen = next((entry for entry in family.entries if entry.key == key), None)
    return chosen or loading.preferred(family.entries)


def _pick(family: str, key: str) -> None:
    st.session_state.setdefault(_PICKED, {})[family] = key
    state.schedule()  # the pictures of other dictionaries may have to be drawn


def open_dictionary(key: str) -> None:
    """Open a dictionary on the Atlas; for callbacks. One that is damaged is a problem here."""
    try:
        loading.dictionary(key)
    except EPError as error:
        changes.put_problem("This dictionary cannot be opened", error)
        state.schedule()
        return
    state.open_dictionary(key)
    state.schedule("atlas")


def _rename(family: str, title: str) -> None:
    changes.rename(family, title)
    state.schedule()


def _delete(family: str, key: str) -> None:
    keys = [entry.key for entry in loading.families().get(family, ())]
    changes.delete([key] if key else keys)
    state.schedule()


def _undo() -> None:
    """Draw what was deleted, each with a button that puts it back."""
    for number, trashed in enumerate(changes.deleted()):
        with st.container(
            horizontal=True, vertical_alignment="center", gap="small", key=f"library_undo_{number}"
        ):
            messages.note(f"{_deleted(trashed)} It stays in the trash for a day.")
            st.button(
                "Undo",
                key=f"library_undo {trashed.place.name}",
                icon=":material/undo:",
                on_click=partial(_changed, changes.restore, trashed),
            )
            st.button(
                "Dismiss",
                key=f"library_dismiss {trashed.place.name}",
                type="tertiary",
                on_click=partial(_changed, changes.dismiss, trashed),
            )


def _changed(action: Callable[[Trashed], None], trashed: Trashed) -> None:
    action(trashed)
    state.schedule()


def _deleted(trashed: Trashed) -> str:
    count = trashed.dictionaries
    files = "" if count == 1 else f", {count} dictionaries"
    return f"Deleted {trashed.title}{files} ({in_bytes(trashed.bytes)})."


def _nothing_of_your_own(has_demo: bool) -> None:
    """Draw what to do first where there is nothing, or nothing but the demo."""
    with st.container(border=True, gap="small", key="library_first"):
        st.html(
            f'<div class="ep-empty"><b>{"Now your own" if has_demo else "Nothing to open yet"}</b>'
            "<span>A dictionary is built from a model and a text of yours, or got ready-made. What "
            f"you build or get appears here.{' The demo above is to try things with.' * has_demo}"
            "</span></div>"
        )
        st.code(adding.command(), language="bash", wrap_lines=True)
        with st.container(horizontal=True, gap="small"):
            for view, text in (
                (ADD, "Add a file, or see how to build"),
                (GET, "Get a published dictionary"),
            ):
                st.button(text, key=f"library_to_{view}", on_click=partial(_to, view))
            adding.to_build_page()


def _to(view: str) -> None:
    state.update_settings(Settings, view=view)
    state.schedule()
