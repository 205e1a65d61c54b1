"""The path of a prompt through the regions on the Atlas' maps: its box and its reading."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import streamlit as st

from ep.errors import EPError
from ep.method.dictionary import Dictionary
from ep.text import label
from pages.atlas.settings import Settings
from pages.shared import messages, reading, state
from pages.shared.controls import value_widget


@dataclass(frozen=True)
class Route:
    """The path of a prompt.

    regions: of its tokens, in order; −1 for tokens that the dictionary does not apply to. labels:
    the tokens as plain text.
    """

    regions: tuple[int, ...] = ()
    labels: tuple[str, ...] = ()


def switch(key: str, dictionary: Dictionary, is_on: bool) -> None:
    """Show or hide the path, from a callback; showing it also confirms the reading."""
    state.update_settings(Settings, path=is_on)
    if is_on and (prompt := state.current().prompt):
        reading.confirm(key, _request(dictionary, prompt))


def of_prompt(key: str, dictionary: Dictionary) -> Route:
    """Draw the box for the prompt and return its path, which is empty while the path is hidden or
    the prompt has not been read.
    """
    if not state.settings(Settings).path:
        return Route()
    prompt = state.current().prompt or ""
    row = st.container(horizontal=True, gap="small", vertical_alignment="center")
    with row:
        value_widget(
            st.text_input,
            "atlas_prompt",
            "Prompt",
            prompt,
            lambda text: _change_prompt(key, dictionary, text.strip()),
            placeholder="A text whose path through the regions is drawn, then Enter",
            label_visibility="collapsed",
            icon=":material/route:",
        )
    if not prompt:
        return Route()
    try:
        result = reading.reading_or_offer(key, dictionary, _request(dictionary, prompt))
    except EPError as error:
        with row:
            messages.quiet(messages.sentence(error))
        return Route()
    if result is None:
        return Route()
    regions = np.where(result.reading.outside, -1, result.reading.region)
    inside = regions[regions >= 0]
    if len(inside):
        with row:
            messages.quiet(f"{len(inside):,} tokens in {len(np.unique(inside)):,} regions")
    return Route(tuple(regions.tolist()), tuple(label(token) for token in result.reading.tokens))


def _change_prompt(key: str, dictionary: Dictionary, prompt: str) -> None:
    state.update_selection(prompt=prompt or None)
    if prompt:
        reading.confirm(key, _request(dictionary, prompt))


def _request(dictionary: Dictionary, prompt: str) -> reading.Request:
    return reading.Request(prompt, chat=bool(dictionary.info.get("chat")))
