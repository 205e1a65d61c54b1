"""The Prompt page's grid of layers and positions: what the J-lens or the logit lens reads in each
cell, or the rank of a pinned token.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

import numpy as np
import streamlit as st

from ep.errors import EPError
from ep.method.dictionary import Dictionary
from ep.models import model_of
from ep.models.lens_grid import LensGrid, token_of
from ep.text import label
from ep.views import lens_grid as view
from ep.views.palette import sequential
from pages.prompt import grid_work
from pages.prompt.cell import cell_cards
from pages.prompt.settings import Settings
from pages.shared import frame, messages, reading, state, tokens
from pages.shared.components import Component
from pages.shared.controls import setting_choice
from pages.shared.reading import Request, Result

_GRID = Component.beside(
    __file__,
    "grid",
    '<div class="frame"><div class="grid" role="grid"></div><div class="tip" hidden></div></div>',
)
_TYPED = "prompt_pin"


def layers_view(
    key: str, dictionary: Dictionary, request: Request, result: Result, token: int
) -> None:
    """Draw the grid of a prompt with the cards of its chosen cell, or what is needed to read it.

    key: of the dictionary on the shelf. token: the index of the locked token.
    """
    chosen = state.settings(Settings)
    with st.container(border=True, gap="small"):
        st.html(
            tokens.heading(
                "Every layer", "the most probable token at each layer and position; click a cell"
            )
        )
        grid = grid_work.grid_or_offer(key, dictionary, request, chosen.lens)
        has_lens = grid_work.has_lens(dictionary) or bool(grid and grid.n_prompts is not None)
        if grid is None:
            if has_lens:
                _lens_choice()
            return
        ranks = None
        if chosen.pin is not None and chosen.pin < grid.vocabulary_size:
            ranks = grid_work.ranks_or_offer(key, dictionary, request, grid, chosen.pin)
        _controls(dictionary, grid, has_lens, chosen.pin)
        token = min(token, len(grid.tokens) - 1)
        layer = _layer(dictionary, grid, chosen.layer)
        siblings = reading.sibling_keys(key, dictionary)
        pinned = grid_work.text_of(dictionary, chosen.pin) if ranks is not None else None
        data = component_data(grid, ranks, pinned, (layer, token), set(siblings))
        _GRID("prompt_grid", data, {"picked": _pick})
        st.html(_legend(grid, ranks is not None))
    cell_cards(dictionary, siblings, result, grid, ranks, (layer, token))


def component_data(
    grid: LensGrid,
    ranks: np.ndarray | None,
    pinned: str | None,
    locked: tuple[int, int],
    layers: set[int],
) -> dict[str, Any]:
    """Return the grid as the data that `grid.js` expects.

    ranks: (L, t) those of the pinned token, whose text is `pinned`; None to show the most probable
    tokens. locked: the layer and position of the chosen cell. layers: those with a dictionary.
    """
    order = range(len(grid.lenses) - 1, -1, -1)
    share = view.shares(grid, ranks)
    steps, texts = view.steps(share).tolist(), view.cell_texts(grid, ranks)
    ids = sorted(grid.pieces)
    index = {token: i for i, token in enumerate(ids)}
    top = [
        [
            [[index[one], round(p, 4)] for one, p in zip(cell, chances, strict=True)]
            for cell, chances in zip(row, row_chances, strict=True)
        ]
        for row, row_chances in zip(grid.ids.tolist(), grid.probabilities.tolist(), strict=True)
    ]
    has_both = len(set(grid.lenses)) > 1
    data: dict[str, Any] = {
        "label": "Layers and positions",
        "columns": [label(text) for text in grid.tokens],
        "rows": [
            {
                "layer": layer,
                "mark": "⬢" if layer in layers else "",
                "pale": has_both and grid.lenses[layer] == "logit",
                "title": view.TITLES[grid.lenses[layer]],
            }
            for layer in order
        ],
        "cells": [texts[layer] for layer in order],
        "steps": [steps[layer] for layer in order],
        "colors": _colors(frame.is_dark()),
        "tips": {
            "texts": [label(grid.pieces[token]) for token in ids],
            "top": [top[layer] for layer in order],
            "ranks": None if ranks is None else ranks[::-1].tolist(),
            "pinned": label(pinned or ""),
        },
    }
    data["id"] = blake2b(repr(data).encode("utf-8", "replace"), digest_size=8).hexdigest()
    return data | {"locked": {"layer": locked[0], "token": locked[1]}}


def _colors(dark: bool) -> list[list[str]]:
    """Return the background and the colour of the text at each step."""
    dark_ink, light_ink = "#1d2433", "#ffffff"
    steps = enumerate(sequential(dark))
    if dark:
        return [[color, light_ink if step < 6 else dark_ink] for step, color in steps]
    return [[color, dark_ink if step < 5 else light_ink] for step, color in steps]


def _layer(dictionary: Dictionary, grid: LensGrid, layer: int | None) -> int:
    """Return the layer of the chosen cell: the one in the settings, or else the dictionary's."""
    if layer is None or layer >= len(grid.lenses):
        layer = dictionary.layer or 0
    return min(layer, len(grid.lenses) - 1)


def _pick(value: dict[str, Any]) -> None:
    state.update_settings(Settings, layer=int(value["layer"]), token=int(value["token"]))


# -- controls --------------------------------------------------------------------------------------


def _controls(dictionary: Dictionary, grid: LensGrid, has_lens: bool, pin: int | None) -> None:
    """Draw the choice of the lens, the pinned token, and which layers the lens has."""
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        if has_lens:
            _lens_choice()
        st.text_input(
            "Pin a token",
            placeholder="Pin a token, e.g. Paris",
            key=_TYPED,
            max_chars=80,
            label_visibility="collapsed",
            width=190,
            on_change=_pin_typed,
            args=(dictionary,),
        )
        if pin is not None and (text := grid_work.text_of(dictionary, pin)) is not None:
            st.html(tokens.chip(text, sequential()[5], 0.3), width="content")
            st.button("Unpin", key="prompt_unpin", type="tertiary", on_click=_pin, args=(None,))
        messages.quiet(view.about(grid))
    if grid.n_left_out:
        messages.quiet(
            f"The first {len(grid.tokens):,} tokens are shown, {grid.n_left_out:,} follow."
        )
    if not has_lens:
        messages.quiet(
            f"There is no J-lens of this model yet: ep lens fit {model_of(dictionary)} --text FILE"
        )


def _lens_choice() -> None:
    """Draw the choice of the lens; another one is read at once."""
    setting_choice(Settings, "lens", "Lens", view.TITLES, key="prompt_lens")


def _pin_typed(dictionary: Dictionary) -> None:
    """Pin the token that the visitor typed."""
    model = grid_work.loaded(dictionary)
    if model is None:
        return
    try:
        token = token_of(model, st.session_state[_TYPED])
    except EPError as error:
        state.note(messages.sentence(error))
        return
    st.session_state[_TYPED] = ""
    _pin(token)


def _pin(token: int | None) -> None:
    grid_work.want()
    state.update_settings(Settings, pin=token)


def _legend(grid: LensGrid, is_ranked: bool) -> str:
    """Return the ramp of the colours with its ends, as HTML."""
    steps = "".join(
        f'<span class="ep-sw" style="--c:{background};margin:0;border-radius:0"></span>'
        for background, _ in _colors(frame.is_dark())
    )
    low, high = ("0", "1") if not is_ranked else (f"{grid.vocabulary_size:,}", "1")
    what = "rank of the pinned token" if is_ranked else "probability of the token"
    return (
        f'<div class="ep-legend"><span>{what} <small>{low}</small> {steps} <small>{high}</small>'
        "</span><span>⬢ a dictionary of this family at this layer</span></div>"
    )
