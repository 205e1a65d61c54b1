"""A search box that sends its text while one types, and never takes a letter back.

The browser side is `searchbox.js` and `searchbox.css`. Inside a fragment only the fragment runs
again. Knows nothing of what is searched.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import streamlit as st

from pages.shared.components import Component

LONGEST = 4000
"""Characters taken from the box; a pasted text may be a whole paragraph."""
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
    """Draws the box and returns its text as it is now, at most `LONGEST` characters.

    value: what the box holds at first; a later change of it changes the box. A page may keep the
    text itself (then give what `on_change` said) or rely on what is returned. on_change: called
    with the text before the page or the fragment runs again. Text is sent 150 ms after the last
    key, at once on Enter; Escape empties the box.
    """
    typed = (st.session_state.get(key) or {}).get("typed") or {}
    echo, last = int(typed.get("number", 0)), st.session_state.get(f"{key} drawn")
    if not typed or last is None:
        text = _text(typed) if typed else value
    elif echo != last.echo:
        text = _text(typed)
    else:
        text = last.text if value == last.value else value
    st.session_state[f"{key} drawn"] = _Drawn(value, text, echo)
    data = {"value": text, "echo": echo, "placeholder": placeholder, "label": label}
    tell = on_change or (lambda text: None)
    _BOX(key, data, {"typed": lambda typed: tell(_text(typed))}, height=height)
    return text


class _Drawn(NamedTuple):
    """How the box was drawn last: what the page asked for, what it held, and the number of the text
    seen.
    """

    value: str
    text: str
    echo: int


def _text(typed: dict[str, Any]) -> str:
    return str(typed.get("text", ""))[:LONGEST]
