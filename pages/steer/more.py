"""The popover of further settings: turn or text, system message, tokens, seed, temperature, layers.

Every control changes the setting, and is drawn from it.
"""

from __future__ import annotations

from typing import Any

import streamlit as st

from ep.errors import EPError
from ep.method.dictionary import BASES, Dictionary
from ep.models.interventions import STRONGEST
from ep.studies.steering import MOST_TOKENS, Setting
from ep.studies.steering.run import token_texts
from ep.studies.steering.setting import encoded
from ep.text import label
from pages.shared import frame, messages, models, tokens
from pages.shared.controls import value_widget
from pages.steer.regions import part_widget
from pages.steer.settings import MOST_SEED, MOST_SYSTEM, change

TEXT, CHAT_TURN = "Text", "Chat turn"


def popover(dictionary: Dictionary, setting: Setting) -> None:
    """Draw the popover, whose button summarizes its settings."""
    with st.popover(_summary(dictionary, setting), type="tertiary", key="steer_more"):
        _sending(dictionary, setting)
        _numbers(setting)


def _summary(dictionary: Dictionary, setting: Setting) -> str:
    sampling = "greedy" if setting.temperature == 0 else f"temperature {setting.temperature:g}"
    layers = setting.layers or str(dictionary.info.get("layer"))
    layer_text = label(layers) if all(c in "0123456789,- al" for c in layers) else "?"
    kind = "chat" if setting.chat else "text"
    return (
        f"seed {setting.seed} · {setting.tokens} tokens · {sampling} · layer {layer_text} · {kind}"
    )


def _sending(dictionary: Dictionary, setting: Setting) -> None:
    value_widget(
        st.segmented_control,
        "steer_kind",
        "Send as",
        CHAT_TURN if setting.chat else TEXT,
        lambda kind: change(chat=kind == CHAT_TURN),
        [TEXT, CHAT_TURN],
        required=True,
    )
    if setting.chat:
        _field(st.text_input, "System message", "system", setting.system, max_chars=MOST_SYSTEM)
        _template(dictionary, setting)


def _numbers(setting: Setting) -> None:
    left, right = st.columns(2, gap="small")
    number = st.number_input
    with left:
        _field(number, "Tokens", "tokens", setting.tokens, min_value=1, max_value=MOST_TOKENS)
        _field(number, "Seed", "seed", setting.seed, min_value=0, max_value=MOST_SEED)
        _field(
            st.text_input,
            "Layers",
            "layers",
            setting.layers,
            placeholder="the dictionary's",
            max_chars=60,
            help="numbers such as 2, 4-6, or all; empty for the dictionary's own",
        )
    with right:
        _field(
            number,
            "Temperature",
            "temperature",
            setting.temperature,
            min_value=0.0,
            max_value=100.0,
            step=0.1,
            format="%g",
            help="0 always takes the likeliest token",
        )
        _field(
            number,
            "Strength, exact",
            "strength",
            setting.strength,
            min_value=-STRONGEST,
            max_value=STRONGEST,
            step=0.1,
            format="%g",
        )
        _field(st.selectbox, "Direction", "basis", setting.basis, options=list(BASES))


def _field(widget: Any, title: str, name: str, value: Any, **options: Any) -> None:
    part_widget(widget, f"steer_{name}_exact", title, name, value, **options)


@frame.fragment
def _template(dictionary: Dictionary, setting: Setting) -> None:
    """Draw the prompt exactly as the model receives it, with its template faint, on request."""
    if not st.toggle("Show it as it is sent", key="steer_template"):
        return
    if not models.is_ready(dictionary):
        messages.quiet("Shown once the model is loaded: generate first.")
        return
    try:
        model = models.language_model(dictionary)
        prompt = encoded(model, setting)
    except EPError as error:
        messages.quiet(messages.sentence(error))
        return
    pieces = token_texts(model, prompt.ids)
    parts = [
        f'<span class="{"ep-faint" if template else ""}">'
        f"{tokens.running_text([piece], breaks=True)}</span>"
        for piece, template in zip(pieces, prompt.is_template, strict=True)
    ]
    st.html(f'<div style="max-width:36em;max-height:12em;overflow:auto">{"".join(parts)}</div>')
    messages.quiet(f"{len(prompt.ids):,} tokens; faint: written by the chat template.")
