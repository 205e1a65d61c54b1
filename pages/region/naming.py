"""What a region is called: its best label to read and edit in place, the others, a note, and the
lists it is in.

Draws the card of the Region page. Everything written goes through `pages.shared.labelling`.
"""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from ep.method.dictionary import Dictionary
from ep.storage import edits
from ep.storage.edits import AUTOMATIC, HAND, MODEL, PUBLISHED, Edit
from ep.storage.labels import NOBODY, Label, Labels
from ep.studies.naming import WORDED, is_numbered
from pages.region import label_model
from pages.shared import frame, messages
from pages.shared.controls import mirrored
from pages.shared.labelling import (
    current,
    cut,
    save,
    shown,
    sign,
    signed,
    times,
    unsaved,
    when,
    who,
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
    """The card of one region: label, source, score, other labels, note and lists.

    key: of the dictionary on the shelf; region: an id it has.
    """
    labels = current(key)
    with st.container(border=True, gap="xsmall"):
        if labels.problem:
            st.html(f'<div class="ep-band ep-flush"><b>{shown(labels.automatic(region))}</b></div>')
            messages.quiet(messages.sentence(labels.problem))
            return
        known = labels.of(region)
        best = known[0] if known else Label("")
        _name(key, labels, region, best)
        _foot(key, labels, region, best)
        for label in known[1 : OTHERS_SHOWN + 1]:
            _other(key, region, best, label)
        if len(known) > OTHERS_SHOWN + 1:
            messages.quiet(f"{len(known) - OTHERS_SHOWN - 1} more labels are in the file.")
        _remarks(labels, region)
        unsaved(key)
    label_model.watch(key)


# -- the label -------------------------------------------------------------------------------------


def _name(key: str, labels: Labels, region: int, best: Label) -> None:
    """The label in a box: typing over it makes a label by hand; Enter saves. Beside it lock and
    undo.
    """
    box = f"labelling_name {key} {region} {best.id} {times(labels, 'region', region)}"
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.text_input(
            "Label",
            best.text if best.id else "",
            key=box,
            placeholder=cut(best.text) or "A few words for this region",
            max_chars=edits.LONGEST,
            label_visibility="collapsed",
            disabled=best.locked,
            on_change=_named,
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
                f"{when(last['at'])}",
                on_click=save,
                args=(key, edits.undo(last["id"])),
            )


WORDS = {"label": "label", "remove": "removal", "lock": "lock or unlock", "note": "note"}


def _foot(key: str, labels: Labels, region: int, best: Label) -> None:
    """Where the label comes from, and what else can be done."""
    about, more = st.columns([7, 6], gap="small", vertical_alignment="center")
    with about:
        st.html(_origin(best))
    with more, st.container(horizontal=True, horizontal_alignment="right", gap="small"):
        with st.popover("Note", icon=":material/edit_note:", type="tertiary"):
            _note(key, labels, region)
        with st.popover("Lists", icon=":material/list:", type="tertiary"):
            _lists(key, labels, region)
        label_model.popover(key, region, who())


def _named(key: str, region: int, best: Label, box: str) -> None:
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


def _other(key: str, region: int, best: Label, label: Label) -> None:
    text, actions = st.columns([8, 3], gap="small", vertical_alignment="center")
    with text:
        st.html(
            f'<div class="ep-row"><span class="ep-clip">{shown(label.text)}</span>'
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
            args=(key, *_use(region, best, label)),
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


def _use(region: int, best: Label, label: Label) -> Sequence[Edit]:
    """The edits that make a label the best."""
    freed = [edits.lock(region, best.id, False)] if best.locked else []
    if not label.id:
        return [*freed, edits.label(region, label.text, label.source, locked=True)]
    return [*freed, edits.lock(region, label.id)]


def origin(label: Label) -> str:
    """Where a label comes from and how good it is, in half a sentence."""
    if not label.text:
        return "nothing is known of this region yet"
    if label.source == AUTOMATIC:
        if is_numbered(label.text):
            return "nothing but its number is known of this region yet"
        what = "words of its texts" if label.text.startswith(WORDED) else "tokens"
        return f"automatic: {what} that set it apart from its nearest regions"
    if label.source == PUBLISHED:
        return "published with the dictionary"
    if label.source == HAND:
        return f"by hand, {label.by}, {when(label.at)}"
    model = label.source.removeprefix(MODEL)
    if label.score is None:
        return f"not scored · {model}"
    low, high = label.interval or (label.score, label.score)
    control = "" if label.control is None else f", control {label.control:.2f}"
    return f"detection {label.score:.2f} ({low:.2f}–{high:.2f}), n = {label.n}{control} · {model}"


def _origin(label: Label) -> str:
    about = cut(origin(label))
    more = f"{about}. {SCORED}" if label.score is not None else about
    return f'<div class="ep-k ep-clip" title="{escape(more)}">{escape(about)}</div>'


# -- note and lists --------------------------------------------------------------------------------


def _remarks(labels: Labels, region: int) -> None:
    """The note and the lists there are, one line each."""
    lines = []
    if note := labels.notes.get(region):
        lines.append(
            f'<div class="ep-clip" title="{escape(note[:2000])}"><span class="ep-k">Note</span> '
            f"{shown(note)}"
        )
    if held := [title for title, content in labels.lists.items() if region in content.regions]:
        names = " · ".join(shown(title) for title in held[:OTHERS_SHOWN])
        lines.append(
            '<div class="ep-clip"><span class="ep-k">On the '
            f"list{'s' if len(held) > 1 else ''}</span> {names}"
        )
    if lines:
        st.html("</div>".join(lines) + "</div>")


def _note(key: str, labels: Labels, region: int) -> None:
    box = f"labelling_note {key} {region} {times(labels, 'region', region)}"
    st.text_area(
        "Note on this region",
        labels.notes.get(region, ""),
        key=box,
        height=120,
        max_chars=edits.LONGEST,
        on_change=lambda: save(key, edits.note(region, st.session_state[box])),
    )
    mirrored(
        st.text_input,
        "labelling_signed",
        "Your name, beside what you write",
        signed(),
        sign,
        placeholder=NOBODY,
        max_chars=60,
    )


def _lists(key: str, labels: Labels, region: int) -> None:
    held = [title for title, content in labels.lists.items() if region in content.regions]
    box = (
        f"labelling_lists {key} {region} {times(labels, 'do', 'put')} "
        f"{times(labels, 'do', 'take')} {len(held)}"
    )
    st.multiselect(
        "Lists this region is on",
        list(labels.lists),
        held,
        key=box,
        placeholder="Choose one, or type a name",
        accept_new_options=True,
        format_func=cut,
        on_change=_listed,
        args=(key, region, held, box),
    )


def _listed(key: str, region: int, held: list[str], box: str) -> None:
    wanted = [title.strip() for title in st.session_state[box] if title.strip()]
    added = [edits.put(title, [region]) for title in wanted if title not in held]
    taken = [edits.take(title, [region]) for title in held if title not in wanted]
    if added or taken:
        save(key, *added, *taken)
