"""Layouts of the map: PCA and UMAP, on a sphere or flat, and how well each preserves neighbours.

PCA is read from the dictionary's file or computed in a moment. UMAP takes seconds to minutes: it is
computed on request, with a fixed seed, and stored in a sidecar beside the file, or in memory where
the folder is not writable. Nothing is measured on a map: neighbours, distances and membership come
from the full space. This module does not depend on Streamlit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from hashlib import blake2b
from threading import Lock
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from ep.errors import RequestError, StorageError
from ep.method.dictionary import Dictionary
from ep.method.metrics import carried
from ep.method.surroundings import principal_axes
from ep.shapes import Float32
from ep.storage import maps
from ep.storage.maps import StoredMap
from ep.views.projecting import FEWEST_FOR_UMAP as FEWEST_FOR_UMAP
from ep.views.projecting import SEED, Report, Settings, umap_coordinates

LAYOUTS = {"pca-sphere": 3, "pca-flat": 2, "umap-sphere": 3, "umap-flat": 2}
"""Number of components of each layout, by the layout's name."""
DEFAULT = "pca-sphere"
NEIGHBOURS = 15
"""Neighbours of a region that its trustworthiness is based on; fewer in small dictionaries."""
SAMPLED = 2000
"""Largest number of regions on which trustworthiness is measured, each against all regions."""


@dataclass(frozen=True)
class Quality:
    """How well a map preserves the full space.

    variance_kept: share of the variance in [0, 1]; None for UMAP.
    trustworthiness: in [0, 1], see `trustworthiness`; None in dictionaries too small to measure it.
    neighbours: neighbours per region that it is based on.
    n: regions it was measured on.
    size: regions of the dictionary.
    """

    variance_kept: float | None
    trustworthiness: float | None
    neighbours: int
    n: int
    size: int


_cache: WeakKeyDictionary[Dictionary, dict[str, StoredMap]] = WeakKeyDictionary()
_lock = Lock()


def is_umap(layout: str) -> bool:
    """Whether the layout is computed by UMAP. Raises RequestError for an unknown layout."""
    _check(layout)
    return layout.startswith("umap")


def is_ready(dictionary: Dictionary, layout: str) -> bool:
    """Whether `coordinates` can return the layout now; a UMAP layout must be computed first."""
    return not is_umap(layout) or layout in _maps(dictionary)


def settings(dictionary: Dictionary, layout: str) -> Mapping[str, Any]:
    """The settings a UMAP layout was computed with; empty for PCA or if it is not computed yet."""
    return (
        _maps(dictionary)[layout].settings
        if is_umap(layout) and is_ready(dictionary, layout)
        else {}
    )


def stamp(dictionary: Dictionary, layout: str) -> str:
    """A name for the layout's coordinates that changes when UMAP is computed again."""
    if not is_umap(layout) or not is_ready(dictionary, layout):
        return layout
    digest = blake2b(coordinates(dictionary, layout).tobytes(), digest_size=4).hexdigest()
    return f"{digest} {layout}"


def coordinates(dictionary: Dictionary, layout: str) -> Float32[np.ndarray, "K a"]:
    """The coordinates of the regions on the map: (K, 3) for a sphere, (K, 2) for a flat map.

    layout: one of `LAYOUTS`.

    The rows of a sphere may have any length; only their directions are drawn. Raises RequestError
    for an unknown layout and for a UMAP layout that is not computed yet.
    """
    if is_umap(layout):
        stored = _maps(dictionary).get(layout)
        if stored is None:
            raise RequestError(
                "this map is not computed yet: choose UMAP on the Atlas and compute it"
            )
        return stored.coordinates
    return _axes(dictionary)[0][:, : LAYOUTS[layout]]


def on_axes_of(axes: Dictionary, dictionary: Dictionary, layout: str) -> Float32[np.ndarray, "K a"]:
    """The PCA coordinates of a dictionary's exemplars on the axes of another dictionary.

    axes: the dictionary whose principal axes are used; of the same width.
    dictionary: the one that is laid out.

    Raises RequestError for UMAP, which has no axes.
    """
    if is_umap(layout):
        raise RequestError("UMAP has no axes that another dictionary could be laid out on: use PCA")
    place = coordinates(axes, layout).astype(np.float64)
    # A file stores coordinates but not axes: recover them as the affine map from the exemplars to
    # their coordinates.
    # In two metrics, the other's exemplars are placed as the first would see them.
    exemplars = (axes.exemplars, carried(dictionary.exemplars, dictionary.metric, axes.metric))
    with_ones = [
        np.concatenate([rows, np.ones((len(rows), 1), np.float32)], axis=1) for rows in exemplars
    ]
    linear = np.linalg.lstsq(with_ones[0].astype(np.float64), place, rcond=None)[0]
    return (with_ones[1] @ linear).astype(np.float32)


def quality(dictionary: Dictionary, layout: str) -> Quality:
    """The share of variance a layout keeps, and its trustworthiness.

    Both are measured once per dictionary and cached, at a cost of min(K, 2,000)·K·d
    multiplications.
    """
    stored = _maps(dictionary).get(layout)
    if stored is None or stored.trustworthiness is None:
        place = coordinates(dictionary, layout)
        share, neighbours, n = trustworthiness(
            dictionary.exemplars, place, on_sphere=LAYOUTS[layout] == 3
        )
        stored = StoredMap(place, {}, share, neighbours, n) if stored is None else stored
        _store(
            dictionary,
            layout,
            replace(stored, trustworthiness=share, neighbours=neighbours, sampled=n),
        )
        stored = _maps(dictionary)[layout]
    variance = None if is_umap(layout) else float(sum(_axes(dictionary)[1][: LAYOUTS[layout]]))
    return Quality(
        variance, stored.trustworthiness, stored.neighbours, stored.sampled, len(dictionary)
    )


def is_measured(dictionary: Dictionary, layout: str) -> bool:
    """Whether `quality` has been measured for this layout."""
    return layout in _maps(dictionary) and _maps(dictionary)[layout].sampled > 0


def compute(
    dictionary: Dictionary,
    layout: str,
    settings: Settings | None = None,
    report: Report | None = None,
) -> str:
    """Compute a UMAP layout and store it.

    settings: the settings of UMAP; None for the defaults.
    report(what, share): called as the work proceeds, with a share in [0, 1]; an exception it raises
        ends the work.

    Returns an empty string if the layout was saved beside the dictionary's file, else a sentence
    that says why it is only kept in memory. Equal exemplars and settings give equal coordinates.

    Raises RequestError for a layout that is not UMAP or below 16 regions, and ConfigError for
    settings out of range.
    """
    settings, report = settings or Settings(), report or (lambda what, share: None)
    if not is_umap(layout):
        raise RequestError(f"{layout} needs no computing: it is always available")
    settings.check(len(dictionary))
    n_components = LAYOUTS[layout]
    place = umap_coordinates(dictionary.exemplars, n_components, settings, report)
    report("measuring how well neighbours are kept", 0.95)
    share, neighbours, n = trustworthiness(dictionary.exemplars, place, on_sphere=n_components == 3)
    used = {"neighbours": settings.neighbours, "min_dist": settings.min_dist, "seed": SEED}
    computed = StoredMap(place, used, share, neighbours, n)
    _store(dictionary, layout, computed)
    report("done", 1.0)
    if dictionary.path is None:
        return "This map is kept until the explorer ends: its dictionary has no file."
    try:
        maps.save(dictionary.path, dictionary, layout, computed)
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
    """Trustworthiness of a map: whether regions near each other on it are near in the full space.

    exemplars: (K, d) unit rows.
    place: (K, a) coordinates on the map.
    on_sphere: whether distances on the map are angles; else they are Euclidean.
    neighbours: the number k of neighbours, at most (K − 1) / 2.
    sampled: number of regions, drawn with a fixed seed, that are measured against all regions.

    Returns (trustworthiness in [0, 1], k, number of regions measured). The definition is Venna and
    Kaski's, as in scikit-learn: each of a region's k nearest regions on the map that is not among
    its k nearest in the full space (by cosine) costs the amount by which its rank there exceeds k.
    With fewer than three regions it is (None, 0, 0).
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
    penalty = 0.0
    step = max(1, 16 * 2**20 // (8 * size))  # rows per block: 16 MiB of float64 distances
    for start in range(0, len(rows), step):
        block = rows[start : start + step]
        own = np.arange(len(block))
        # Squared distances less the row's own square, which does not affect the order. On the
        # sphere all points have length 1, so this orders by angle.
        on_map = square[None] - 2 * (shown[block] @ shown.T)
        on_map[own, block] = np.inf
        near = np.argpartition(on_map, k - 1, axis=1)[:, :k]
        full = 1.0 - exemplars[block] @ exemplars.T
        full[own, block] = -np.inf
        # Ranks in the full space. The region itself, at -inf, counts as one, so 1 is the nearest.
        rank = np.stack([(full < full[own, j][:, None]).sum(axis=1) for j in near.T], 1)
        penalty += float(np.maximum(rank - k, 0).sum())
    # Scaled so that the worst possible order of ranks gives 0.
    return 1.0 - penalty * 2.0 / (len(rows) * k * (2.0 * size - 3.0 * k - 1.0)), k, len(rows)


def _axes(dictionary: Dictionary) -> tuple[np.ndarray, np.ndarray]:
    """(K, 3) PCA coordinates and (3,) shares of variance, from the file or computed and cached."""
    is_stored = "map_pca" in dictionary
    shares = [float(v) for v in dictionary.info.get("variance_kept") or ()]
    if is_stored and len(shares) >= 3:
        return dictionary.column("map_pca"), np.array(shares[:3])
    computed = _maps(dictionary).get("axes")
    if computed is None:
        place, variance = principal_axes(dictionary.exemplars)
        computed = StoredMap(place, {"shares": variance.tolist()})
        _store(dictionary, "axes", computed)
    axes = dictionary.column("map_pca") if is_stored else computed.coordinates
    return axes, np.array(computed.settings["shares"])


def _maps(dictionary: Dictionary) -> dict[str, StoredMap]:
    """The dictionary's maps by name: those of its sidecar, read once, and those computed since."""
    with _lock:
        if dictionary not in _cache:
            file = dictionary.path
            stored = {} if file is None else maps.load(file, dictionary)
            _cache[dictionary] = {
                n: m for n, m in stored.items() if LAYOUTS.get(n) == m.coordinates.shape[1]
            }
        return _cache[dictionary]


def _store(dictionary: Dictionary, name: str, computed: StoredMap) -> None:
    _maps(dictionary)
    with _lock:
        # A new dict, because `_maps` hands out the old one without the lock.
        _cache[dictionary] = _cache[dictionary] | {name: computed}


def _check(layout: str) -> None:
    if layout not in LAYOUTS:
        raise RequestError(
            f"no layout is called {layout[:40]!r}: choose one of {', '.join(LAYOUTS)}"
        )
