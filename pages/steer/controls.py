"""The card of controls on the Steer page: the prompt, the regions, the strength and the buttons.

Every control changes the setting, and the card draws the setting.
"""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from ep.method.dictionary import Dictionary
from ep.models.interventions import PUSHING
from ep.studies.steering import Setting, Sweep
from pages.shared import estimates, models, tokens
from pages.steer import more, regions, settings, sweep, worker
from pages.steer.regions import part_widget, row

FOLLOW_KEY = "steer_following"
"""Widget key of the switch that starts a run at every change."""
LONGEST_PROMPT = 20_000
WIDEST_MARKED = 20.0
"""Longest range of the slider that still has marks."""
NEAREST_MARKS = 13.0
"""Least distance of two marks under the slider, in percent of its length, so that they do not
overlap.
"""
FAR_END = 52.0
"""Most room that the words at the far end take, in percent of the slider's length."""


def card(key: str, dictionary: Dictionary, setting: Setting, result: Sweep | None) -> None:
    """Draw the card.

    result: the sweep of this setting, whose marks the slider shows; None without one.
    """
    with st.container(border=True, gap="xsmall", height="stretch"):
        part_widget(
            st.text_area,
            "steer_prompt",
            "User message" if setting.chat else "Text",
            "prompt",
            setting.prompt,
            height=68,
            max_chars=LONGEST_PROMPT,
            placeholder="Type a request" if setting.chat else "Type the beginning of a text",
            label_visibility="collapsed",
        )
        regions.draw_regions(dictionary, setting)
        regions.draw_scope(dictionary, setting)
        _strength(key, dictionary, setting, result)
        _buttons(dictionary, setting)


# -- how strongly ----------------------------------------------------------------------------------


def _strength(key: str, dictionary: Dictionary, setting: Setting, result: Sweep | None) -> None:
    norm = f"in units of the layer's typical norm ({dictionary.typical_norm:.3g})"
    unit = norm if setting.mode in PUSHING else "the share that is projected out"
    with st.container(
        horizontal=True, horizontal_alignment="distribute", vertical_alignment="center", gap="small"
    ):
        st.html(
            f'<div>Strength, <span class="ep-faint">{tokens.escape(unit)}</span></div>',
            width="content",
        )
        st.toggle(
            "Run as it moves",
            key=FOLLOW_KEY,
            help="writes anew whenever a control changes, once a run was made",
        )
    own = settings.default_strength_of(key, setting.regions, setting.basis, setting.mode)
    strength = setting.strength or 0.0
    low, high = 0.0, sweep.strengths_of(key, setting)[-1]
    if not low <= strength <= high:
        low, high = min(low, float(int(strength - 1))), max(high, float(int(strength + 1)))
    with st.container(gap=None):
        part_widget(
            st.slider,
            "steer_strength",
            "Strength",
            "strength",
            strength,
            low,
            high,
            step=0.05 if high - low > 1 else 0.01,
            format="%.2f",
            label_visibility="collapsed",
        )
        st.html(_ruler(low, high, own, result))


def _ruler(low: float, high: float, own: float, result: Sweep | None) -> str:
    """Return the marks under the slider as HTML: the default, the first effect, and incoherence.

    own: the default strength without a sweep.
    """
    if high - low > WIDEST_MARKED:
        return '<div class="ep-ruler"></div>'

    def percent(value: float) -> float:
        return 100 * (value - low) / (high - low)

    default = result.default(own) if result else own
    marks = [(default, f"{default:.2f} default")]
    first_effect = result.first_effect if result else None
    if first_effect is not None and abs(percent(first_effect) - percent(default)) > NEAREST_MARKS:
        marks.append((first_effect, "first effect"))
    spans = [
        f'<i style="left:{percent(v):.2f}%"></i><span style="left:{percent(v):.2f}%">{text}</span>'
        for v, text in marks
    ]
    end = _far_end(percent, high, result, max(percent(v) for v, _ in marks))
    return f'<div class="ep-ruler">{"".join(spans)}{end}</div>'


def _far_end(
    percent: Callable[[float], float], high: float, result: Sweep | None, last: float
) -> str:
    """Return the words at the far end of the slider as HTML.

    They name the range in which answers are not coherent, or state that there is none or that it is
    unknown.

    percent: maps a strength to a position in percent.
    last: position of the last mark, in percent; the words keep clear of it.
    """
    start = None if result is None else result.degenerates
    if start is None or start >= high:
        text = (
            "a sweep finds where it degenerates"
            if result is None
            else "no strength up to here degenerates"
        )
        return f'<span style="right:0;transform:none">{text}</span>' if last < 100 - FAR_END else ""
    middle = (percent(start) + 100) / 2
    label = f'<span style="left:{max(middle, last + NEAREST_MARKS):.2f}%">degenerates here</span>'
    return (
        '<div class="z" '
        f'style="left:{percent(start):.2f}%"></div>{label if last + NEAREST_MARKS < 92 else ""}'
    )


# -- running ---------------------------------------------------------------------------------------


def _buttons(dictionary: Dictionary, setting: Setting) -> None:
    with row():
        st.button(
            "Generate",
            type="primary",
            icon=":material/play_arrow:",
            key="steer_generate",
            on_click=worker.request,
            shortcut="Ctrl+Enter",
            help=_duration_text(dictionary, setting),
        )
        st.button(
            "Stop",
            icon=":material/stop:",
            key="steer_stop",
            on_click=worker.stop,
            disabled=not worker.running(),
        )
        more.popover(dictionary, setting)


def _duration_text(dictionary: Dictionary, setting: Setting) -> str:
    """Return how long a run takes, with the time to load the model stated separately."""
    written = estimates.duration_text(estimates.writing(dictionary, 4, setting.tokens))
    if models.is_ready(dictionary):
        return f"takes {written}"
    load = estimates.duration_text(estimates.loading_model(dictionary))
    return f"takes {written}, once the model is loaded ({load})"
