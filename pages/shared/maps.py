"""The map component: invisible carriers that send a map's data to the browser, and the view that
draws it.

The browser side is in `ep/views/browser/`: plain JavaScript files, joined in order into one module,
without a build step. A view receives a small object on every run. Cells, names and colours are
sent once by a carrier, as bytes that the view looks up by name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from ep.errors import RequestError
from ep.method.dictionary import Dictionary
from ep.views import blob, layouts, standalone
from ep.views.standalone import read
from pages.shared import loading, messages
from pages.shared.components import Component, Listeners

if TYPE_CHECKING:
    from ep.views.colorings import Coloring

_CARRIER = Component("ep.carrier", lambda: {"js": read("unpack.js", "carrier.js")})
_VIEW = Component(
    "ep.map",
    lambda: {
        "html": read("map.html"),
        "css": read("map.css"),
        "js": read(*standalone.PARTS, "streamlit.js"),
    },
)
SLOW_FROM = 10_000
"""Number of regions from which dividing a map into cells is slow enough to show a spinner."""


@dataclass(frozen=True)
class AvailableMap:
    """A map that was sent to the browser and can be drawn.

    name: by which views find its data. layout: of the map, which may be a substitute for the one
    requested. problem: why a substitute is shown, as a sentence; empty where none is needed.
    """

    name: str
    layout: str
    problem: str = ""


def send_map(key: str, layout: str = "pca-sphere", axes_of: str | None = None) -> str:
    """Send the map of a dictionary to the browser, unless it is there, and return its name.

    Call this outside fragments, so that a click does not send the data again. layout: one of
    `ep.views.layouts.LAYOUTS`. axes_of: the key of another dictionary of the same width, on whose
    PCA axes this one is laid out, so that both can be compared. Raises RequestError when there is
    nothing to draw.
    """
    axes_of = None if axes_of == key else axes_of
    name = f"{loading.fingerprint(key)} {layouts.stamp(loading.dictionary(key), layout)}"
    if axes_of is not None:
        name = f"{loading.fingerprint(key)} on {loading.fingerprint(axes_of)} {layout}"
    size = len(loading.dictionary(key))
    spinner = (
        st.spinner(f"Dividing the map into {size:,} cells, once…", show_time=True)
        if size > SLOW_FROM
        else nullcontext()
    )
    with spinner:  # a cached map returns before the spinner appears
        data = _blob(name, key, layout, axes_of)
    _CARRIER(f"map {name}", data)
    return name


def send_available(
    key: str, dictionary: Dictionary, requested: str, sent: dict[str, str] | None = None
) -> AvailableMap | str:
    """Send the map with the requested layout, or a substitute for it, to the browser.

    A UMAP layout that has not been computed is replaced by PCA, and a sphere of too few regions by
    a flat map. The result is a sentence when nothing can be drawn. sent: the names, by layout, of
    the maps of this dictionary that this run has sent; the new one is added.
    """
    ready = layouts.is_ready(dictionary, requested)
    layout = requested if ready else requested.replace("umap", "pca")
    sent = {} if sent is None else sent
    problem = ""
    for candidate in dict.fromkeys((layout, layout.replace("sphere", "flat"))):
        try:
            if candidate not in sent:
                sent[candidate] = send_map(key, candidate)
        except RequestError as error:
            problem = problem or messages.sentence(error)
        else:
            problem = f"{problem} The flat map is shown." if problem else ""
            return AvailableMap(sent[candidate], candidate, problem)
    return problem


def draw(
    name: str,
    dictionary: Dictionary,
    *,
    key: str,
    selected: int | None,
    sequence: int,
    coloring: Coloring,
    on_pick: Callable[[int], None],
    on_brush: Callable[[list[int]], None] | None = None,
    brushed: Iterable[int] = (),
    brush_sequence: int = 0,
    path: Sequence[int] = (),
    path_labels: Sequence[str] = (),
    link: str | None = None,
    partners: np.ndarray | None = None,
    height: int | None = None,
    note: str | None = None,
    names: Mapping[int, str] | None = None,
) -> None:
    """Draw the map that `send_map` returned as `name`.

    key: identifies this map on the page; its camera is stored by it.
    selected, sequence: the map adopts `selected`, and moves the camera to it if it is out of view,
    only when `sequence` changes. Otherwise a slow response could undo a quick click.
    on_pick: called with a region's id when its cell is clicked or Enter is pressed on it.
    on_brush: called with the region ids after a lasso or box, and with [] when the brush is
    cleared; with None there are no brush tools.
    brushed, brush_sequence: the brush to adopt, in the same way as `selected` and `sequence`.
    path: the region ids of a prompt's tokens, in order; a negative id, for a token without a
    region, breaks the line. path_labels: the tokens, as plain text.
    link: views with the same link share hover and brush when they show the same dictionary, and
    the camera when they show the same kind of map.
    partners: (K,) ids in the dictionary of the linked map, −1 for none, by which hover, selection
    and brush of this map apply to a map of another dictionary; that map needs partners of its own
    for the reverse.
    height: in pixels; None fills the window. note: the line under the map; None states what the
    projection preserves. names: texts to show on the map in place of a region's token, such as
    labels given by hand.
    """
    layout = name.rpartition(" ")[2]
    color_name, color_bytes = blob.colors(coloring, name.partition(" ")[0])
    _CARRIER(f"colors {key}", color_bytes)
    partner_name = None
    if partners is not None:
        partner_name, partner_bytes = blob.partners(partners, name.partition(" ")[0])
        _CARRIER(f"partners {key}", partner_bytes)
    data = {
        "blob": name,
        "colors": color_name,
        "name": key,
        "selected": selected,
        "sequence": sequence,
        "coloring": coloring.title,
        "note": blob.note(dictionary, layout) if note is None else note,
        "file": standalone.file_name(dictionary, layout, coloring),
        "title": standalone.title(dictionary),
        "brushable": on_brush is not None,
        "brushed": [int(region) for region in brushed],
        "brush_sequence": brush_sequence,
        "path": [int(region) for region in path],
        "path_labels": [str(text) for text in path_labels],
        "link": link,
        "partners": partner_name,
        "height": height,
        "names": blob.named(names),
    } | blob.legend(coloring)
    listeners: Listeners = {"picked": on_pick, "brushed": on_brush or (lambda regions: None)}
    _VIEW(key, data, listeners)


@st.cache_resource(show_spinner=False, max_entries=16)
def _blob(name: str, _key: str, layout: str, _axes_of: str | None) -> bytes:
    """Return the data of a map; `name` and `layout` are the cache's key."""
    dictionary = loading.dictionary(_key)
    if _axes_of is None:
        coordinates = layouts.coordinates(dictionary, layout)
    else:
        coordinates = layouts.on_axes_of(loading.dictionary(_axes_of), dictionary, layout)
    return blob.blob(dictionary, coordinates, layout, name)
