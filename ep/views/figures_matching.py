"""Charts of two matched dictionaries: cosines of pairs, positions of a region, and AUROCs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from plotly.graph_objects import Bar, Figure, Scatter

from ep.views.figures import LINE, NEUTRAL, drawn, histogram, ink

BINS = 40


def matched(
    cosine: np.ndarray,
    nulls: Mapping[str, np.ndarray],
    cutoff: float,
    color: str,
    dark: bool,
    height: int = 168,
) -> Figure:
    """A histogram of the pairs' cosines, with up to two nulls as lines and the cutoff.

    cosine: (n,) cosine of each pair.
    nulls: name of each null and the cosines of its pairs; it is scaled to n pairs, and the second
        is dotted.
    cutoff: the cosine from which a pair persists.
    """
    # The axis begins at 0, or at the lowest cosine rounded down to a tenth.
    low = min(0.0, max(-1.0, np.floor(float(np.min(cosine, initial=0)) * 10) / 10))
    edges = np.linspace(low, 1, BINS + 1)
    counts = np.histogram(np.clip(cosine, low, 1), edges)[0]
    figure = histogram(
        counts, edges, color, dark, x_title="cosine with the partner", noun="pairs", height=height
    )
    most = float(counts.max(initial=1))
    for dash, (name, values) in zip(("solid", "dot"), nulls.items(), strict=False):
        line = np.histogram(np.clip(values, low, 1), edges)[0] * (len(cosine) / max(1, len(values)))
        most = max(most, float(line.max()))
        figure.add_trace(
            Scatter(
                x=(edges[:-1] + edges[1:]) / 2,
                y=line.astype(np.float32),
                mode="lines",
                line={"color": ink(dark, strong=True), "width": 1.6, "shape": "hvh", "dash": dash},
                hovertemplate=f"{name}: %{{y:.0f}} pairs<extra></extra>",
            )
        )
    figure.update_yaxes(range=[0, most * 1.22])
    figure.update_xaxes(range=[low, 1.02])
    figure.add_vline(
        x=cutoff, **LINE, annotation_text=f"cutoff {cutoff:.2f} ", annotation_position="top left"
    )
    return figure


def places(
    shares: Sequence[np.ndarray],
    names: Sequence[str],
    colors: Sequence[str],
    dark: bool,
    height: int = 190,
) -> Figure:
    """Share of prompts that lie in a region at each of their last positions, the last on the right.

    shares: for each group of prompts, the share at 0, 1, 2, … tokens before the last; NaN draws no
        bar.
    names, colors: of the groups.
    """
    figure = drawn(None, dark, height, "tokens before the prompt's last one (0)")
    for share, name, color in zip(shares, names, colors, strict=True):
        steps = np.arange(len(share), dtype=np.int32)
        figure.add_trace(
            Bar(
                x=-steps,
                y=np.nan_to_num(share).astype(np.float32),
                marker={"color": color, "line_width": 0},
                hovertemplate=f"{name}: %{{y:.0%}} of prompts, %{{customdata}} before the "
                "last<extra></extra>",
                customdata=steps,
            )
        )
    longest = max(map(len, shares), default=1)
    figure.update_layout(barmode="group", bargap=0.2, bargroupgap=0.05)
    figure.update_yaxes(range=[0, 1.04], tickformat=".0%")
    figure.update_xaxes(
        tickvals=[-step for step in range(0, longest, 2)],
        ticktext=[str(step) for step in range(0, longest, 2)],
    )
    return figure


def aurocs(
    names: Sequence[str],
    values: Sequence[float],
    intervals: Sequence[tuple[float, float]],
    colors: Sequence[str],
    dark: bool,
) -> Figure:
    """One bar per dictionary from chance (0.5) to its AUROC, with its interval.

    names, values, intervals, colors: of each dictionary; intervals as (low, high).
    """
    rows = np.arange(len(names), dtype=np.int32)
    reach = np.asarray(values, np.float64)
    low, high = np.asarray(intervals, np.float64).T
    bars = Bar(
        y=rows,
        x=reach - 0.5,
        base=0.5,
        orientation="h",
        marker={"color": list(colors), "line_width": 0},
        error_x={
            "array": high - reach,
            "arrayminus": reach - low,
            "color": ink(dark, strong=True),
            "thickness": 1.4,
            "width": 5,
        },
        hovertemplate="%{customdata}<extra></extra>",
        customdata=[
            f"{v:.3f} ({a:.3f} to {b:.3f})" for v, a, b in zip(values, low, high, strict=True)
        ],
    )
    figure = drawn(bars, dark, 40 + 34 * len(names), "AUROC, harmful-style against other prompts")
    figure.update_layout(bargap=0.36)
    figure.update_yaxes(
        tickvals=rows, ticktext=list(names), autorange="reversed", showgrid=False, ticks=""
    )
    figure.update_xaxes(
        range=[min(0.4, float(low.min()) - 0.02), 1.02], tickvals=[0.5, 0.6, 0.7, 0.8, 0.9, 1.0]
    )
    figure.add_vline(x=0.5, line_width=1.2, line_dash="dot", line_color=NEUTRAL)
    return figure
