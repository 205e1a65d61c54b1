"""The Region page's card that tests a text: which of its tokens fall in the region, and how far the
others are.

The model is loaded when a text is read, not before.
"""

from __future__ import annotations

import numpy as np
import streamlit as st

from ep.errors import EPError
from ep.method.dictionary import Dictionary
from ep.method.region import Region
from ep.views.palette import OTHER
from ep.views.prompt import STRONGEST, WEAKEST, Reading, why_outside
from pages.shared import frame, messages, reading, tokens
from pages.shared.chips import Chip, chips

LONGEST = 4000
_RESULT, _TOKEN = "region_trial_result", "region_trial_token"


@frame.fragment
def card(key: str, dictionary: Dictionary, region: Region, color: str) -> None:
    """Draw the box for a text, and the tokens of the text once it has been read."""
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
            is_submitted = st.form_submit_button("Read", icon=":material/play_arrow:")
        if is_submitted:
            st.session_state[_TOKEN] = None
            st.session_state[_RESULT] = (key, _read(key, dictionary, text))
        result_key, result = st.session_state.get(_RESULT, ("", None))
        if result is None or result_key != key:
            return
        if isinstance(result, str):
            messages.quiet(result)
        else:
            _tokens(dictionary, region, color, result)


def _read(key: str, dictionary: Dictionary, text: str) -> Reading | str | None:
    """Return the reading of a text, or a sentence that states why there is none."""
    if not text.strip():
        return "There is no text to read: type or paste some."
    request = reading.Request(text, bool(dictionary.info.get("chat")))
    reading.confirm(key, request)
    try:
        result = reading.reading_or_offer(key, dictionary, request)
    except EPError as error:
        return f"The text cannot be read here. {messages.sentence(error)}"
    return None if result is None else result.reading


def distances(dictionary: Dictionary, region: int, read: Reading) -> np.ndarray:
    """Return the distance of every token to the exemplar of one region, (t,); NaN for tokens
    that the dictionary does not apply to.
    """
    exemplar = dictionary.basis_rows("exemplar")[[region]]
    distance = dictionary.law.distances(dictionary.metric.rows(read.x), exemplar)[:, 0]
    return np.where(read.outside, np.nan, distance)


def _tokens(dictionary: Dictionary, region: Region, color: str, read: Reading) -> None:
    """Draw the tokens of a reading, coloured by their distance, and the facts of one of them."""
    distance = distances(dictionary, region.id, read)
    if not np.isfinite(distance).any():
        messages.quiet(
            "No token of this text belongs to any region: it holds nothing but what begins every "
            "text."
        )
        return
    inside = (read.region == region.id) & ~read.outside
    closest = int(np.nanargmin(distance))
    token_index = st.session_state.get(_TOKEN)
    if token_index is None or token_index >= len(read):
        token_index = closest
    strength = np.clip(
        STRONGEST
        * (1 - np.nan_to_num(distance, nan=2 * dictionary.threshold) / dictionary.threshold),
        WEAKEST,
        STRONGEST,
    )
    items = [
        Chip(
            i,
            token,
            color if inside[i] else OTHER,
            float(strength[i]),
            title=_tooltip(read, distance, i),
            on=i == token_index,
        )
        for i, token in enumerate(read.tokens)
    ]
    chips(items, "region_trial_strip", _lock, running=True)
    _summary(dictionary, read, distance, inside)
    st.html(
        '<div class="ep-row"><span '
        f'class="ep-k">{"Closest token" if token_index == closest else "Chosen token"}</span>'
        + tokens.chip(read.tokens[token_index], color if inside[token_index] else OTHER, 0.45)
        + '<span class="ep-k '
        f'ep-num">{tokens.escape(_tooltip(read, distance, token_index))}</span></div>'
    )


def _summary(
    dictionary: Dictionary, read: Reading, distance: np.ndarray, inside: np.ndarray
) -> None:
    """Draw a sentence on how many tokens are in the region, and how many within θ of it."""
    total, within = int((~read.outside).sum()), int((distance <= dictionary.threshold).sum())
    messages.quiet(
        f"{int(inside.sum()):,} of {total:,} tokens fall in this region; {within:,} lie within "
        f"θ = {dictionary.threshold:.2f} of its exemplar. Stronger: closer."
    )


def _tooltip(read: Reading, distance: np.ndarray, i: int) -> str:
    """Return the facts of token i as plain text."""
    if read.outside[i]:
        return f"token {i} · {why_outside(i)}"
    own = f"its region is {read.region[i]}, at {read.distance[i]:.2f}"
    return f"token {i} · distance {distance[i]:.2f} to this exemplar · {own}"


def _lock(token: int) -> None:
    st.session_state[_TOKEN] = token
