"""Where a prompt is typed: a text or a chat turn, and examples to start from.

Reads nothing: it returns what was asked for.
"""

from __future__ import annotations

import streamlit as st

from ep.demo.examples import EXAMPLES
from ep.method.dictionary import Dictionary
from ep.views.tables import model_name
from pages.prompt.settings import MOST_SYSTEM
from pages.shared import messages, models
from pages.shared.reading import Request

TEXT, CHAT = "Text", "Chat turn"
MOST_CHARACTERS = 60_000


def editor(shown: Request, dictionary: Dictionary, takes: str = "") -> Request | None:
    """Draws the box for a prompt, filled with `shown`; returns what was asked for in this run, or
    None.

    dictionary: the open one, whose model reads. takes: how long that will take, where it is worth
    saying.
    """
    with st.container(border=True, gap="small"):
        with st.container(horizontal=True, gap="small", vertical_alignment="center"):
            kind = st.segmented_control(
                "Read as",
                [TEXT, CHAT],
                default=CHAT if shown.chat else TEXT,
                required=True,
                key="asking_kind",
                label_visibility="collapsed",
            )
            model = model_name(dictionary.info, "an unknown model")
            absent = "" if models.is_here(dictionary) else " Its model is not on this machine."
            messages.quiet(
                f"Read by {model}, residual stream after layer {dictionary.layer}.{absent}"
            )
        with st.form("asking_form", border=False):
            return _form(shown, kind == CHAT, takes)


def _form(shown: Request, chat: bool, takes: str) -> Request | None:
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
        if takes:
            st.html(f'<span class="ep-k">{takes}</span>', width="content")
        st.html('<span class="ep-k">or an example</span>', width="content")
        for name, example in EXAMPLES.items():
            if st.form_submit_button(name, key=f"asking_example {name}"):
                asked = Request(example, chat, system)
    return asked
