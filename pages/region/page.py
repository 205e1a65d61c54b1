"""The Region page: everything about one region.

It shows the logit lens, the founder, the excerpts, the shape, and the surroundings of the region.
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
from pages.shared.controls import value_widget

SENTENCE = "Its decode, its passages from near to far, its surroundings."
NOTHING_OPEN = ("Region", "What one cell is: its decode, its passages and its surroundings.")
LARGEST_ID = 2**31
"""A bound on a typed id, larger than any dictionary."""


def show() -> None:
    """Draw the page."""
    head, navigation = st.columns([11, 10], gap="medium", vertical_alignment="top")
    with head:
        selected = state.current().region
        title = NOTHING_OPEN if selected is None else (f"Region {selected}", SENTENCE)
        frame.page_head(*title)
    key, dictionary, selected, *_ = state.opened()
    region = dictionary.region(selected)
    color = region_color(dictionary, region.id)
    with navigation:
        _navigation(dictionary, region.id)
    lacking.line(dictionary)
    left, right = st.columns([13, 8], gap="medium")
    has_shape = shape.is_known(dictionary)
    with left:
        naming.card(key, dictionary, region.id)
        decode.lens_card(dictionary, region, color)
        if has_shape:
            surroundings.card(key, dictionary, region)
        decode.founder_card(dictionary, region, color)
        passages.card(dictionary, region, color)
        trial.card(key, dictionary, region, color)
    with right:
        _share(key, dictionary, region.id)
        if not has_shape:  # the surroundings are drawn here, so that the column is not empty
            surroundings.card(key, dictionary, region)
        shape.histograms_card(dictionary, region, color)
        shape.tokens_cards(dictionary, region, color)
        stability.card(key, dictionary, region, color)


def _share(key: str, dictionary: Dictionary, region: int) -> None:
    """Draw the row that exports the region."""
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
        del files[f"{name}.gguf"]  # a GGUF control vector cannot contain block 0
    sharing.bar("region_share", tables, snippets.region(dictionary, region), files)


def _navigation(dictionary: Dictionary, region: int) -> None:
    """Draw the controls that lead to another region or to the Steer page."""
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
        value_widget(
            st.text_input,
            "region_id",
            "Region id",
            str(region),
            _on_id,
            label_visibility="collapsed",
            width=76,
        )
        st.html(f'<span class="ep-k">0 to {last:,}</span>', width="content")
        if st.button("Steer", icon=":material/swap_driving_apps_wheel:", key="region_steer"):
            state.goto("steer")


def _on_id(typed: str) -> None:
    """Select the region whose id was typed; an invalid id leaves a note."""
    text = typed.strip().replace(",", "")
    region = links.parse_integer(text, LARGEST_ID)
    if region is None:
        state.note(f"{text[:20]!r} is not a region id: type a whole number.")
    else:
        state.select_region(region)


show()
