"""Figures of a running build: K against activations, and the cells of its exemplars so far."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from plotly.graph_objects import Figure, Scatter

from ep.views import flat
from ep.views.figures import drawn, ink
from ep.views.palette import GROUP_COLORS, sequential

LINES = (*GROUP_COLORS[1:], GROUP_COLORS[0])
"""The colours of the curves, the palest last."""
AGES = 8
"""Steps of colour from the oldest to the newest cells."""
NEWEST = 8
"""Newest cells, which are drawn in ink."""
LEAST_GAP = 0.075
"""Least distance between two labels, as a share of the height."""


@dataclass(frozen=True)
class Curve:
    """How one dictionary grows: K regions (n,) after so many activations (n,), under a name."""

    name: str
    seen: Sequence[int]
    regions: Sequence[int]


def growth(
    curves: Sequence[Curve], dark: bool, total: int | None = None, height: int = 250
) -> Figure:
    """Lines of K against activations, each with its name at its end.

    curves: one for each layer and percentile; empty ones are left out.
    total: the activations that will be streamed, for the extent of the axis; None if not known.
    height: in pixels.
    """
    figure = drawn(None, dark, height, "activations")
    curves = [curve for curve in curves if len(curve.seen)]
    most = max((max(curve.regions) for curve in curves), default=1)
    end = max([total or 0, *(max(curve.seen) for curve in curves)], default=1)
    for number, curve in enumerate(curves):
        figure.add_trace(
            Scatter(
                x=np.array([0, *curve.seen], np.int64),
                y=np.array([0, *curve.regions], np.int64),
                mode="lines",
                line={"color": LINES[number % len(LINES)], "width": 2},
                name=html.escape(curve.name),
                hovertemplate="%{y:,} regions after %{x:,}",
            )
        )
    for curve, y in zip(curves, apart([curve.regions[-1] / most for curve in curves]), strict=True):
        figure.add_annotation(
            x=curve.seen[-1],
            y=y * most,
            text=f"{html.escape(curve.name)} · {curve.regions[-1]:,}",
            showarrow=False,
            xanchor="left",
            xshift=5,
            font={"size": 11, "color": ink(dark)},
        )
    # room on the right for the names, wherever the curves have got to
    figure.update_xaxes(range=[0, 1.24 * max(1, end)], tickformat=",d")
    figure.update_yaxes(range=[0, 1.12 * max(1, most)], tickformat=",d")
    return figure


def apart(heights: Sequence[float]) -> list[float]:
    """Return heights, in [0, 1], that are moved up as far as labels at them would overlap."""
    placed, last = [0.0] * len(heights), -1.0
    for index in np.argsort(heights, kind="stable"):
        last = max(float(heights[index]), last + LEAST_GAP)
        placed[int(index)] = last
    return placed


def cells(
    points: np.ndarray, ids: Sequence[int], size: int, dark: bool, height: int = 340
) -> Figure:
    """A flat map of exemplars: the older a cell, the fainter; the newest in ink.

    points: (n, 2) or more columns, n ≥ 1. ids: (n,) their regions, in rising order.
    size: K, the number of regions there are. height: in pixels.
    """
    figure = drawn(None, dark, height)
    shapes = flat.cells(np.asarray(points, np.float64))
    regions = np.asarray(ids)
    step = np.minimum(AGES - 1, regions * AGES // max(1, size))
    step[regions >= size - NEWEST] = AGES
    ramp = sequential(dark)
    colors = [ramp[1 + n] for n in range(AGES)] + [ink(dark, strong=True)]
    starts = np.concatenate([[0], np.cumsum(shapes.counts, dtype=np.int64)])
    edge = "#11141b" if dark else "#ffffff"
    for age, color in enumerate(colors):
        outlines = [
            _closed(shapes.vertices[shapes.corners[starts[cell] : starts[cell + 1]]])
            for cell in np.flatnonzero(step == age)
        ]
        if outlines:
            corners = np.concatenate(outlines)
            figure.add_trace(
                Scatter(
                    x=corners[:, 0],
                    y=corners[:, 1],
                    fill="toself",
                    mode="lines",
                    fillcolor=color,
                    line={"color": edge, "width": 1},
                    hoverinfo="skip",
                )
            )
    figure.add_trace(
        Scatter(
            x=shapes.centers[:, 0],
            y=shapes.centers[:, 1],
            mode="markers",
            marker={"size": 9, "opacity": 0},
            customdata=regions,
            hovertemplate="region %{customdata}<extra></extra>",
        )
    )
    figure.update_xaxes(visible=False)
    figure.update_yaxes(visible=False, scaleanchor="x")
    return figure


def _closed(corners: np.ndarray) -> np.ndarray:
    """Return a polygon that ends where it starts, and a gap after it."""
    return np.concatenate([corners, corners[:1], np.full((1, 2), np.nan)])
