"""The row above the Atlas' maps: layout, colours, a second map, and the path of a prompt."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from ep.method.dictionary import Dictionary
from ep.storage.labels import Labels
from ep.views import colorings
from pages.atlas import route
from pages.atlas.settings import Settings
from pages.shared import state
from pages.shared.controls import mirrored

KINDS = {"sphere": "Sphere", "flat": "Flat"}
PROJECTIONS = {"pca": "PCA", "umap": "UMAP"}
TITLES = {
    "pca-sphere": "Sphere, PCA",
    "pca-flat": "Flat, PCA",
    "umap-sphere": "Sphere, UMAP",
    "umap-flat": "Flat, UMAP",
}
"""Layouts by their names in `ep.views.layouts`."""
ONE_MAP = "one map"


def row(key: str, dictionary: Dictionary, labels: Labels) -> None:
    """Draws the row. key: of the dictionary on the shelf."""
    now = state.settings(Settings)
    projection, kind = now.layout.split("-")
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        _part("atlas_kind", KINDS, kind, lambda new: _lay_out(projection, new))
        _part("atlas_projection", PROJECTIONS, projection, lambda new: _lay_out(new, kind))
        _color_box(dictionary, labels, now.coloring)
        _second_box(now.second)
        mirrored(
            st.toggle,
            "atlas_route",
            "Prompt path",
            now.path,
            lambda is_on: route.switch(key, dictionary, is_on),
            help="Draws the regions a text's tokens fall in as a path",
        )


def _part(key: str, options: dict[str, str], value: str, change: Callable[[str], object]) -> None:
    """One half of a layout's name, as a row of words."""
    mirrored(
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


def _lay_out(projection: str, kind: str) -> None:
    state.keep(Settings, layout=f"{projection}-{kind}")


def _color_box(dictionary: Dictionary, labels: Labels, coloring: str) -> None:
    titles = {column.name: column.title for column in colorings.columns(dictionary, labels)}
    mirrored(
        st.selectbox,
        "atlas_coloring",
        "Colour the cells by",
        coloring if coloring in titles else colorings.NEIGHBOURHOOD,
        lambda new: state.keep(Settings, coloring=new),
        list(titles),
        format_func=lambda name: f"Colour: {titles.get(name, name)}",
        label_visibility="collapsed",
        width=232,
    )


def _second_box(second: str | None) -> None:
    mirrored(
        st.selectbox,
        "atlas_two",
        "Second map",
        second or ONE_MAP,
        lambda new: state.keep(Settings, second=None if new == ONE_MAP else new),
        [ONE_MAP, *TITLES],
        format_func=lambda name: "One map" if name == ONE_MAP else f"Beside it: {TITLES[name]}",
        label_visibility="collapsed",
        width=186,
    )
