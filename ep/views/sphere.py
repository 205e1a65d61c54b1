"""The map: regions as Voronoi cells on a sphere, and the blob of bytes a browser draws them from.

A picture of a projection: exemplars on three principal axes, brought to the unit sphere. Neighbours, distances and
membership are never read off it; they are computed in the full space elsewhere. Knows no screen.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, UInt
from scipy.spatial import QhullError, SphericalVoronoi

from ep.errors import RequestError
from ep.method.dictionary import Dictionary
from ep.views import palette, tables

FEWEST = 4
SAME_PLACE = 1e-6  # sites nearer than this are moved apart by about as much
LONGEST_NAME = 18
QUANTUM = 32767
COLORINGS = ("neighbourhood", "members", "coherence", "distance")


@dataclass(frozen=True)
class Cells:
    """K Voronoi cells on the unit sphere.

    centers: (K, 3) float32 unit rows, the sites. vertices: (V, 3) float64 unit rows. corners: indices into vertices,
    cell after cell, in order around each. counts: (K,) corners of each cell. areas: (K,), adding up to 4π.
    """

    centers: Float[np.ndarray, "k 3"]
    vertices: Float[np.ndarray, "v 3"]
    corners: UInt[np.ndarray, " c"]
    counts: UInt[np.ndarray, " k"]
    areas: Float[np.ndarray, " k"]


@dataclass(frozen=True)
class Ramp:
    """The scale of a numeric colouring: what it shows and the values at its two ends, as text."""

    name: str
    low: str
    high: str


def cells(coordinates: np.ndarray) -> Cells:
    """The cells around K ≥ 4 points, given by (K, 3) coordinates in any length.

    RequestError below four points: three cells do not make a sphere.
    """
    if len(coordinates) < FEWEST:
        raise RequestError(
            f"a map needs at least {FEWEST} regions and this dictionary has {len(coordinates)}: "
            "a smaller percentile or more text gives more"
        )
    # float32 is what the browser picks with: sites are parted until they differ there too
    for strength in (0.0, 1e-3, 1e-2):  # only a flat or tiny cloud, on which no sphere can be divided, needs strength
        centers = _on_sphere(coordinates, strength).astype(np.float32)
        sites = centers.astype(np.float64)
        sites /= np.linalg.norm(sites, axis=1, keepdims=True)
        try:
            found = SphericalVoronoi(sites, radius=1.0, threshold=1e-9)
            found.sort_vertices_of_regions()
        except (ValueError, QhullError):
            continue
        corners = np.concatenate([np.asarray(region, np.uint32) for region in found.regions])
        counts = np.fromiter(map(len, found.regions), np.uint16, len(found.regions))
        return Cells(centers, found.vertices, corners, counts, found.calculate_areas().astype(np.float64))
    raise RequestError("these regions lie too close together on the map's three axes to be drawn: use the table")


def blob(dictionary: Dictionary, name: str) -> bytes:
    """Everything the map shows of a dictionary that no click changes: cells, names, hover texts, every colouring.

    name: what views ask for it by. RequestError when the dictionary cannot be drawn on a sphere.
    """
    if "map_pca" not in dictionary:
        raise RequestError("this dictionary's file holds no map coordinates: use the table")
    found = cells(dictionary.column("map_pca"))
    size = len(dictionary)
    count = tables.members(dictionary)
    groups = dictionary.column("neighbourhood") if "neighbourhood" in dictionary else np.zeros(size, np.uint8)
    coherence = dictionary.column("coherence") if "coherence" in dictionary else np.full(size, np.nan)
    arrays = {
        "centers": found.centers.ravel().astype("<f4"),
        "vertices": np.round(found.vertices * QUANTUM).astype("<i2").ravel(),
        "corners": found.corners.astype("<u4"),
        "counts": found.counts.astype("<u2"),
        "ranking": np.argsort(-(count**0.35 * found.areas), kind="stable").astype("<u4"),
        "members": np.minimum(count, 2**32 - 1).astype("<u4"),
        "coherence": coherence.astype("<f4"),
        "groups": groups.astype("u1"),
    }
    texts = {
        "names": [_short(tables.map_name(tables.name(dictionary, k))) for k in range(size)],
        "tips": tables.lens_tokens(dictionary, np.arange(size), 3),
        "palette": palette.group_colors(dictionary),
        "membersKind": "Voronoi" if "count_voronoi" in dictionary else "at arrival",
    }
    return pack(name, arrays | _colors(dictionary), texts)


def _colors(dictionary: Dictionary) -> dict[str, np.ndarray]:
    """The cells' colours under every colouring, light and dark where they differ, as 4·K bytes each."""
    out = {}
    for coloring in colorings(dictionary):
        if (scaled := scale(dictionary, coloring)) is None:
            out[f"colors_{coloring}"] = palette.map_colors(dictionary)
        else:
            out[f"colors_{coloring}"] = palette.ramp_colors(scaled[0])
            out[f"colors_{coloring}_dark"] = palette.ramp_colors(scaled[0], dark=True)
    return {name: np.insert(colors, 3, 255, axis=1).ravel() for name, colors in out.items()}


def scale(dictionary: Dictionary, coloring: str) -> tuple[np.ndarray, Ramp] | None:
    """Values in [0, 1] (K,) and their ramp for a numeric colouring; None for neighbourhoods.

    The ends are the 2nd and 98th percentile, so that a few odd regions do not flatten the rest; "≤" and "≥" say so.
    RequestError when the file lacks the numbers.
    """
    if coloring == "neighbourhood":
        return None
    column = {"members": "count_voronoi", "coherence": "coherence", "distance": "mean_distance"}.get(coloring)
    if column is None or column not in dictionary:
        raise RequestError(f"this dictionary's file holds nothing to colour by {coloring}: choose another colouring")
    values = dictionary.column(column).astype(np.float64)
    shown = np.log1p(values) if coloring == "members" else values
    low, high = np.nanpercentile(shown, [2, 98])
    back = (lambda v: f"{round(float(np.expm1(v))):,}") if coloring == "members" else (lambda v: f"{v:.2f}")
    lower, upper = np.nanmin(shown) < low, np.nanmax(shown) > high
    title = {
        "members": "Voronoi members, log scale",
        "coherence": "coherence ‖Σû‖/N, at arrival",
        "distance": "mean cosine distance to the exemplar",
    }[coloring]
    ramp = Ramp(title, ("≤ " if lower else "") + back(low), ("≥ " if upper else "") + back(high))
    return np.clip((shown - low) / max(high - low, 1e-12), 0, 1), ramp


def colorings(dictionary: Dictionary) -> list[str]:
    """The colourings this dictionary's file can fill."""
    needs = {"members": "count_voronoi", "coherence": "coherence", "distance": "mean_distance"}
    return [c for c in COLORINGS if c not in needs or needs[c] in dictionary]


def note(dictionary: Dictionary) -> str:
    """What the map keeps of the full space, in one line."""
    kept = dictionary.info.get("variance_kept") or []
    share = f", keeping {100 * float(sum(kept)):.0f} % of the variance" if len(kept) else ""
    width = dictionary.width
    return f"PCA: 3 of {width:,} directions{share}. Neighbours and distances use all {width:,}."


def legend(dictionary: Dictionary) -> list[tuple[str, str, str]]:
    """(colour, name, number of regions) of every neighbourhood, in their order."""
    colors, names = palette.group_colors(dictionary), tables.group_names(dictionary)
    if "neighbourhood" not in dictionary:
        return [(colors[0], names[0], f"{len(dictionary):,}")]
    count = np.bincount(dictionary.column("neighbourhood"), minlength=len(names))
    return [(color, text, f"{n:,}") for color, text, n in zip(colors, names, count, strict=True)]


def pack(name: str, arrays: Mapping[str, np.ndarray], texts: Mapping[str, Any]) -> bytes:
    """Named arrays and texts as one blob: uint32 length of a JSON head, the head, then the arrays, 4-byte aligned."""
    body, listed = bytearray(), []
    for key, array in arrays.items():
        body += b"\0" * (-len(body) % 4)
        listed.append([key, array.dtype.str[1:], len(body), int(array.size)])
        body += array.tobytes()
    head = json.dumps({"id": name, "arrays": listed, "texts": dict(texts)}).encode()
    return len(head).to_bytes(4, "little") + head + bytes(body)


def _on_sphere(coordinates: np.ndarray, strength: float) -> np.ndarray:
    """(K, 3) float64 unit rows, no two in one place."""
    rng = np.random.default_rng(0)
    points = np.nan_to_num(np.asarray(coordinates, np.float64), posinf=0, neginf=0)
    extent = float(np.abs(points).max()) or 1.0
    points = points / extent + strength * rng.standard_normal(points.shape)
    for _ in range(8):
        norms = np.linalg.norm(points, axis=1, keepdims=True)
        points = np.where(norms > 1e-9, points / np.maximum(norms, 1e-9), rng.standard_normal(points.shape))
        _, first = np.unique(np.round(points / SAME_PLACE), axis=0, return_index=True)
        again = np.ones(len(points), bool)
        again[first] = False
        if not again.any():
            break
        points[again] += rng.standard_normal((int(again.sum()), 3)) * 4 * SAME_PLACE
    return points / np.linalg.norm(points, axis=1, keepdims=True)


def _short(text: str) -> str:
    return text if len(text) <= LONGEST_NAME else text[: LONGEST_NAME - 1] + "…"
