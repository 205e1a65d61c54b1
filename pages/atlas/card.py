"""The Atlas' card of the selected region: tokens, key numbers, three excerpts, and a button that
opens its page.
"""

from __future__ import annotations

import streamlit as st

from ep.method.dictionary import Dictionary
from ep.method.lenses import kind_of
from ep.views import excerpts, palette, tables
from pages.shared import state, tokens

LENS_SHOWN, EXCERPTS_SHOWN = 7, 3
NO_TOKENS = (
    '<div class="ep-k">No tokens and no logit lens in this file: its model adds them, in '
    "the Library.</div>"
)


def card(dictionary: Dictionary, region: int, name: str) -> None:
    """Draw the card of a region. name: its whole name; empty where it is only a number."""
    color = palette.region_color(dictionary, region)
    group = tables.group_names(dictionary)[palette.group_of(dictionary, region)]
    lens = [token for token, _ in dictionary.lens(region)[:LENS_SHOWN]]
    names = lens or [token for token, _ in dictionary.region(region).tokens[:LENS_SHOWN]]
    about = (
        f"lens: {kind_of(dictionary.first_lens).title}"
        if lens
        else "most common tokens of its members"
        if names
        else ""
    )
    chips = (
        tokens.row((tokens.chip(token, color, 0.26) for token in names), one_line=True)
        if names
        else NO_TOKENS
    )
    with st.container(border=True, gap="small"):
        st.html(
            '<div class="ep-split"><div class="ep-clip"><span class="ep-sw" '
            f'style="--c:{color}"></span>'
            f'<b class="ep-card-name" title="{tokens.escape(name)}">Region {region}</b> '
            f'<span class="ep-k">&nbsp;'
            f"{tokens.escape(name or group)}</span></div>"
            f'<span class="ep-k" style="white-space:nowrap">{about}</span></div>'
            + chips
            + '<div class="ep-gap"></div>'
            + tokens.facts(*_facts(dictionary, region))
            + '<div class="ep-gap"></div>'
            + (_excerpts(dictionary, region, color) if "excerpt_offsets" in dictionary else "")
        )
        if st.button(
            "Open region", type="primary", icon=":material/arrow_forward:", icon_position="right"
        ):
            state.goto("region")


def _facts(dictionary: Dictionary, region: int) -> list[tuple[str, str, str]]:
    """Return the key numbers that the file contains, as (label, value, detail)."""
    distance = dictionary.distance_name
    counts = (
        ("members, Voronoi", "count_voronoi", ""),
        ("at arrival", "count_arrival", ""),
    )
    measures = (
        ("coherence", "coherence", ""),
        ("nearest region", "nearest_distances", distance),
        ("mean distance", "mean_distance", distance),
    )
    facts = [
        (label, f"{int(dictionary.row(column, region)):,}", detail)
        for label, column, detail in counts
        if column in dictionary
    ]
    for label, column, detail in measures:
        if column in dictionary:
            row = dictionary.row(column, region)
            value = float(row[0] if column == "nearest_distances" else row)
            facts.append((label, f"{value:.2f}", detail))
    return facts


def _excerpts(dictionary: Dictionary, region: int, color: str) -> str:
    """Return the region's nearest excerpts as HTML.

    The element is three lines high even where there are fewer, so that the elements below it do
    not move when another region is selected.
    """
    bands = excerpts.by_band(dictionary.excerpts(region))
    rows = [excerpts.aligned(excerpt) for excerpt in bands.get("near", ())[:EXCERPTS_SHOWN]]
    return f'<div class="ep-three">{tokens.aligned(rows, color)}</div>'
