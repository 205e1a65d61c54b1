"""Layouts of the map: principal axes and UMAP, on a sphere or flat, and how well each keeps
neighbours.

PCA is in the dictionary's file or takes a moment. UMAP takes seconds to minutes: it is computed on
request, seeded, and kept in the side-car beside the file, or in memory where the folder cannot be
written. Nothing is ever measured on a map: neighbours, distances and membership come from the full
space. Knows no screen.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from hashlib import blake2b
from threading import Lock
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from jaxtyping import Float32

from ep.errors import RequestError, StorageError
from ep.method.dictionary import Dictionary
from ep.method.surroundings import principal_axes
from ep.storage import maps
from ep.storage.maps import StoredMap
from ep.views.projecting import FEWEST_FOR_UMAP as FEWEST_FOR_UMAP
from ep.views.projecting import SEED, Report, Settings, umap_coordinates

LAYOUTS = {"pca-sphere": 3, "pca-flat": 2, "umap-sphere": 3, "umap-flat": 2}
"""The layouts by name, and the components each has."""
DEFAULT = "pca-sphere"
NEIGHBOURS = 15
"""Neighbours a region's trustworthiness looks at, fewer in small dictionaries."""
SAMPLED = 2000
"""Regions the trustworthiness is measured on, against all; all of them where there are no more."""


@dataclass(frozen=True)
class Quality:
    """What a map keeps. variance_kept: share in [0, 1], None for UMAP. trustworthiness: in [0, 1],
    see below.

    neighbours: it looks at this many of each region. n: regions it was measured on; size: all of
    them.
    """

    variance_kept: float | None
    trustworthiness: float | None
    neighbours: int
    n: int
    size: int


_kept: WeakKeyDictionary[Dictionary, dict[str, StoredMap]] = WeakKeyDictionary()
_lock = Lock()


def is_umap(layout: str) -> bool:
    """Whether the layout is computed by UMAP. RequestError when there is no such layout."""
    _check(layout)
    return layout.startswith("umap")


def is_ready(dictionary: Dictionary, layout: str) -> bool:
    """Whether `coordinates` answers at once; UMAP has to be computed first."""
    return not is_umap(layout) or layout in _maps(dictionary)


def settings(dictionary: Dictionary, layout: str) -> Mapping[str, Any]:
    """What a layout that is ready was made with; empty for PCA."""
    return (
        _maps(dictionary)[layout].settings
        if is_umap(layout) and is_ready(dictionary, layout)
        else {}
    )


def stamp(dictionary: Dictionary, layout: str) -> str:
    """A short name for the coordinates: another one once UMAP was computed with other settings."""
    if not is_umap(layout) or not is_ready(dictionary, layout):
        return layout
    digest = blake2b(coordinates(dictionary, layout).tobytes(), digest_size=4).hexdigest()
    return f"{digest} {layout}"


def coordinates(dictionary: Dictionary, layout: str) -> Float32[np.ndarray, "K a"]:
    """(K, 3) for a sphere (any length: the map pushes them to radius 1), (K, 2) for a flat map.

    RequestError for an unknown layout and for UMAP that is not computed yet.
    """
    if is_umap(layout):
        found = _maps(dictionary).get(layout)
        if found is None:
            raise RequestError(
                "this map is not computed yet: choose UMAP on the Atlas and compute it"
            )
        return found.coordinates
    return _axes(dictionary)[0][:, : LAYOUTS[layout]]


def on_axes_of(axes: Dictionary, dictionary: Dictionary, layout: str) -> Float32[np.ndarray, "K a"]:
    """The PCA coordinates of a dictionary's exemplars on the axes of another one as wide.

    The axes are those that give the other's coordinates from its exemplars. RequestError for UMAP,
    which has none.
    """
    if is_umap(layout):
        raise RequestError("UMAP has no axes that another dictionary could be laid out on: use PCA")
    place = coordinates(axes, layout).astype(np.float64)
    ones = [
        np.concatenate([d.exemplars, np.ones((len(d), 1), np.float32)], axis=1)
        for d in (axes, dictionary)
    ]
    linear = np.linalg.lstsq(ones[0].astype(np.float64), place, rcond=None)[0]
    return (ones[1] @ linear).astype(np.float32)


def quality(dictionary: Dictionary, layout: str) -> Quality:
    """How much of the variance the layout keeps, and its trustworthiness; measured once and kept
    with the dictionary.

    A few milliseconds where it was measured before; else about K·K·d steps, up to 2,000·K·d.
    """
    found = _maps(dictionary).get(layout)
    if found is None or found.trustworthiness is None:
        place = coordinates(dictionary, layout)
        share, neighbours, n = trustworthiness(
            dictionary.exemplars, place, on_sphere=LAYOUTS[layout] == 3
        )
        found = StoredMap(place, {}, share, neighbours, n) if found is None else found
        _keep(
            dictionary,
            layout,
            replace(found, trustworthiness=share, neighbours=neighbours, sampled=n),
        )
        found = _maps(dictionary)[layout]
    kept = None if is_umap(layout) else float(sum(_axes(dictionary)[1][: LAYOUTS[layout]]))
    return Quality(kept, found.trustworthiness, found.neighbours, found.sampled, len(dictionary))


def is_measured(dictionary: Dictionary, layout: str) -> bool:
    """Whether `quality` answers at once."""
    return layout in _maps(dictionary) and _maps(dictionary)[layout].sampled > 0


def compute(
    dictionary: Dictionary, layout: str, asked: Settings | None = None, report: Report | None = None
) -> str:
    """Computes a UMAP layout and keeps it; returns a sentence when it could be kept in memory only,
    else nothing.

    report(what, share): called as the work goes on, a share in [0, 1]; what it raises ends the
    work. Equal exemplars and settings give equal coordinates. RequestError below 16 regions,
    ConfigError for bad settings.
    """
    asked, report = asked or Settings(), report or (lambda said, share: None)
    if not is_umap(layout):
        raise RequestError(f"{layout} needs no computing: it is there already")
    asked.check(len(dictionary))
    n_components = LAYOUTS[layout]
    place = umap_coordinates(dictionary.exemplars, n_components, asked, report)
    report("measuring how well neighbours are kept", 0.95)
    share, neighbours, n = trustworthiness(dictionary.exemplars, place, on_sphere=n_components == 3)
    told = {"neighbours": asked.neighbours, "min_dist": asked.min_dist, "seed": SEED}
    made = StoredMap(place, told, share, neighbours, n)
    _keep(dictionary, layout, made)
    report("done", 1.0)
    if dictionary.path is None:
        return "This map is kept until the explorer ends: its dictionary lies in no file."
    try:
        maps.save(dictionary.path, dictionary, layout, made)
    except StorageError as error:
        return f"This map is kept until the explorer ends: {error}."
    return ""


def trustworthiness(
    exemplars: Float32[np.ndarray, "K d"],
    place: Float32[np.ndarray, "K a"],
    on_sphere: bool,
    neighbours: int = NEIGHBOURS,
    sampled: int = SAMPLED,
) -> tuple[float | None, int, int]:
    """How far one may believe that what is near on the map is near: (share in [0, 1], neighbours k,
    regions sampled).

    scikit-learn's definition (Venna and Kaski): of each region's k nearest on the map those are
    charged that are not among its k nearest in the full space (cosine), by how far down they rank
    there. On a sphere the map's distance is the angle. Measured on a seeded sample against all
    regions; None below four regions.
    """
    size = len(exemplars)
    k = min(neighbours, (size - 1) // 2)
    if k < 1:
        return None, 0, 0
    rows = np.arange(size)
    if size > sampled:
        rows = np.sort(np.random.default_rng(SEED).choice(size, sampled, replace=False))
    shown = place.astype(np.float64)
    if on_sphere:
        shown = shown / np.maximum(np.linalg.norm(shown, axis=1, keepdims=True), 1e-12)
    square = np.einsum("ij,ij->i", shown, shown)
    charged = 0.0
    step = max(1, 16 * 2**20 // (8 * size))
    for start in range(0, len(rows), step):
        block = rows[start : start + step]
        own = np.arange(len(block))
        on_map = square[None] - 2 * (shown[block] @ shown.T)
        on_map[own, block] = np.inf
        near = np.argpartition(on_map, k - 1, axis=1)[:, :k]
        full = 1.0 - exemplars[block] @ exemplars.T
        full[own, block] = -np.inf
        # 1 is the nearest
        rank = np.stack([(full < full[own, j][:, None]).sum(axis=1) for j in near.T], 1)
        charged += float(np.maximum(rank - k, 0).sum())
    return 1.0 - charged * 2.0 / (len(rows) * k * (2.0 * size - 3.0 * k - 1.0)), k, len(rows)


def _axes(dictionary: Dictionary) -> tuple[np.ndarray, np.ndarray]:
    """(K, 3) coordinates and (3,) shares of variance: the file's, or computed now and kept."""
    stored = "map_pca" in dictionary
    kept = [float(v) for v in dictionary.info.get("variance_kept") or ()]
    if stored and len(kept) >= 3:
        return dictionary.column("map_pca"), np.array(kept[:3])
    found = _maps(dictionary).get("axes")
    if found is None:
        place, shares = principal_axes(dictionary.exemplars)
        found = StoredMap(place, {"shares": shares.tolist()})
        _keep(dictionary, "axes", found)
    return dictionary.column("map_pca") if stored else found.coordinates, np.array(
        found.settings["shares"]
    )


def _maps(dictionary: Dictionary) -> dict[str, StoredMap]:
    """The maps known of this dictionary: those of the side-car, read once, and those made since."""
    with _lock:
        if dictionary not in _kept:
            file = dictionary.path
            known = {} if file is None else maps.load(file, dictionary)
            _kept[dictionary] = {
                n: m for n, m in known.items() if LAYOUTS.get(n) == m.coordinates.shape[1]
            }
        return _kept[dictionary]


def _keep(dictionary: Dictionary, name: str, made: StoredMap) -> None:
    _maps(dictionary)
    with _lock:
        _kept[dictionary] = _kept[dictionary] | {name: made}


def _check(layout: str) -> None:
    if layout not in LAYOUTS:
        raise RequestError(
            f"no layout is called {layout[:40]!r}: choose one of {', '.join(LAYOUTS)}"
        )
