"""A region has one colour everywhere; the map moves its lightness a little, never its group."""

from __future__ import annotations

import numpy as np
import pytest

from ep.views import palette
from tests.fixtures.dictionaries import synthetic


def test_a_region_has_the_colour_of_its_neighbourhood() -> None:
    dictionary = synthetic(120, 16)
    groups = dictionary.column("neighbourhood")
    colors = palette.group_colors(dictionary)
    assert palette.region_colors(dictionary) == [colors[g] for g in groups]
    assert all(palette.region_color(dictionary, k) == colors[groups[k]] for k in range(120))
    assert palette.region_colors(dictionary, [5, 3]) == [colors[groups[5]], colors[groups[3]]]


def test_the_jitter_of_the_map_is_fixed_and_bounded() -> None:
    dictionary = synthetic(400, 16)
    jittered = palette.map_colors(dictionary).astype(float)
    np.testing.assert_array_equal(jittered, palette.map_colors(dictionary))
    plain = palette.rgb(palette.region_colors(dictionary)).astype(float)
    lightest, darkest = (
        plain + (255 - plain) * palette.JITTER_WHITE,
        plain * (1 - palette.JITTER_BLACK),
    )
    assert (jittered <= lightest + 1).all() and (jittered >= darkest - 1).all()
    assert len(np.unique(jittered, axis=0)) > 50


@pytest.mark.parametrize("dark", [False, True])
def test_more_leaves_the_colour_of_the_page(dark: bool) -> None:
    page = np.array([0x11, 0x14, 0x1B] if dark else [255, 255, 255], float)
    steps = palette.on_ramp(np.linspace(0, 1, 50), palette.sequential(dark)).astype(float)
    away = np.linalg.norm(steps - page, axis=1)
    assert (np.diff(away) > -1.5).all() and away[-1] > 2 * away[0]
    np.testing.assert_array_equal(
        palette.on_ramp(np.array([np.nan, -3, 9]), palette.sequential(dark))[1:],
        steps[[0, -1]],
    )


def test_every_scale_is_made_of_colours() -> None:
    for scale in (
        palette.GROUP_COLORS,
        palette.sequential(),
        palette.sequential(True),
        palette.diverging(True),
    ):
        assert palette.rgb(scale).shape == (len(scale), 3)
    assert len(palette.sequential()) == len(palette.diverging()) == 10
