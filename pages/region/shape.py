"""A region's shape: how far its members lie, where in their passages, and which tokens they are.

Region page.
"""

from __future__ import annotations

import numpy as np
import streamlit as st

from ep.method.dictionary import Dictionary, Region
from ep.views import figures
from ep.views.palette import OTHER
from pages.shared import frame, messages, tokens
from pages.shared.chart import chart

BARS_SHOWN = 6
NO_MEMBER = "No activation is nearest to this exemplar any more, so there is nothing to count."
NO_NEXT = "None of its members has a token after it."


def is_known(dictionary: Dictionary) -> bool:
    """Whether the file tells anything of its members: where they lie, or which tokens they are."""
    return "count_voronoi" in dictionary and any(name in dictionary for name in COLUMNS)


COLUMNS = ("distance_histogram", "position_histogram", "token_counts", "next_counts")


def shape(dictionary: Dictionary, region: Region, color: str) -> None:
    """The card with the histograms of distance and position; what the file lacks is left out."""
    kept = [name for name in COLUMNS[:2] if name in dictionary and "count_voronoi" in dictionary]
    if not kept:
        return
    with st.container(border=True, gap="xsmall"):
        if "distance_histogram" in kept:
            _distance(dictionary, region, color)
        if "position_histogram" in kept:
            _position(dictionary, region)


def _distance(dictionary: Dictionary, region: Region, color: str) -> None:
    theta = dictionary.threshold
    st.html(
        tokens.heading("Distance to the exemplar", f"n = {region.count_voronoi:,} Voronoi members")
    )
    if (counts := _counted(dictionary, region, "distance_histogram")) is not None:
        edges = np.linspace(0, theta, len(counts) + 1)
        figure = figures.histogram(
            counts,
            edges,
            color,
            frame.is_dark(),
            x_title="cosine distance",
            noun="members",
            threshold=theta,
        )
        chart(figure, "region_chart_distance")


def _position(dictionary: Dictionary, region: Region) -> None:
    st.html(tokens.heading("Position", "tokens from the start of the passage"))
    if (counts := _counted(dictionary, region, "position_histogram")) is not None:
        figure = figures.histogram(
            counts,
            dictionary.position_edges(len(counts)),
            OTHER,
            frame.is_dark(),
            noun="members",
            digits=0,
            height=112,
        )
        chart(figure, "region_chart_position")


def members(dictionary: Dictionary, region: Region, color: str) -> None:
    """The cards with the most common tokens at the marked place and after it, those the file
    knows.
    """
    for title, about, column, scores, shade in (
        (
            "Tokens",
            "most common at the marked place, of all members",
            "token_counts",
            region.tokens,
            color,
        ),
        ("Next tokens", "most common one place later", "next_counts", region.next_tokens, OTHER),
    ):
        if column not in dictionary or "count_voronoi" not in dictionary:
            continue
        with st.container(border=True, gap="xsmall"):
            st.html(tokens.heading(title, about))
            if _counted(dictionary, region, column) is not None:
                share = (
                    np.array([score.value for score in scores[:BARS_SHOWN]]) / region.count_voronoi
                )
                names = [score.token for score in scores[:BARS_SHOWN]]
                chart(
                    figures.shares(names, share, shade, frame.is_dark()), f"region_chart_{column}"
                )


def _counted(dictionary: Dictionary, region: Region, column: str) -> np.ndarray | None:
    """The region's counts; None, and a line that says why, where there is nothing to draw."""
    counts = np.asarray(dictionary.row(column, region.id))
    if not counts.sum():
        messages.quiet(NO_NEXT if region.count_voronoi else NO_MEMBER)
        return None
    return counts
