"""A map as one blob of bytes a browser draws from: cells, names and hover texts; and its colours as
another.

What no click changes travels once, under a name; colours travel by themselves, so that any column
can be a colouring without packing all of them. Read by `browser/unpack.js`. Knows no screen.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import numpy as np

from ep.errors import RequestError
from ep.method.dictionary import Dictionary
from ep.studies.naming import automatic
from ep.text import label
from ep.views import flat, layouts, palette, sphere, tables

if TYPE_CHECKING:
    from ep.views.colorings import Coloring

LONGEST_NAME = 18
TIPS = 3
QUANTUM = 32767
NONE = 2**32 - 1


def kind(layout: str) -> str:
    """ "sphere" or "flat". RequestError for an unknown layout."""
    if layout not in layouts.LAYOUTS:
        raise RequestError(
            f"no layout is called {layout[:40]!r}: choose one of {', '.join(layouts.LAYOUTS)}"
        )
    return layout.rpartition("-")[2]


def blob(dictionary: Dictionary, coordinates: np.ndarray, layout: str, name: str) -> bytes:
    """Everything a map shows of a dictionary that no click changes: cells, names, hover texts,
    sizes.

    coordinates: (K, 3) for a sphere, (K, 2) or more for a flat map. name: what views ask for it by.
    RequestError when there are too few regions for that kind of map.
    """
    drawn = kind(layout)
    if len(coordinates) != len(dictionary):
        raise RequestError(
            f"{len(coordinates):,} places were given for {len(dictionary):,} regions: compute the "
            "map again"
        )
    found = sphere.cells(coordinates) if drawn == "sphere" else flat.cells(coordinates)
    vertices = (
        np.round(found.vertices * QUANTUM).astype("<i2")
        if drawn == "sphere"
        else found.vertices.astype("<f4")
    )
    size = len(dictionary)
    count = dictionary.members
    groups = (
        dictionary.column("neighbourhood")
        if "neighbourhood" in dictionary
        else np.zeros(size, np.uint8)
    )
    coherence = (
        dictionary.column("coherence") if "coherence" in dictionary else np.full(size, np.nan)
    )
    words, names, tips = _words(dictionary)
    arrays = {
        "centers": found.centers.ravel().astype("<f4"),
        "vertices": vertices.ravel(),
        "corners": found.corners.astype("<u4"),
        "counts": found.counts.astype("<u2"),
        "ranking": np.argsort(-(count**0.35 * found.areas), kind="stable").astype("<u4"),
        "members": np.minimum(count, NONE).astype("<u4"),
        "coherence": coherence.astype("<f4"),
        "groups": groups.astype("u1"),
        "names": names.astype("<u4"),
        "tips": tips.astype("<u4").ravel(),
    }
    if isinstance(found, flat.Cells):
        arrays["outline"] = found.outline.astype("<f4").ravel()
    texts = {
        "kind": drawn,
        "words": words,
        "palette": palette.group_colors(dictionary),
        "membersKind": "at arrival" if dictionary.members_column == "count_arrival" else "Voronoi",
    }
    return pack(name, arrays, texts)


def colors(coloring: Coloring, of: str) -> tuple[str, bytes]:
    """The cells' colours by day and by night as a blob, and the name views ask for it by.

    of: the name of the dictionary's file, so that equal colourings of two dictionaries stay apart.
    """
    arrays = {"light": np.ascontiguousarray(coloring.light, np.uint8).ravel()}
    if not np.array_equal(coloring.light, coloring.dark):
        arrays["dark"] = np.ascontiguousarray(coloring.dark, np.uint8).ravel()
    digest = blake2b(b"|".join(a.tobytes() for a in arrays.values()), digest_size=6).hexdigest()
    name = f"{of} {coloring.name} {digest}"
    return name, pack(name, arrays, {})


def partners(regions: np.ndarray, of: str) -> tuple[str, bytes]:
    """Each region's partner in another dictionary ((K,) ids, −1 for none) as a blob, and the name
    views ask for it by.

    of: the name of the dictionary's file the regions are of.
    """
    ids = np.asarray(regions, np.int64)
    array = np.where(ids >= 0, ids, NONE).astype("<u4")
    name = f"{of} partners {blake2b(array.tobytes(), digest_size=6).hexdigest()}"
    return name, pack(name, {"partners": array}, {})


def legend(coloring: Coloring) -> dict[str, Any]:
    """What explains the colours: `{"legend": rows of (colour, name, count)}`, or a ramp with two
    ends.
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
    """What the map keeps of the full space, in one line."""
    width, axes = dictionary.width, 3 if kind(layout) == "sphere" else 2
    rest = f"Neighbours and distances use all {width:,}."
    if layout.startswith("umap"):
        return (
            f"UMAP: near regions of all {width:,} directions stay near, other distances mean "
            f"little. {rest}"
        )
    kept = list(dictionary.info.get("variance_kept") or [])[:axes]
    share = f", keeping {100 * float(sum(kept)):.0f} % of the variance" if kept else ""
    return " ".join(
        filter(
            None, (f"PCA: {axes} of {width:,} directions{share}.", spread(dictionary, layout), rest)
        )
    )


def spread(dictionary: Dictionary, layout: str) -> str:
    """A sentence on how far a flat map spreads its crowded middle; empty where it does not, or is
    not there yet.
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
    """Named arrays and texts as one blob: uint32 length of a JSON head, the head, then the arrays,
    4-byte aligned.
    """
    body, listed = bytearray(), []
    for key, array in arrays.items():
        body += b"\0" * (-len(body) % 4)
        listed.append([key, array.dtype.str[1:], len(body), int(array.size)])
        body += array.tobytes()
    head = json.dumps({"id": name, "arrays": listed, "texts": dict(texts)}).encode()
    return len(head).to_bytes(4, "little") + head + bytes(body)


def _words(dictionary: Dictionary) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Every text once; each region's name (K,) and telling tokens (K, TIPS) as places in that list,
    else NONE.
    """
    texts: dict[str, int] = {}
    first = _first_tokens(dictionary)
    names = _placed(
        first,
        texts,
        lambda token: _short(tables.map_name(dictionary.piece(token) if token >= 0 else "")),
    )
    if (nameless := np.flatnonzero(first < 0)).size:
        labels = automatic(dictionary, nameless.tolist())
        names[nameless] = [
            texts.setdefault(_short(tables.brief(label)), len(texts)) for label in labels
        ]
    ids = tables.token_ids(dictionary)
    if ids is None:
        tips = np.full((len(dictionary), TIPS), NONE, np.uint32)
    else:
        shown = np.full((len(dictionary), TIPS), -1, np.int64)
        shown[:, : min(TIPS, ids.shape[1])] = ids[:, :TIPS]
        tips = _placed(
            shown, texts, lambda token: label(dictionary.piece(token)) if token >= 0 else None
        )
    return list(texts), names, tips


def _first_tokens(dictionary: Dictionary) -> np.ndarray:
    """(K,) the one token that stands for each region, as `tables.name` gives it, -1 where the file
    knows none.
    """
    first = np.full(len(dictionary), -1, np.int64)
    for column in ("token_ids", "lens_exemplar_up_ids"):
        if column in dictionary:
            ids = dictionary.column(column)[:, 0]
            first = np.where(ids >= 0, ids, first)
    return first


def _placed(ids: np.ndarray, texts: dict[str, int], say: Any) -> np.ndarray:
    different, back = np.unique(ids, return_inverse=True)
    said: Sequence[str | None] = [say(int(token)) for token in different]
    places = [NONE if text is None else texts.setdefault(text, len(texts)) for text in said]
    return np.array(places, np.uint32)[back].reshape(ids.shape)


def _short(text: str) -> str:
    return text if len(text) <= LONGEST_NAME else text[: LONGEST_NAME - 1] + "…"
