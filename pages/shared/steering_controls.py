"""What is steered, how, where and how strongly: the card of controls on the Steer page.

Every control writes into the URL, and the card draws what the URL says.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import streamlit as st

from ep.errors import EPError
from ep.method.dictionary import Dictionary
from ep.models.interventions import STRONGEST
from ep.studies.steering import Sweep
from ep.views import steering as view
from ep.views.palette import region_color
from ep.views.steering import Setting
from ep.views.tables import name
from ep.views.text import label
from pages.shared import frame, loading, messages, state, steering, tokens
from pages.shared.chips import Chip, chips
from pages.shared.steering_sweep import RANGE, first_effect

MODES = {"ablate": "Ablate", "add": "Add", "swap": "Swap", "clamp": "Clamp"}
SCOPES = {"all": "Every token", "prompt": "Prompt", "generated": "Generated", "last": "Last token"}
POINTS = {"centre": "Centre", "origin": "Origin", "region": "Region"}
BEFORE = {"ablate": "take out", "add": "towards", "swap": "take out", "clamp": "hold"}
TEXT, CHAT = "Text", "Chat turn"
LONGEST_PROMPT = 20_000
WIDEST_MARKED = 20.0
FOUND = 12
NEAREST_MARKS = 12.0
"""Marks of the slider closer than this, in percent of its length, would run into each other."""


def opening(dictionary: Dictionary) -> tuple[str, bool]:
    """The prompt and whether it is a chat turn, where a visitor has asked for nothing yet."""
    own = str(dictionary.info.get("file") or "").startswith(str(loading.DEMO))
    return ("How do I rob a bank?", True) if own else ("Once upon a time", bool(dictionary.info.get("chat")))


def now() -> Setting:
    """The setting as the session and the URL say it at this moment."""
    selection, dictionary = state.opened() or (state.current(), None)
    if dictionary is None or selection.region is None:
        return Setting("")
    return steering.from_link(dictionary, selection.region, *opening(dictionary))


def change(**parts: Any) -> None:
    """Changes parts of the setting; for callbacks, where several widgets may have changed at once."""
    steering.keep(replace(now(), **parts))


def _set(widget: str, part: str) -> None:
    """A widget's new value becomes a part of the setting; an emptied one changes nothing."""
    value = st.session_state[widget]
    if value is not None:
        change(**{part: value})


def card(dictionary: Dictionary, setting: Setting, swept: Sweep | None) -> None:
    """Draws the card. swept: the sweep of this setting, whose marks the slider shows."""
    with st.container(border=True, gap="small", height="stretch"):
        st.session_state["steer_prompt"] = setting.prompt
        st.text_area(
            "User message" if setting.chat else "Text",
            key="steer_prompt",
            height=68,
            max_chars=LONGEST_PROMPT,
            placeholder="Type a request" if setting.chat else "Type the beginning of a text",
            label_visibility="collapsed",
            on_change=_set,
            args=("steer_prompt", "prompt"),
        )
        _what(dictionary, setting)
        _where(dictionary, setting)
        _strength(dictionary, setting, swept)
        _buttons(dictionary, setting)


# -- what and where ----------------------------------------------------------------------------------------------------


def _row() -> Any:
    return st.container(horizontal=True, gap="small", vertical_alignment="center")


def _segments(key: str, part: str, value: str, names: dict[str, str], title: str) -> None:
    st.session_state[key] = value
    st.segmented_control(
        title,
        list(names),
        key=key,
        format_func=lambda one: names[one],
        required=True,
        label_visibility="collapsed",
        on_change=_set,
        args=(key, part),
        width="content",
    )


def _what(dictionary: Dictionary, setting: Setting) -> None:
    with _row():
        first = setting.regions[0]
        color = region_color(dictionary, first)
        st.html(
            f'<div class="ep-row"><span class="ep-k">{BEFORE[setting.mode]}</span>'
            f"{tokens.chip(name(dictionary, first), color, 0.4)}"
            f'<span class="ep-num ep-faint">{first}</span></div>',
            width="content",
        )
        _segments("steer_mode", "mode", setting.mode, MODES, "Mode")
        with st.popover("Another region", icon=":material/add:", type="tertiary", key="steer_another"):
            _picker(str(state.current().dictionary), dictionary)
        if len(setting.regions) > 1:
            _others(dictionary, setting)


def _others(dictionary: Dictionary, setting: Setting) -> None:
    faint = setting.mode not in view.SPANNING
    why = "only ablated; click to leave it out" if faint else "click to leave it out"
    items = [
        Chip(
            k, name(dictionary, k), region_color(dictionary, k), 0.1 if faint else 0.4,
            before="+", after=str(k), title=f"region {k}: {why}",
        )
        for k in setting.regions[1:]
    ]  # fmt: skip
    chips(items, "steer_others", lambda k: change(regions=tuple(r for r in now().regions if r != k)))


@frame.fragment
def _picker(key: str, dictionary: Dictionary) -> None:
    """Regions by id or text; a click steers along it, or adds it to the span."""
    add = st.toggle("Beside the ones chosen", key="steer_pick_add", help="several regions are ablated as one span")
    query = st.text_input("Region", key="steer_pick", placeholder="An id, a token or a label", max_chars=200)
    if not query.strip():
        messages.quiet("Type an id, a token or a part of a label.")
        return
    plain = query.strip()
    ids = (
        [int(plain)] if plain.isascii() and plain.isdigit() and len(plain) < 9 and int(plain) < len(dictionary) else []
    )
    hits = loading.search_index(key).find(plain, loading.labels(key).texts()).regions[:FOUND].tolist()
    ids = list(dict.fromkeys([*ids, *hits]))
    if not ids:
        messages.quiet("No region has that.")
        return
    items = [Chip(k, name(dictionary, k), region_color(dictionary, k), 0.35, after=str(k)) for k in ids]
    chips(items, "steer_picked", lambda k: _picked(k, add))
    if st.session_state.pop("steer_chosen", False):
        state.rerun()


def _picked(region: int, add: bool) -> None:
    setting = now()
    kept = setting.regions if add else ()
    regions = tuple(dict.fromkeys([*kept, region]))[: view.MOST_REGIONS]
    steering.keep(replace(setting, regions=regions))
    st.session_state["steer_chosen"] = True


def _where(dictionary: Dictionary, setting: Setting) -> None:
    with _row():
        st.html('<span class="ep-k">at</span>', width="content")
        _segments("steer_scope", "scope", setting.scope, SCOPES, "Scope")
        if setting.mode != "add":
            st.html('<span class="ep-k">about</span>', width="content")
            kind = setting.reference if isinstance(setting.reference, str) else "region"
            st.session_state["steer_point"] = kind
            st.selectbox(
                "Reference point", list(POINTS), key="steer_point", format_func=lambda one: POINTS[one],
                label_visibility="collapsed", width=96, on_change=_point,
            )  # fmt: skip
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
        "Region id", key=key, label_visibility="collapsed", width=72, placeholder="id", on_change=_typed,
        args=(dictionary, key, part),
    )  # fmt: skip
    if value is not None:
        st.html(tokens.chip(name(dictionary, value), region_color(dictionary, value), 0.35), width="content")


def _typed(dictionary: Dictionary, key: str, part: str) -> None:
    text = str(st.session_state[key]).strip()
    try:
        if not (text.isascii() and text.isdigit() and len(text) < 12):
            state.note(f"{text[:20]!r} is not a region id: type a whole number below {len(dictionary):,}.")
            return
        change(**{part: dictionary.check(int(text))})
    except EPError as error:
        state.note(messages.sentence(error))


# -- how strongly ------------------------------------------------------------------------------------------------------


def _strength(dictionary: Dictionary, setting: Setting, swept: Sweep | None) -> None:
    r = dictionary.typical_norm
    unit = (
        "share that is projected out"
        if setting.mode in view.SPANNING
        else f"in units of the layer's typical norm ({r:.3g})"
    )
    st.html(f'<div>Strength, <span class="ep-faint">{tokens.escape(unit)}</span></div>')
    low, high = min(0.0, float(int(setting.strength - 1))), max(RANGE[setting.mode], float(int(setting.strength + 1)))
    if 0 <= setting.strength <= RANGE[setting.mode]:
        low, high = 0.0, RANGE[setting.mode]
    st.session_state["steer_strength"] = setting.strength
    with st.container(gap=None):
        st.slider(
            "Strength", low, high, step=0.05, key="steer_strength", format="%.2f", label_visibility="collapsed",
            on_change=_set, args=("steer_strength", "strength"),
        )  # fmt: skip
        st.html(_ruler(low, high, swept))


def _ruler(low: float, high: float, swept: Sweep | None) -> str:
    """Marks under the slider: where an effect begins, the default, and where answers stop making sense."""
    if high - low > WIDEST_MARKED:
        return '<div class="ep-ruler"></div>'

    def at(value: float) -> float:
        return 100 * (value - low) / (high - low)

    marks = [(1.0, "1.0 default")]
    begins = None if swept is None else first_effect(swept)
    if begins is not None and abs(at(begins) - at(1.0)) > NEAREST_MARKS:
        marks.append((begins, "first effect"))
    zone = ""
    if swept is not None and swept.degenerates is not None and swept.degenerates < high:
        start = at(swept.degenerates)
        middle = (start + 100) / 2
        marks = [mark for mark in marks if at(mark[0]) < middle - NEAREST_MARKS]
        zone = (
            f'<div class="z" style="left:{start:.2f}%"></div><span style="left:{middle:.2f}%">degenerates here</span>'
        )
    elif swept is None:
        zone = '<span style="right:0;transform:none">a sweep finds where it degenerates</span>'
    else:
        zone = '<span style="right:0;transform:none">no strength up to here degenerates</span>'
    drawn = [f'<i style="left:{at(v):.2f}%"></i><span style="left:{at(v):.2f}%">{text}</span>' for v, text in marks]
    return f'<div class="ep-ruler">{"".join(drawn)}{zone}</div>'


# -- running -----------------------------------------------------------------------------------------------------------


def _buttons(dictionary: Dictionary, setting: Setting) -> None:
    with _row():
        st.button(
            "Generate", type="primary", icon=":material/play_arrow:", key="steer_generate", on_click=steering.want,
            shortcut="Ctrl+Enter",
        )  # fmt: skip
        st.button(
            "Stop", icon=":material/stop:", key="steer_stop", on_click=steering.stop, disabled=not steering.running()
        )
        with st.popover(_summary(dictionary, setting), type="tertiary", key="steer_more"):
            _more(setting)
            if setting.chat:
                _template(dictionary, setting)


def _summary(dictionary: Dictionary, setting: Setting) -> str:
    heat = "greedy" if setting.temperature == 0 else f"temperature {setting.temperature:g}"
    layers = setting.layers or str(dictionary.info.get("layer"))
    shown = label(layers) if all(c in "0123456789,- al" for c in layers) else "?"
    kind = "chat template" if setting.chat else "plain text"
    return f"seed {setting.seed} · {setting.tokens} tokens · {heat} · layer {shown} · {kind}"


def _more(setting: Setting) -> None:
    st.session_state["steer_kind"] = CHAT if setting.chat else TEXT
    st.segmented_control("Send as", [TEXT, CHAT], key="steer_kind", required=True, on_change=_kind)
    if setting.chat:
        _field(st.text_input, "System message", "system", setting.system, max_chars=steering.MOST_SYSTEM)
    left, right = st.columns(2, gap="small")
    with left:
        _field(st.number_input, "Tokens", "tokens", setting.tokens, min_value=1, max_value=view.LONGEST)
        _field(st.number_input, "Seed", "seed", setting.seed, min_value=0, max_value=steering.MOST_SEED)
        _field(st.text_input, "Layers", "layers", setting.layers, placeholder="the dictionary's", max_chars=60,
               help="numbers such as 2, 4-6, or all; empty for the dictionary's own")  # fmt: skip
    with right:
        _field(st.number_input, "Temperature", "temperature", setting.temperature, min_value=0.0, max_value=100.0,
               step=0.1, format="%g", help="0 always takes the likeliest token")  # fmt: skip
        _field(st.number_input, "Strength, exact", "strength", setting.strength, min_value=-STRONGEST,
               max_value=STRONGEST, step=0.1, format="%g")  # fmt: skip
        _field(st.selectbox, "Direction", "basis", setting.basis, options=["exemplar", "mean"])


def _kind() -> None:
    change(chat=st.session_state["steer_kind"] == CHAT)


def _field(widget: Any, title: str, part: str, value: Any, **options: Any) -> None:
    key = f"steer_{part}_exact"
    st.session_state[key] = value
    widget(title, key=key, on_change=_set, args=(key, part), **options)


@frame.fragment
def _template(dictionary: Dictionary, setting: Setting) -> None:
    """The prompt exactly as the model gets it, its template faint; shown when asked for."""
    if not st.toggle("Show it as it is sent", key="steer_template"):
        return
    if not loading.model_state(dictionary.info).startswith("ready"):
        messages.quiet("Shown once the model is loaded: generate first.")
        return
    try:
        model = loading.language_model(dictionary.info)
        prompt = view.encoded(model, setting)
    except EPError as error:
        messages.quiet(messages.sentence(error))
        return
    pieces = view.texts(model, prompt.ids)
    parts = [
        f'<span class="{"ep-faint" if template else ""}">{tokens.running([piece], breaks=True)}</span>'
        for piece, template in zip(pieces, prompt.is_template, strict=True)
    ]
    st.html(f'<div style="max-width:36em;max-height:22em;overflow:auto">{"".join(parts)}</div>')
    messages.quiet(f"{len(prompt.ids):,} tokens; faint: written by the chat template.")
