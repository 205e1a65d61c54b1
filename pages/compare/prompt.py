"""The One prompt view: the box for a text, and its readings by both models."""

from __future__ import annotations

from functools import partial

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from ep.demo.examples import EXAMPLES, harmful_request
from ep.errors import EPError
from ep.studies.matching import NO_NULLS, Match
from ep.views import snippets_two
from pages.compare import both_models, nulls, strips
from pages.compare.alignment import align
from pages.compare.comparison import Comparison
from pages.compare.settings import Settings
from pages.compare.strips import Readings
from pages.shared import estimates, loading, messages, models, reading, sharing, state
from pages.shared.jobs import AT_ONCE_S
from pages.shared.reading import Request

LONGEST_TEXT = 4000
HEADLINE = "Both models are needed to read this"


def show(comparison: Comparison, match: Match | None, exports: DeltaGenerator) -> None:
    """Draw the box for a text, and both readings of it.

    exports: the container for the exports.
    """
    lacking = both_models.without_chat_template(comparison)
    chat = not lacking and state.settings(Settings).read_as == "chat"
    request = Request(state.current().prompt or _example(chat), chat)
    seconds = _seconds(comparison, request)
    confirm = partial(_confirm, comparison, request)
    if seconds > AT_ONCE_S and both_models.report_missing(comparison, HEADLINE, confirm):
        return
    _form(comparison, request, lacking)
    try:
        readings = _available(comparison, request, seconds)
    except EPError as error:
        messages.box("This text cannot be read", messages.sentence(error))
        return
    if readings is None:
        _offer(comparison, seconds, confirm)
        return
    both_nulls = nulls.available(comparison) if match is not None else NO_NULLS
    with exports:
        _exports(comparison, match, readings, request)
    models.note_other_weights(*comparison.dictionaries)
    strips.draw(comparison, match, both_nulls, readings)


def _example(chat: bool) -> str:
    """Return the text to begin with.

    This is a harmful-style request of the demo, on which its two models differ; elsewhere a
    harmless text.
    """
    if chat and (loading.DEMO / "prompts").is_dir():
        return harmful_request(loading.DEMO)
    return EXAMPLES["A request" if chat else "A story"]


def _form(comparison: Comparison, current: Request, lacking: str) -> None:
    """Draw the box for a text, which is read when it is submitted.

    lacking: names of the models without a chat template.
    """
    with (
        st.form("compare_text", border=False),
        st.container(horizontal=True, gap="small", vertical_alignment="center"),
    ):
        text = st.text_input(
            "Text",
            value=current.text,
            max_chars=LONGEST_TEXT,
            label_visibility="collapsed",
            key=f"compare_text {current.text[:60]}",
        )
        chat = st.toggle(
            "As a chat turn",
            value=current.chat,
            key=f"compare_chat {current.chat}",
            disabled=bool(lacking),
        )
        if st.form_submit_button("Read", icon=":material/play_arrow:") and text.strip():
            if not lacking:
                state.update_settings(Settings, read_as="chat" if chat else "text")
            state.update_selection(prompt=text)
            _confirm(comparison, Request(text, chat and not lacking))
            state.rerun()
    if lacking:
        messages.quiet(f"Without a chat template in {lacking}, both read it as plain text.")


def _seconds(comparison: Comparison, request: Request) -> float:
    """Estimate how long it takes until both readings exist; 0 where they do, or were requested."""
    sides = dict(zip(comparison.keys, comparison.dictionaries, strict=True))
    return sum(reading.seconds_until(key, side, request) for key, side in sides.items())


def _confirm(comparison: Comparison, request: Request) -> None:
    """Request both readings, however long they take."""
    for key in comparison.keys:
        reading.confirm(key, request)


def _offer(comparison: Comparison, seconds: float, confirm: partial[None]) -> None:
    """Draw a button that requests both readings, beside how long they take."""
    ready = all(models.is_ready(dictionary) for dictionary in comparison.dictionaries)
    loading = "" if ready else "The models are loaded first. "
    with st.container(border=True, horizontal=True, vertical_alignment="center", gap="small"):
        messages.quiet(f"{loading}It takes {estimates.duration_text(seconds)}.")
        st.button(
            "Read this text",
            icon=":material/play_arrow:",
            type="primary",
            key="compare_read",
            on_click=confirm,
        )


def _available(comparison: Comparison, request: Request, seconds: float) -> Readings | None:
    """Return both readings; None where they take long and were not requested.

    Raises ModelError where a model is missing or does not fit.
    """
    if seconds > AT_ONCE_S:
        return None
    readings = []
    for key, dictionary in zip(comparison.keys, comparison.dictionaries, strict=True):
        results = reading.available(key, dictionary, request)
        if results is None:
            return None
        readings.append(results[0].reading)
    return readings[0], readings[1]


def _exports(
    comparison: Comparison, match: Match | None, readings: Readings, request: Request
) -> None:
    pair = comparison.dictionaries
    rows = partial(strips.rows, pair, match, readings, align(*readings))
    sharing.bar(
        "compare_prompt",
        {"Tokens and their regions": rows},
        snippets_two.prompt(*pair, request.text, request.chat),
    )
