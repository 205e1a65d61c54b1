"""The chart of one token's rank over the layers of a model.

In the style of `figures.py`, which has the other charts. This module depends neither on a model nor
on Streamlit.
"""

from __future__ import annotations

import numpy as np
from plotly.graph_objects import Figure, Scatter

from ep.shapes import Int
from ep.views.figures import NEUTRAL, drawn

COLOR = "#5199e5"


def ranks_by_layer(
    ranks: Int[np.ndarray, " layers"],
    vocabulary_size: int,
    dark: bool,
    *,
    layer: int | None = None,
    height: int = 176,
) -> Figure:
    """The rank of a token at each layer, on a logarithmic axis with rank 1 on top.

    ranks: one of each layer, from 1. layer: the one marked by a line, if any. height: in pixels.
    """
    figure = drawn(None, dark, height, "layer")
    figure.add_trace(
        Scatter(
            x=np.arange(len(ranks), dtype=np.int32),
            y=np.asarray(ranks, np.int32),
            mode="lines+markers",
            line={"color": COLOR, "width": 1.8},
            marker={"size": 4, "color": COLOR},
            hovertemplate="layer %{x}: rank %{y:,}<extra></extra>",
        )
    )
    if layer is not None:
        figure.add_vline(x=layer, line={"width": 1.2, "dash": "dot", "color": NEUTRAL})
    decades = [10**i for i in range(len(str(max(1, vocabulary_size))))]
    # a reversed range: rank 1 is the best, and half a step of air keeps its marker whole
    figure.update_yaxes(
        type="log",
        range=[np.log10(max(2, vocabulary_size)), -0.25],
        tickvals=decades,
        ticktext=[f"{rank:,}" for rank in decades],
    )
    figure.update_xaxes(range=[-0.5, len(ranks) - 0.5], nticks=8)
    return figure
