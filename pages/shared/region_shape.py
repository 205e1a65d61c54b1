"""A region's shape: how far its members lie, where in their passages, and which tokens they are. Region page."""

from __future__ import annotations

import numpy as np
import streamlit as st

from ep.method.dictionary import Dictionary, Region
from ep.views import figures
from ep.views.palette import OTHER
from pages.shared import frame, messages, tokens
from pages.shared.chart import chart

BARS_SHOWN = 6


def shape(dictionary: Dictionary, region: Region, color: str) -> None:
    """The card with the histograms of distance and position."""
    theta, context = dictionary.threshold, int(dictionary.info.get("context") or 0)
    with st.container(border=True, gap="xsmall"):
        st.html(tokens.heading("Distance to the exemplar", _n(region)))
        if (counts := _counted(dictionary, region, "distance_histogram", "distances")) is not None:
            edges = np.linspace(0, theta, len(counts) + 1)
            figure = figures.histogram(
                counts, edges, color, frame.is_dark(), x_title="cosine distance", noun="members", threshold=theta
            )
            chart(figure, "region_chart_distance")
        st.html(tokens.heading("Position", "tokens from the start of the passage"))
        if (counts := _counted(dictionary, region, "position_histogram", "positions")) is not None:
            edges = np.linspace(0, context or len(counts), len(counts) + 1)
            figure = figures.histogram(counts, edges, OTHER, frame.is_dark(), noun="members", digits=0, height=112)
            chart(figure, "region_chart_position")


def members(dictionary: Dictionary, region: Region, color: str) -> None:
    """The cards with the most common tokens at the marked place and after it."""
    for title, about, column, scores, shade in (
        ("Tokens", "most common at the marked place, of all members", "token_counts", region.tokens, color),
        ("Next tokens", "most common one place later", "next_counts", region.next_tokens, OTHER),
    ):
        with st.container(border=True, gap="xsmall"):
            st.html(tokens.heading(title, about))
            if _counted(dictionary, region, column, "token counts") is not None:
                share = np.array([score.value for score in scores[:BARS_SHOWN]]) / region.count_voronoi
                names = [score.token for score in scores[:BARS_SHOWN]]
                chart(figures.shares(names, share, shade, frame.is_dark()), f"region_chart_{column}")


def _n(region: Region) -> str:
    known = region.columns.get("count_voronoi")
    return "Voronoi members" if known is None else f"n = {int(known):,} Voronoi members"


def _counted(dictionary: Dictionary, region: Region, column: str, what: str) -> np.ndarray | None:
    """The region's counts; None, and a line that says why, where there is nothing to draw."""
    if column not in dictionary or "count_voronoi" not in dictionary:
        messages.quiet(f"This file holds no {what}.")
        return None
    counts = np.asarray(dictionary.row(column, region.id))
    if not counts.sum():
        messages.quiet("No activation is nearest to this exemplar any more, so there is nothing to count.")
        return None
    return counts
