"""The Atlas page: all regions of a dictionary on one or two maps, with a search, a table, and a
card of the selected region.
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
from ep.views import full, snippets, splash, standalone
from pages.atlas import drawing, memory, route, search, tools, umap, what_if
from pages.atlas.card import card
from pages.atlas.route import Route
from pages.atlas.settings import Settings
from pages.atlas.table import table
from pages.shared import frame, labelling, loading, maps, messages, sharing, state

NOTHING_OPEN = "Every region of a dictionary as a cell on one sphere."
TWO_HIGH = 500
"""Height of each of two maps in pixels, so that the top of the card below them is visible."""


def show() -> None:
    """Draw the page."""
    opened = state.opened_or_none()
    frame.page_head("Atlas", NOTHING_OPEN if opened is None else _about(opened.dictionary))
    key, dictionary, *_ = state.opened()
    settings, labels = state.settings(Settings), labelling.current(key)
    requested = [layout for layout in (settings.layout, settings.second) if layout]
    tools.row(key, dictionary, labels)
    for layout in dict.fromkeys(requested):
        umap.umap_panel(key, dictionary, layout)
    prompt_route = route.of_prompt(key, dictionary)
    # the maps' data is sent outside the fragment, so that a click does not send it again
    body, foot = st.container(), st.container()
    with foot:
        sent: dict[str, str] = {}
        results = [maps.send_available(key, dictionary, layout, sent) for layout in requested]
    with body:
        _body(results, prompt_route)
    with body:
        what_if.panel(key, dictionary)
    with foot:  # last, because measuring reads the whole file and would delay the maps
        available = [one for one in results if isinstance(one, maps.AvailableMap)]
        for map_ in {map_.name: map_ for map_ in available}.values():
            drawing.measure(dictionary, map_)


def _about(dictionary: Dictionary) -> str:
    layer = "?" if dictionary.layer is None else dictionary.layer
    return (
        f"{len(dictionary):,} regions of layer {layer}. "
        "Each cell holds the activations nearest to one exemplar."
    )


@frame.fragment
def _body(map_results: list[maps.AvailableMap | str], prompt_route: Route) -> None:
    """Draw the page below its tools, in one fragment because all parts share the selection.

    map_results: one or two maps; a sentence where a map cannot be drawn.
    """
    opened = state.opened()
    key, dictionary = opened.key, opened.dictionary
    memory.synchronise(key, opened.region)
    labels = labelling.current(key)
    draw = partial(_draw, key=key, dictionary=dictionary, labels=labels, prompt_route=prompt_route)
    height = None if len(map_results) == 1 else TWO_HIGH
    left, right = st.columns(2, gap="medium")
    if len(map_results) > 1:
        below = st.columns(2, gap="medium")
        with below[0]:
            _card(opened.key, dictionary, opened.region)
        rows = below[1].container(height=330, border=False, gap="small")
    else:
        with right, st.container(height="stretch", gap="small"):
            _card(opened.key, dictionary, opened.region)  # first, so that a click shows it soonest
            rows = st.container(height="stretch", gap="small")
    frame.show_selected()
    with left:
        draw(map_results[0], memory.MAP, height=height)
    if len(map_results) > 1:
        with right:
            draw(map_results[1], memory.SECOND, height=height)
    with rows:
        ids = table(key, dictionary, labels)
    _share(map_results[0], prompt_route, ids, opened, labels)


def _draw(
    map_result: maps.AvailableMap | str,
    place: str,
    *,
    height: int | None,
    key: str,
    dictionary: Dictionary,
    labels: Labels,
    prompt_route: Route,
) -> None:
    """Draw one map, or a box that states why there is none."""
    if isinstance(map_result, str):
        messages.box("There is no map of this dictionary", map_result)
    else:
        drawing.draw(map_result, place, key, dictionary, labels, prompt_route, height)


def _card(key: str, dictionary: Dictionary, region: int) -> None:
    """Draw the card of the selected region with its name."""
    name = loading.whole_name(key, region)
    card(dictionary, region, "" if is_numbered(name) else name)


# -- export ----------------------------------------------------------------------------------------


def _share(
    map_result: maps.AvailableMap | str,
    prompt_route: Route,
    ids: np.ndarray,
    opened: state.Opened,
    labels: Labels,
) -> None:
    """Draw the row that exports the page. ids: (n,) regions that the table lists."""
    dictionary, brushed = opened.dictionary, memory.brushed()
    exports: dict[str, Callable[[], pa.Table]] = {}
    if len(brushed):
        exports["brushed regions"] = partial(full.regions, dictionary, brushed, labels)
    exports["listed regions"] = partial(full.regions, dictionary, ids, labels)
    exports["all regions"] = partial(full.regions, dictionary, None, labels)
    files: dict[str, Callable[[], bytes]] = {}
    layout = state.settings(Settings).layout
    if isinstance(map_result, maps.AvailableMap):
        layout = map_result.layout
        files["map.html"] = _map_file(layout, prompt_route, opened, labels)
    files["splash-figure.html"] = lambda: splash.html(
        dictionary, opened.region, brushed, labels
    ).encode()
    files["saelens.zip"] = partial(packed.autoencoder, dictionary)
    files["neuronpedia-features.json"] = lambda: packed.features(dictionary, labels.texts())
    sharing.bar("atlas_share", exports, _code(dictionary, layout, ids, brushed), files)


def _map_file(
    layout: str, prompt_route: Route, opened: state.Opened, labels: Labels
) -> Callable[[], bytes]:
    """Return a function that writes the map, as it is on screen now, as an HTML file."""
    dictionary = opened.dictionary
    colors = drawing.coloring(opened.key, dictionary, labels)
    make = partial(
        standalone.html,
        dictionary,
        layout,
        colors,
        opened.region,
        note=drawing.note(dictionary, layout, colors),
        names=labels.texts(automatic=False),
        theme="dark" if frame.is_dark() else "light",
        brushed=memory.brushed().tolist(),
        path=prompt_route.regions,
        path_labels=prompt_route.labels,
    )
    return lambda: make().encode()


def _code(dictionary: Dictionary, layout: str, ids: np.ndarray, brushed: np.ndarray) -> str:
    """Return Python for the page: for the search, if there is one, and otherwise for the map and
    the brushed or listed regions.
    """
    query = state.settings(Settings).find
    if query.strip():
        return (snippets.meaning if search.is_by_meaning() else snippets.search)(dictionary, query)
    return snippets.atlas(dictionary, layout, ids if len(brushed) else None)


show()
