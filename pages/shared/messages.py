"""Messages on a page: notes, captions, problems, and boxes for errors and empty states.

A box states what happened and what to do, with a button that does it. Only a problem, such as a
damaged file among others, has the colour of errors. No traceback is shown.
"""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from pages.shared import state
from pages.shared.tokens import escape


def note(text: str) -> None:
    """Draw a sentence in a tinted box, as at the head of a page."""
    st.html(f'<div class="ep-note">{escape(text)}</div>')


def problem(what: str, why: str, advice: str = "") -> None:
    """Draw what is wrong, in the colour of errors: what, why, and what to do about it."""
    parts = f"<b>{escape(what)}</b><span>{escape(why)}</span>"
    if advice:
        parts += f'<span class="ep-advice">{escape(advice)}</span>'
    st.html(f'<div class="ep-problem" role="alert">{parts}</div>')


def sentence(error: Exception | str) -> str:
    """Return the message of an error as a sentence: with a capital letter and a full stop."""
    text = str(error).strip()
    if not text:
        return "No reason was given."
    first = text.split()[0]
    start = text[:1].upper() if first.isalpha() else text[:1]  # do not change a name or a path
    return f"{start}{text[1:].rstrip('.')}."


def box(
    headline: str, about: str, button: str = "", action: Callable[[], None] | None = None
) -> None:
    """Draw a bordered box with a bold headline, a grey sentence, and optionally a primary button
    that calls `action`.
    """
    with st.container(border=True, horizontal_alignment="center"):
        st.html(
            f'<div class="ep-empty"><b>{escape(headline)}</b><span>{escape(about)}</span></div>'
        )
        if button and action is not None:
            st.button(button, type="primary", on_click=action, key=f"box {headline} {button}")
        st.html('<div class="ep-gap"></div>')


def quiet(text: str) -> None:
    """Draw one line of small grey text, such as a hint, or a remark in place of missing data."""
    st.html(f'<div class="ep-k">{escape(text)}</div>')


def nothing_open() -> None:
    """Draw the content of a page that needs a dictionary while none is open."""
    box(
        "No dictionary is open",
        "This page shows one: choose it in the Library, or open a file there.",
    )
    if st.button("To the Library", type="primary"):
        state.goto("library")
