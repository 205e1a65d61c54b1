"""Calm boxes and empty states: what happened, what to do, and the button that does it.

No red, no traceback.
"""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from pages.shared import state
from pages.shared.tokens import escape


def note(text: str) -> None:
    """One quiet sentence at the head of a page."""
    st.html(f'<div class="ep-note">{escape(text)}</div>')


def sentence(error: Exception | str) -> str:
    """An error's line as a sentence for a screen."""
    text = str(error).strip()
    if not text:
        return "No reason was given."
    first = text.split()[0]
    start = text[:1].upper() if first.isalpha() else text[:1]  # a name or a path keeps its spelling
    return f"{start}{text[1:].rstrip('.')}."


def box(
    headline: str, about: str, button: str = "", action: Callable[[], None] | None = None
) -> None:
    """A bordered card: one bold line, one grey sentence and, if asked, a primary button that calls
    `action`.
    """
    with st.container(border=True, horizontal_alignment="center"):
        st.html(
            f'<div class="ep-empty"><b>{escape(headline)}</b><span>{escape(about)}</span></div>'
        )
        if button and action is not None:
            st.button(button, type="primary", on_click=action, key=f"box {headline} {button}")
        st.html('<div class="ep-gap"></div>')


def quiet(text: str) -> None:
    """One grey line: an aside, or what stands in the place of a part the file does not hold."""
    st.html(f'<div class="ep-k">{escape(text)}</div>')


def nothing_open() -> None:
    """The whole of a page that needs a dictionary while none is open."""
    box(
        "No dictionary is open",
        "This page shows one: choose it in the Library, or open a file there.",
    )
    if st.button("To the Library", type="primary"):
        state.goto("library")
