"""A text of one's own against one region: which tokens fall in it, and how far the others are.
Region page.

The model is loaded when a text is read, not before.
"""

from __future__ import annotations

import numpy as np
import streamlit as st

from ep.errors import EPError
from ep.method.dictionary import Dictionary, Region
from ep.method.geometry import directions
from ep.views.palette import OTHER
from ep.views.prompt import STRONGEST, WEAKEST, Reading
from pages.shared import frame, messages, reading, tokens
from pages.shared.chips import Chip, chips

LONGEST = 4000
_RESULT, _TOKEN = "region_trial_result", "region_trial_token"


@frame.fragment
def card(key: str, dictionary: Dictionary, region: Region, color: str) -> None:
    """The box for a text, and its tokens as this region sees them once it was read."""
    with st.container(border=True, gap="small"):
        st.html(
            tokens.heading(
                "Test a text", "which of its tokens fall in this region, and how far the others are"
            )
        )
        with st.form("region_trial", border=False):
            text = st.text_area(
                "Text",
                placeholder="Type or paste a text; the model reads it here",
                height=68,
                max_chars=LONGEST,
                label_visibility="collapsed",
                key="region_trial_text",
            )
            asked = st.form_submit_button("Read", icon=":material/play_arrow:")
        if asked:
            _read(key, dictionary, text)
        read_in, result = st.session_state.get(_RESULT, ("", None))
        if result is None or read_in != key:
            return
        if isinstance(result, str):
            messages.quiet(result)
        else:
            _show(dictionary, region, color, result)


def _read(key: str, dictionary: Dictionary, text: str) -> None:
    """Keeps the reading, or the sentence that says why there is none."""
    st.session_state[_TOKEN] = None
    st.session_state[_RESULT] = (key, _result(key, dictionary, text))


def _result(key: str, dictionary: Dictionary, text: str) -> Reading | str | None:
    if not text.strip():
        return "There is no text to read: type or paste some."
    request = reading.Request(text, bool(dictionary.info.get("chat")))
    reading.ask(key, request)
    try:
        result = reading.reading_of(key, dictionary, request)
    except EPError as error:
        return f"The text cannot be read here. {messages.sentence(error)}"
    return None if result is None else result.reading


def distances(dictionary: Dictionary, region: int, read: Reading) -> np.ndarray:
    """(t,) cosine distance in [0, 2] of every token to the exemplar of one region; NaN where no
    region applies.
    """
    cosine = directions(read.x, dictionary.center) @ dictionary.row("exemplars", region)
    return np.where(read.outside, np.nan, np.clip(1.0 - cosine, 0, 2))


def _show(dictionary: Dictionary, region: Region, color: str, read: Reading) -> None:
    distance = distances(dictionary, region.id, read)
    if not np.isfinite(distance).any():
        messages.quiet(
            "No token of this text belongs to any region: it holds nothing but what begins every "
            "text."
        )
        return
    inside = (read.region == region.id) & ~read.outside
    best = int(np.nanargmin(distance))
    chosen = st.session_state.get(_TOKEN)
    chosen = best if chosen is None or chosen >= len(read) else chosen
    strength = np.clip(
        STRONGEST * (1 - np.nan_to_num(distance, nan=2.0) / dictionary.threshold),
        WEAKEST,
        STRONGEST,
    )
    items = [
        Chip(
            i,
            token,
            color if inside[i] else OTHER,
            float(strength[i]),
            title=_hint(read, distance, i),
            on=i == chosen,
        )
        for i, token in enumerate(read.tokens)
    ]
    chips(items, "region_trial_strip", _lock, running=True)
    _line(dictionary, read, distance, inside)
    st.html(
        '<div class="ep-row"><span '
        f'class="ep-k">{"Closest token" if chosen == best else "Chosen token"}</span>'
        + tokens.chip(read.tokens[chosen], color if inside[chosen] else OTHER, 0.45)
        + '<span class="ep-k '
        f'ep-num">{tokens.escape(_hint(read, distance, chosen))}</span></div>'
    )


def _line(dictionary: Dictionary, read: Reading, distance: np.ndarray, inside: np.ndarray) -> None:
    """How many tokens the region has, in a sentence."""
    total, within = int((~read.outside).sum()), int((distance <= dictionary.threshold).sum())
    messages.quiet(
        f"{int(inside.sum()):,} of {total:,} tokens fall in this region; {within:,} lie within "
        f"θ = {dictionary.threshold:.2f} of its exemplar. Stronger: closer."
    )


def _hint(read: Reading, distance: np.ndarray, i: int) -> str:
    if read.outside[i]:
        return f"token {i} · begins every text and is not part of the dictionary"
    own = f"its region is {read.region[i]}, at {read.distance[i]:.2f}"
    return f"token {i} · distance {distance[i]:.2f} to this exemplar · {own}"


def _lock(token: int) -> None:
    st.session_state[_TOKEN] = token
