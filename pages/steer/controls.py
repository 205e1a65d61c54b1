"""The card of controls on the Steer page: what is sent, what is done to it, how strongly, and the
buttons.

Every control writes into the URL, and the card draws what the URL says.
"""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from ep.method.dictionary import Dictionary
from ep.studies.steering import Sweep, advised, first_effect
from ep.views.steering import SHARES, Setting
from pages.shared import tokens
from pages.steer import more, regions, settings, worker
from pages.steer.regions import row, take
from pages.steer.sweep import reach

FOLLOWING = "steer_following"
"""The switch that makes a run of every change."""
LONGEST_PROMPT = 20_000
WIDEST_MARKED = 20.0
NEAREST_MARKS = 13.0
"""Marks of the slider closer than this, in percent of its length, would run into each other."""
FAR_END = 52.0
"""So much of its length the words at the far end take, at most."""


def card(dictionary: Dictionary, setting: Setting, swept: Sweep | None) -> None:
    """Draws the card. swept: the sweep of this setting, whose marks the slider shows."""
    with st.container(border=True, gap="xsmall", height="stretch"):
        st.session_state["steer_prompt"] = setting.prompt
        st.text_area(
            "User message" if setting.chat else "Text",
            key="steer_prompt",
            height=68,
            max_chars=LONGEST_PROMPT,
            placeholder="Type a request" if setting.chat else "Type the beginning of a text",
            label_visibility="collapsed",
            on_change=take,
            args=("steer_prompt", "prompt"),
        )
        regions.what(dictionary, setting)
        regions.where(dictionary, setting)
        _strength(dictionary, setting, swept)
        _buttons(dictionary, setting)


# -- how strongly ----------------------------------------------------------------------------------


def _strength(dictionary: Dictionary, setting: Setting, swept: Sweep | None) -> None:
    shares = setting.mode in SHARES
    norm = f"in units of the layer's typical norm ({dictionary.typical_norm:.3g})"
    unit = "the share that is projected out" if shares else norm
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
    usual = settings.standard(setting)
    low, high = 0.0, reach(setting.mode, usual)
    if not low <= setting.strength <= high:
        low, high = (
            min(low, float(int(setting.strength - 1))),
            max(high, float(int(setting.strength + 1))),
        )
    st.session_state["steer_strength"] = setting.strength
    with st.container(gap=None):
        st.slider(
            "Strength",
            low,
            high,
            step=0.05 if high - low > 1 else 0.01,
            key="steer_strength",
            format="%.2f",
            label_visibility="collapsed",
            on_change=take,
            args=("steer_strength", "strength"),
        )
        st.html(_ruler(low, high, usual, swept))


def _ruler(low: float, high: float, usual: float, swept: Sweep | None) -> str:
    """Marks under the slider: the default, where an effect begins, and where answers stop making
    sense.

    usual: the default until a sweep knows a better one.
    """
    if high - low > WIDEST_MARKED:
        return '<div class="ep-ruler"></div>'

    def at(value: float) -> float:
        return 100 * (value - low) / (high - low)

    default = advised(swept, usual)
    marks = [(default, f"{default:.2f} default")]
    begins = None if swept is None else first_effect(swept)
    if begins is not None and abs(at(begins) - at(default)) > NEAREST_MARKS:
        marks.append((begins, "first effect"))
    drawn = [
        f'<i style="left:{at(v):.2f}%"></i><span style="left:{at(v):.2f}%">{text}</span>'
        for v, text in marks
    ]
    end = _end(at, high, swept, max(at(v) for v, _ in marks))
    return f'<div class="ep-ruler">{"".join(drawn)}{end}</div>'


def _end(at: Callable[[float], float], high: float, swept: Sweep | None, last: float) -> str:
    """What is said at the far end: the zone in which answers make no sense, that there is none, or
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
        )
        st.button(
            "Stop",
            icon=":material/stop:",
            key="steer_stop",
            on_click=worker.stop,
            disabled=not worker.running(),
        )
        more.popover(dictionary, setting)
