"""Region: everything about one region.

Its decode, where it came from, its passages, its shape and its surroundings.
"""

from __future__ import annotations

from functools import partial

import streamlit as st

from ep.method.dictionary import Dictionary
from ep.storage.interop import packed
from ep.views import full, snippets
from ep.views.palette import region_color
from pages.region import decode, lacking, naming, passages, shape, stability, surroundings, trial
from pages.shared import frame, links, loading, sharing, state
from pages.shared.controls import mirrored

SENTENCE = "Its decode, its passages from near to far, its surroundings."
NOTHING_OPEN = ("Region", "What one cell is: its decode, its passages and its surroundings.")
LARGEST_ID = 2**31
"""No dictionary has so many regions."""


def show() -> None:
    head, walk = st.columns([11, 10], gap="medium", vertical_alignment="top")
    with head:
        shown = state.current().region
        frame.page(*(NOTHING_OPEN if shown is None else (f"Region {shown}", SENTENCE)))
    key, dictionary, selected, *_ = state.opened()
    region = dictionary.region(selected)
    color = region_color(dictionary, region.id)
    with walk:
        _walk(dictionary, region.id)
    lacking.line(dictionary)
    left, right = st.columns([13, 8], gap="medium")
    has_shape = shape.is_known(dictionary)
    with left:
        naming.card(key, dictionary, region.id)
        decode.decode(dictionary, region, color)
        if has_shape:
            surroundings.card(key, dictionary, region)
        decode.founder(dictionary, region, color)
        passages.card(dictionary, region, color)
        trial.card(key, dictionary, region, color)
    with right:
        _share(key, dictionary, region.id)
        if not has_shape:  # the surroundings take its place, so that neither column stands empty
            surroundings.card(key, dictionary, region)
        shape.shape(dictionary, region, color)
        shape.members(dictionary, region, color)
        stability.card(key, dictionary, region, color)


def _share(key: str, dictionary: Dictionary, region: int) -> None:
    tables = {
        "Passages of this region": partial(full.excerpts, dictionary, region),
        "Its lens and tokens": partial(full.lens, dictionary, region),
        "Its nearest regions": partial(full.nearest, dictionary, region),
        "All its columns": partial(full.regions, dictionary, [region], loading.labels(key)),
    }
    name, label = f"region-{region}", loading.labels(key).best(region)
    files = {
        f"{name}.gguf": partial(packed.control_vector, dictionary, region),
        f"{name}-neuronpedia.json": partial(packed.vector, dictionary, region, label),
    }
    if not dictionary.layer:
        del files[f"{name}.gguf"]  # a control vector has no place for block 0
    sharing.bar("region_share", tables, snippets.region(dictionary, region), files)


def _walk(dictionary: Dictionary, region: int) -> None:
    last = len(dictionary) - 1
    with st.container(
        horizontal=True, horizontal_alignment="right", vertical_alignment="center", gap="small"
    ):
        for key, icon, target in (
            ("previous", "chevron_left", region - 1),
            ("next", "chevron_right", region + 1),
        ):
            st.button(
                key.capitalize(),
                icon=f":material/{icon}:",
                key=f"region_{key}",
                on_click=state.select_region,
                args=(target,),
                disabled=not 0 <= target <= last,
            )
        mirrored(
            st.text_input,
            "region_id",
            "Region id",
            str(region),
            _jump,
            label_visibility="collapsed",
            width=76,
        )
        st.html(f'<span class="ep-k">0 to {last:,}</span>', width="content")
        if st.button("Steer", icon=":material/swap_driving_apps_wheel:", key="region_steer"):
            state.goto("steer")


def _jump(typed: str) -> None:
    text = typed.strip().replace(",", "")
    region = links.whole_number(text, LARGEST_ID)
    if region is None:
        state.note(f"{text[:20]!r} is not a region id: type a whole number.")
    else:
        state.select_region(region)


show()
