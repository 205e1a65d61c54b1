"""Which regions are steered along, how, on which tokens and about which point: two rows of the
Steer page's card.

Every control writes into the URL, and is drawn from what the URL says.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import streamlit as st

from ep.method.dictionary import Dictionary
from ep.models.interventions import Mode, Scope
from ep.studies.steering import MOST_REGIONS, Setting
from ep.views.palette import region_color
from ep.views.tables import name
from pages.shared import frame, loading, messages, state, tokens
from pages.shared.chips import Chip, chips
from pages.shared.controls import mirrored
from pages.shared.links import whole_number
from pages.steer import settings
from pages.steer.settings import change

MODE_NAMES: dict[Mode, str] = {
    "ablate": "Ablate",
    "add": "Add",
    "swap": "Swap",
    "clamp": "Clamp",
}
SCOPE_NAMES: dict[Scope, str] = {
    "all": "Every token",
    "prompt": "Prompt",
    "generated": "Generated",
    "last": "Last token",
}
POINTS = {"centre": "Centre", "origin": "Origin", "region": "Region"}
BEFORE: dict[Mode, str] = {
    "ablate": "take out",
    "add": "towards",
    "swap": "take out",
    "clamp": "hold",
}
TOGETHER: dict[Mode, str] = {
    "ablate": "taken out as one span",
    "add": "one step between them, as long as for one",
    "swap": "swapped as one span",
    "clamp": "held between them, the rest of their span taken out",
}
"""What is done along several regions at once."""
MOST_FOUND = 12


def row() -> Any:
    """Small things side by side."""
    return st.container(horizontal=True, gap="small", vertical_alignment="center")


def part(
    widget: Callable[..., Any], key: str, title: str, part: str, value: Any, *args: Any, **how: Any
) -> None:
    """A widget for one part of the setting, by its name in `ep.Setting`; see `mirrored`."""
    mirrored(widget, key, title, value, lambda new: change(**{part: new}), *args, **how)


def words(key: str, part_: str, value: str, names: Mapping[Any, str], title: str) -> None:
    """One of several words; the chosen one becomes that part of the setting."""
    part(
        st.segmented_control,
        key,
        title,
        part_,
        value,
        list(names),
        format_func=names.__getitem__,
        required=True,
        label_visibility="collapsed",
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
        words("steer_mode", "mode", setting.mode, MODE_NAMES, "Mode")
        with st.popover(
            "Another region", icon=":material/add:", type="tertiary", key="steer_another"
        ):
            _picker(state.opened().key, dictionary)
        if len(setting.regions) > 1:
            _others(dictionary, setting)


def _others(dictionary: Dictionary, setting: Setting) -> None:
    items = [
        Chip(
            k,
            name(dictionary, k),
            region_color(dictionary, k),
            0.4,
            before="+",
            after=str(k),
            title=f"region {k}: click to leave it out",
        )
        for k in setting.regions[1:]
    ]
    chips(items, "steer_others", _leave_out)
    st.html(f'<span class="ep-k">{TOGETHER[setting.mode]}</span>', width="content")


def _leave_out(region: int) -> None:
    change(regions=tuple(k for k in settings.setting().regions if k != region))


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
    ).strip()
    if not query:
        messages.quiet("Type an id, a token or a part of a label.")
        return
    typed = whole_number(query, len(dictionary))
    hits = loading.search_index(key).find(query, loading.labels(key).texts()).regions
    ids = list(dict.fromkeys([*([] if typed is None else [typed]), *hits[:MOST_FOUND].tolist()]))
    if not ids:
        messages.quiet("No region has that.")
        return
    items = [
        Chip(k, name(dictionary, k), region_color(dictionary, k), 0.35, after=str(k)) for k in ids
    ]
    chips(items, "steer_picked", lambda k: _picked(k, add))


def _picked(region: int, add: bool) -> None:
    before = settings.setting().regions if add else ()
    change(regions=tuple(dict.fromkeys([*before, region]))[:MOST_REGIONS])
    state.turn()


def where(dictionary: Dictionary, setting: Setting) -> None:
    """On which tokens, about which point, and what a swap puts back."""
    with row():
        st.html('<span class="ep-k">at</span>', width="content")
        words("steer_scope", "scope", setting.scope, SCOPE_NAMES, "Scope")
        if setting.mode != "add":
            _reference(dictionary, setting)
        if setting.mode == "swap":
            st.html('<span class="ep-k">put back</span>', width="content")
            _region_box(dictionary, "steer_target", "target", setting.target)


def _reference(dictionary: Dictionary, setting: Setting) -> None:
    """The point an ablation is about: the centre, the origin, or a region's mean."""
    st.html('<span class="ep-k">about</span>', width="content")
    reference = setting.reference
    mirrored(
        st.selectbox,
        "steer_point",
        "Reference point",
        reference if isinstance(reference, str) else "region",
        lambda point: change(reference=setting.regions[0] if point == "region" else point),
        list(POINTS),
        format_func=POINTS.__getitem__,
        label_visibility="collapsed",
        width=96,
    )
    if not isinstance(reference, str):
        _region_box(dictionary, "steer_reference", "reference", reference)


def _region_box(dictionary: Dictionary, key: str, name_: str, value: int | None) -> None:
    """A small box for a region's id, and its chip."""
    mirrored(
        st.text_input,
        key,
        "Region id",
        "" if value is None else str(value),
        lambda text: _typed(len(dictionary), name_, text),
        label_visibility="collapsed",
        width=72,
        placeholder="id",
    )
    if value is not None:
        color = region_color(dictionary, value)
        st.html(tokens.chip(name(dictionary, value), color, 0.35), width="content")


def _typed(size: int, name_: str, text: str) -> None:
    region = whole_number(text, size)
    if region is None:
        state.note(f"{text[:20]!r} is not a region id: type a whole number below {size:,}.")
    else:
        change(**{name_: region})
