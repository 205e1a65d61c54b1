"""The flat map: regions as Voronoi cells in the plane, cut off by a smooth convex outline around
the points.

Principal axes crowd most regions into the middle: there the distance from the middle is drawn to a
power below 1 (`spread`), which keeps every direction and the order from the middle outward. Like
the sphere a picture of a
projection: nothing is ever measured on it. Knows no screen.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt

from ep.errors import RequestError

SAME_PLACE = 1e-6  # sites nearer than this are moved apart by about as much
RING, FAR = 64, 12.0  # sites far outside, which make every cell finite before it is cut
MARGIN = 0.05  # of the largest extent: how far the outline stands off the outermost points at least
ROUND = 96  # points of the outline
SMOOTH = 0.28  # radians over which the outline's corners are rounded
# share of the way out at which the median region is drawn, at least as far as FLATTEST allows
WANTED = 0.56
FLATTEST = 0.5  # the smallest power
FEWEST_TO_SPREAD = 16


@dataclass(frozen=True)
class Cells:
    """K Voronoi cells in the plane, in coordinates within about ±1.

    centers: (K, 2) float32, the sites. vertices: (V, 2) float64. corners: indices into vertices,
    cell after cell, counter-clockwise around each. counts: (K,) corners of each cell. areas: (K,),
    adding up to the outline's.
    outline: (H, 2) the convex, rounded hull that holds all cells, counter-clockwise.
    """

    centers: Float[np.ndarray, "k 2"]
    vertices: Float[np.ndarray, "v 2"]
    corners: UInt[np.ndarray, " c"]
    counts: UInt[np.ndarray, " k"]
    areas: Float[np.ndarray, " k"]
    outline: Float[np.ndarray, "h 2"]


def spread(coordinates: np.ndarray) -> float:
    """The power in [0.5, 1] to which distances from the median point are drawn; 1 where the middle
    is not crowded.
    """
    if len(coordinates) < FEWEST_TO_SPREAD:
        return 1.0
    points = np.nan_to_num(np.asarray(coordinates, np.float64)[:, :2], posinf=0, neginf=0)
    away = points - np.median(points, axis=0)
    away = np.linalg.norm(
        away / np.maximum(away.std(axis=0), 1e-9 * np.abs(away).max() or 1.0), axis=1
    )
    share = float(np.median(away)) / (float(np.quantile(away, 0.99)) or 1.0)
    if not 0 < share < WANTED:
        return 1.0
    return round(max(FLATTEST, float(np.log(WANTED) / np.log(share))), 2)


def cells(coordinates: np.ndarray) -> Cells:
    """The cells around K ≥ 1 points, given by (K, 2) coordinates in any length; both axes keep one
    scale.

    RequestError without a single point.
    """
    from scipy.spatial import Voronoi

    if len(coordinates) == 0:
        raise RequestError(
            "a map needs at least one region and this dictionary has none: build it on more text"
        )
    centers = _in_square(coordinates).astype(np.float32)
    sites = centers.astype(np.float64)
    outline = _outline(sites)
    turn = np.arange(RING) * (2 * np.pi / RING)
    ring = FAR * np.stack([np.cos(turn), np.sin(turn)], 1)
    found = Voronoi(np.concatenate([sites, ring]), qhull_options="Qbb Qc Qz Q12")
    regions = [found.regions[i] for i in found.point_region[: len(sites)]]
    return _cut(centers, found.vertices, regions, outline)


def _cut(
    centers: np.ndarray, vertices: np.ndarray, regions: list[list[int]], outline: np.ndarray
) -> Cells:
    """Cells from Voronoi regions (indices into vertices): turned counter-clockwise, cut off at the
    outline.
    """
    counts = np.fromiter(map(len, regions), np.int64, len(regions))
    corners = np.concatenate([np.asarray(region, np.int64) for region in regions])
    owner = np.repeat(np.arange(len(regions)), counts)
    away = vertices[corners] - centers.astype(np.float64)[owner]
    # cells are convex and hold their site
    order = np.lexsort((np.arctan2(away[:, 1], away[:, 0]), owner))
    corners = corners[order]
    outside = ~_inside(vertices, outline)
    crossing = np.unique(owner[outside[corners]])
    starts = np.concatenate([[0], np.cumsum(counts)])
    extra: list[np.ndarray] = []
    pieces = np.split(corners, starts[1:-1])
    n = len(vertices)
    for k in crossing.tolist():
        polygon = _clip(vertices[pieces[k]], outline)
        pieces[k] = n + np.arange(len(polygon))
        n += len(polygon)
        extra.append(polygon)
    vertices = np.concatenate([vertices, *extra])
    corners = np.concatenate(pieces)
    # leaves out what only the far ring touched
    used, corners = np.unique(corners, return_inverse=True)
    counts = np.fromiter(map(len, pieces), np.int64, len(pieces))
    vertices = vertices[used]
    areas = _areas(vertices[corners], counts)
    return Cells(
        centers, vertices, corners.astype(np.uint32), counts.astype(np.uint16), areas, outline
    )


def _clip(polygon: np.ndarray, outline: np.ndarray) -> np.ndarray:
    """A convex polygon cut by a convex outline, both counter-clockwise: one cut for each of the
    outline's sides.
    """
    sides = np.roll(outline, -1, axis=0) - outline
    heights = sides[:, :1] * (polygon[:, 1] - outline[:, 1:]) - sides[:, 1:] * (
        polygon[:, 0] - outline[:, :1]
    )
    for i in np.flatnonzero((heights < 0).any(axis=1)).tolist():  # the others have nothing to cut
        a, side = outline[i], sides[i]
        height = side[0] * (polygon[:, 1] - a[1]) - side[1] * (polygon[:, 0] - a[0])
        keep = height >= 0
        if keep.all():
            continue
        if not keep.any():  # only by rounding: the cell's site lies inside the outline
            break
        after, next_height = np.roll(polygon, -1, axis=0), np.roll(height, -1)
        parts = []
        for p, q, h, j in zip(polygon, after, height, next_height, strict=True):
            if h >= 0:
                parts.append(p)
            if (h >= 0) != (j >= 0):
                parts.append(p + (q - p) * (h / (h - j)))
        polygon = np.array(parts)
    return polygon


def _areas(points: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """(K,) areas of polygons laid end to end."""
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    following = np.arange(len(points)) + 1
    following[starts + counts - 1] = starts
    after = points[following]
    return np.add.reduceat(points[:, 0] * after[:, 1] - points[:, 1] * after[:, 0], starts) / 2


def _inside(points: np.ndarray, outline: np.ndarray) -> np.ndarray:
    inside = np.ones(len(points), bool)
    for a, b in zip(outline, np.roll(outline, -1, axis=0), strict=True):
        side = b - a
        inside &= side[0] * (points[:, 1] - a[1]) - side[1] * (points[:, 0] - a[0]) >= 0
    return inside


def _outline(sites: np.ndarray) -> np.ndarray:
    """(H, 2) a smooth convex curve at least MARGIN off all sites.

    The extent of the sites in every direction is averaged over neighbouring directions: a mean of
    turned copies of their hull, so convex again, and without corners. What the averaging cut off is
    added all around.
    """
    from scipy.spatial import ConvexHull

    turn = np.arange(ROUND) * (2 * np.pi / ROUND)
    along = np.stack([np.cos(turn), np.sin(turn)], 1)
    reach = np.array([float((sites @ direction).max()) for direction in along])
    waves = np.fft.rfft(reach)
    order = np.arange(len(waves))
    # the middle stays where it is
    waves *= np.exp(-0.5 * (SMOOTH * order) ** 2) * (order != 1) + (order == 1)
    smooth = np.fft.irfft(waves, ROUND)
    margin = MARGIN if len(sites) > 1 else 1.0
    smooth += float((reach - smooth).max()) + margin
    slope = np.fft.irfft(waves * 1j * order, ROUND)
    curve = smooth[:, None] * along + slope[:, None] * np.stack([-along[:, 1], along[:, 0]], 1)
    return curve[ConvexHull(curve).vertices]


def _in_square(coordinates: np.ndarray) -> np.ndarray:
    """(K, 2) float64 within ±1, spread, no two in one place, the middle of their range at 0."""
    rng = np.random.default_rng(0)
    points = np.nan_to_num(np.asarray(coordinates, np.float64)[:, :2], posinf=0, neginf=0)
    if (power := spread(points)) < 1:
        points = points - np.median(points, axis=0)
        away = np.linalg.norm(points, axis=1, keepdims=True)
        points = points * np.maximum(away / away.max(), 1e-9) ** (power - 1)
    low, high = points.min(axis=0), points.max(axis=0)
    points = (points - (low + high) / 2) / (float((high - low).max()) / 2 or 1.0)
    for _ in range(8):
        _, first = np.unique(np.round(points / SAME_PLACE), axis=0, return_index=True)
        again = np.ones(len(points), bool)
        again[first] = False
        if not again.any():
            break
        points[again] += rng.standard_normal((int(again.sum()), 2)) * 4 * SAME_PLACE
    return points
