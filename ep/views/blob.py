"""Binary blobs that the browser draws a map from: one with the cells and texts, one with colours.

What does not change while the map is used is sent once, under a name. Colours are sent separately,
so that any column can be a colouring without packing all of them. `browser/unpack.js` reads the
blobs. This module does not depend on Streamlit.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import numpy as np

from ep.errors import RequestError
from ep.method.dictionary import Dictionary
from ep.studies.names import names, one_line, short
from ep.text import label
from ep.views import flat, layouts, palette, sphere, tables

if TYPE_CHECKING:
    from ep.views.colorings import Coloring

TIPS = 3
"""Tokens of a region in its hover text."""
QUANTUM = 32767
"""Coordinates in [-1, 1] of a sphere's vertices are stored as int16 multiples of 1 / QUANTUM."""
NONE = 2**32 - 1
"""Stands for "none" in arrays of uint32 indices."""
MEMBERS_KIND = {"count_voronoi": "Voronoi", "count_arrival": "at arrival", None: ""}
"""What a hover text calls the members; nothing where the file has no counts."""


def kind(layout: str) -> str:
    """The kind of map a layout belongs to, "sphere" or "flat".

    Raises RequestError for an unknown layout.
    """
    if layout not in layouts.LAYOUTS:
        raise RequestError(
            f"no layout is called {layout[:40]!r}: choose one of {', '.join(layouts.LAYOUTS)}"
        )
    return layout.rpartition("-")[2]


def blob(dictionary: Dictionary, coordinates: np.ndarray, layout: str, name: str) -> bytes:
    """The blob of a map's cells, names, hover texts and region sizes.

    coordinates: (K, 3) for a sphere, (K, 2) or more columns for a flat map.
    layout: one of `layouts.LAYOUTS`.
    name: the name under which the browser keeps the blob.

    Raises RequestError when there are too few regions for that kind of map, or when the number of
    coordinates differs from the number of regions.
    """
    map_kind = kind(layout)
    if len(coordinates) != len(dictionary):
        raise RequestError(
            f"{len(coordinates):,} coordinates were given for {len(dictionary):,} regions: compute "
            "the map again"
        )
    cells = sphere.cells(coordinates) if map_kind == "sphere" else flat.cells(coordinates)
    vertices = (
        np.round(cells.vertices * QUANTUM).astype("<i2")
        if map_kind == "sphere"
        else cells.vertices.astype("<f4")
    )
    size = len(dictionary)
    kind_of_members = MEMBERS_KIND[dictionary.members_column]
    counted = dictionary.members if kind_of_members else np.zeros(size, np.int64)
    groups = (
        dictionary.column("neighbourhood")
        if "neighbourhood" in dictionary
        else np.zeros(size, np.uint8)
    )
    coherence = (
        dictionary.column("coherence") if "coherence" in dictionary else np.full(size, np.nan)
    )
    words, shorts, wholes, tips = _words(dictionary)
    arrays = {
        "centers": cells.centers.ravel().astype("<f4"),
        "vertices": vertices.ravel(),
        "corners": cells.corners.astype("<u4"),
        "counts": cells.counts.astype("<u2"),
        "ranking": np.argsort(-(dictionary.members**0.35 * cells.areas), kind="stable").astype(
            "<u4"
        ),
        "members": np.minimum(counted, NONE).astype("<u4"),
        "coherence": coherence.astype("<f4"),
        "groups": groups.astype("u1"),
        "names": shorts.astype("<u4"),
        "wholes": wholes.astype("<u4"),
        "tips": tips.astype("<u4").ravel(),
    }
    if isinstance(cells, flat.Cells):
        arrays["outline"] = cells.outline.astype("<f4").ravel()
    texts = {
        "kind": map_kind,
        "words": words,
        "tipsKind": "lens" if tables.first_lens_column(dictionary) else "tokens",
        "palette": palette.group_colors(dictionary),
        "membersKind": kind_of_members,
    }
    return pack(name, arrays, texts)


def colors(coloring: Coloring, of: str) -> tuple[str, bytes]:
    """The name and the blob of a colouring: the cells' colours on a light and on a dark page.

    of: the name of the dictionary's file, so that equal colourings of two dictionaries get
        different names.
    The name includes a digest of the colours. The dark colours are left out if they are the same.
    """
    arrays = {"light": np.ascontiguousarray(coloring.light, np.uint8).ravel()}
    if not np.array_equal(coloring.light, coloring.dark):
        arrays["dark"] = np.ascontiguousarray(coloring.dark, np.uint8).ravel()
    digest = blake2b(b"|".join(a.tobytes() for a in arrays.values()), digest_size=6).hexdigest()
    name = f"{of} {coloring.name} {digest}"
    return name, pack(name, arrays, {})


def partners(regions: np.ndarray, of: str) -> tuple[str, bytes]:
    """The name and the blob of each region's partner in another dictionary.

    regions: (K,) ids of the partners, −1 for none.
    of: the name of the file of the dictionary whose K regions have these partners.
    """
    ids = np.asarray(regions, np.int64)
    array = np.where(ids >= 0, ids, NONE).astype("<u4")
    name = f"{of} partners {blake2b(array.tobytes(), digest_size=6).hexdigest()}"
    return name, pack(name, {"partners": array}, {})


def named(labels: Mapping[int, str] | None) -> dict[str, list[str]]:
    """Names that replace those in a map's blob: the short and the whole one of each region.

    labels: by region, such as labels given by hand.
    """
    return {str(k): [short(text), one_line(text)] for k, text in (labels or {}).items()}


def legend(coloring: Coloring) -> dict[str, Any]:
    """The explanation of the colours as plain data: rows of a legend, or a ramp.

    Returns {"legend": [[colour, name, count], …], "ramp": None} for categories, and
    {"legend": [], "ramp": {…}} with the fields of `colorings.Ramp` for numbers.
    """
    if coloring.ramp is None:
        rows = [[color, text, f"{n:,}"] for color, text, n in coloring.legend]
        return {"legend": rows, "ramp": None}
    ramp = coloring.ramp
    shown = {
        name: getattr(ramp, name)
        for name in ("name", "low", "high", "light", "dark", "clipped", "missing")
    }
    return {"legend": [], "ramp": shown}


def note(dictionary: Dictionary, layout: str) -> str:
    """How much of the full space the map shows, in one line for the reader."""
    width, axes = dictionary.width, 3 if kind(layout) == "sphere" else 2
    rest = f"Neighbours and distances use all {width:,}."
    if layout.startswith("umap"):
        return (
            f"UMAP: near regions of all {width:,} directions stay near, other distances mean "
            f"little. {rest}"
        )
    shares = list(dictionary.info.get("variance_kept") or [])[:axes]
    share = f", keeping {100 * float(sum(shares)):.0f} % of the variance" if shares else ""
    return " ".join(
        filter(
            None, (f"PCA: {axes} of {width:,} directions{share}.", spread(dictionary, layout), rest)
        )
    )


def spread(dictionary: Dictionary, layout: str) -> str:
    """A sentence on how far a flat map spreads out its crowded middle.

    Empty for a sphere, for a map that is not spread, and for a layout that is not computed yet.
    """
    if kind(layout) == "sphere" or not layouts.is_ready(dictionary, layout):
        return ""
    power = flat.spread(layouts.coordinates(dictionary, layout))
    return (
        f"The crowded middle is spread: distances from it are drawn to the power {power:g}."
        if power < 1
        else ""
    )


def pack(name: str, arrays: Mapping[str, np.ndarray], texts: Mapping[str, Any]) -> bytes:
    """Pack named arrays and texts into one blob.

    Layout: the length of a JSON header as little-endian uint32, the header, then the arrays, each
    padded to begin at a multiple of 4 bytes from the end of the header. The header is {"id": name,
    "arrays": [[name, dtype, offset, size], …], "texts": texts}.
    """
    body, entries = bytearray(), []
    for key, array in arrays.items():
        body += b"\0" * (-len(body) % 4)
        entries.append([key, array.dtype.str[1:], len(body), int(array.size)])
        body += array.tobytes()
    head = json.dumps({"id": name, "arrays": entries, "texts": dict(texts)}).encode()
    return len(head).to_bytes(4, "little") + head + bytes(body)


def _words(dictionary: Dictionary) -> tuple[list[str], np.ndarray, np.ndarray, np.ndarray]:
    """The distinct texts of a map, and indices into them.

    These are short names (K,), whole names (K,) and tokens (K, TIPS) for the hover text.

    An index is NONE where a region has no such token.
    """
    texts: dict[str, int] = {}
    called = names(dictionary)
    wholes, shorts = (
        np.array([texts.setdefault(form(text), len(texts)) for text in called], np.uint32)
        for form in (one_line, short)
    )
    ids = tables.token_ids(dictionary)
    if ids is None:
        tips = np.full((len(dictionary), TIPS), NONE, np.uint32)
    else:
        shown = np.full((len(dictionary), TIPS), -1, np.int64)
        shown[:, : min(TIPS, ids.shape[1])] = ids[:, :TIPS]
        tips = _indices(
            shown, texts, lambda token: label(dictionary.piece(token)) if token >= 0 else None
        )
    return list(texts), shorts, wholes, tips


def _indices(ids: np.ndarray, texts: dict[str, int], text_of: Any) -> np.ndarray:
    """Indices into `texts`, which grows by new ones, of the text of each token id; same shape.

    text_of: gives the text of a token id, or None for NONE. It is called once per distinct id.
    """
    distinct, inverse = np.unique(ids, return_inverse=True)
    words: Sequence[str | None] = [text_of(int(token)) for token in distinct]
    indices = [NONE if text is None else texts.setdefault(text, len(texts)) for text in words]
    return np.array(indices, np.uint32)[inverse].reshape(ids.shape)
