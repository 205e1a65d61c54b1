"""The sphere component: mounts the invisible carrier of a dictionary's map and the view that draws it.

The browser side is in `sphere/`: plain JavaScript files, joined in order into one module, without a build step. The
view gets a small object on every run; cells, names and colours travel once, as bytes named by the file's fingerprint.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import streamlit as st

from ep.method.dictionary import Dictionary
from ep.views import palette, sphere
from ep.views.sphere import Ramp
from pages.shared import loading

HERE = Path(sphere.__file__).with_name("browser")
PARTS = ("camera.js", "mesh.js", "shaders.js", "labels.js", "view.js")


def carrier(key: str) -> str:
    """Sends the map of a dictionary to the browser, unless it is there; returns the name views know it by.

    Mount it outside fragments, so that a click sends nothing. RequestError when there is nothing to draw.
    """
    name = loading.fingerprint(key)
    _carrier()(key=f"map {name}", data=_blob(name, key))
    return name


def view(
    name: str,
    dictionary: Dictionary,
    selected: int | None,
    sequence: int,
    coloring: str,
    key: str,
    on_pick: Callable[[int], None],
) -> None:
    """Draws the map that `carrier` called `name`; a click or Enter on a cell calls `on_pick(region)`.

    sequence: the map takes over `selected` when this number changes, so that a slow answer never undoes a quick click.
    coloring: one of `ep.views.sphere.COLORINGS` the dictionary can fill.
    """
    info = dictionary.info
    marks = (("layer", info.get("layer")), ("p", info.get("percentile")))
    made_at = "-".join(f"{mark}{value:g}" for mark, value in marks if value is not None)
    data = {
        "blob": name,
        "name": key,
        "selected": selected,
        "sequence": sequence,
        "coloring": coloring,
        "legend": sphere.legend(dictionary),
        "ramp": _ramp(sphere.scale(dictionary, coloring)),
        "note": sphere.note(dictionary),
        "file": f"atlas-{made_at}-{coloring}.png",
    }
    _view()(key=key, data=data, on_picked_change=lambda: _picked(key, on_pick))


def _picked(key: str, on_pick: Callable[[int], None]) -> None:
    value = st.session_state.get(key, {}).get("picked")
    if isinstance(value, int):
        on_pick(value)


def _ramp(scaled: tuple[Any, Ramp] | None) -> dict[str, Any] | None:
    if scaled is None:
        return None
    ramp = scaled[1]
    colors = {"light": palette.SEQUENTIAL_LIGHT, "dark": palette.SEQUENTIAL_DARK}
    return {"name": ramp.name, "low": ramp.low, "high": ramp.high, **colors}


@st.cache_resource(show_spinner=False, max_entries=12)
def _blob(name: str, _key: str) -> bytes:
    return sphere.blob(loading.dictionary(_key), name)


def _read(*names: str) -> str:
    return "\n".join((HERE / name).read_text(encoding="utf-8") for name in names)


@cache
def _carrier() -> Callable[..., Any]:
    return st.components.v2.component("ep.carrier", js=_read("carrier.js"))


@cache
def _view() -> Callable[..., Any]:
    return st.components.v2.component("ep.sphere", html=_read("map.html"), css=_read("map.css"), js=_read(*PARTS))
