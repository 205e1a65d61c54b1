"""A search box that sends its text while the visitor types.

Letters typed while the page reruns are never lost. The browser side is `searchbox.js` and
`searchbox.css`. Inside a fragment, only the fragment reruns.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import streamlit as st

from pages.shared.components import Component

LONGEST = 4000
"""Characters used of the text in the box; a pasted text may be a whole paragraph."""
_HTML = """<div class="search" role="search">
<svg viewBox="0 0 24 24" stroke-width="2" aria-hidden="true">
<circle cx="10" cy="10" r="6"/><path d="M15 15l5 5"/></svg>
<input type="text" autocomplete="off" spellcheck="false">
<button type="button" aria-label="Clear" title="Clear (Esc)" hidden>
<svg viewBox="0 0 24 24" stroke-width="2"><path d="M6 6l12 12M18 6L6 18"/></svg></button>
</div>"""
_BOX = Component.beside(__file__, "searchbox", _HTML)


def searchbox(
    key: str,
    value: str = "",
    placeholder: str = "Search",
    on_change: Callable[[str], None] | None = None,
    height: int | Literal["content"] = "content",
    label: str = "Search",
) -> str:
    """Draw the box and return its current text, at most `LONGEST` characters.

    value: the text at first; when it changes later, the box changes to it. A page may store the
    text itself (and then pass the text that `on_change` received) or use the return value.
    on_change: called with the text before the page or the fragment reruns. The text is sent 150 ms
    after the last key, or immediately on Enter; Escape clears the box.
    """
    message = (st.session_state.get(key) or {}).get("typed") or {}
    echo, previous = int(message.get("number", 0)), st.session_state.get(f"{key} drawn")
    if not message or previous is None:
        text = _text(message) if message else value
    elif echo != previous.echo:
        text = _text(message)
    else:
        text = previous.text if value == previous.value else value
    st.session_state[f"{key} drawn"] = _Previous(value, text, echo)
    data = {"value": text, "echo": echo, "placeholder": placeholder, "label": label}
    listener = on_change or (lambda text: None)
    _BOX(key, data, {"typed": lambda message: listener(_text(message))}, height=height)
    return text


class _Previous(NamedTuple):
    """The box in the previous run: the page's `value`, the text in the box, and the number of the
    last message from the browser.
    """

    value: str
    text: str
    echo: int


def _text(message: dict[str, Any]) -> str:
    return str(message.get("text", ""))[:LONGEST]
