"""Where a prompt is typed: a text or a chat turn, and examples to start from.

Knows no model and reads nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from ep.views.tables import model_name
from pages.shared import loading, messages
from pages.shared.reading import EXAMPLES, Request

TEXT, CHAT = "Text", "Chat turn"
MOST_CHARACTERS, MOST_SYSTEM = 60_000, 4000


def editor(shown: Request, info: Mapping[str, Any]) -> Request | None:
    """Draws the box for a prompt, filled with `shown`; returns what was asked for in this run, or
    None.

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
            model = model_name(info, "an unknown model")
            absent = "" if loading.model_is_here(info) else " Its model is not on this machine."
            messages.quiet(
                f"Read by {model}, residual stream after layer {info.get('layer')}.{absent}"
            )
        with st.form("asking_form", border=False):
            return _form(shown, kind == CHAT)


def _form(shown: Request, chat: bool) -> Request | None:
    system = ""
    if chat:
        hint = "System message, if any"
        system = st.text_input(
            "System message", shown.system, placeholder=hint, max_chars=MOST_SYSTEM
        )
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
