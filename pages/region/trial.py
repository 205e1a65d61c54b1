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
from pages.shared import frame, loading, messages, state, tokens
from pages.shared.chips import Chip, chips
from pages.shared.reading import Request, read_request

LONGEST = 4000
_READ, _TOKEN = "region_trial_read", "region_trial_token"


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
        kept = st.session_state.get(_READ)
        if kept is None or kept[0] != key:
            return
        if isinstance(kept[1], str):
            messages.quiet(kept[1])
        else:
            _show(dictionary, region, color, kept[1])


def _read(key: str, dictionary: Dictionary, text: str) -> None:
    """Keeps the reading, or the sentence that says why there is none."""
    st.session_state[_TOKEN] = None
    if not text.strip():
        st.session_state[_READ] = (key, "There is no text to read: type or paste some.")
        return
    known = loading.model_state(dictionary.info)
    try:
        result = read_request(key, dictionary, Request(text, bool(dictionary.info.get("chat"))))
    except EPError as error:
        st.session_state[_READ] = (key, f"The text cannot be read here. {messages.sentence(error)}")
        return
    st.session_state[_READ] = (key, result.reading)
    if loading.model_state(dictionary.info) != known:
        state.rerun()  # the side bar was drawn before the model was there


def distances(dictionary: Dictionary, region: int, reading: Reading) -> np.ndarray:
    """(t,) cosine distance in [0, 2] of every token to the exemplar of one region; NaN where no
    region applies.
    """
    cosine = directions(reading.x, dictionary.center) @ dictionary.row("exemplars", region)
    return np.where(reading.outside, np.nan, np.clip(1.0 - cosine, 0, 2))


def _show(dictionary: Dictionary, region: Region, color: str, reading: Reading) -> None:
    distance = distances(dictionary, region.id, reading)
    if not np.isfinite(distance).any():
        messages.quiet(
            "No token of this text belongs to any region: it holds nothing but what begins every "
            "text."
        )
        return
    inside = (reading.region == region.id) & ~reading.outside
    best = int(np.nanargmin(distance))
    chosen = st.session_state.get(_TOKEN)
    chosen = best if chosen is None or chosen >= len(reading) else chosen
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
            title=_hint(reading, distance, i),
            on=i == chosen,
        )
        for i, token in enumerate(reading.tokens)
    ]
    chips(items, "region_trial_strip", _lock, running=True)
    n, total = int(inside.sum()), int((~reading.outside).sum())
    said = f"{n:,} of {total:,} tokens fall in this region"
    within = int((distance <= dictionary.threshold).sum())
    messages.quiet(
        f"{said}; {within:,} lie within θ = {dictionary.threshold:.2f} of its exemplar. Stronger: "
        "closer."
    )
    st.html(
        '<div class="ep-row"><span '
        f'class="ep-k">{"Closest token" if chosen == best else "Chosen token"}</span>'
        + tokens.chip(reading.tokens[chosen], color if inside[chosen] else OTHER, 0.45)
        + '<span class="ep-k '
        f'ep-num">{tokens.escape(_hint(reading, distance, chosen))}</span></div>'
    )


def _hint(reading: Reading, distance: np.ndarray, i: int) -> str:
    if reading.outside[i]:
        return f"token {i} · begins every text and is not part of the dictionary"
    own = f"its region is {reading.region[i]}, at {reading.distance[i]:.2f}"
    return f"token {i} · distance {distance[i]:.2f} to this exemplar · {own}"


def _lock(token: int) -> None:
    st.session_state[_TOKEN] = token
