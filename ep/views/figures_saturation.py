"""The figure of a comparison of domains: K against activations of each text, side by side."""

from __future__ import annotations

import html

import numpy as np
from plotly.graph_objects import Figure, Scatter

from ep.studies.saturation_result import Comparison
from ep.views.figures import drawn, ink
from ep.views.figures_growth import LINES, apart


def curves(one: Comparison, dark: bool, log: bool = False, height: int = 330) -> Figure:
    """Lines of K against activations, each with its name and a mark at its end.

    Trace i is the curve of the i-th text and trace C + i its mark; points of both can be clicked.

    log: whether both axes are logarithmic. height: in pixels.
    """
    figure = drawn(None, dark, height, "activations of each text")
    most = max(domain.regions for domain in one.domains)
    for number, domain in enumerate(one.domains):
        figure.add_trace(
            Scatter(
                x=domain.curve.seen,
                y=domain.curve.regions,
                mode="lines+markers",  # points without a marker cannot be clicked
                line={"color": LINES[number], "width": 2},
                marker={"size": 8, "opacity": 0},
                selected={"marker": {"opacity": 0}},
                unselected={"marker": {"opacity": 0}},
                name=html.escape(domain.name),
                hovertemplate="%{y:,} regions after %{x:,}",
            )
        )
    for number, domain in enumerate(one.domains):
        figure.add_trace(
            Scatter(
                x=[one.n],
                y=[domain.regions],
                mode="markers",
                marker={"color": LINES[number], "size": 11},
                unselected={"marker": {"opacity": 1}},
                name=html.escape(domain.name),
                hovertemplate="its own regions",
            )
        )
    # heights as shares of the axis, on either scale
    scale = np.log10 if log else np.asarray
    low, high = (float(scale(1.0)), float(scale(most * 1.4))) if log else (0.0, 1.12 * most)
    heights = [(float(scale(d.regions)) - low) / (high - low) for d in one.domains]
    for domain, y in zip(one.domains, apart(heights), strict=True):
        figure.add_annotation(
            x=float(scale(one.n)),
            y=low + y * (high - low),
            text=f"{html.escape(domain.name)} · {domain.regions:,}",
            showarrow=False,
            xanchor="left",
            xshift=9,
            font={"size": 11, "color": ink(dark)},
        )
    if log:
        end = float(np.log10(one.n))
        figure.update_xaxes(type="log", range=[0, 1.24 * end], tickformat=",d", dtick=1)
        figure.update_yaxes(type="log", range=[low, high], tickformat=",d", dtick=1)
    else:
        figure.update_xaxes(range=[0, 1.24 * one.n], tickformat=",d")
        figure.update_yaxes(range=[low, high], tickformat=",d")
    return figure
