"""Atlas: all regions of a dictionary on one or two maps, beside a search, a table, and the selected
region in short.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pyarrow as pa
import streamlit as st

from ep.method.dictionary import Dictionary
from ep.storage.interop import packed
from ep.storage.labels import Labels
from ep.studies.naming import is_numbered
from ep.views import full, snippets, splash, standalone, tables
from pages.atlas import drawing, memory, route, search, tools, umap
from pages.atlas.card import card
from pages.atlas.route import Route
from pages.atlas.settings import Settings
from pages.atlas.table import table
from pages.shared import frame, labelling, maps, messages, sharing, state

NOTHING_OPEN = "Every region of a dictionary as a cell on one sphere."
TWO_HIGH = 500
"""px of each of two maps, so that the card below them begins on the screen."""


def show() -> None:
    before = state.open_now()
    frame.page("Atlas", NOTHING_OPEN if before is None else _about(before.dictionary))
    key, dictionary, *_ = state.opened()
    now, labels = state.settings(Settings), labelling.current(key)
    asked = [layout for layout in (now.layout, now.second) if layout]
    tools.row(key, dictionary, labels)
    for layout in dict.fromkeys(asked):
        umap.umap_panel(key, dictionary, layout)
    prompt_route = route.of_prompt(key, dictionary)
    # the maps' bytes travel outside the fragment: a click sends none
    body, foot = st.container(), st.container()
    with foot:
        sent: dict[str, str] = {}
        drawn = [maps.carried(key, dictionary, layout, sent) for layout in asked]
    with body:
        _body(drawn, prompt_route)
    with foot:  # last: it reads the whole file, and whoever draws would wait for that
        for one in {one.name: one for one in drawn if isinstance(one, maps.Drawn)}.values():
            drawing.measure(dictionary, one)


def _about(dictionary: Dictionary) -> str:
    layer = "?" if dictionary.layer is None else dictionary.layer
    return (
        f"{len(dictionary):,} regions of layer {layer}. "
        "Each cell holds the activations nearest to one exemplar."
    )


@frame.fragment
def _body(drawn: list[maps.Drawn | str], prompt_route: Route) -> None:
    """The whole screen below its tools: one selection for maps, card and table, so one fragment."""
    opened = state.opened()
    key, dictionary = opened.key, opened.dictionary
    memory.notice(key, opened.region)
    labels = labelling.current(key)
    draw = partial(_draw, key=key, dictionary=dictionary, labels=labels, prompt_route=prompt_route)
    height = None if len(drawn) == 1 else TWO_HIGH
    left, right = st.columns(2, gap="medium")
    if len(drawn) > 1:
        below = st.columns(2, gap="medium")
        with below[0]:
            _card(dictionary, opened.region, labels)
        rows = below[1].container(height=330, border=False, gap="small")
    else:
        with right, st.container(height="stretch", gap="small"):
            _card(dictionary, opened.region, labels)  # first: it is what a click waits for
            rows = st.container(height="stretch", gap="small")
    frame.show_selected()
    with left:
        draw(drawn[0], memory.MAP, height=height)
    if len(drawn) > 1:
        with right:
            draw(drawn[1], memory.SECOND, height=height)
    with rows:
        ids = table(key, dictionary, labels)
    _share(drawn[0], prompt_route, ids, opened, labels)


def _draw(
    one: maps.Drawn | str,
    place: str,
    *,
    height: int | None,
    key: str,
    dictionary: Dictionary,
    labels: Labels,
    prompt_route: Route,
) -> None:
    if isinstance(one, str):
        messages.box("There is no map of this dictionary", one)
    else:
        drawing.draw(one, place, key, dictionary, labels, prompt_route, height)


def _card(dictionary: Dictionary, region: int, labels: Labels) -> None:
    stored = labels.stored(region)
    label = stored[0].text if stored else ""
    if not stored and tables.token_ids(dictionary) is None:
        label = labels.automatic(region)
    card(dictionary, region, "" if is_numbered(label) else label)


# -- export ----------------------------------------------------------------------------------------


def _share(
    one: maps.Drawn | str,
    prompt_route: Route,
    ids: np.ndarray,
    opened: state.Opened,
    labels: Labels,
) -> None:
    """Export of what is on screen, the code that makes it, the link; files are made when they are
    asked for.
    """
    dictionary, brushed = opened.dictionary, memory.brushed()
    chosen: dict[str, Callable[[], pa.Table]] = {}
    if len(brushed):
        chosen["brushed regions"] = partial(full.regions, dictionary, brushed, labels)
    chosen["listed regions"] = partial(full.regions, dictionary, ids, labels)
    chosen["all regions"] = partial(full.regions, dictionary, None, labels)
    files: dict[str, Callable[[], bytes]] = {}
    layout = state.settings(Settings).layout
    if isinstance(one, maps.Drawn):
        layout = one.layout
        files["map.html"] = _map_file(layout, prompt_route, opened, labels)
    files["splash-figure.html"] = lambda: splash.html(
        dictionary, opened.region, brushed, labels
    ).encode()
    files["saelens.zip"] = partial(packed.autoencoder, dictionary)
    files["neuronpedia-features.json"] = lambda: packed.features(dictionary, labels.texts())
    sharing.bar("atlas_share", chosen, _code(dictionary, layout, ids, brushed), files)


def _map_file(
    layout: str, prompt_route: Route, opened: state.Opened, labels: Labels
) -> Callable[[], bytes]:
    """The map as a file of its own, as it is on screen now."""
    dictionary = opened.dictionary
    shown = drawing.coloring(opened.key, dictionary, labels)
    make = partial(
        standalone.html,
        dictionary,
        layout,
        shown,
        opened.region,
        note=drawing.note(dictionary, layout, shown),
        names=labels.texts(automatic=False),
        theme="dark" if frame.is_dark() else "light",
        brushed=memory.brushed().tolist(),
        path=prompt_route.regions,
        path_labels=prompt_route.labels,
    )
    return lambda: make().encode()


def _code(dictionary: Dictionary, layout: str, ids: np.ndarray, brushed: np.ndarray) -> str:
    """Python for what is on screen: a search, by words or by meaning; brushed regions; else map and
    table.
    """
    query = state.settings(Settings).find
    if query.strip():
        return (snippets.meaning if search.is_by_meaning() else snippets.search)(dictionary, query)
    return snippets.atlas(dictionary, layout, ids if len(brushed) else None)


show()
