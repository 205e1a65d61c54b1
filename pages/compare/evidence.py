"""What a region is on either side of a comparison: name, lens tokens, excerpts, positions."""

from __future__ import annotations

import streamlit as st

from ep.method.dictionary import Dictionary
from ep.method.region import Region
from ep.views import excerpts, figures
from ep.views.palette import region_color
from pages.shared import frame, loading, messages, tokens
from pages.shared.chart import chart

EXCERPTS, LENS = 5, 6


def draw(dictionary: Dictionary, region: Region, tint: str, key: str) -> None:
    """Draw the name, the lens tokens, the excerpts and the positions of a region, as far as
    the file has them.

    tint: colour of the chart of positions.
    key: its widget key.
    """
    color = region_color(dictionary, region.id)
    name = tokens.escape(loading.cells(dictionary, [region.id])[0])
    st.html(f'<div class="ep-row"><b>{name}</b></div>')
    lens = region.lens.get("mean_up") or region.lens.get("exemplar_up") or region.tokens
    if lens:
        chips = tokens.chips([score.token for score in lens[:LENS]], color)
        st.html(f'<div class="ep-k">{"Lens tokens" if region.lens else "Tokens"}</div>{chips}')
    rows = [excerpts.aligned(excerpt) for excerpt in region.excerpts[:EXCERPTS]]
    if rows:
        st.html(tokens.aligned(rows, color))
    else:
        messages.quiet("This file holds no excerpt of this region.")
    if "position_histogram" in dictionary:
        _positions(dictionary, region.id, tint, key)


def _positions(dictionary: Dictionary, region: int, tint: str, key: str) -> None:
    """Draw the histogram of the members' positions in the passages of the build."""
    counts = dictionary.row("position_histogram", region)
    chart(
        figures.histogram(
            counts,
            dictionary.position_edges(len(counts)),
            tint,
            frame.is_dark(),
            x_title="position in the passage",
            noun="members",
            digits=0,
            height=110,
        ),
        key,
    )
