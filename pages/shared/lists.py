"""The panel of a dictionary's named lists of regions, with their notes."""

from __future__ import annotations

import streamlit as st

from ep.storage import edits
from ep.storage.labels import Labels
from ep.views.palette import region_color
from pages.shared import loading, messages, state
from pages.shared.chips import Chip, chips
from pages.shared.labelling import (
    current,
    edit_count,
    format_time,
    label_html,
    one_line,
    save,
    show_unsaved,
)

MOST_SHOWN = 60


def lists_panel(key: str) -> None:
    """Draw the lists of a dictionary; a click on a region's chip selects it."""
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
            help=f"Take back the last change to a list, of {format_time(last['at'])}",
            on_click=save,
            args=(key, edits.undo(last["id"])),
        )
    show_unsaved(key)


def _list(key: str, labels: Labels, title: str, number: int) -> None:
    """Draw one list: its name, note, regions and actions. number: its place among the lists."""
    content, dictionary = labels.lists[title], loading.dictionary(key)
    n = len(content.regions)
    about = " · ".join([f"{n:,} region{'s' if n != 1 else ''}", *filter(None, [content.note])])
    head, actions = st.columns([8, 3], gap="small", vertical_alignment="center")
    with head:
        st.html(
            f'<div class="ep-band ep-flush"><b>{label_html(title)}</b>'
            f"<span>{label_html(about)}</span></div>"
        )
    with actions, st.container(horizontal=True, horizontal_alignment="right", gap="small"):
        with st.popover("Note", icon=":material/edit_note:", type="tertiary"):
            box = f"labelling_about {key} {number} {edit_count(labels, 'do', 'describe')}"
            st.text_input(
                "Note on this list",
                content.note,
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
            title=one_line(labels.best(k)),
        )
        for k in content.regions[:MOST_SHOWN]
    ]
    if items:
        chips(items, f"labelling_list {key} {number}", lambda k: _pick(key, k))
    if len(content.regions) > MOST_SHOWN:
        messages.quiet(f"{len(content.regions) - MOST_SHOWN:,} more are on the list.")


def _pick(key: str, region: int) -> None:
    if state.current().dictionary == key:
        state.select_region(region)
    else:
        state.open_dictionary(key, region)
