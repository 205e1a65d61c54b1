"""A region's excerpts by band: near, spread and far, one line each or whole.

A card of the Region page.
"""

from __future__ import annotations

import streamlit as st

from ep.method.dictionary import Dictionary, Region
from ep.views import excerpts
from pages.shared import frame, messages, tokens

BANDS = {
    "near": ("Near", "closest members, cosine distance to the exemplar in front"),
    "spread": ("Spread", "two from each fifth of the distance range"),
    "far": ("Far", "at the edge"),
}
NO_TOKENS = "Published without token ids: the marked token is not known until the model reads it."


@frame.fragment
def card(dictionary: Dictionary, region: Region, color: str) -> None:
    """The card with all stored excerpts, and how to look at them; none where the file keeps no
    excerpts.
    """
    if "excerpt_offsets" not in dictionary:
        return
    with st.container(border=True, gap="small"):
        groups = excerpts.by_band(region.excerpts)
        if not groups:
            st.html(tokens.heading("Excerpts"))
            messages.quiet(_why_no_excerpts(region))
            return
        with st.container(
            horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"
        ):
            band = st.segmented_control(
                "Bands",
                ["All bands", *(BANDS[b][0] for b in groups)],
                default="All bands",
                key="region_band",
                label_visibility="collapsed",
            )
            layout = st.segmented_control(
                "Layout",
                ["Aligned", "Full text"],
                default="Aligned",
                key="region_layout",
                label_visibility="collapsed",
            )
        if any(excerpt.marked is None for excerpt in region.excerpts):
            messages.quiet(NO_TOKENS)
        if doubts := _doubted(region):
            messages.quiet(doubts)
        for key, rows in groups.items():
            title, about = BANDS[key]
            if band in (None, "All bands", title):
                about = f"{about}: θ = {dictionary.threshold:.2f}" if key == "far" else about
                st.html(
                    tokens.heading(title, about, flush=False)
                    + _printed(rows, color, layout == "Full text")
                )


def _printed(rows: tuple[excerpts.Excerpt, ...], color: str, whole: bool) -> str:
    if whole:
        return tokens.full_text(map(excerpts.full, rows), color)
    return tokens.aligned(map(excerpts.aligned, rows), color)


def _doubted(region: Region) -> str:
    """How many excerpts the model did not confirm; empty when it was never asked, or confirmed
    all.
    """
    asked = [excerpt.agrees for excerpt in region.excerpts if excerpt.agrees is not None]
    doubted = asked.count(False)
    if not doubted:
        return ""
    return (
        f"? before the distance: {doubted:,} of {len(asked):,} excerpts are not confirmed by "
        "the model."
    )


def _why_no_excerpts(region: Region) -> str:
    if region.columns.get("count_voronoi") == 0:
        return (
            "No activation is nearest to this exemplar any more: every member it had at arrival, "
            "its founder's passage "
            "included, lies nearer to a region founded later."
        )
    return "No excerpt of this region was kept."
