"""The tokens of a prompt in the colours of their regions, and the figures under them: how far each
is, and where it goes through the layers.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import streamlit as st

from ep.method.dictionary import Dictionary
from ep.views import figures
from ep.views import prompt as view
from ep.views.palette import GROUP_COLORS, OTHER, region_colors
from ep.views.tables import group_names
from pages.shared import frame, tokens
from pages.shared.chart import chart
from pages.shared.chips import Chip, chips
from pages.shared.reading import Result


def colors(dictionary: Dictionary, reading: view.Reading) -> list[str]:
    """Each token's colour: its region's, grey where it is beyond θ or outside the dictionary."""
    far = view.is_far(reading, dictionary.threshold)
    plain = region_colors(dictionary, reading.region)
    return [OTHER if f else color for f, color in zip(far, plain, strict=True)]


def strip(
    dictionary: Dictionary,
    reading: view.Reading,
    readout: str,
    locked: int,
    on_pick: Callable[[int], None],
) -> None:
    """Draws the prompt as running text; a click on a token calls `on_pick` with its index.

    locked: the index of the token drawn with a ring.
    """
    groups = view.groups(dictionary)
    strength = view.strengths(reading, readout, groups, len(dictionary), dictionary.threshold)
    shown = colors(dictionary, reading)
    items = [
        Chip(i, token, shown[i], float(strength[i]), title=_hint(reading, i), on=i == locked)
        for i, token in enumerate(reading.tokens)
    ]
    with st.container(border=True, gap="small"):
        chips(items, "prompt_strip", on_pick, running=True)
        st.html(_legend(dictionary, reading, groups))


def _hint(reading: view.Reading, i: int) -> str:
    if reading.outside[i]:
        return f"token {i} · begins every text and is not part of the dictionary"
    template = " · template" if reading.template[i] else ""
    return f"token {i} · region {reading.region[i]} · distance {reading.distance[i]:.2f}{template}"


def _legend(dictionary: Dictionary, reading: view.Reading, groups: np.ndarray) -> str:
    counts, beyond = view.group_counts(reading, groups, dictionary.threshold)
    names = group_names(dictionary)
    entries = [(GROUP_COLORS[g % len(GROUP_COLORS)], names[g], n) for g, n in counts.items()]
    if "neighbourhood" not in dictionary:
        entries = [(OTHER, names[0], n) for n in counts.values()]
    entries.append((OTHER, "beyond θ", beyond))
    return (
        '<div class="ep-legend">'
        + "".join(
            f'<span><span class="ep-sw" style="--c:{color}"></span>{tokens.escape(title)} '
            f"<small>{n}</small></span>"
            for color, title, n in entries
        )
        + "</div>"
    )


def distances(dictionary: Dictionary, reading: view.Reading, locked: int) -> None:
    """Draws each token's distance to its nearest exemplar, and what is usual in the build."""
    distances = view.build_distances(dictionary)
    about = "per token; above θ a token is unfamiliar"
    band = None
    if distances is not None:
        band = (distances.quantile(0.05), distances.quantile(0.95))
        about += f"; shaded: 90 % of the {distances.n:,} of the build"
    with st.container(border=True, gap="xsmall"):
        st.html(tokens.heading("Distance to the nearest exemplar", about))
        shown = np.where(reading.outside, np.nan, reading.distance)
        figure = figures.token_distances(
            reading.tokens,
            shown,
            colors(dictionary, reading),
            dictionary.threshold,
            frame.is_dark(),
            usual=band,
            locked=locked,
        )
        chart(figure, "prompt_distances")


def layer_path(dictionary: Dictionary, result: Result) -> None:
    """Draws the neighbourhood of each token at every layer of the family; nothing for one layer."""
    if len(result.layers) < 2:
        return
    with st.container(border=True, gap="xsmall"):
        p = dictionary.percentile
        at = "" if p is None else f", p = {p:g}"
        about = f"neighbourhood of each token's region{at}; each layer has its own; "
        st.html(tokens.heading("Path through the layers", about + "grey: beyond θ"))
        figure = figures.layer_path(
            result.path, result.layers, result.reading.tokens, GROUP_COLORS, frame.is_dark()
        )
        chart(figure, "prompt_path")
