"""The map on a sphere: regions as Voronoi cells around their coordinates on the unit sphere.

The map is a picture of a projection. Neighbours, distances and membership are never read off it;
they are computed in the full space elsewhere. This module does not depend on Streamlit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import QhullError, SphericalVoronoi

from ep.errors import RequestError
from ep.shapes import Float, UInt

FEWEST = 4
SAME_PLACE = 1e-6  # sites closer than this are moved apart by a distance of this order


@dataclass(frozen=True)
class Cells:
    """K Voronoi cells on the unit sphere.

    centers: (K, 3) float32 unit rows, the sites.
    vertices: (V, 3) float64 unit rows.
    corners: (C,) uint32 indices into vertices, cell after cell, counter-clockwise around each as
        seen from outside.
    counts: (K,) uint16 number of corners of each cell.
    areas: (K,) float64; their sum is 4π.
    """

    centers: Float[np.ndarray, "k 3"]
    vertices: Float[np.ndarray, "v 3"]
    corners: UInt[np.ndarray, " c"]
    counts: UInt[np.ndarray, " k"]
    areas: Float[np.ndarray, " k"]


def cells(coordinates: np.ndarray) -> Cells:
    """The cells around K ≥ 4 points.

    coordinates: (K, 3) rows of any length; their directions are the sites.

    Raises RequestError below four points, and when the points are too close to a plane or to each
    other for a Voronoi diagram on the sphere.
    """
    if len(coordinates) < FEWEST:
        raise RequestError(
            f"a sphere needs at least {FEWEST} regions and this dictionary has {len(coordinates)}: "
            "a smaller percentile or more text gives more"
        )
    # The browser picks cells with float32 sites, so the sites are rounded to float32 before the
    # cells are computed. Noise is added only if the diagram fails without it, which happens when
    # the points lie in a plane or almost coincide.
    for strength in (0.0, 1e-3, 1e-2):
        centers = on_sphere(coordinates, strength).astype(np.float32)
        sites = centers.astype(np.float64)
        sites /= np.linalg.norm(sites, axis=1, keepdims=True)
        try:
            diagram = SphericalVoronoi(sites, radius=1.0, threshold=1e-9)
            diagram.sort_vertices_of_regions()
        except (ValueError, QhullError):
            continue
        corners = np.concatenate([np.asarray(region, np.uint32) for region in diagram.regions])
        counts = np.fromiter(map(len, diagram.regions), np.uint16, len(diagram.regions))
        corners = _outward(centers, diagram.vertices, corners, counts)
        areas = diagram.calculate_areas().astype(np.float64)
        return Cells(centers, diagram.vertices, corners, counts, areas)
    raise RequestError(
        "these regions lie too close together on the map's three axes to be drawn: use the table"
    )


def _outward(
    centers: np.ndarray, vertices: np.ndarray, corners: np.ndarray, counts: np.ndarray
) -> np.ndarray:
    """Order the corners of every cell counter-clockwise, as seen from outside.

    SphericalVoronoi orders them around the cell, but in either direction.
    """
    starts = np.concatenate([[0], np.cumsum(counts, dtype=np.int64)[:-1]])
    last = starts + counts - 1
    following = np.arange(len(corners)) + 1
    following[last] = starts
    owner = np.repeat(np.arange(len(counts)), counts)
    # The sum over a cell's sides of centre · (corner × next corner) is positive if they run
    # counter-clockwise.
    across = np.cross(vertices[corners], vertices[corners[following]])
    turns = np.add.reduceat(
        np.einsum("ij,ij->i", centers[owner].astype(np.float64), across), starts
    )
    # Index of the corner at the same distance from the other end of its cell.
    mirrored = (starts + last)[owner] - np.arange(len(corners))
    return np.where((turns < 0)[owner], corners[mirrored], corners)


def on_sphere(coordinates: np.ndarray, strength: float = 0.0) -> np.ndarray:
    """(K, 3) float64 unit rows, all different: where the cells' centres lie.

    coordinates: (K, 3) rows of any length.
    strength: standard deviation of the noise added to the coordinates, as a share of their extent.
    """
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
        is_repeated = np.ones(len(points), bool)
        is_repeated[first] = False
        if not is_repeated.any():
            break
        points[is_repeated] += rng.standard_normal((int(is_repeated.sum()), 3)) * 4 * SAME_PLACE
    return points / np.linalg.norm(points, axis=1, keepdims=True)
