"""Colours of regions, neighbourhoods and numbers, on every page and in every export.

The eight categorical colours maximise the smallest distance in OKLab between any two of them over
normal, protan, deutan and tritan vision. Group 0, the largest, has the palest, so that it recedes.
This module does not depend on Streamlit.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ep.method.dictionary import Dictionary

GROUP_COLORS = (
    "#c5c7ff",
    "#5199e5",
    "#f38d65",
    "#65c6b0",
    "#edd362",
    "#c370aa",
    "#498267",
    "#ad5d00",
)
"""The colours of neighbourhoods 0 to 7."""
OTHER = "#8a93a6"
"""The colour of what is beyond θ, unknown, or without a stored neighbourhood."""
SEQUENTIAL_LIGHT = (
    *("#eef3f5", "#d5e6ea", "#b5d5de", "#8fc0d1", "#68a9c6"),
    *("#4690b9", "#3476a9", "#2d5d93", "#274577", "#1f2f56"),
)
"""From low to high on a light page.

The high end must contrast with the page, so a dark page has its own ramp.
"""
SEQUENTIAL_DARK = (
    *("#1d2a3d", "#22395a", "#264a76", "#2d5d93", "#3476a9"),
    *("#4690b9", "#68a9c6", "#8fc0d1", "#b5d5de", "#dcecf0"),
)
DIVERGING_LIGHT = (
    *("#8f3b12", "#bd5f2b", "#dd8a58", "#efb893", "#f7e3d6"),
    *("#dbe7f3", "#a9c8e6", "#6fa3d6", "#3f7abf", "#24518f"),
)
DIVERGING_DARK = (
    *("#f0a57c", "#d9804f", "#b3602f", "#7d4525", "#3a2c27"),
    *("#26313f", "#2b4f76", "#3f7abf", "#6fa3d6", "#a9c8e6"),
)
JITTER_WHITE, JITTER_BLACK = 0.26, 0.18
"""How far a region's colour moves at most towards white or black on the map, as a share of the way,
so that neighbouring cells differ.
"""


def sequential(dark: bool = False) -> tuple[str, ...]:
    """The ten steps from low to high for a light or a dark page."""
    return SEQUENTIAL_DARK if dark else SEQUENTIAL_LIGHT


def diverging(dark: bool = False) -> tuple[str, ...]:
    """The ten steps from negative (orange) to positive (blue) for a light or a dark page."""
    return DIVERGING_DARK if dark else DIVERGING_LIGHT


def group_colors(dictionary: Dictionary) -> tuple[str, ...]:
    """The colours of the dictionary's neighbourhoods in order; a single grey if it stores none."""
    if "neighbourhood" not in dictionary or len(dictionary) == 0:
        return (OTHER,)
    n = int(dictionary.column("neighbourhood").max()) + 1
    return tuple(GROUP_COLORS[i % len(GROUP_COLORS)] for i in range(n))


def group_of(dictionary: Dictionary, region: int) -> int:
    """The neighbourhood of a region; 0 if the dictionary stores none."""
    return int(dictionary.row("neighbourhood", region)) if "neighbourhood" in dictionary else 0


def region_color(dictionary: Dictionary, region: int) -> str:
    """The colour of a region's neighbourhood, "#rrggbb", as on chips, tables and charts."""
    if "neighbourhood" not in dictionary:
        return OTHER
    return GROUP_COLORS[group_of(dictionary, region) % len(GROUP_COLORS)]


def region_colors(
    dictionary: Dictionary, regions: Sequence[int] | np.ndarray | None = None
) -> list[str]:
    """The colours of several regions, as `region_color` gives them; of all regions for None."""
    ids = np.arange(len(dictionary)) if regions is None else np.asarray(regions, np.int64)
    if "neighbourhood" not in dictionary:
        return [OTHER] * len(ids)
    groups = dictionary.column("neighbourhood")[ids]
    return [GROUP_COLORS[int(g) % len(GROUP_COLORS)] for g in groups]


def rgb(colors: Sequence[str]) -> np.ndarray:
    """(n, 3) uint8 of "#rrggbb" strings."""
    return np.array([[int(c[i : i + 2], 16) for i in (1, 3, 5)] for c in colors], np.uint8).reshape(
        -1, 3
    )


def map_colors(dictionary: Dictionary) -> np.ndarray:
    """(K, 3) uint8 colours of the map's cells: the neighbourhood's, lighter or darker by id."""
    base = np.broadcast_to(rgb([OTHER]), (len(dictionary), 3)).astype(np.float64)
    if "neighbourhood" in dictionary:
        base = rgb(GROUP_COLORS)[dictionary.column("neighbourhood") % len(GROUP_COLORS)].astype(
            np.float64
        )
    share = _hashed(len(dictionary))[:, None] * 2 - 1  # -1 to 1
    lighter = base + (255 - base) * JITTER_WHITE * np.maximum(share, 0)
    return np.round(lighter * (1 - JITTER_BLACK * np.maximum(-share, 0))).astype(np.uint8)


def on_ramp(share: np.ndarray, colors: Sequence[str]) -> np.ndarray:
    """(n, 3) uint8 colours on a ramp, interpolated between its steps.

    share: (n,) positions on the ramp in [0, 1]; NaN becomes grey.
    colors: the steps from low to high, "#rrggbb".
    """
    steps = rgb(colors).astype(np.float64)
    position = np.nan_to_num(np.clip(np.asarray(share, np.float64), 0, 1)) * (len(steps) - 1)
    mixed = np.stack([np.interp(position, np.arange(len(steps)), steps[:, j]) for j in range(3)], 1)
    grey = np.isnan(share)[:, None]
    return np.where(grey, rgb([OTHER]), mixed.round()).astype(np.uint8)


def _hashed(n: int) -> np.ndarray:
    """(n,) numbers in [0, 1) that depend on the id alone and look random."""
    golden = 0.6180339887498949  # multiples of the golden ratio keep successive ids far apart
    return np.arange(n) * golden % 1.0
