"""Laws of the charts: what goes in is what is drawn, on a transparent page, with every token
escaped.
"""

from __future__ import annotations

import json

import numpy as np
import pytest

from ep.views import figures
from ep.views.palette import GROUP_COLORS
from tests.fixtures.dictionaries import HOSTILE


def _all(dark: bool) -> dict[str, figures.Figure]:
    tokens = list(HOSTILE)
    n = len(tokens)
    values = np.linspace(0.1, 0.9, n)
    counts = np.arange(32)
    return {
        "histogram": figures.histogram(
            counts,
            np.linspace(0, 0.5, 33),
            "#5199e5",
            dark,
            x_title="cosine distance",
            noun="members",
            threshold=0.5,
        ),
        "shares": figures.shares(tokens, values[::-1], "#5199e5", dark),
        "cosines": figures.cosines(range(n), tokens, values, ["#5199e5"] * n, dark),
        "distances": figures.token_distances(
            tokens, values, ["#5199e5"] * n, 0.5, dark, usual=(0.1, 0.4), locked=n - 1
        ),
        "path": figures.layer_path(np.zeros((2, n)), (2, 4), tokens, GROUP_COLORS, dark),
    }


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("kind", ["histogram", "shares", "cosines", "distances", "path"])
def test_every_figure_is_transparent_untitled_and_travels_as_json(kind: str, dark: bool) -> None:
    figure = _all(dark)[kind]
    assert figure.layout.paper_bgcolor == figure.layout.plot_bgcolor == "rgba(0,0,0,0)"
    assert figure.layout.title.text is None
    assert figure.layout.showlegend is False
    json.loads(figure.to_json())


@pytest.mark.parametrize("kind", ["shares", "cosines", "distances", "path"])
def test_no_token_reaches_a_chart_as_markup(kind: str) -> None:
    """plotly reads a dialect of HTML in its labels; the only tags in a figure are those of our
    hover templates.
    """
    text = json.dumps(json.loads(_all(False)[kind].to_json()), ensure_ascii=False)
    assert "<" not in text.replace("<extra></extra>", "")
    assert "\\u0000" not in text


def test_a_histogram_draws_its_counts_over_its_bins() -> None:
    counts, edges = np.arange(16), np.linspace(0, 128, 17)
    figure = figures.histogram(counts, edges, "#5199e5", False, noun="members", digits=0)
    bars = figure.data[0]
    assert np.array_equal(bars.y, counts)
    assert np.allclose(bars.x, (edges[1:] + edges[:-1]) / 2)
    assert np.all(np.asarray(bars.width) <= np.diff(edges))
    assert not figure.layout.shapes


def test_arrays_are_sent_as_small_numbers() -> None:
    for figure in _all(False).values():
        values = figure.data[0].z if figure.data[0].type == "heatmap" else figure.data[0].y
        assert np.asarray(values).dtype in (np.float32, np.int32)


def test_a_chart_of_distances_keeps_the_threshold_in_view() -> None:
    for distances in (np.full(4, 0.01), np.full(4, 1.9), np.array([np.nan, 0.2])):
        figure = figures.token_distances(
            ["a"] * len(distances), distances, ["#5199e5"] * len(distances), 0.5, False
        )
        assert figure.layout.yaxis.range[1] > 0.5
        assert figure.layout.yaxis.range[1] >= np.nanmax(distances)


def test_the_layer_path_tells_beyond_theta_from_no_region() -> None:
    figure = figures.layer_path(np.array([[0, -1, -2, 7]]), (3,), list("abcd"), GROUP_COLORS, False)
    heat = figure.data[0]
    assert np.isnan(heat.z[0][2]) and heat.z[0][1] == -1
    width = 1 / (heat.zmax - heat.zmin)
    scale = {round(edge, 6): color for edge, color in heat.colorscale[::2]}
    for value, color in ((-1, figures.NEUTRAL), (0, GROUP_COLORS[0]), (7, GROUP_COLORS[7])):
        assert scale[round((value - 0.5 - heat.zmin) * width, 6)] == color


def test_shares_of_nothing_and_of_one_are_drawn() -> None:
    assert len(figures.shares([], np.zeros(0), "#5199e5", False).data[0].y) == 0
    assert figures.shares(["a"], np.ones(1), "#5199e5", False).data[0].text == ("100 %",)
