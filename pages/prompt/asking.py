"""The Prompt page's editor: a form for a text or a chat turn, with examples.

The editor only returns the request; the page makes the reading.
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


def editor(initial: Request, dictionary: Dictionary, estimate: str = "") -> Request | None:
    """Draw the editor, filled with `initial`, and return the request submitted in this run, if any.

    dictionary: the open one, whose model reads the text. estimate: how long the reading takes, as
    HTML-safe text; empty where it should not be shown.
    """
    with st.container(border=True, gap="small"):
        with st.container(horizontal=True, gap="small", vertical_alignment="center"):
            kind = st.segmented_control(
                "Read as",
                [TEXT, CHAT],
                default=CHAT if initial.chat else TEXT,
                required=True,
                key="asking_kind",
                label_visibility="collapsed",
            )
            model = model_name(dictionary.info, "an unknown model")
            absent = "" if models.is_local(dictionary) else " Its model is not on this machine."
            messages.quiet(
                f"Read by {model}, residual stream after layer {dictionary.layer}.{absent}"
            )
        with st.form("asking_form", border=False):
            return _form(initial, kind == CHAT, estimate)


def _form(initial: Request, chat: bool, estimate: str) -> Request | None:
    """Draw the content of the form, and return the request submitted in this run, if any."""
    system = ""
    if chat:
        hint = "System message, if any"
        system = st.text_input(
            "System message", initial.system, placeholder=hint, max_chars=MOST_SYSTEM
        )
    text = st.text_area(
        "User message" if chat else "Text",
        initial.text,
        height=80,
        placeholder="Type or paste a text",
        max_chars=MOST_CHARACTERS,
        label_visibility="visible" if chat else "collapsed",
    )
    request = None
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        if st.form_submit_button("Read", type="primary", icon=":material/play_arrow:"):
            request = Request(text, chat, system)
        if estimate:
            st.html(f'<span class="ep-k">{estimate}</span>', width="content")
        st.html('<span class="ep-k">or an example</span>', width="content")
        for name, example in EXAMPLES.items():
            if st.form_submit_button(name, key=f"asking_example {name}"):
                request = Request(example, chat, system)
    return request
