"""The Region page's card of a region's names: its best label, which can be edited in place, its
other labels, its note, and the lists it is on.

All edits are saved by `pages.shared.labelling`.
"""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from ep.method.dictionary import Dictionary
from ep.public import is_public
from ep.storage import edits
from ep.storage.edits import AUTOMATIC, HAND, MODEL, PUBLISHED, Edit
from ep.storage.labels import NOBODY, Label, Labels
from ep.studies.naming import WORDED, is_numbered
from pages.region import label_model
from pages.shared import frame, messages
from pages.shared.controls import value_widget
from pages.shared.labelling import (
    author,
    author_name,
    current,
    edit_count,
    format_time,
    label_html,
    one_line,
    save,
    set_author,
    show_unsaved,
)
from pages.shared.tokens import escape

OTHERS_SHOWN = 4
SCORED = (
    "Detection: how well the model tells held-back excerpts of this region from look-alikes by the "
    "label alone "
    "(balanced accuracy, 95 % interval; 0.5 is chance). Control: the same with another region's "
    "label."
)


@frame.fragment
def card(key: str, dictionary: Dictionary, region: int) -> None:
    """Draw the card. key: of the dictionary on the shelf. region: a valid id."""
    labels = current(key)
    with st.container(border=True, gap="xsmall"):
        if labels.problem:
            st.html(
                f'<div class="ep-band ep-flush"><b>{label_html(labels.automatic(region))}</b></div>'
            )
            messages.quiet(messages.sentence(labels.problem))
            return
        ranked = labels.of(region)
        best = ranked[0] if ranked else Label("")
        _best_label(key, labels, region, best)
        _actions(key, labels, region, best)
        for label in ranked[1 : OTHERS_SHOWN + 1]:
            _other_label(key, region, best, label)
        if len(ranked) > OTHERS_SHOWN + 1:
            messages.quiet(f"{len(ranked) - OTHERS_SHOWN - 1} more labels are in the file.")
        _note_and_lists(labels, region)
        show_unsaved(key)
    label_model.watch(key)


# -- labels ----------------------------------------------------------------------------------------


def _best_label(key: str, labels: Labels, region: int, best: Label) -> None:
    """Draw the best label in a text box, in which the visitor can type a label by hand, with
    buttons for lock and undo.
    """
    box = f"labelling_name {key} {region} {best.id} {edit_count(labels, 'region', region)}"
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.text_input(
            "Label",
            best.text if best.id else "",
            key=box,
            placeholder=one_line(best.text) or "A few words for this region",
            max_chars=edits.LONGEST,
            label_visibility="collapsed",
            disabled=best.locked,
            on_change=_on_label,
            args=(key, region, best, box),
        )
        if best.id:
            st.button(
                "Unlock" if best.locked else "Lock",
                icon=f":material/{'lock_open' if best.locked else 'lock'}:",
                type="tertiary",
                key="labelling_lock",
                help="A locked label stays the best, and nothing replaces it.",
                on_click=save,
                args=(key, edits.lock(region, best.id, not best.locked)),
            )
        if (last := labels.last(region=region)) is not None:
            st.button(
                "Undo",
                icon=":material/undo:",
                type="tertiary",
                key="labelling_undo",
                help=f"Take back the last change here, a {WORDS.get(last['do'], 'change')} of "
                f"{format_time(last['at'])}",
                on_click=save,
                args=(key, edits.undo(last["id"])),
            )


WORDS = {"label": "label", "remove": "removal", "lock": "lock or unlock", "note": "note"}
"""What kinds of edits are called on screen."""


def _actions(key: str, labels: Labels, region: int, best: Label) -> None:
    """Draw the origin of the best label, and the popovers for note, lists and model."""
    about, more = st.columns([7, 6], gap="small", vertical_alignment="center")
    with about:
        st.html(_origin(best))
    with more, st.container(horizontal=True, horizontal_alignment="right", gap="small"):
        with st.popover("Note", icon=":material/edit_note:", type="tertiary"):
            _note_box(key, labels, region)
        with st.popover("Lists", icon=":material/list:", type="tertiary"):
            _lists_box(key, labels, region)
        if not is_public():  # the labels of a model are written to disk, for all visitors
            label_model.popover(key, region, author())


def _on_label(key: str, region: int, best: Label, box: str) -> None:
    """Save the typed label, or remove the best one if the box was cleared."""
    text = st.session_state[box].strip()
    if text == best.text:
        return
    if text:
        save(
            key,
            edits.label(
                region, text, replaces=best.id if best.source == HAND and best.id else None
            ),
        )
    elif best.id:
        save(key, edits.remove(region, best.id))


def _other_label(key: str, region: int, best: Label, label: Label) -> None:
    """Draw a label other than the best, with buttons to use and to remove it."""
    text, actions = st.columns([8, 3], gap="small", vertical_alignment="center")
    with text:
        st.html(
            f'<div class="ep-row"><span class="ep-clip">{label_html(label.text)}</span>'
            f'<span style="min-width:0;flex-shrink:9">{_origin(label)}</span></div>'
        )
    with actions, st.container(horizontal=True, horizontal_alignment="right", gap="small"):
        st.button(
            "Use",
            icon=":material/arrow_upward:",
            type="tertiary",
            key=f"labelling_use {label.id}",
            help="Make it the label, and lock it.",
            on_click=save,
            args=(key, *_use_edits(region, best, label)),
        )
        if label.id and not label.locked:
            st.button(
                "Remove",
                icon=":material/close:",
                type="tertiary",
                key=f"labelling_remove {label.id}",
                on_click=save,
                args=(key, edits.remove(region, label.id)),
            )


def _use_edits(region: int, best: Label, label: Label) -> Sequence[Edit]:
    """Return the edits that make a label the best one.

    A label without an id is not stored in the labels file, so it is added to it first.
    """
    unlock = [edits.lock(region, best.id, False)] if best.locked else []
    if not label.id:
        return [*unlock, edits.label(region, label.text, label.source, locked=True)]
    return [*unlock, edits.lock(region, label.id)]


def origin(label: Label) -> str:
    """Return the source of a label and its score, as a phrase."""
    if not label.text:
        return "nothing is known of this region yet"
    if label.source == AUTOMATIC:
        if is_numbered(label.text):
            return "nothing but its number is known of this region yet"
        material = "words of its texts" if label.text.startswith(WORDED) else "tokens"
        return f"automatic: {material} that set it apart from its nearest regions"
    if label.source == PUBLISHED:
        return "published with the dictionary"
    if label.source == HAND:
        return f"by hand, {label.by}, {format_time(label.at)}"
    model = label.source.removeprefix(MODEL)
    if label.score is None:
        return f"not scored · {model}"
    low, high = label.interval or (label.score, label.score)
    control = "" if label.control is None else f", control {label.control:.2f}"
    return f"detection {label.score:.2f} ({low:.2f}–{high:.2f}), n = {label.n}{control} · {model}"


def _origin(label: Label) -> str:
    """Return the origin of a label as HTML, with a tooltip."""
    text = one_line(origin(label))
    tooltip = f"{text}. {SCORED}" if label.score is not None else text
    return f'<div class="ep-k ep-clip" title="{escape(tooltip)}">{escape(text)}</div>'


# -- note and lists --------------------------------------------------------------------------------


def _note_and_lists(labels: Labels, region: int) -> None:
    """Draw the note and the lists of a region, one line each, if there are any."""
    lines = []
    if note := labels.notes.get(region):
        lines.append(
            f'<div class="ep-clip" title="{escape(note[:2000])}"><span class="ep-k">Note</span> '
            f"{label_html(note)}"
        )
    if titles := _lists_of(labels, region):
        names = " · ".join(label_html(title) for title in titles[:OTHERS_SHOWN])
        lines.append(
            '<div class="ep-clip"><span class="ep-k">On the '
            f"list{'s' if len(titles) > 1 else ''}</span> {names}"
        )
    if lines:
        st.html("</div>".join(lines) + "</div>")


def _lists_of(labels: Labels, region: int) -> list[str]:
    """Return the titles of the lists that contain a region."""
    return [title for title, content in labels.lists.items() if region in content.regions]


def _note_box(key: str, labels: Labels, region: int) -> None:
    """Draw the boxes for the region's note and for the visitor's name."""
    box = f"labelling_note {key} {region} {edit_count(labels, 'region', region)}"
    st.text_area(
        "Note on this region",
        labels.notes.get(region, ""),
        key=box,
        height=120,
        max_chars=edits.LONGEST,
        on_change=lambda: save(key, edits.note(region, st.session_state[box])),
    )
    value_widget(
        st.text_input,
        "labelling_signed",
        "Your name, beside what you write",
        author_name(),
        set_author,
        placeholder=NOBODY,
        max_chars=60,
    )


def _lists_box(key: str, labels: Labels, region: int) -> None:
    """Draw the box with the lists that contain the region."""
    titles = _lists_of(labels, region)
    box = (
        f"labelling_lists {key} {region} {edit_count(labels, 'do', 'put')} "
        f"{edit_count(labels, 'do', 'take')} {len(titles)}"
    )
    st.multiselect(
        "Lists this region is on",
        list(labels.lists),
        titles,
        key=box,
        placeholder="Choose one, or type a name",
        accept_new_options=True,
        format_func=one_line,
        on_change=_on_lists,
        args=(key, region, titles, box),
    )


def _on_lists(key: str, region: int, previous: list[str], box: str) -> None:
    """Add the region to the lists that were chosen, and remove it from those that were cleared."""
    new = [title.strip() for title in st.session_state[box] if title.strip()]
    added = [edits.put(title, [region]) for title in new if title not in previous]
    removed = [edits.take(title, [region]) for title in previous if title not in new]
    if added or removed:
        save(key, *added, *removed)
