"""The Region page's cards of a region's shape: histograms of its members' distances and positions,
and their most frequent tokens.
"""

from __future__ import annotations

import numpy as np
import streamlit as st

from ep.method.dictionary import Dictionary
from ep.method.region import Region
from ep.views import figures
from ep.views.palette import OTHER
from pages.shared import frame, messages, tokens
from pages.shared.chart import chart

BARS_SHOWN = 6
NO_MEMBER = "No activation is nearest to this exemplar any more, so there is nothing to count."
NO_NEXT = "None of its members has a token after it."


def is_known(dictionary: Dictionary) -> bool:
    """Return whether the file has data for any of these cards."""
    return "count_voronoi" in dictionary and any(name in dictionary for name in COLUMNS)


COLUMNS = ("distance_histogram", "position_histogram", "token_counts", "next_counts")


def histograms_card(dictionary: Dictionary, region: Region, color: str) -> None:
    """Draw the card with those histograms of distance and position that the file contains."""
    present = [name for name in COLUMNS[:2] if name in dictionary and "count_voronoi" in dictionary]
    if not present:
        return
    with st.container(border=True, gap="xsmall"):
        if "distance_histogram" in present:
            _distance(dictionary, region, color)
        if "position_histogram" in present:
            _position(dictionary, region)


def _distance(dictionary: Dictionary, region: Region, color: str) -> None:
    """Draw the histogram of the members' distances to the exemplar."""
    theta = dictionary.threshold
    st.html(
        tokens.heading("Distance to the exemplar", f"n = {region.count_voronoi:,} Voronoi members")
    )
    if (counts := _counts_or_reason(dictionary, region, "distance_histogram")) is not None:
        edges = np.linspace(0, theta, len(counts) + 1)
        figure = figures.histogram(
            counts,
            edges,
            color,
            frame.is_dark(),
            x_title=dictionary.distance_name,
            noun="members",
            threshold=theta,
        )
        chart(figure, "region_chart_distance")


def _position(dictionary: Dictionary, region: Region) -> None:
    """Draw the histogram of the members' positions in their passages."""
    st.html(tokens.heading("Position", "tokens from the start of the passage"))
    if (counts := _counts_or_reason(dictionary, region, "position_histogram")) is not None:
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


def tokens_cards(dictionary: Dictionary, region: Region, color: str) -> None:
    """Draw the cards with the most frequent tokens of the members and of the positions after them,
    where the file contains them.
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
            if _counts_or_reason(dictionary, region, column) is not None:
                share = (
                    np.array([score.value for score in scores[:BARS_SHOWN]]) / region.count_voronoi
                )
                names = [score.token for score in scores[:BARS_SHOWN]]
                chart(
                    figures.shares(names, share, shade, frame.is_dark()), f"region_chart_{column}"
                )


def _counts_or_reason(dictionary: Dictionary, region: Region, column: str) -> np.ndarray | None:
    """Return the region's counts in a column; None, after drawing the reason, if all are zero."""
    counts = np.asarray(dictionary.row(column, region.id))
    if not counts.sum():
        messages.quiet(NO_NEXT if region.count_voronoi else NO_MEMBER)
        return None
    return counts
