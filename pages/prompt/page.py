"""The Prompt page: the tokens of a text or a chat turn, each in the colour of its region."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pyarrow as pa
import streamlit as st

from ep.demo.examples import EXAMPLES
from ep.errors import EPError
from ep.method.dictionary import Dictionary
from ep.views import full, snippets
from ep.views import prompt as view
from pages.prompt import grid_work
from pages.prompt.asking import editor
from pages.prompt.grid import layers_view
from pages.prompt.regions_table import regions_table
from pages.prompt.settings import VIEWS, Settings, View
from pages.prompt.strip import distances, layer_path, strip
from pages.prompt.token_card import token_card
from pages.shared import frame, messages, models, reading, sharing, state, tokens
from pages.shared.controls import setting_choice, value_widget
from pages.shared.reading import Request, Result

SENTENCES: dict[View, str] = {
    "regions": "Each token takes the colour of the region its activation falls in; the stronger "
    "the colour, the closer.",
    "layers": "What the model would say next, read from its activations at every layer and token.",
}
_EDITING = "prompt_is_editing"


def show() -> None:
    """Draw the page."""
    head, share = st.columns([2, 1], gap="small", vertical_alignment="center")
    with head:
        frame.page_head("Prompt", SENTENCES[state.settings(Settings).view])
    key, dictionary, _, _, prompt = state.opened()
    request = _request(dictionary, prompt)
    result, error = _read(key, dictionary, request)
    is_unread = result is None and error is None
    is_open = not prompt or is_unread or bool(st.session_state.get(_EDITING))
    if is_open:
        estimate = reading.estimate(dictionary, request) if request and is_unread else ""
        empty = Request("", _is_chat(dictionary))
        submitted = editor(request or empty, dictionary, estimate)
        if submitted is not None:
            _submit(key, submitted)
    if request is not None and error is not None:
        _error(error, key, request, is_open)
    if request is not None and result is not None:
        with share:
            _share(key, dictionary, request, result.reading)
        _controls(can_edit=bool(prompt))
        _warnings(result, dictionary)
        _results(key, dictionary, request, result)


def _share(key: str, dictionary: Dictionary, request: Request, reading_: view.Reading) -> None:
    """Draw the row that exports the page."""
    settings = state.settings(Settings)
    said = (dictionary, request.text, request.chat, request.system)
    tables: dict[str, Callable[[], pa.Table]] = {
        "Tokens of this text": partial(full.tokens, dictionary, reading_),
        "Regions in this text": partial(full.regions, dictionary, view.regions(reading_)["region"]),
    }
    code = snippets.prompt(*said)
    if settings.view == "layers":
        code = snippets.lens_grid(*said, settings.lens, settings.pin)
        if (table := grid_work.table(key, dictionary, request, settings)) is not None:
            tables = {"Every layer of this text": table, **tables}
    sharing.bar("prompt", tables, code)


# -- the request -----------------------------------------------------------------------------------


def _request(dictionary: Dictionary, text: str | None) -> Request | None:
    """Return the request of the selection and the settings.

    Without a text it is an example, if the model is on this machine, and otherwise None.
    """
    chat = _is_chat(dictionary)
    if text is None or not text.strip():
        if not models.is_local(dictionary):
            return None
        text = EXAMPLES["A request" if chat else "A story"]
    return Request(text, chat, state.settings(Settings).system if chat else "")


def _is_chat(dictionary: Dictionary) -> bool:
    """Return whether texts are read as chat turns; by default as the dictionary was built."""
    read_as = state.settings(Settings).read_as
    return bool(dictionary.info.get("chat")) if read_as is None else read_as == "chat"


def _read(
    key: str, dictionary: Dictionary, request: Request | None
) -> tuple[Result | None, EPError | None]:
    """Return the reading if it is available, or the error if there can be none; otherwise neither,
    until the visitor confirms the reading.
    """
    if request is None:
        return None, None
    try:
        results = reading.available(key, dictionary, request)
    except EPError as error:
        return None, error
    return (results[0] if results else None), None


def _submit(key: str, request: Request) -> None:
    """Store a submitted request, and rerun the page, which then makes the reading."""
    if not request.text.strip():
        messages.note("There is no text to read: type or paste some, or choose an example.")
        return
    st.session_state[_EDITING] = False
    read_as = "chat" if request.chat else "text"
    state.update_settings(Settings, read_as=read_as, system=request.system, token=None)
    state.update_selection(prompt=request.text)
    reading.confirm(key, request)
    state.rerun()


def _toggle_editor() -> None:
    st.session_state[_EDITING] = not st.session_state.get(_EDITING)


def _controls(can_edit: bool) -> None:
    """Draw the choices of a view and a read-out, and the button that opens the editor."""
    settings = state.settings(Settings)
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        value_widget(
            st.segmented_control,
            "prompt_view",
            "View",
            settings.view,
            _show_view,
            list(VIEWS),
            format_func=VIEWS.__getitem__,
            required=True,
            label_visibility="collapsed",
        )
        if settings.view == "regions":
            names = {name: name for name in view.READOUTS}
            setting_choice(Settings, "readout", "Read-out", names, key="prompt_readout")
        if can_edit:
            st.button("Edit", icon=":material/edit:", on_click=_toggle_editor, key="prompt_edit")
        if settings.view == "regions":
            st.html(
                f'<span class="ep-k">{tokens.escape(settings.readout)}: '
                f"{tokens.escape(view.READOUTS[settings.readout])}</span>"
            )


def _show_view(name: View) -> None:
    """Show another view; the grid of layers is then read, which a link alone would not do."""
    grid_work.want()
    state.update_settings(Settings, view=name)


def _error(error: EPError, key: str, request: Request, is_open: bool) -> None:
    """Draw why a text cannot be read, and buttons for what to do instead.

    is_open: whether the editor is shown.
    """
    messages.box("This text cannot be read here", messages.sentence(error))
    with st.container(horizontal=True, horizontal_alignment="center", gap="small"):
        if not is_open:
            st.button("Edit the text", key="prompt_refused_edit", on_click=_toggle_editor)
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
    state.update_settings(Settings, read_as="text")
    reading.confirm(key, Request(text))


def _warnings(result: Result, dictionary: Dictionary) -> None:
    """Draw notes on what limits a reading."""
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
    if result.other_weights:
        messages.note(messages.sentence(result.other_weights))
    if dictionary.info.get("positions") == "final":
        messages.note(
            "This dictionary was built on the last token of each passage only: trust the last "
            "token most."
        )


# -- the reading -----------------------------------------------------------------------------------


@frame.fragment
def _results(key: str, dictionary: Dictionary, request: Request, result: Result) -> None:
    """Draw the reading; a click on a token reruns only this fragment."""
    reading_, readout = result.reading, state.settings(Settings).readout
    locked = _locked_token(reading_, dictionary)
    if state.settings(Settings).view == "layers":
        layers_view(key, dictionary, request, result, locked)
        return
    left, right = st.columns([15, 7], gap="medium")
    with left:
        strip(dictionary, reading_, readout, locked, _lock)
        distances(dictionary, reading_, locked)
        layer_path(dictionary, result)
    with right:
        token_card(key, dictionary, reading_, readout, locked)
        regions_table(dictionary, reading_)


def _locked_token(reading_: view.Reading, dictionary: Dictionary) -> int:
    """Return the index of the token that the card shows: the one in the settings, or else the most
    informative one.
    """
    token = state.settings(Settings).token
    if token is not None and token < len(reading_):
        return token
    return view.opening_token(reading_, dictionary.info.get("positions") == "final")


def _lock(token: int) -> None:
    state.update_settings(Settings, token=token)


show()
