"""Two rows of the Steer page's card: the regions and the mode; the tokens and the reference point.

Every control changes the setting, and is drawn from it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import streamlit as st

from ep.method.dictionary import Dictionary
from ep.models.interventions import Mode, Scope
from ep.studies.names import short
from ep.studies.steering import MOST_REGIONS, Setting
from ep.views.palette import region_color
from pages.shared import frame, loading, messages, state, tokens
from pages.shared.chips import Chip, chips
from pages.shared.controls import value_widget
from pages.shared.links import parse_integer
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
"""What each mode does with several regions at once, in words."""
MOST_HITS = 12


def row() -> Any:
    """Return a container for small things side by side."""
    return st.container(horizontal=True, gap="small", vertical_alignment="center")


def part_widget(
    widget: Callable[..., Any],
    key: str,
    title: str,
    name: str,
    value: Any,
    *args: Any,
    **options: Any,
) -> None:
    """Draw a widget for one part of the setting; see `value_widget`.

    name: of the part in `ep.Setting`.
    """
    value_widget(widget, key, title, value, lambda new: change(**{name: new}), *args, **options)


def choice(key: str, name_: str, value: str, names: Mapping[Any, str], title: str) -> None:
    """Draw a choice among words for one part of the setting."""
    part_widget(
        st.segmented_control,
        key,
        title,
        name_,
        value,
        list(names),
        format_func=names.__getitem__,
        required=True,
        label_visibility="collapsed",
        width="content",
    )


def draw_regions(dictionary: Dictionary, setting: Setting) -> None:
    """Draw the regions and the mode."""
    with row():
        first = setting.regions[0]
        color = region_color(dictionary, first)
        st.html(
            f'<div class="ep-row"><span class="ep-k">{BEFORE[setting.mode]}</span>'
            f"{_chip(dictionary, first, color, 0.4)}"
            f'<span class="ep-num ep-faint">{first}</span></div>',
            width="content",
        )
        choice("steer_mode", "mode", setting.mode, MODE_NAMES, "Mode")
        with st.popover(
            "Another region", icon=":material/add:", type="tertiary", key="steer_another"
        ):
            _picker(state.opened().key, dictionary)
        if len(setting.regions) > 1:
            _others(dictionary, setting)


def _name(dictionary: Dictionary, region: int) -> str:
    """Return the short name of a region, for a chip."""
    return short(loading.cells(dictionary, [region])[0]).replace(" ", loading.EN_SPACE)


def _chip(dictionary: Dictionary, region: int, color: str, strength: float) -> str:
    """Return a region's name as a chip of HTML, with the whole name as tooltip."""
    title = loading.cells(dictionary, [region])[0]
    return tokens.chip(_name(dictionary, region), color, strength, title)


def _others(dictionary: Dictionary, setting: Setting) -> None:
    items = [
        Chip(
            k,
            _name(dictionary, k),
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
    """Draw a search for regions by id or text; a click steers along a region, or adds it to the
    span.
    """
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
    typed = parse_integer(query, len(dictionary))
    hits = loading.search_index(key).find(query, loading.labels(key).texts()).regions
    ids = list(dict.fromkeys([*([] if typed is None else [typed]), *hits[:MOST_HITS].tolist()]))
    if not ids:
        messages.quiet("No region has that.")
        return
    items = [
        Chip(k, _name(dictionary, k), region_color(dictionary, k), 0.35, after=str(k)) for k in ids
    ]
    chips(items, "steer_picked", lambda k: _picked(k, add))


def _picked(region: int, add: bool) -> None:
    previous = settings.setting().regions if add else ()
    change(regions=tuple(dict.fromkeys([*previous, region]))[:MOST_REGIONS])
    state.schedule()


def draw_scope(dictionary: Dictionary, setting: Setting) -> None:
    """Draw the tokens and the reference point, and for a swap the region that replaces."""
    with row():
        st.html('<span class="ep-k">at</span>', width="content")
        choice("steer_scope", "scope", setting.scope, SCOPE_NAMES, "Scope")
        if setting.mode != "add":
            _reference(dictionary, setting)
        if setting.mode == "swap":
            st.html('<span class="ep-k">put back</span>', width="content")
            _region_box(dictionary, "steer_target", "target", setting.target)


def _reference(dictionary: Dictionary, setting: Setting) -> None:
    """Draw the choice of the reference point of an ablation: the centre, the origin, or a region's
    mean.
    """
    st.html('<span class="ep-k">about</span>', width="content")
    reference = setting.reference
    value_widget(
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
    """Draw a small box for a region's id, and its chip.

    name_: the part of the setting.
    """
    value_widget(
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
        st.html(_chip(dictionary, value, color, 0.35), width="content")


def _typed(size: int, name_: str, text: str) -> None:
    region = parse_integer(text, size)
    if region is None:
        state.note(f"{text[:20]!r} is not a region id: type a whole number below {size:,}.")
    else:
        change(**{name_: region})
