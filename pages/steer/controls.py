"""The card of controls on the Steer page: what is sent, what is done to it, how strongly, and the
buttons.

Every control writes into the setting, and the card draws what the setting says.
"""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from ep.method.dictionary import Dictionary
from ep.models.interventions import PUSHING
from ep.studies.steering import Setting, Sweep
from pages.shared import estimates, models, tokens
from pages.steer import more, regions, settings, sweep, worker
from pages.steer.regions import part, row

FOLLOWING = "steer_following"
"""The switch that makes a run of every change."""
LONGEST_PROMPT = 20_000
WIDEST_MARKED = 20.0
NEAREST_MARKS = 13.0
"""Marks of the slider closer than this, in percent of its length, would run into each other."""
FAR_END = 52.0
"""So much of its length the words at the far end take, at most."""


def card(key: str, dictionary: Dictionary, setting: Setting, swept: Sweep | None) -> None:
    """Draws the card. swept: the sweep of this setting, whose marks the slider shows."""
    with st.container(border=True, gap="xsmall", height="stretch"):
        part(
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
        regions.what(dictionary, setting)
        regions.where(dictionary, setting)
        _strength(key, dictionary, setting, swept)
        _buttons(dictionary, setting)


# -- how strongly ----------------------------------------------------------------------------------


def _strength(key: str, dictionary: Dictionary, setting: Setting, swept: Sweep | None) -> None:
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
            key=FOLLOWING,
            help="writes anew whenever a control changes, once a run was made",
        )
    own = settings.default_of(key, setting.regions, setting.basis, setting.mode)
    strength = setting.strength or 0.0
    low, high = 0.0, sweep.strengths_of(key, setting)[-1]
    if not low <= strength <= high:
        low, high = min(low, float(int(strength - 1))), max(high, float(int(strength + 1)))
    with st.container(gap=None):
        part(
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
        st.html(_ruler(low, high, own, swept))


def _ruler(low: float, high: float, own: float, swept: Sweep | None) -> str:
    """Marks under the slider: the default, where an effect begins, and where answers stop being
    coherent. own: the default without a sweep.
    """
    if high - low > WIDEST_MARKED:
        return '<div class="ep-ruler"></div>'

    def at(value: float) -> float:
        return 100 * (value - low) / (high - low)

    default = swept.default(own) if swept else own
    marks = [(default, f"{default:.2f} default")]
    begins = swept.first_effect if swept else None
    if begins is not None and abs(at(begins) - at(default)) > NEAREST_MARKS:
        marks.append((begins, "first effect"))
    drawn = [
        f'<i style="left:{at(v):.2f}%"></i><span style="left:{at(v):.2f}%">{text}</span>'
        for v, text in marks
    ]
    end = _end(at, high, swept, max(at(v) for v, _ in marks))
    return f'<div class="ep-ruler">{"".join(drawn)}{end}</div>'


def _end(at: Callable[[float], float], high: float, swept: Sweep | None, last: float) -> str:
    """The words at the far end: the zone in which answers are not coherent, that there is none, or
    that nobody knows.

    last: where the last mark stands, in percent; the words keep clear of it.
    """
    start = None if swept is None else swept.degenerates
    if start is None or start >= high:
        said = (
            "a sweep finds where it degenerates"
            if swept is None
            else "no strength up to here degenerates"
        )
        return f'<span style="right:0;transform:none">{said}</span>' if last < 100 - FAR_END else ""
    middle = (at(start) + 100) / 2
    words = f'<span style="left:{max(middle, last + NEAREST_MARKS):.2f}%">degenerates here</span>'
    return (
        '<div class="z" '
        f'style="left:{at(start):.2f}%"></div>{words if last + NEAREST_MARKS < 92 else ""}'
    )


# -- running ---------------------------------------------------------------------------------------


def _buttons(dictionary: Dictionary, setting: Setting) -> None:
    with row():
        st.button(
            "Generate",
            type="primary",
            icon=":material/play_arrow:",
            key="steer_generate",
            on_click=worker.want,
            shortcut="Ctrl+Enter",
            help=_takes(dictionary, setting),
        )
        st.button(
            "Stop",
            icon=":material/stop:",
            key="steer_stop",
            on_click=worker.stop,
            disabled=not worker.running(),
        )
        more.popover(dictionary, setting)


def _takes(dictionary: Dictionary, setting: Setting) -> str:
    """How long a run takes, the loading of the model apart."""
    written = estimates.spoken(estimates.writing(dictionary, 4, setting.tokens))
    if models.is_ready(dictionary):
        return f"takes {written}"
    load = estimates.spoken(estimates.loading_model(dictionary))
    return f"takes {written}, once the model is loaded ({load})"
