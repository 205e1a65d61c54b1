"""The map as one HTML file that works offline, and the source of the map's browser code.

The file uses the same renderer as the app, with the blobs embedded as base64. Every text is
escaped, so that nothing in a dictionary can end a script element. This module does not depend on
Streamlit.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ep.method.dictionary import Dictionary
from ep.text import label
from ep.views import blob, layouts, tables

if TYPE_CHECKING:
    from ep.views.colorings import Coloring

HERE = Path(__file__).with_name("browser")
PARTS = (
    *("unpack.js", "camera.js", "mesh.js", "sphere.js", "flat.js", "shaders.js", "labels.js"),
    *("coarse.js", "overlay.js", "picture.js", "legend.js", "view.js", "cells.js", "flight.js"),
    *("links.js", "gestures.js", "mount.js"),
)
"""The renderer's files, in the order in which they are joined into one script."""
THEMES = {
    "light": ("#ffffff", "#1d2433", "#dde1e9", "#3f4fc4"),
    "dark": ("#11141b", "#e4e8f0", "#2c3340", "#7484f5"),
}
"""Colours of the page, its text, its borders and its accents in either theme."""
_NAMES = ("background-color", "text-color", "border-color", "primary-color")
_COMMON = (
    "--st-base-radius:6px;--st-font:'Source Sans','Source Sans 3',system-ui,sans-serif;"
    "--st-code-font:'Source Code Pro',ui-monospace,monospace;"
)


def read(*names: str) -> str:
    """The contents of files of the browser code, one after the other."""
    return "\n".join((HERE / name).read_text(encoding="utf-8") for name in names)


def html(
    dictionary: Dictionary,
    layout: str,
    coloring: Coloring,
    selected: int | None = None,
    *,
    brushed: Iterable[int] = (),
    path: Sequence[int] = (),
    path_labels: Sequence[str] = (),
    note: str | None = None,
    names: Mapping[int, str] | None = None,
    theme: str | None = None,
) -> str:
    """The interactive map as one HTML page that needs no network.

    layout: one of `layouts.LAYOUTS`, already computed.
    coloring: the colours of the regions.
    selected: the selected region, if any.
    brushed: the regions of the brush.
    path, path_labels: regions of a prompt's tokens in order, and the tokens' texts.
    note: the line below the map; None for how much of the full space the projection shows.
    names: names of regions, shown in place of their tokens.
    theme: "light" or "dark"; None follows the setting of the reader's system.

    Raises RequestError when the dictionary has no map of that layout.
    """
    cells = blob.blob(
        dictionary, layouts.coordinates(dictionary, layout), layout, f"alone {layout}"
    )
    color_name, colors = blob.colors(coloring, "alone")
    data: dict[str, Any] = {
        "blob": f"alone {layout}",
        "colors": color_name,
        "selected": selected,
        "sequence": 0,
        "brushed": [int(k) for k in brushed],
        "brush_sequence": 0,
        "brushable": True,
        "path": [int(k) for k in path],
        "path_labels": list(path_labels),
        "link": None,
        "partners": None,
        "height": None,
        "names": blob.named(names),
        "note": blob.note(dictionary, layout) if note is None else note,
        "file": file_name(dictionary, layout, coloring),
        "title": title(dictionary),
        "made": provenance(dictionary),
    } | blob.legend(coloring)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f"<title>{escape(data['title'])}</title>\n"
        '<meta name="viewport" content="width=device-width">\n'
        '<meta http-equiv="Content-Security-Policy" '
        "content=\"default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
        'img-src data: blob:">\n'
        f"<style>{_colors(theme)}\n{read('map.css')}\n{read('alone.css')}</style></head>\n"
        f'<body><header><h1></h1><p class="made"></p></header>\n{read("map.html")}\n'
        f'<script type="application/json" id="data">{_inert(data)}</script>\n'
        f'<script type="text/plain" id="map">{b64encode(cells).decode()}</script>\n'
        f'<script type="text/plain" id="colors">{b64encode(colors).decode()}</script>\n'
        f'<script type="module">\n{read(*PARTS, "alone.js")}\n</script></body></html>\n'
    )


def _colors(theme: str | None) -> str:
    """CSS variables for the page's colours: of one theme, or of both by the reader's system."""
    variables = {
        t: "".join(f"--st-{n}:{c};" for n, c in zip(_NAMES, colors, strict=True))
        for t, colors in THEMES.items()
    }
    if theme is not None:
        return f":root{{color-scheme:{theme};{_COMMON}{variables[theme]}}}"
    dark = f"@media(prefers-color-scheme:dark){{:root{{{variables['dark']}}}}}"
    return f":root{{color-scheme:light dark;{_COMMON}{variables['light']}}}\n{dark}"


def title(dictionary: Dictionary) -> str:
    """The title of a saved map: model, layer and percentile, on one line."""
    info = dictionary.info
    parts = [
        label(tables.model_name(info, "dictionary").replace(" ", "\u2002")).replace("\u2002", " ")
    ]
    parts += [f"layer {info['layer']}"] if info.get("layer") is not None else []
    parts += (
        [f"p = {info['percentile']:g}"] if isinstance(info.get("percentile"), int | float) else []
    )
    return " · ".join(parts)


def provenance(dictionary: Dictionary) -> str:
    """Where a dictionary comes from, in one line of plain text: its size, text and protocol."""
    info = dictionary.info
    corpus = info.get("corpus") or {}
    parts = [f"{len(dictionary):,} regions"]
    if isinstance(info.get("n_activations"), int):
        parts.append(f"{info['n_activations']:,} activations")
    if isinstance(corpus, Mapping) and corpus.get("name"):
        parts.append(f"text: {corpus['name']}")
    parts += [f"protocol: {info['protocol']}"] if info.get("protocol") else []
    parts += [f"built {str(info['created'])[:10]}"] if info.get("created") else []
    return "".join(
        c if c.isprintable() else " "
        for c in "Exemplar Partitioning dictionary · " + " · ".join(parts)
    )


def file_name(dictionary: Dictionary, layout: str, coloring: Coloring) -> str:
    """The file name of a saved map without its suffix: ASCII letters, digits, dots and dashes."""
    values = (("layer", dictionary.info.get("layer")), ("p", dictionary.info.get("percentile")))
    parts = [f"{prefix}{value:g}" for prefix, value in values if isinstance(value, int | float)]
    name = "-".join(["atlas", *parts, layout, coloring.name])
    return "".join(c if c.isascii() and (c.isalnum() or c in ".-") else "-" for c in name)


def _inert(data: Mapping[str, Any]) -> str:
    """JSON in ASCII in which an HTML parser finds no tag, comment or character reference."""
    text = json.dumps(data)  # escapes everything beyond ASCII
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
