"""Calm boxes and empty states: what happened, what to do, and the button that does it. No red, no traceback."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from pages.shared.tokens import escape


def note(text: str) -> None:
    """One quiet sentence at the head of a page."""
    st.html(f'<div class="ep-note">{escape(text)}</div>')


def problem(text: str, button: str = "", action: Callable[[], None] | None = None) -> None:
    """A box for an error's one line, which already says what was given, what was expected and what to do."""
    box("This cannot be shown", _sentence(text), button, action)


def box(headline: str, sentence: str, button: str = "", action: Callable[[], None] | None = None) -> None:
    """A bordered card: one bold line, one grey sentence and, if asked, a primary button that calls `action`."""
    with st.container(border=True, horizontal_alignment="center"):
        st.html(f'<div class="ep-empty"><b>{escape(headline)}</b><span>{escape(sentence)}</span></div>')
        if button and action is not None:
            st.button(button, type="primary", on_click=action, key=f"box {headline} {button}")
        st.html('<div class="ep-gap"></div>')


def missing(text: str) -> None:
    """One grey line in the place of a part this dictionary's file does not hold."""
    st.html(f'<div class="ep-k">{escape(text)}</div>')


def _sentence(text: str) -> str:
    text = text.strip()
    return text[:1].upper() + text[1:].rstrip(".") + "." if text else "No reason was given."
