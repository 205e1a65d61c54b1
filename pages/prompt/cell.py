"""The Prompt page's cards below the grid of layers: the chosen cell, and the pinned token's rank
over the layers.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import streamlit as st

from ep.errors import EPError
from ep.method.dictionary import Dictionary
from ep.models.lens_grid import LensGrid
from ep.views import figures_lens
from ep.views import lens_grid as view
from ep.views.palette import region_color, sequential
from pages.prompt import grid_work
from pages.prompt.settings import Settings
from pages.shared import frame, loading, messages, state, tokens
from pages.shared.chart import chart
from pages.shared.chips import Chip, chips
from pages.shared.reading import Result


def cell_cards(
    dictionary: Dictionary,
    siblings: Mapping[int, str],
    result: Result,
    grid: LensGrid,
    ranks: np.ndarray | None,
    cell: tuple[int, int],
) -> None:
    """Draw the cards of a cell.

    siblings: keys of the dictionaries at other layers, see `reading.sibling_keys`. ranks: (L, t)
    those of the pinned token, or None. cell: its layer and position.
    """
    left, right = st.columns([1, 1], gap="medium")
    with left, st.container(border=True, gap="small", height="stretch"):
        _cell(dictionary, siblings, result, grid, cell)
    with right, st.container(border=True, gap="xsmall", height="stretch"):
        _rank(dictionary, grid, ranks, cell)


def _cell(
    dictionary: Dictionary,
    siblings: Mapping[int, str],
    result: Result,
    grid: LensGrid,
    cell: tuple[int, int],
) -> None:
    """Draw the most probable tokens of a cell, each to pin, and the way to its region."""
    layer, position = cell
    text = tokens.chip(grid.tokens[position], sequential()[5], 0.2)
    st.html(
        f'<div class="ep-band ep-flush"><b>Layer {layer}, token {position}</b>{text}'
        f"<span>{view.TITLES[grid.lenses[layer]]}; click a token to pin it</span></div>"
    )
    best = zip(grid.ids[layer, position], grid.probabilities[layer, position], strict=True)
    items = [
        Chip(
            int(one),
            grid.pieces[int(one)],
            sequential()[5],
            0.08 + 0.5 * float(p),
            after=f"{p:.3f}",
        )
        for one, p in best
    ]
    chips(items, "prompt_cell_tokens", _pin)
    _region(dictionary, siblings, result, layer, position)


def _region(
    dictionary: Dictionary, siblings: Mapping[int, str], result: Result, layer: int, position: int
) -> None:
    """Draw the region of a cell with a button that opens it, or why there is none."""
    if layer not in siblings or layer not in result.x:
        p = dictionary.percentile
        at = "" if p is None else f" at p = {p:g}"
        messages.quiet(
            f"There is no dictionary of this family{at} at layer {layer}; there is at "
            f"{_layers(siblings)}."
        )
        return
    if result.reading.outside[position]:
        messages.quiet("This token begins every text; it has no region.")
        return
    key = siblings[layer]
    try:
        own = loading.dictionary(key)
        assignment = own.assign(result.x[layer][position : position + 1])
    except EPError as error:
        messages.quiet(messages.sentence(error))
        return
    region, distance = int(assignment.region[0]), float(assignment.distance[0])
    far = "beyond θ" if distance > own.threshold else "within θ"
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        if st.button(f"Open region {region}", type="primary", key="prompt_cell_open"):
            state.goto("region", dictionary=key, region=region, second=None)
        st.html(
            tokens.chip(loading.region_name(key, region), region_color(own, region), 0.3)
            + f' <span class="ep-k">distance {distance:.2f}, {far}</span>',
            width="content",
        )


def _layers(siblings: Mapping[int, str]) -> str:
    layers = [str(layer) for layer in sorted(siblings)]
    return f"layer {layers[0]}" if len(layers) == 1 else f"layers {', '.join(layers)}"


def _rank(
    dictionary: Dictionary, grid: LensGrid, ranks: np.ndarray | None, cell: tuple[int, int]
) -> None:
    """Draw the pinned token's rank over the layers at the cell's position, and its variant."""
    pin = state.settings(Settings).pin
    if ranks is None or pin is None:
        st.html(tokens.heading("Rank over the layers", "of a pinned token"))
        messages.quiet("Pin a token, by typing it or from the cell's list, to follow its rank.")
        return
    layer, position = cell
    best = int(np.argmin(ranks[:, position]))
    st.html(
        tokens.heading(
            "Rank over the layers",
            f"at token {position}; best {int(ranks[best, position]):,}, at layer {best}",
        )
    )
    items = [
        Chip(one, text, sequential()[5], 0.3, on=one == pin)
        for one, text in grid_work.variants_of(dictionary, pin)
    ]
    chips(items, "prompt_pin_variants", _pin)
    figure = figures_lens.ranks_by_layer(
        ranks[:, position], grid.vocabulary_size, frame.is_dark(), layer=layer
    )
    chart(figure, "prompt_ranks")


def _pin(token: int) -> None:
    grid_work.want()
    state.update_settings(Settings, pin=token)
