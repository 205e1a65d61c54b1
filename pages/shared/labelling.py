"""Saving and formatting the labels, notes and lists that visitors give to regions.

Edits that cannot be written to disk are kept in the session until they can be.
"""

from __future__ import annotations

from datetime import datetime

import streamlit as st

from ep.errors import EPError, StorageError
from ep.public import is_public
from ep.storage import edits
from ep.storage.edits import Edit
from ep.storage.labels import NOBODY, Labels
from ep.text import shorten
from pages.shared import loading, messages, state
from pages.shared.tokens import escape

LONGEST_SHOWN = 160
_UNSAVED, _WHO, _PROBLEM = "labelling_unsaved", "labelling_who", "labelling_problem"


def current(key: str) -> Labels:
    """Return the labels of a dictionary as this visitor sees them: those on disk, with the
    visitor's unsaved edits applied.
    """
    labels, unsaved = loading.labels(key), st.session_state.get(_UNSAVED, {}).get(key, [])
    if not unsaved or labels.problem:
        return labels
    return labels.after(*unsaved, by=author())


def author() -> str:
    """Return the name to save edits under: the visitor's, or "someone" where none was given."""
    return author_name() or NOBODY


def save(key: str, *new_edits: Edit) -> None:
    """Save edits, from a callback, together with those that could not be saved before.

    Where the disk cannot be written, the edits stay in this session; `show_unsaved` then shows the
    reason and a button to try again. On a public server they always stay in the session.
    """
    unsaved = st.session_state.setdefault(_UNSAVED, {})
    pending = [*unsaved.get(key, []), *new_edits]
    st.session_state[_PROBLEM] = ""
    try:
        if is_public():
            loading.labels(key).after(*pending, by=author())  # raises for an edit that is invalid
            unsaved[key] = pending
        else:
            loading.labels(key).save(*pending, by=author())
            unsaved.pop(key, None)
    except StorageError as error:
        unsaved[key] = pending
        st.session_state[_PROBLEM] = messages.sentence(error)
    except EPError as error:
        st.session_state[_PROBLEM] = messages.sentence(error)
    state.schedule()  # other parts of the page may show the same labels


def show_unsaved(key: str) -> None:
    """Draw the error of the last save, if any, and a button that saves the unsaved edits."""
    if problem := st.session_state.get(_PROBLEM):
        messages.note(problem)
    if pending := st.session_state.get(_UNSAVED, {}).get(key):
        n = len(pending)
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            if not is_public():
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


def set_author(name: str) -> None:
    """Store the visitor's name in this session."""
    st.session_state[_WHO] = name.strip()


def author_name() -> str:
    """Return the name that the visitor gave; empty where none was given."""
    return st.session_state.get(_WHO, "")


def edit_count(labels: Labels, field: str, value: object) -> int:
    """Return how many edits have this value in this field.

    Used as part of a widget's key: after a new edit the widget is created afresh and shows the
    saved value; until then it keeps what the visitor has typed.
    """
    return sum(edit.get(field) == value for edit in labels.edits)


def format_time(at: str) -> str:
    """Return the stored time of an edit as text for the screen."""
    try:
        return f"{datetime.fromisoformat(at):%-d %b %Y, %H:%M} UTC"
    except ValueError:
        return "an unknown time"


def one_line(text: str) -> str:
    """Return a label as one line of limited length, as plain text that is not escaped."""
    return shorten(" ".join(text[: 4 * edits.LONGEST].split()), LONGEST_SHOWN)


def label_html(text: str) -> str:
    """Return a label as HTML: one line, shortened, escaped, and isolated from the direction of the
    text around it.
    """
    return f'<span style="unicode-bidi:isolate">{escape(one_line(text))}</span>'
