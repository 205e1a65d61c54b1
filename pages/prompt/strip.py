"""The Prompt page's strip of tokens in the colours of their regions, and the figures below it: the
distance of each token, and its path through the layers.
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
    """Return the colour of each token: that of its region, or grey for a token beyond θ or one that
    the dictionary does not apply to.
    """
    is_far = view.is_far(reading, dictionary.threshold)
    by_region = region_colors(dictionary, reading.region)
    return [OTHER if far else color for far, color in zip(is_far, by_region, strict=True)]


def strip(
    dictionary: Dictionary,
    reading: view.Reading,
    readout: str,
    locked: int,
    on_pick: Callable[[int], None],
) -> None:
    """Draw the prompt as running text; a click on a token calls `on_pick` with its index.

    locked: the index of the highlighted token.
    """
    groups = view.groups(dictionary)
    strength = view.strengths(reading, readout, groups, len(dictionary), dictionary.threshold)
    token_colors = colors(dictionary, reading)
    items = [
        Chip(
            i,
            token,
            token_colors[i],
            float(strength[i]),
            title=_tooltip(reading, i),
            on=i == locked,
        )
        for i, token in enumerate(reading.tokens)
    ]
    with st.container(border=True, gap="small"):
        chips(items, "prompt_strip", on_pick, running=True)
        st.html(_legend(dictionary, reading, groups))


def _tooltip(reading: view.Reading, i: int) -> str:
    """Return the facts of token i as plain text."""
    if reading.outside[i]:
        return f"token {i} · {view.why_outside(i)}"
    template = " · template" if reading.template[i] else ""
    return f"token {i} · region {reading.region[i]} · distance {reading.distance[i]:.2f}{template}"


def _legend(dictionary: Dictionary, reading: view.Reading, groups: np.ndarray) -> str:
    """Return the legend of the colours as HTML, with the number of tokens of each."""
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
    """Draw each token's distance to its nearest exemplar, and the usual range in the build."""
    distances = view.build_distances(dictionary)
    about = f"{dictionary.distance_name} per token; above θ a token is unfamiliar"
    band = None
    if distances is not None:
        band = (distances.quantile(0.05), distances.quantile(0.95))
        about += f"; shaded: 90 % of the {distances.n:,} of the build"
    with st.container(border=True, gap="xsmall"):
        st.html(tokens.heading("Distance to the nearest exemplar", about))
        distance = np.where(reading.outside, np.nan, reading.distance)
        figure = figures.token_distances(
            reading.tokens,
            distance,
            colors(dictionary, reading),
            dictionary.threshold,
            frame.is_dark(),
            usual=band,
            locked=locked,
        )
        chart(figure, "prompt_distances")


def layer_path(dictionary: Dictionary, result: Result) -> None:
    """Draw the neighbourhood of each token at every layer of the family; nothing for one layer."""
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
