"""The lists of a dictionary: named lists of regions with their notes, as chips that lead to
them.
"""

from __future__ import annotations

import streamlit as st

from ep.storage import edits
from ep.storage.labels import Labels
from ep.views.palette import region_color
from pages.shared import loading, messages, state
from pages.shared.chips import Chip, chips
from pages.shared.labelling import current, cut, save, shown, times, unsaved, when

LISTED = 60


def lists_panel(key: str) -> None:
    """The lists of a dictionary, each with its regions as chips that select; a line where there are
    none yet.
    """
    labels = current(key)
    if labels.problem:
        messages.quiet(messages.sentence(labels.problem))
        return
    if not labels.lists:
        messages.quiet("No lists yet: put a region on one on its page.")
    for number, title in enumerate(labels.lists):
        _list(key, labels, title, number)
    last = next((edit for edit in reversed(labels.standing) if "list" in edit), None)
    if last is not None:
        st.button(
            "Undo",
            icon=":material/undo:",
            type="tertiary",
            key=f"labelling_undo_list {key}",
            help=f"Take back the last change to a list, of {when(last['at'])}",
            on_click=save,
            args=(key, edits.undo(last["id"])),
        )
    unsaved(key)


def _list(key: str, labels: Labels, title: str, number: int) -> None:
    """One list: name, note, regions."""
    held, dictionary = labels.lists[title], loading.dictionary(key)
    about = " · ".join(
        [
            f"{len(held.regions):,} region{'s' if len(held.regions) != 1 else ''}",
            *filter(None, [held.note]),
        ]
    )
    head, actions = st.columns([8, 3], gap="small", vertical_alignment="center")
    with head:
        st.html(
            f'<div class="ep-band ep-flush"><b>{shown(title)}</b><span>{shown(about)}</span></div>'
        )
    with actions, st.container(horizontal=True, horizontal_alignment="right", gap="small"):
        with st.popover("Note", icon=":material/edit_note:", type="tertiary"):
            box = f"labelling_about {key} {number} {times(labels, 'do', 'describe')}"
            st.text_input(
                "Note on this list",
                held.note,
                key=box,
                max_chars=edits.LONGEST,
                on_change=lambda: save(key, edits.describe(title, st.session_state[box])),
            )
        st.button(
            "Drop",
            icon=":material/close:",
            type="tertiary",
            key=f"labelling_drop {key} {number}",
            help="Takes the list away; the regions keep their labels.",
            on_click=save,
            args=(key, edits.drop(title)),
        )
    items = [
        Chip(
            k,
            loading.region_name(key, k),
            region_color(dictionary, k),
            0.24,
            before=str(k),
            title=cut(labels.best(k)),
        )
        for k in held.regions[:LISTED]
    ]
    if items:
        chips(items, f"labelling_list {key} {number}", lambda k: _pick(key, k))
    if len(held.regions) > LISTED:
        messages.quiet(f"{len(held.regions) - LISTED:,} more are on the list.")


def _pick(key: str, region: int) -> None:
    if state.current().dictionary == key:
        state.select_region(region)
    else:
        state.open_dictionary(key, region)
