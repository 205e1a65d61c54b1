"""The Atlas' card of the selected region: its tokens, key numbers, three excerpts, and the way to
its page.
"""

from __future__ import annotations

import streamlit as st

from ep.method.dictionary import Dictionary
from ep.views import excerpts, palette, tables
from pages.shared import state, tokens

LENS_SHOWN, EXCERPTS_SHOWN = 7, 3
LACKING = (
    '<div class="ep-k">No tokens and no logit lens in this file: its model adds them, in '
    "the Library.</div>"
)


def card(dictionary: Dictionary, region: int, label: str = "") -> None:
    """Draws the card. label: what people or models call the region, if anybody named it."""
    color = palette.region_color(dictionary, region)
    group = tables.group_names(dictionary)[palette.group_of(dictionary, region)]
    lens = [token for token, _ in dictionary.lens(region)[:LENS_SHOWN]]
    shown = lens or [token for token, _ in dictionary.region(region).tokens[:LENS_SHOWN]]
    about = (
        "logit lens of the exemplar"
        if lens
        else "most common tokens of its members"
        if shown
        else ""
    )
    chips = (
        tokens.row((tokens.chip(token, color, 0.26) for token in shown), one_line=True)
        if shown
        else LACKING
    )
    with st.container(border=True, gap="small"):
        st.html(
            '<div class="ep-split"><div class="ep-clip"><span class="ep-sw" '
            f'style="--c:{color}"></span>'
            f'<b class="ep-card-name">Region {region}</b> <span class="ep-k">&nbsp;'
            f"{tokens.escape(label or group)}</span></div>"
            f'<span class="ep-k" style="white-space:nowrap">{about}</span></div>'
            + chips
            + '<div class="ep-gap"></div>'
            + tokens.facts(*_facts(dictionary, region))
            + '<div class="ep-gap"></div>'
            + (_passages(dictionary, region, color) if "excerpt_offsets" in dictionary else "")
        )
        if st.button(
            "Open region", type="primary", icon=":material/arrow_forward:", icon_position="right"
        ):
            state.goto("region")


def _facts(dictionary: Dictionary, region: int) -> list[tuple[str, str, str]]:
    counted = (
        (
            "members, Voronoi",
            "count_voronoi",
            "activations nearest to it in the finished dictionary",
        ),
        ("at arrival", "count_arrival", "activations that joined it while the dictionary grew"),
    )
    measured = (
        (
            "coherence",
            "coherence",
            "‖Σû‖/N of its members at arrival: 1 when all point the same way",
        ),
        ("nearest region", "nearest_distances", "cosine distance to the nearest other exemplar"),
        (
            "mean distance",
            "mean_distance",
            "mean cosine distance of its Voronoi members to the exemplar",
        ),
    )
    facts = [
        (a, f"{int(dictionary.row(c, region)):,}", why) for a, c, why in counted if c in dictionary
    ]
    for about, column, why in measured:
        if column in dictionary:
            value = dictionary.row(column, region)
            facts.append(
                (about, f"{float(value[0] if column == 'nearest_distances' else value):.2f}", why)
            )
    return facts


def _passages(dictionary: Dictionary, region: int, color: str) -> str:
    """Three lines high even where a region has fewer, so that nothing below moves from click to
    click.
    """
    return f'<div class="ep-three">{tokens.aligned(_near(dictionary, region), color)}</div>'


def _near(dictionary: Dictionary, region: int) -> list[excerpts.Row]:
    bands = excerpts.by_band(dictionary.excerpts(region))
    return [excerpts.aligned(excerpt) for excerpt in bands.get("near", ())[:EXCERPTS_SHOWN]]
