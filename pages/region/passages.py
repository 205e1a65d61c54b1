"""The Region page's card of excerpts by band (near, spread and far), aligned or in full."""

from __future__ import annotations

import streamlit as st

from ep.method.dictionary import Dictionary
from ep.method.region import Region
from ep.views import excerpts
from pages.shared import frame, messages, tokens

BANDS = {
    "near": ("Near", "closest members, {distance} to the exemplar in front"),
    "spread": ("Spread", "two from each fifth of the distance range"),
    "far": ("Far", "at the edge"),
}
NO_TOKENS = "Published without token ids: the marked token is not known until the model reads it."


@frame.fragment
def card(dictionary: Dictionary, region: Region, color: str) -> None:
    """Draw the card with all stored excerpts; nothing where the file has no excerpts."""
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
        if sentence := _unconfirmed(region):
            messages.quiet(sentence)
        for name, group in groups.items():
            title, about = BANDS[name]
            about = about.format(distance=dictionary.distance_name)
            if band in (None, "All bands", title):
                about = f"{about}: θ = {dictionary.threshold:.2f}" if name == "far" else about
                st.html(
                    tokens.heading(title, about, flush=False)
                    + _html(group, color, layout == "Full text")
                )


def _html(group: tuple[excerpts.Excerpt, ...], color: str, in_full: bool) -> str:
    """Return the excerpts of one band as HTML."""
    if in_full:
        return tokens.full_text(map(excerpts.full, group), color)
    return tokens.aligned(map(excerpts.aligned, group), color)


def _unconfirmed(region: Region) -> str:
    """Return how many excerpts the model did not confirm, as a sentence; empty when it confirmed
    all, or when the file was not completed by a model.
    """
    checks = [excerpt.agrees for excerpt in region.excerpts if excerpt.agrees is not None]
    n_unconfirmed = checks.count(False)
    if not n_unconfirmed:
        return ""
    return (
        f"? before the distance: {n_unconfirmed:,} of {len(checks):,} excerpts are not confirmed "
        "by the model."
    )


def _why_no_excerpts(region: Region) -> str:
    """Return why a region of a file with excerpts has none, as a sentence."""
    if region.columns.get("count_voronoi") == 0:
        return (
            "No activation is nearest to this exemplar any more: every member it had at arrival, "
            "its founder's passage "
            "included, lies nearer to a region founded later."
        )
    return "No excerpt of this region was kept."
