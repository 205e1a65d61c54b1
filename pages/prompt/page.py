"""Prompt: a text or a chat turn read through the open dictionary.

Every token in the colour of its region.
"""

from __future__ import annotations

from functools import partial

import streamlit as st

from ep.demo.examples import EXAMPLES
from ep.errors import EPError
from ep.method.dictionary import Dictionary
from ep.views import full, snippets
from ep.views import prompt as view
from pages.prompt.asking import editor
from pages.prompt.regions_table import regions_table
from pages.prompt.settings import Settings
from pages.prompt.strip import distances, layer_path, strip
from pages.prompt.token_card import token_card
from pages.shared import frame, messages, models, reading, sharing, state, tokens
from pages.shared.controls import choice
from pages.shared.reading import Request, Result

SENTENCE = (
    "Each token takes the colour of the region its activation falls in; the stronger the "
    "colour, the closer."
)
_EDITING = "prompt_is_editing"


def show() -> None:
    head, share = st.columns([2, 1], gap="small", vertical_alignment="center")
    with head:
        frame.page("Prompt", SENTENCE)
    key, dictionary, _, _, prompt = state.opened()
    request = _request(dictionary, prompt)
    result, refusal = _read(key, dictionary, request)
    unread = result is None and refusal is None
    is_open = not prompt or unread or bool(st.session_state.get(_EDITING))
    if is_open:
        takes = reading.estimate(dictionary, request) if request and unread else ""
        empty = Request("", _is_chat(dictionary))
        asked = editor(request or empty, dictionary, takes)
        if asked is not None:
            _ask(key, asked)
    if request is not None and refusal is not None:
        _refused(refusal, key, request, is_open)
    if request is not None and result is not None:
        with share:
            _share(dictionary, request, result.reading)
        readout = _controls(can_edit=bool(prompt))
        _warnings(result, dictionary)
        _results(key, dictionary, result, readout)


def _share(dictionary: Dictionary, request: Request, shown: view.Reading) -> None:
    sharing.bar(
        "prompt",
        {
            "Tokens of this text": partial(full.tokens, dictionary, shown),
            "Regions in this text": partial(
                full.regions, dictionary, view.regions(shown)["region"]
            ),
        },
        snippets.prompt(dictionary, request.text, request.chat, request.system),
    )


# -- asking ----------------------------------------------------------------------------------------


def _request(dictionary: Dictionary, text: str | None) -> Request | None:
    """What the session or the URL asks for; without either, the first example where the model is at
    hand.
    """
    chat = _is_chat(dictionary)
    if text is None or not text.strip():
        if not models.is_here(dictionary):
            return None
        text = EXAMPLES["A request" if chat else "A story"]
    return Request(text, chat, state.settings(Settings).system if chat else "")


def _is_chat(dictionary: Dictionary) -> bool:
    chosen = state.settings(Settings).read_as
    return bool(dictionary.info.get("chat")) if chosen is None else chosen == "chat"


def _read(
    key: str, dictionary: Dictionary, request: Request | None
) -> tuple[Result | None, EPError | None]:
    """The reading where it is at hand, or why there cannot be one; (None, None) for neither."""
    if request is None:
        return None, None
    try:
        results = reading.at_hand(key, dictionary, request)
    except EPError as error:
        return None, error
    return (results[0] if results else None), None


def _ask(key: str, request: Request) -> None:
    if not request.text.strip():
        messages.note("There is no text to read: type or paste some, or choose an example.")
        return
    st.session_state[_EDITING] = False
    read_as = "chat" if request.chat else "text"
    state.keep(Settings, read_as=read_as, system=request.system, token=None)
    state.change(prompt=request.text)
    reading.ask(key, request)
    state.rerun()


def _edit() -> None:
    st.session_state[_EDITING] = not st.session_state.get(_EDITING)


def _controls(can_edit: bool) -> str:
    """The read-outs, of which the chosen one is returned, and the way to the editor."""
    readout = state.settings(Settings).readout
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        names = {name: name for name in view.READOUTS}
        choice(Settings, "readout", "Read-out", names, key="prompt_readout")
        if can_edit:
            st.button("Edit", icon=":material/edit:", on_click=_edit, key="prompt_edit")
        st.html(
            f'<span class="ep-k">{tokens.escape(readout)}: '
            f"{tokens.escape(view.READOUTS[readout])}</span>"
        )
    return readout


def _refused(error: EPError, key: str, request: Request, is_open: bool) -> None:
    """Why this text cannot be read here, and the ways out. is_open: whether the editor is."""
    messages.box("This text cannot be read here", messages.sentence(error))
    with st.container(horizontal=True, horizontal_alignment="center", gap="small"):
        if not is_open:
            st.button("Edit the text", key="prompt_refused_edit", on_click=_edit)
        if request.chat:
            st.button(
                "Read it as plain text",
                key="prompt_refused_text",
                on_click=_read_as_text,
                args=(key, request.text),
                type="primary",
            )
        elif st.button("Choose another dictionary", key="prompt_refused_library", type="primary"):
            state.goto("library")


def _read_as_text(key: str, text: str) -> None:
    state.keep(Settings, read_as="text")
    reading.ask(key, Request(text))


def _warnings(result: Result, dictionary: Dictionary) -> None:
    if result.reading.truncated:
        messages.note(
            f"The text was cut after {len(result.reading):,} tokens, the most that are read at "
            "once."
        )
    if result.foreign_tokenizer:
        messages.note(
            "The model's tokenizer is not the one this dictionary was built with: tokens may "
            "differ."
        )
    if dictionary.info.get("positions") == "final":
        messages.note(
            "This dictionary was built on the last token of each passage only: trust the last "
            "token most."
        )


# -- showing ---------------------------------------------------------------------------------------


@frame.fragment
def _results(key: str, dictionary: Dictionary, result: Result, readout: str) -> None:
    shown = result.reading
    locked = _locked(shown, dictionary)
    left, right = st.columns([15, 7], gap="medium")
    with left:
        strip(dictionary, shown, readout, locked, _lock)
        distances(dictionary, shown, locked)
        layer_path(dictionary, result)
    with right:
        token_card(key, dictionary, shown, readout, locked)
        regions_table(dictionary, shown)


def _locked(shown: view.Reading, dictionary: Dictionary) -> int:
    """The token the card is about: the one the link names, else the one that says most."""
    token = state.settings(Settings).token
    if token is not None and token < len(shown):
        return token
    return view.opening_token(shown, dictionary.info.get("positions") == "final")


def _lock(token: int) -> None:
    state.keep(Settings, token=token)


show()
