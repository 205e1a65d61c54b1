"""The map on a sphere: regions as Voronoi cells around their coordinates, brought to the unit
sphere.

A picture of a projection: neighbours, distances and membership are never read off it; they are
computed in the full space elsewhere. Knows no screen.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt
from scipy.spatial import QhullError, SphericalVoronoi

from ep.errors import RequestError

FEWEST = 4
SAME_PLACE = 1e-6  # sites nearer than this are moved apart by about as much


@dataclass(frozen=True)
class Cells:
    """K Voronoi cells on the unit sphere.

    centers: (K, 3) float32 unit rows, the sites. vertices: (V, 3) float64 unit rows. corners:
    indices into vertices, cell after cell, counter-clockwise around each as seen from outside.
    counts: (K,) corners of each cell.
    areas: (K,), adding up to 4π.
    """

    centers: Float[np.ndarray, "k 3"]
    vertices: Float[np.ndarray, "v 3"]
    corners: UInt[np.ndarray, " c"]
    counts: UInt[np.ndarray, " k"]
    areas: Float[np.ndarray, " k"]


def cells(coordinates: np.ndarray) -> Cells:
    """The cells around K ≥ 4 points, given by (K, 3) coordinates in any length.

    RequestError below four points: three cells do not make a sphere.
    """
    if len(coordinates) < FEWEST:
        raise RequestError(
            f"a sphere needs at least {FEWEST} regions and this dictionary has {len(coordinates)}: "
            "a smaller percentile or more text gives more"
        )
    # float32 is what the browser picks with: sites are parted until they differ there too
    # only a flat or tiny cloud, on which no sphere can be divided, needs strength
    for strength in (0.0, 1e-3, 1e-2):
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
        corners = _outward(centers, found.vertices, corners, counts)
        return Cells(
            centers, found.vertices, corners, counts, found.calculate_areas().astype(np.float64)
        )
    raise RequestError(
        "these regions lie too close together on the map's three axes to be drawn: use the table"
    )


def _outward(
    centers: np.ndarray, vertices: np.ndarray, corners: np.ndarray, counts: np.ndarray
) -> np.ndarray:
    """The corners with every cell's turned counter-clockwise: SphericalVoronoi orders them either
    way.
    """
    starts = np.concatenate([[0], np.cumsum(counts, dtype=np.int64)[:-1]])
    last = starts + counts - 1
    following = np.arange(len(corners)) + 1
    following[last] = starts
    owner = np.repeat(np.arange(len(counts)), counts)
    across = np.cross(vertices[corners], vertices[corners[following]])
    turns = np.add.reduceat(
        np.einsum("ij,ij->i", centers[owner].astype(np.float64), across), starts
    )
    mirrored = (starts + last)[owner] - np.arange(len(corners))
    return np.where((turns < 0)[owner], corners[mirrored], corners)


def _on_sphere(coordinates: np.ndarray, strength: float) -> np.ndarray:
    """(K, 3) float64 unit rows, no two in one place."""
    rng = np.random.default_rng(0)
    points = np.nan_to_num(np.asarray(coordinates, np.float64), posinf=0, neginf=0)
    extent = float(np.abs(points).max()) or 1.0
    points = points / extent + strength * rng.standard_normal(points.shape)
    for _ in range(8):
        norms = np.linalg.norm(points, axis=1, keepdims=True)
        points = np.where(
            norms > 1e-9, points / np.maximum(norms, 1e-9), rng.standard_normal(points.shape)
        )
        _, first = np.unique(np.round(points / SAME_PLACE), axis=0, return_index=True)
        again = np.ones(len(points), bool)
        again[first] = False
        if not again.any():
            break
        points[again] += rng.standard_normal((int(again.sum()), 3)) * 4 * SAME_PLACE
    return points / np.linalg.norm(points, axis=1, keepdims=True)
