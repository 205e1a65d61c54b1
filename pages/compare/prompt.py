"""One prompt through both models: the box for a text, and its reading by both. Compare page."""

from __future__ import annotations

from functools import partial

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from ep.demo.examples import EXAMPLES, harmful_request
from ep.errors import EPError
from ep.studies.matching import NO_NULLS, Match
from ep.views import snippets_two
from pages.compare import both_models, nulls, strips
from pages.compare.alignment import aligned
from pages.compare.comparison import Comparison
from pages.compare.settings import Settings
from pages.compare.strips import Readings
from pages.shared import estimates, loading, messages, models, reading, sharing, state
from pages.shared.jobs import AT_ONCE_S
from pages.shared.reading import Request

LONGEST_TEXT = 4000
NEEDED = "Both models are needed to read this"


def show(comparison: Comparison, match: Match | None, share: DeltaGenerator) -> None:
    """The box for a text, and both readings of it; share: where the row of exports goes."""
    without = both_models.without_chat_template(comparison)
    chat = not without and state.settings(Settings).read_as == "chat"
    request = Request(state.current().prompt or _example(chat), chat)
    seconds = _seconds(comparison, request)
    ask = partial(_ask, comparison, request)
    if seconds > AT_ONCE_S and both_models.is_missing(comparison, NEEDED, ask):
        return
    _form(comparison, request, without)
    try:
        readings = _read(comparison, request, seconds)
    except EPError as error:
        messages.box("This text cannot be read", messages.sentence(error))
        return
    if readings is None:
        _offer(comparison, seconds, ask)
        return
    known = nulls.known(comparison) if match is not None else NO_NULLS
    with share:
        _share(comparison, match, readings, request)
    strips.draw(comparison, match, known, readings)


def _example(chat: bool) -> str:
    """A text to begin with: a harmful-style request of the demo's, where the two models part; else
    a harmless one.
    """
    if chat and (loading.DEMO / "prompts").is_dir():
        return harmful_request(loading.DEMO)
    return EXAMPLES["A request" if chat else "A story"]


def _form(comparison: Comparison, shown: Request, without: str) -> None:
    """The box; what is typed there is read. without: the models without a chat template."""
    with (
        st.form("compare_text", border=False),
        st.container(horizontal=True, gap="small", vertical_alignment="center"),
    ):
        text = st.text_input(
            "Text",
            value=shown.text,
            max_chars=LONGEST_TEXT,
            label_visibility="collapsed",
            key=f"compare_text {shown.text[:60]}",
        )
        chat = st.toggle(
            "As a chat turn",
            value=shown.chat,
            key=f"compare_chat {shown.chat}",
            disabled=bool(without),
        )
        if st.form_submit_button("Read", icon=":material/play_arrow:") and text.strip():
            if not without:
                state.keep(Settings, read_as="chat" if chat else "text")
            state.change(prompt=text)
            _ask(comparison, Request(text, chat and not without))
            state.rerun()
    if without:
        messages.quiet(f"Without a chat template in {without}, both read it as plain text.")


def _seconds(comparison: Comparison, request: Request) -> float:
    """How long until both readings are here; 0 where they are, or were asked for."""
    sides = dict(zip(comparison.keys, comparison.dictionaries, strict=True))
    return sum(reading.seconds_until(key, side, request) for key, side in sides.items())


def _ask(comparison: Comparison, request: Request) -> None:
    for key in comparison.keys:
        reading.ask(key, request)


def _offer(comparison: Comparison, seconds: float, ask: partial[None]) -> None:
    """A button that asks for both readings, beside how long they take."""
    ready = all(models.is_ready(dictionary) for dictionary in comparison.dictionaries)
    first = "" if ready else "The models are loaded first. "
    with st.container(border=True, horizontal=True, vertical_alignment="center", gap="small"):
        messages.quiet(f"{first}It takes {estimates.spoken(seconds)}.")
        st.button(
            "Read this text",
            icon=":material/play_arrow:",
            type="primary",
            key="compare_read",
            on_click=ask,
        )


def _read(comparison: Comparison, request: Request, seconds: float) -> Readings | None:
    """Both readings; None where they take longer than a moment and nobody asked for them.

    ModelError when a model is missing or another's.
    """
    if seconds > AT_ONCE_S:
        return None
    readings = []
    for key, dictionary in zip(comparison.keys, comparison.dictionaries, strict=True):
        results = reading.at_hand(key, dictionary, request)
        if results is None:
            return None
        readings.append(results[0].reading)
    return readings[0], readings[1]


def _share(
    comparison: Comparison, match: Match | None, readings: Readings, request: Request
) -> None:
    pair = comparison.dictionaries
    made = partial(strips.rows, pair, match, readings, aligned(*readings))
    sharing.bar(
        "compare_prompt",
        {"Tokens and their regions": made},
        snippets_two.prompt(*pair, request.text, request.chat),
    )
