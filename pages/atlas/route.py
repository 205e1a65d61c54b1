"""The path of a prompt through the regions of the Atlas' maps: its box, and how it is read."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import streamlit as st

from ep.errors import EPError
from ep.method.dictionary import Dictionary
from ep.text import label
from pages.atlas.settings import Settings
from pages.shared import messages, reading, state
from pages.shared.controls import mirrored


@dataclass(frozen=True)
class Route:
    """The regions a prompt's tokens fall in, in order, −1 outside; and the tokens as plain text."""

    regions: tuple[int, ...] = ()
    labels: tuple[str, ...] = ()


def switch(key: str, dictionary: Dictionary, is_on: bool) -> None:
    """Shows the path or not, for callbacks; who switches it on wants the prompt to be read."""
    state.keep(Settings, path=is_on)
    if is_on and (prompt := state.current().prompt):
        reading.ask(key, _request(dictionary, prompt))


def of_prompt(key: str, dictionary: Dictionary) -> Route:
    """The path of the prompt being looked at, under a box to change it; empty while it is off, and
    until the prompt is read.
    """
    if not state.settings(Settings).path:
        return Route()
    prompt = state.current().prompt or ""
    row = st.container(horizontal=True, gap="small", vertical_alignment="center")
    with row:
        mirrored(
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
        result = reading.reading_of(key, dictionary, _request(dictionary, prompt))
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
    state.change(prompt=prompt or None)
    if prompt:
        reading.ask(key, _request(dictionary, prompt))


def _request(dictionary: Dictionary, prompt: str) -> reading.Request:
    return reading.Request(prompt, chat=bool(dictionary.info.get("chat")))
