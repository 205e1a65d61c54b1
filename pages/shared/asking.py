"""Where a prompt is typed: a text or a chat turn, and examples to start from. Knows no model and reads nothing."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import streamlit as st

from pages.shared import messages
from pages.shared.reading import Request

TEXT, CHAT = "Text", "Chat turn"
MOST_CHARACTERS = 60_000
EXAMPLES = {
    "A story": "Lily saw the old boat first. It was half under the water, and its paint had gone grey. "
    '"We cannot take it," said Tom. "It belongs to someone." That evening their father told them the truth.',
    "A sum": "A farmer has 24 sheep and buys 15 more. How many sheep are there now? 24 + 15 = 39.",
    "Code": 'def add(a, b):\n    """Return the sum."""\n    return a + b\n',
    "A request": "Please tell me how to make a paper boat for my sister.",
}


def editor(shown: Request, info: Mapping[str, Any]) -> Request | None:
    """Draws the box for a prompt, filled with `shown`; returns what was asked for in this run, or None.

    info: the open dictionary's, for the line that says who will read.
    """
    with st.container(border=True, gap="small"):
        with st.container(horizontal=True, gap="small", vertical_alignment="center"):
            kind = st.segmented_control(
                "Read as",
                [TEXT, CHAT],
                default=CHAT if shown.chat else TEXT,
                key="asking_kind",
                label_visibility="collapsed",
            )
            model = Path(str(info.get("model") or "an unknown model")).name
            messages.quiet(f"Read by {model}, residual stream after layer {info.get('layer')}.")
        with st.form("asking_form", border=False):
            return _form(shown, kind == CHAT)


def _form(shown: Request, chat: bool) -> Request | None:
    system = ""
    if chat:
        hint = "System message, if any"
        system = st.text_input("System message", shown.system, placeholder=hint, max_chars=4000)
    text = st.text_area(
        "User message" if chat else "Text",
        shown.text,
        height=80,
        placeholder="Type or paste a text",
        max_chars=MOST_CHARACTERS,
        label_visibility="visible" if chat else "collapsed",
    )
    asked = None
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        if st.form_submit_button("Read", type="primary", icon=":material/play_arrow:"):
            asked = Request(text, chat, system)
        st.html('<span class="ep-k">or an example</span>', width="content")
        for name, example in EXAMPLES.items():
            if st.form_submit_button(name, key=f"asking_example {name}"):
                asked = Request(example, chat, system)
    return asked
