"""The dose-response chart of steering: effect, coherence and control against strength.

In the style of `figures.py`, which has the other charts. This module depends neither on a model nor
on Streamlit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from plotly.graph_objects import Figure, Scatter

from ep.studies.steering import Dose
from ep.views.figures import SANS, drawn, ink

EFFECT, COHERENCE, CONTROL, ZONE = "#5199e5", "#498267", "#8a93a6", "#bd5f2b"


class _Curve(NamedTuple):
    """One line of the chart.

    title: its name, written beside it.
    share, low, high: (n,) the share at each strength and the ends of its interval, in [0, 1].
    dash: style of the line, "solid" or "dot".
    """

    title: str
    color: str
    share: np.ndarray
    low: np.ndarray
    high: np.ndarray
    dash: str


def dose(
    steered: Sequence[Dose],
    control: Sequence[Dose],
    strength: float,
    degenerates: float | None,
    effect: str,
    dark: bool,
    *,
    x_title: str = "strength, in typical norms",
    height: int = 262,
) -> Figure:
    """Shares of prompts against strength in typical norms, with shaded 95 % intervals.

    steered, control: results for the steered direction and the random control, at the same
        strengths in rising order.
    strength: the current setting, marked by a line.
    degenerates: strength from which the text degenerates, where the hatched zone begins; None for
        no zone.
    effect: what the judge counts, in one word.
    """
    x = np.array([one.strength for one in steered], np.float32)
    curves = [
        _curve("random control", CONTROL, [one.effect for one in control], "dot"),
        _curve(
            "coherent",
            "#65c6b0" if dark else COHERENCE,
            [one.coherence for one in steered],
            "solid",
        ),
        _curve(effect, EFFECT, [one.effect for one in steered], "solid"),
    ]
    figure = drawn(None, dark, height, x_title)
    stop = float(x[-1])
    if degenerates is not None:  # far into the zone nothing changes any more
        stop = min(stop, max(2 * degenerates, strength))
        _zone(figure, degenerates, stop, dark)
    for curve in curves:
        _band(figure, x, curve)
    for curve in curves:
        _line(figure, x, curve)
    if x[0] <= strength <= x[-1]:
        _present(figure, x, curves, strength, dark)
    _labels(figure, x, curves, strength, degenerates or stop, dark)
    figure.update_xaxes(range=[float(x[0]), stop], nticks=6)
    figure.update_yaxes(range=[-0.03, 1.13], tickvals=[0, 0.25, 0.5, 0.75, 1], tickformat=".0%")
    return figure


def _curve(title: str, color: str, rates: Sequence[object], dash: str) -> _Curve:
    ends = [rate.interval or (0.0, 1.0) for rate in rates]  # type: ignore[attr-defined]
    share = [rate.value or 0.0 for rate in rates]  # type: ignore[attr-defined]
    low, high = np.array(ends, np.float32).T
    return _Curve(title, color, np.array(share, np.float32), low, high, dash)


def _band(figure: Figure, x: np.ndarray, curve: _Curve) -> None:
    figure.add_trace(
        Scatter(
            x=np.concatenate([x, x[::-1]]),
            y=np.concatenate([curve.high, curve.low[::-1]]),
            fill="toself",
            fillcolor=_faded(curve.color, 0.16),
            line_width=0,
            mode="lines",
            hoverinfo="skip",
        )
    )


def _line(figure: Figure, x: np.ndarray, curve: _Curve) -> None:
    spans = [
        f"{100 * a:.0f} to {100 * b:.0f} %" for a, b in zip(curve.low, curve.high, strict=True)
    ]
    figure.add_trace(
        Scatter(
            x=x,
            y=curve.share,
            mode="lines+markers",
            line={"color": curve.color, "width": 2.2, "dash": curve.dash},
            marker={"size": 4, "color": curve.color},
            customdata=spans,
            hovertemplate=f"{curve.title} %{{y:.0%}} (%{{customdata}}) at "
            f"%{{x:.2f}}<extra></extra>",
        )
    )


def _zone(figure: Figure, start: float, stop: float, dark: bool) -> None:
    figure.add_trace(
        Scatter(
            x=[start, start, stop, stop],
            y=[-0.03, 1.13, 1.13, -0.03],
            fill="toself",
            mode="lines",
            line_width=0,
            fillpattern={
                "shape": "/",
                "size": 7,
                "solidity": 0.12,
                "fgcolor": ZONE,
                "fgopacity": 0.5,
                "bgcolor": _faded(ZONE, 0.06),
            },
            hoverinfo="skip",
        )
    )
    color = "#d9804f" if dark else ZONE
    figure.add_annotation(
        x=(start + stop) / 2,
        y=1.08,
        text="degenerates",
        showarrow=False,
        font={"color": color, "size": 11.5},
    )


def _present(
    figure: Figure, x: np.ndarray, curves: Sequence[_Curve], strength: float, dark: bool
) -> None:
    figure.add_vline(x=strength, line_width=1.6, line_color=_faded(ink(dark, strong=True), 0.45))
    figure.add_trace(
        Scatter(
            x=np.full(len(curves), strength, np.float32),
            y=np.array([np.interp(strength, x, curve.share) for curve in curves], np.float32),
            mode="markers",
            marker={
                "size": 9,
                "color": [curve.color for curve in curves],
                "line": {"width": 1.5, "color": "#11141b" if dark else "#ffffff"},
            },
            hoverinfo="skip",
        )
    )


def _labels(
    figure: Figure,
    x: np.ndarray,
    curves: Sequence[_Curve],
    strength: float,
    stop: float,
    dark: bool,
) -> None:
    """Write each curve's name where the curve is flat and its name is clear of everything else.

    The name stands above the curve; that of a dotted curve stands below, unless there is no room.
    stop: the strength up to which names may stand.
    """
    span = stop - float(x[0])
    grid = np.linspace(float(x[0]) + 0.12 * span, stop - 0.12 * span, 49)
    heights = np.array([np.interp(grid, x, curve.share) for curve in curves])
    slopes = np.abs(np.gradient(heights, grid / span, axis=1))
    placed: list[tuple[float, float]] = []
    # Of 49 positions each curve takes the best by a sum of scores: vertical distance to the other
    # curves, distance to the line of the current setting, distance to names placed before, and a
    # penalty for steepness. Every score is capped, so that none outweighs the others.
    for number, curve in enumerate(curves):
        above = curve.dash == "solid" or float(heights[number].max()) < 0.2
        at = heights[number] + (0.06 if above else -0.06)
        room = np.minimum(np.abs(np.delete(heights, number, axis=0) - at).min(axis=0), 0.15)
        away = np.minimum(np.abs(grid - strength) / span, 0.16)
        near = np.array(
            [
                [abs(g - a) / span + abs(h - b) for a, b in placed]
                for g, h in zip(grid, at, strict=True)
            ]
        )
        clear = np.minimum(near.min(axis=1), 0.35) if placed else 0.0
        best = int(np.argmax(room + away + clear - 0.08 * np.minimum(slopes[number], 6)))
        placed.append((float(grid[best]), float(at[best])))
        figure.add_annotation(
            x=grid[best],
            y=heights[number, best],
            text=curve.title,
            showarrow=False,
            yshift=11 if above else -11,
            font={
                "color": curve.color if dark else _darker(curve.color),
                "size": 11.5,
                "family": SANS,
            },
        )


def _faded(color: str, alpha: float) -> str:
    red, green, blue = (int(color[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},{alpha})"


def _darker(color: str) -> str:
    return "#" + "".join(f"{int(int(color[i : i + 2], 16) * 0.75):02x}" for i in (1, 3, 5))
