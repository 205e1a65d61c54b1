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
from pages.atlas import drawing, memory, search, umap
from pages.atlas.card import card
from pages.atlas.drawing import Path
from pages.atlas.table import table
from pages.shared import frame, labelling, maps, messages, sharing, state

TWO_HIGH = 500
"""px of each of two maps, so that the card below them begins on the screen."""


def show() -> None:
    found = state.opened()
    if found is None or found[0].region is None:
        frame.page("Atlas", "Every region of a dictionary as a cell on one sphere.")
        messages.box(
            "No dictionary is open", "Choose one in the side bar, or open a file in the Library."
        )
        return
    selection, dictionary = found
    frame.page(
        "Atlas",
        f"{len(dictionary):,} regions of layer {dictionary.info.get('layer', '?')}. "
        "Each cell holds the activations nearest to one exemplar.",
    )
    labels = labelling.current(selection.dictionary)
    asked = [layout for layout in (drawing.chosen(), drawing.chosen_second()) if layout]
    drawing.tools(dictionary, labels)
    for layout in dict.fromkeys(asked):
        umap.umap_panel(selection.dictionary, dictionary, layout)
    path = drawing.route(selection.dictionary, dictionary)
    # the maps' bytes travel outside the fragment: a click sends none
    body, foot = st.container(), st.container()
    with foot:
        sent: dict[str, str] = {}
        drawn = [maps.carried(selection.dictionary, dictionary, layout, sent) for layout in asked]
    with body:
        _body(drawn, path)
    with foot:  # last: it reads the whole file, and whoever draws would wait for that
        for one in {one.name: one for one in drawn if isinstance(one, maps.Drawn)}.values():
            drawing.measure(dictionary, one)


@frame.fragment
def _body(drawn: list[maps.Drawn | str], path: Path) -> None:
    """The whole screen below its tools: one selection for maps, card and table, so one fragment."""
    selection, dictionary = state.opened()
    memory.notice(selection)
    labels = labelling.current(selection.dictionary)
    draw = partial(_draw, key=selection.dictionary, dictionary=dictionary, labels=labels, path=path)
    height = None if len(drawn) == 1 else TWO_HIGH
    left, right = st.columns(2, gap="medium")
    if len(drawn) > 1:
        below = st.columns(2, gap="medium")
        with below[0]:
            _card(dictionary, selection.region, labels)
        rows = below[1].container(height=330, border=False, gap="small")
    else:
        with right, st.container(height="stretch", gap="small"):
            _card(dictionary, selection.region, labels)  # first: it is what a click waits for
            rows = st.container(height="stretch", gap="small")
    frame.show_selected()
    with left:
        draw(drawn[0], memory.MAP, height=height)
    if len(drawn) > 1:
        with right:
            draw(drawn[1], memory.SECOND, height=height)
    with rows:
        ids = table(selection, dictionary, labels)
    _share(drawn[0], path, ids, selection, dictionary, labels)


def _draw(
    one: maps.Drawn | str,
    place: str,
    *,
    height: int | None,
    key: str,
    dictionary: Dictionary,
    labels: Labels,
    path: Path,
) -> None:
    if isinstance(one, str):
        messages.box("There is no map of this dictionary", one)
    else:
        drawing.draw(one, place, key, dictionary, labels, path, height)


def _card(dictionary: Dictionary, region: int, labels: Labels) -> None:
    known = tables.token_ids(dictionary) is not None
    said = (
        labels.stored(region)[0].text
        if labels.stored(region)
        else ""
        if known
        else labels.automatic(region)
    )
    card(dictionary, region, "" if is_numbered(said) else said)


def _share(
    one: maps.Drawn | str,
    path: Path,
    ids: np.ndarray,
    selection: state.Selection,
    dictionary: Dictionary,
    labels: Labels,
) -> None:
    """Export of what is on screen, the code that makes it, the link; files are made when they are
    asked for.
    """
    brushed = memory.brushed()
    chosen: dict[str, Callable[[], pa.Table]] = {}
    if len(brushed):
        chosen["brushed regions"] = partial(full.regions, dictionary, brushed, labels)
    chosen["listed regions"] = partial(full.regions, dictionary, ids, labels)
    chosen["all regions"] = partial(full.regions, dictionary, None, labels)
    files: dict[str, Callable[[], bytes]] = {}
    layout = drawing.chosen()
    if isinstance(one, maps.Drawn):
        layout = one.layout
        shown = drawing.coloring(selection.dictionary, dictionary, labels)
        note, names = drawing.note(dictionary, layout, shown), labels.texts(automatic=False)
        told = {"brushed": brushed.tolist(), "path": path.regions, "path_labels": path.labels}
        theme = "dark" if frame.is_dark() else "light"
        files["map.html"] = lambda: standalone.html(
            dictionary, layout, shown, selection.region, note=note, names=names, theme=theme, **told
        ).encode()
    files["splash-figure.html"] = lambda: splash.html(
        dictionary, selection.region, brushed, labels
    ).encode()
    files["saelens.zip"] = partial(packed.autoencoder, dictionary)
    files["neuronpedia-features.json"] = lambda: packed.features(dictionary, labels.texts())
    sharing.bar("atlas_share", chosen, _code(dictionary, layout, ids, brushed), files)


def _code(dictionary: Dictionary, layout: str, ids: np.ndarray, brushed: np.ndarray) -> str:
    """Python for what is on screen: a search, by words or by meaning; brushed regions; else map and
    table.
    """
    query = state.setting("find")
    if query.strip():
        return (snippets.meaning if search.is_by_meaning() else snippets.search)(dictionary, query)
    return snippets.atlas(dictionary, layout, ids if len(brushed) else None)


show()
