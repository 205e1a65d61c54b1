"""The map component: mounts the invisible carriers of a map and its colours, and the view that
draws them.

The browser side is in `ep/views/browser/`: plain JavaScript files, joined in order into one module,
without a build step. A view gets a small object on every run; cells, names and colours travel once,
as bytes under a name.
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
from pages.shared.components import Component, Heard

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
MANY = 10_000
"""Regions from which dividing a map into cells takes long enough to be said."""


@dataclass(frozen=True)
class Drawn:
    """One map as it can be drawn now: of the layout asked for, or of the one shown instead until
    that is there.
    """

    name: str
    layout: str
    problem: str = ""


def carrier(key: str, layout: str = "pca-sphere", axes_of: str | None = None) -> str:
    """Sends the map of a dictionary to the browser, unless it is there; returns the name views know
    it by.

    Mount it outside fragments, so that a click sends nothing. layout: one of
    `ep.views.layouts.LAYOUTS`.
    axes_of: key of another dictionary as wide, on whose PCA axes this one is laid out, so that both
    can be compared. RequestError when there is nothing to draw.
    """
    axes_of = None if axes_of == key else axes_of
    name = f"{loading.fingerprint(key)} {layouts.stamp(loading.dictionary(key), layout)}"
    if axes_of is not None:
        name = f"{loading.fingerprint(key)} on {loading.fingerprint(axes_of)} {layout}"
    size = len(loading.dictionary(key))
    waiting = (
        st.spinner(f"Dividing the map into {size:,} cells, once…", show_time=True)
        if size > MANY
        else nullcontext()
    )
    with waiting:  # shows only where the cells are not kept already
        data = _blob(name, key, layout, axes_of)
    _CARRIER(f"map {name}", data)
    return name


def carried(
    key: str, dictionary: Dictionary, asked: str, sent: dict[str, str] | None = None
) -> Drawn | str:
    """Sends what a map needs to the browser. A layout that is not there yet is stood in for by PCA
    of the same kind,

    a sphere of too few regions by a flat map. A sentence when nothing can be drawn. sent: names by
    layout of what this run sent for this dictionary already, for a second map; what is sent now is
    added.
    """
    layout = asked if layouts.is_ready(dictionary, asked) else asked.replace("umap", "pca")
    sent = {} if sent is None else sent
    why = ""
    for shown in dict.fromkeys((layout, layout.replace("sphere", "flat"))):
        try:
            if shown not in sent:
                sent[shown] = carrier(key, shown)
        except RequestError as error:
            why = why or messages.sentence(error)
        else:
            return Drawn(sent[shown], shown, f"{why} The flat map is shown." if why else "")
    return why


def view(
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
    """Draws the map that `carrier` called `name`; a click or Enter on a cell calls
    `on_pick(region)`.

    key: of this place on the page; the camera is kept by it. sequence: the map takes over
    `selected`, and flies there when it is out of view, when this number changes, so that a slow
    answer never undoes a quick click.
    on_brush: called with the region ids after a lasso or box, with [] when cleared; None offers no
    brush tools.
    brushed, brush_sequence: the same for the brush, from Python. path: region ids a prompt's tokens
    visit, in order (a negative id, for a token in no region, breaks the line); path_labels: the
    tokens, as plain text.
    link: views with one link name share hover and brush when they show one dictionary, and the
    camera when they show one kind of map. partners: (K,) ids in the linked map's dictionary, −1 for
    none: hover, selection and brush made on this map cross over to a map of another dictionary by
    it; that map needs its own for the way back. height: in px, None fills the window. note: the
    line under the map, None says what a projection keeps. names: texts that stand on the map in
    place of a region's token, for example labels given by hand.
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
        "names": {str(region): text for region, text in (names or {}).items()},
    } | blob.legend(coloring)
    heard: Heard = {"picked": on_pick, "brushed": on_brush or (lambda regions: None)}
    _VIEW(key, data, heard)


@st.cache_resource(show_spinner=False, max_entries=16)
def _blob(name: str, _key: str, layout: str, _axes_of: str | None) -> bytes:
    dictionary = loading.dictionary(_key)
    if _axes_of is None:
        place = layouts.coordinates(dictionary, layout)
    else:
        place = layouts.on_axes_of(loading.dictionary(_axes_of), dictionary, layout)
    return blob.blob(dictionary, place, layout, name)
