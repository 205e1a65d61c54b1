"""Saving what a visitor says of regions, and showing it: what the card of a region and the panel of
lists share.

What the disk refuses is kept in the session until it can be written. Knows no card and no panel.
"""

from __future__ import annotations

from datetime import datetime

import streamlit as st

from ep.errors import EPError, StorageError
from ep.storage import edits
from ep.storage.edits import Edit
from ep.storage.labels import NOBODY, Labels
from ep.text import shorten
from pages.shared import loading, messages, state
from pages.shared.tokens import escape

LONGEST_SHOWN = 160
_UNSAVED, _WHO, _PROBLEM = "labelling_unsaved", "labelling_who", "labelling_problem"


def current(key: str) -> Labels:
    """The labels of a dictionary as this visitor sees them: those on disk, and what could not be
    written yet.
    """
    found, kept = loading.labels(key), st.session_state.get(_UNSAVED, {}).get(key, [])
    if not kept or found.problem:
        return found
    return found.after(*kept, by=who())


def who() -> str:
    """The name the visitor gave; "someone" until then."""
    return signed() or NOBODY


def save(key: str, *changes: Edit) -> None:
    """Saves edits, for callbacks; what the disk refuses stays in this session, with a sentence and
    a second try.
    """
    unsaved_edits = st.session_state.setdefault(_UNSAVED, {})
    waiting = [*unsaved_edits.get(key, []), *changes]
    st.session_state[_PROBLEM] = ""
    try:
        loading.labels(key).save(*waiting, by=who())
        unsaved_edits.pop(key, None)
    except StorageError as error:
        unsaved_edits[key] = waiting
        st.session_state[_PROBLEM] = messages.sentence(error)
    except EPError as error:
        st.session_state[_PROBLEM] = messages.sentence(error)
    state.turn()  # what else is on the page may show it too


def unsaved(key: str) -> None:
    """Draws what went wrong with the last edit, and a second try for those the disk refused."""
    if problem := st.session_state.get(_PROBLEM):
        messages.note(problem)
    if waiting := st.session_state.get(_UNSAVED, {}).get(key):
        n = len(waiting)
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.button(
                "Save again",
                icon=":material/refresh:",
                key="labelling_again",
                on_click=save,
                args=(key,),
            )
            messages.quiet(
                f"{n} edit{'s' if n != 1 else ''} of yours {'are' if n != 1 else 'is'} in this "
                "session only."
            )


def sign(name: str) -> None:
    """Remembers the visitor's name for this session."""
    st.session_state[_WHO] = name.strip()


def signed() -> str:
    """The name the visitor gave; empty until then."""
    return st.session_state.get(_WHO, "")


def times(labels: Labels, field: str, value: object) -> int:
    """How often something was done: part of a box's key, so that it takes up what changed and keeps
    what is typed.
    """
    return sum(edit.get(field) == value for edit in labels.edits)


def when(at: str) -> str:
    """A stored moment for people."""
    try:
        return f"{datetime.fromisoformat(at):%-d %b %Y, %H:%M} UTC"
    except ValueError:
        return "an unknown time"


def cut(text: str) -> str:
    """A label as one line of bearable length; still plain text."""
    return shorten(" ".join(text[: 4 * edits.LONGEST].split()), LONGEST_SHOWN)


def shown(text: str) -> str:
    """A label as HTML: one line, cut, escaped, its direction its own."""
    return f'<span style="unicode-bidi:isolate">{escape(cut(text))}</span>'
