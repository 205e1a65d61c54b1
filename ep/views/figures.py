"""Two-dimensional charts as plotly figures with one common style.

Every function takes plain arrays, colours and whether the page is dark, and returns a figure that
looks the same on a page and in an export. Tokens are escaped here, because plotly interprets labels
as a subset of HTML. Only the modules `figures*` use plotly; they depend neither on Streamlit nor on
files.
"""

from __future__ import annotations

import html
from collections.abc import Sequence

import numpy as np
from plotly.graph_objects import Bar, Figure, Heatmap

from ep.text import label

GRID = "rgba(128,138,155,.18)"
TICK = "rgba(128,138,155,.45)"
BAND = "rgba(128,138,155,.16)"
NEUTRAL = "#8a93a6"
SANS = "Source Sans, sans-serif"
MONO = "Source Code Pro, monospace"
LINE = {"line_width": 1.2, "line_dash": "dot", "line_color": NEUTRAL, "annotation_font_size": 11}
CONFIG = {"displayModeBar": False, "displaylogo": False}


def histogram(
    counts: np.ndarray,
    edges: np.ndarray,
    color: str,
    dark: bool,
    *,
    x_title: str | None = None,
    noun: str,
    digits: int = 2,
    threshold: float | None = None,
    height: int = 150,
) -> Figure:
    """A histogram of given counts.

    counts: (b,) heights of the bars.
    edges: (b + 1,) rising edges of the bins.
    color: of the bars. dark: whether the page is dark.
    x_title: title of the x axis, if any.
    noun: what is counted, for the hover text.
    digits: decimals of the edges in the hover text.
    threshold: where the line θ is drawn, None for no line.
    height: in pixels.
    """
    low, high = (np.asarray(part, np.float32) for part in (edges[:-1], edges[1:]))
    spans = [f"{a:.{digits}f} – {b:.{digits}f}" for a, b in zip(low, high, strict=True)]
    bars = Bar(
        x=(low + high) / 2,
        y=np.asarray(counts, np.int32),
        width=(high - low) * 0.94,
        marker={"color": color, "line_width": 0},
        customdata=spans,
        hovertemplate=f"%{{customdata}}: %{{y:,}} {noun}<extra></extra>",
    )
    figure = drawn(bars, dark, height, x_title)
    most = max(1, int(np.max(counts, initial=0)))
    room = 1.22 if threshold else 1.08  # headroom for the line's label
    figure.update_xaxes(range=[float(low[0]), float(high[-1]) * 1.02])
    figure.update_yaxes(range=[0, most * room], tickformat=",d", dtick=1 if most < 5 else None)
    if threshold is not None:
        figure.add_vline(
            x=threshold,
            **LINE,
            annotation_text=f"θ {threshold:.2f} ",
            annotation_position="top left",
        )
    return figure


def shares(names: Sequence[str], share: np.ndarray, color: str, dark: bool) -> Figure:
    """Horizontal bars of the shares of named tokens, each in [0, 1], in the given order.

    names, share: the tokens and their shares, the largest first.
    """
    values = np.asarray(share, np.float32)
    text = [f"{100 * v:.0f} %" if v >= 0.1 else f"{100 * v:.1f} %" for v in values]
    figure = _named_bars([label(name) for name in names], values, [color] * len(values), text, dark)
    figure.update_xaxes(
        showticklabels=False, ticks="", range=[0, float(values.max(initial=0)) * 1.22 or 1]
    )
    return figure


def cosines(
    regions: Sequence[int],
    names: Sequence[str],
    cosine: np.ndarray,
    colors: Sequence[str],
    dark: bool,
    title: str = "cosine with the exemplar",
) -> Figure:
    """Horizontal bars of one activation's cosine with several exemplars, in the given order.

    regions, names, colors: ids, tokens and colours of the regions, the closest first.
    cosine: (n,) cosine with each exemplar, or another number, which `title` names.
    """
    values = np.asarray(cosine, np.float32)
    labels = [f"{k}  {label(name)}" for k, name in zip(regions, names, strict=True)]
    figure = _named_bars(labels, values, list(colors), [f"{v:.2f}" for v in values], dark, title)
    most = max(1.0, float(values.max(initial=0)))
    figure.update_xaxes(
        range=[min(0.0, float(values.min(initial=0))), 1.12 * most], tickvals=[0, most / 2, most]
    )
    return figure


def token_distances(
    tokens: Sequence[str],
    distance: np.ndarray,
    colors: Sequence[str],
    threshold: float,
    dark: bool,
    *,
    usual: tuple[float, float] | None = None,
    locked: int | None = None,
) -> Figure:
    """One bar per token with its distance to the nearest exemplar, and a line at θ.

    tokens, colors: text and colour of each of t tokens.
    distance: (t,) distances; NaN leaves a gap.
    threshold: θ.
    usual: the distances between which 90 % of the build's own activations lie, drawn as a band.
    locked: index of the token drawn with an outline.
    """
    values = np.asarray(distance, np.float32)
    outline = np.zeros(len(values), np.float32)
    if locked is not None:
        outline[locked] = 1.8
    bars = Bar(
        x=np.arange(len(values), dtype=np.int32),
        y=values,
        marker={"color": list(colors), "line": {"width": outline, "color": ink(dark, strong=True)}},
        customdata=[_escape(label(token)) for token in tokens],
        hovertemplate="token %{x} · %{customdata} · distance %{y:.2f}<extra></extra>",
    )
    figure = drawn(bars, dark, 140)
    figure.update_layout(bargap=0.18)
    top = max(threshold * 1.2, float(np.nanmax(values, initial=0)) * 1.06)
    figure.update_yaxes(range=[0, top])
    # Leave room for the line's label beside the bars; at least twelve bars wide.
    figure.update_xaxes(range=[-0.7, max(len(values), 12) * 1.05])
    if usual is not None:
        figure.add_hrect(y0=usual[0], y1=usual[1], fillcolor=BAND, line_width=0, layer="below")
    figure.add_hline(
        y=threshold, **LINE, annotation_text=f"θ {threshold:.2f}", annotation_position="top right"
    )
    return figure


def layer_path(
    groups: np.ndarray,
    layers: Sequence[int],
    tokens: Sequence[str],
    palette: Sequence[str],
    dark: bool,
) -> Figure:
    """A heat map with one row per layer, the last on top, and one column per token.

    groups: (layers, tokens) int, the neighbourhood of each token's region at each layer, in
        [0, len(palette)); −1 (beyond θ) is drawn grey, −2 (no region) is left blank.
    layers: numbers of the layers. tokens: their texts.
    palette: the colour of each neighbourhood.
    """
    cells = np.array(groups, np.float32)
    cells[cells < -1] = np.nan
    colors = (NEUTRAL, *palette)
    steps = len(colors)
    # Plotly interpolates between colours: giving each colour at both ends of its interval makes the
    # scale a step function, and the range [-1.5, steps - 1.5] centres step i on the value i - 1.
    scale = [
        [edge, color] for i, color in enumerate(colors) for edge in (i / steps, (i + 1) / steps)
    ]
    heat = Heatmap(
        z=cells,
        y=[f"L{layer}" for layer in layers],
        zmin=-1.5,
        zmax=steps - 1.5,
        colorscale=scale,
        showscale=False,
        xgap=1,
        ygap=2,
        hoverongaps=False,
        customdata=np.broadcast_to(
            np.array([_escape(label(token)) for token in tokens]), cells.shape
        ).tolist(),
        hovertemplate="%{y} · token %{x} · %{customdata}<extra></extra>",
    )
    figure = drawn(heat, dark, 44 + 20 * len(layers))
    figure.update_yaxes(showgrid=False, ticks="", nticks=0, dtick=1)
    # The same range as in `token_distances`, so that the two charts line up.
    figure.update_xaxes(range=[-0.7, max(len(tokens), 12) * 1.05])
    return figure


def _named_bars(
    names: list[str],
    values: np.ndarray,
    colors: list[str],
    text: list[str],
    dark: bool,
    x_title: str | None = None,
) -> Figure:
    """Horizontal bars, the first on top.

    Names may repeat, so the bars are placed by row number and the names given as tick labels.
    """
    rows = np.arange(len(names), dtype=np.int32)
    bars = Bar(
        y=rows,
        x=values,
        orientation="h",
        marker={"color": colors, "line_width": 0},
        text=text,
        textposition="outside",
        textfont_size=11,
        cliponaxis=False,
        hoverinfo="skip",
    )
    figure = drawn(bars, dark, 26 + 24 * max(1, len(names)) + (22 if x_title else 0), x_title)
    figure.update_layout(bargap=0.28)
    figure.update_yaxes(
        tickvals=rows,
        ticktext=[_escape(name if len(name) <= 18 else name[:17] + "…") for name in names],
        autorange="reversed",
        showgrid=False,
        ticks="",
        tickfont_family=MONO,
    )
    return figure


def drawn(
    trace: Bar | Heatmap | None, dark: bool, height: int, x_title: str | None = None
) -> Figure:
    """A figure in the style of all charts: no frame, a faint grid, no legend, no tool bar.

    trace: the first trace, if any. height: in pixels.
    """
    figure = Figure(trace)
    figure.update_layout(
        height=height,
        margin={"l": 4, "r": 6, "t": 4, "b": 4},
        bargap=0.06,
        showlegend=False,
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        hoverlabel={"font": {"size": 12, "family": SANS}},
        font={"size": 11.5, "family": SANS, "color": ink(dark)},
        dragmode=False,
    )
    axes = {
        "showline": False,
        "zeroline": False,
        "ticks": "outside",
        "ticklen": 3,
        "tickcolor": TICK,
        "tickfont_size": 11,
        "title_font_size": 11,
        "title_standoff": 6,
        "nticks": 5,
        "gridcolor": GRID,
        "automargin": True,
        "fixedrange": True,
    }
    figure.update_xaxes(**axes, showgrid=False, title_text=x_title)
    figure.update_yaxes(**axes, showgrid=True)
    return figure


def ink(dark: bool, strong: bool = False) -> str:
    """The colour of text on a chart; with `strong`, the colour of the page's own text."""
    if strong:
        return "#e4e8f0" if dark else "#1d2433"
    return "#9aa4b6" if dark else "#5b6477"


def _escape(text: str) -> str:
    return html.escape(text, quote=False)
