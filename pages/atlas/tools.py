"""The row of controls above the Atlas' maps: layout, colours, second map, and prompt path."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from ep.method.dictionary import Dictionary
from ep.storage.labels import Labels
from ep.views import colorings
from pages.atlas import route
from pages.atlas.settings import Settings
from pages.shared import state
from pages.shared.controls import value_widget

KINDS = {"sphere": "Sphere", "flat": "Flat"}
PROJECTIONS = {"pca": "PCA", "umap": "UMAP"}
TITLES = {
    "pca-sphere": "Sphere, PCA",
    "pca-flat": "Flat, PCA",
    "umap-sphere": "Sphere, UMAP",
    "umap-flat": "Flat, UMAP",
}
"""The titles of layouts on screen, by their names in `ep.views.layouts`."""
ONE_MAP = "one map"


def row(key: str, dictionary: Dictionary, labels: Labels) -> None:
    """Draw the row. key: of the dictionary on the shelf."""
    settings = state.settings(Settings)
    projection, kind = settings.layout.split("-")
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        _layout_part("atlas_kind", KINDS, kind, lambda new: _set_layout(projection, new))
        _layout_part(
            "atlas_projection", PROJECTIONS, projection, lambda new: _set_layout(new, kind)
        )
        _color_box(dictionary, labels, settings.coloring)
        _second_box(settings.second)
        value_widget(
            st.toggle,
            "atlas_route",
            "Prompt path",
            settings.path,
            lambda is_on: route.switch(key, dictionary, is_on),
            help="Draws the regions a text's tokens fall in as a path",
        )


def _layout_part(
    key: str, options: dict[str, str], value: str, change: Callable[[str], object]
) -> None:
    """Draw a segmented control for one half of a layout's name: its kind or its projection."""
    value_widget(
        st.segmented_control,
        key,
        "Layout",
        value,
        change,
        list(options),
        format_func=options.__getitem__,
        required=True,
        label_visibility="collapsed",
    )


def _set_layout(projection: str, kind: str) -> None:
    state.update_settings(Settings, layout=f"{projection}-{kind}")


def _color_box(dictionary: Dictionary, labels: Labels, coloring: str) -> None:
    titles = {column.name: column.title for column in colorings.columns(dictionary, labels)}
    value_widget(
        st.selectbox,
        "atlas_coloring",
        "Colour the cells by",
        coloring if coloring in titles else colorings.NEIGHBOURHOOD,
        lambda new: state.update_settings(Settings, coloring=new),
        list(titles),
        format_func=lambda name: f"Colour: {titles.get(name, name)}",
        label_visibility="collapsed",
        width=232,
    )


def _second_box(second: str | None) -> None:
    value_widget(
        st.selectbox,
        "atlas_two",
        "Second map",
        second or ONE_MAP,
        lambda new: state.update_settings(Settings, second=None if new == ONE_MAP else new),
        [ONE_MAP, *TITLES],
        format_func=lambda name: "One map" if name == ONE_MAP else f"Beside it: {TITLES[name]}",
        label_visibility="collapsed",
        width=186,
    )
