"""Which regions are steered along, how, on which tokens and about which point: two rows of the
Steer page's card.

Every control writes into the URL, and is drawn from what the URL says.
"""

from __future__ import annotations

from typing import Any

import streamlit as st

from ep.errors import EPError
from ep.method.dictionary import Dictionary
from ep.views.palette import region_color
from ep.views.steering import MOST_REGIONS, Setting
from ep.views.tables import name
from pages.shared import frame, loading, messages, state, tokens
from pages.shared.chips import Chip, chips
from pages.steer.settings import change, now

MODES = {"ablate": "Ablate", "add": "Add", "swap": "Swap", "clamp": "Clamp"}
SCOPES = {"all": "Every token", "prompt": "Prompt", "generated": "Generated", "last": "Last token"}
POINTS = {"centre": "Centre", "origin": "Origin", "region": "Region"}
BEFORE = {"ablate": "take out", "add": "towards", "swap": "take out", "clamp": "hold"}
TOGETHER = {
    "ablate": "taken out as one span",
    "add": "one step between them, as long as for one",
    "swap": "swapped as one span",
    "clamp": "held between them, the rest of their span taken out",
}
"""What is done along several regions at once."""
FOUND = 12


def take(widget: str, part: str) -> None:
    """A widget's new value becomes a part of the setting; an emptied one changes nothing.

    A callback.
    """
    value = st.session_state[widget]
    if value is not None:
        change(**{part: value})


def row() -> Any:
    """Small things side by side."""
    return st.container(horizontal=True, gap="small", vertical_alignment="center")


def segments(key: str, part: str, value: str, names: dict[str, str], title: str) -> None:
    """One of several words; the chosen one becomes that part of the setting."""
    st.session_state[key] = value
    st.segmented_control(
        title,
        list(names),
        key=key,
        format_func=lambda one: names[one],
        required=True,
        label_visibility="collapsed",
        on_change=take,
        args=(key, part),
        width="content",
    )


def what(dictionary: Dictionary, setting: Setting) -> None:
    """The regions, and what is done along them."""
    with row():
        first = setting.regions[0]
        color = region_color(dictionary, first)
        st.html(
            f'<div class="ep-row"><span class="ep-k">{BEFORE[setting.mode]}</span>'
            f"{tokens.chip(name(dictionary, first), color, 0.4)}"
            f'<span class="ep-num ep-faint">{first}</span></div>',
            width="content",
        )
        segments("steer_mode", "mode", setting.mode, MODES, "Mode")
        with st.popover(
            "Another region", icon=":material/add:", type="tertiary", key="steer_another"
        ):
            _picker(str(state.current().dictionary), dictionary)
        if len(setting.regions) > 1:
            _others(dictionary, setting)


def _others(dictionary: Dictionary, setting: Setting) -> None:
    items = [
        Chip(
            k, name(dictionary, k), region_color(dictionary, k), 0.4,
            before="+", after=str(k), title=f"region {k}: click to leave it out",
        )
        for k in setting.regions[1:]
    ]  # fmt: skip
    chips(
        items, "steer_others", lambda k: change(regions=tuple(r for r in now().regions if r != k))
    )
    st.html(f'<span class="ep-k">{TOGETHER[setting.mode]}</span>', width="content")


@frame.fragment
def _picker(key: str, dictionary: Dictionary) -> None:
    """Regions by id or text; a click steers along it, or adds it to the span."""
    add = st.toggle(
        "Beside the ones chosen",
        key="steer_pick_add",
        help="taken out as one span, or one step between them",
    )
    query = st.text_input(
        "Region", key="steer_pick", placeholder="An id, a token or a label", max_chars=200
    )
    if not query.strip():
        messages.quiet("Type an id, a token or a part of a label.")
        return
    plain = query.strip()
    ids = (
        [int(plain)]
        if plain.isascii() and plain.isdigit() and len(plain) < 9 and int(plain) < len(dictionary)
        else []
    )
    hits = (
        loading.search_index(key).find(plain, loading.labels(key).texts()).regions[:FOUND].tolist()
    )
    ids = list(dict.fromkeys([*ids, *hits]))
    if not ids:
        messages.quiet("No region has that.")
        return
    items = [
        Chip(k, name(dictionary, k), region_color(dictionary, k), 0.35, after=str(k)) for k in ids
    ]
    chips(items, "steer_picked", lambda k: _picked(k, add))
    if st.session_state.pop("steer_chosen", False):
        state.rerun()


def _picked(region: int, add: bool) -> None:
    kept = now().regions if add else ()
    change(regions=tuple(dict.fromkeys([*kept, region]))[:MOST_REGIONS])
    st.session_state["steer_chosen"] = True


def where(dictionary: Dictionary, setting: Setting) -> None:
    """On which tokens, about which point, and what a swap puts back."""
    with row():
        st.html('<span class="ep-k">at</span>', width="content")
        segments("steer_scope", "scope", setting.scope, SCOPES, "Scope")
        if setting.mode != "add":
            st.html('<span class="ep-k">about</span>', width="content")
            kind = setting.reference if isinstance(setting.reference, str) else "region"
            st.session_state["steer_point"] = kind
            st.selectbox(
                "Reference point",
                list(POINTS),
                key="steer_point",
                format_func=lambda one: POINTS[one],
                label_visibility="collapsed",
                width=96,
                on_change=_point,
            )
            if kind == "region":
                _region_box(dictionary, "steer_reference", "reference", int(setting.reference))
        if setting.mode == "swap":
            st.html('<span class="ep-k">put back</span>', width="content")
            _region_box(dictionary, "steer_target", "target", setting.target)


def _point() -> None:
    value = st.session_state["steer_point"]
    setting = now()
    change(reference=setting.regions[0] if value == "region" else value)


def _region_box(dictionary: Dictionary, key: str, part: str, value: int | None) -> None:
    """A small box for a region's id, and its chip."""
    st.session_state[key] = "" if value is None else str(value)
    st.text_input(
        "Region id",
        key=key,
        label_visibility="collapsed",
        width=72,
        placeholder="id",
        on_change=_typed,
        args=(dictionary, key, part),
    )
    if value is not None:
        st.html(
            tokens.chip(name(dictionary, value), region_color(dictionary, value), 0.35),
            width="content",
        )


def _typed(dictionary: Dictionary, key: str, part: str) -> None:
    text = str(st.session_state[key]).strip()
    try:
        if not (text.isascii() and text.isdigit() and len(text) < 12):
            state.note(
                f"{text[:20]!r} is not a region id: type a whole number below {len(dictionary):,}."
            )
            return
        change(**{part: dictionary.check(int(text))})
    except EPError as error:
        state.note(messages.sentence(error))
