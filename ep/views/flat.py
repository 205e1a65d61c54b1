"""The flat map: regions as Voronoi cells in the plane, clipped to a smooth convex outline.

On principal axes most regions crowd together in the middle. Distances from the middle are therefore
raised to a power below 1 (`spread`), which keeps every direction and the order of distances. Like
the sphere, the map is a picture of a projection: nothing is measured on it. This module does not
depend on Streamlit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ep.errors import RequestError
from ep.shapes import Float, UInt

SAME_PLACE = 1e-6  # sites closer than this are moved apart by a distance of this order
RING, FAR = 64, 12.0  # number and radius of the sites around the map that make every cell finite
MARGIN = 0.05  # least distance of the outline from the sites; the map reaches from -1 to 1
ROUND = 96  # directions in which the outline is computed
SMOOTH = 0.28  # width in radians of the Gaussian that rounds the outline's corners
WANTED = 0.56  # distance at which the median region should lie, as a share of the 99th percentile
FLATTEST = 0.5  # the smallest power of `spread`, even where WANTED would need a smaller one
FEWEST_TO_SPREAD = 16


@dataclass(frozen=True)
class Cells:
    """K Voronoi cells in the plane, in coordinates within about ±1.

    centers: (K, 2) float32, the sites.
    vertices: (V, 2) float64.
    corners: (C,) uint32 indices into vertices, cell after cell, counter-clockwise around each.
    counts: (K,) uint16 number of corners of each cell.
    areas: (K,) float64; their sum is the area of the outline.
    outline: (H, 2) vertices of the rounded convex hull of all cells, counter-clockwise.
    """

    centers: Float[np.ndarray, "k 2"]
    vertices: Float[np.ndarray, "v 2"]
    corners: UInt[np.ndarray, " c"]
    counts: UInt[np.ndarray, " k"]
    areas: Float[np.ndarray, " k"]
    outline: Float[np.ndarray, "h 2"]


def spread(coordinates: np.ndarray) -> float:
    """The power, in [0.5, 1], to which distances from the median point are raised.

    coordinates: (K, 2) or more columns, of which the first two count.
    It is 1 where the middle is not crowded and below `FEWEST_TO_SPREAD` points.
    """
    if len(coordinates) < FEWEST_TO_SPREAD:
        return 1.0
    points = np.nan_to_num(np.asarray(coordinates, np.float64)[:, :2], posinf=0, neginf=0)
    away = points - np.median(points, axis=0)
    # Both axes count alike, however different their extents are.
    away = np.linalg.norm(
        away / np.maximum(away.std(axis=0), 1e-9 * np.abs(away).max() or 1.0), axis=1
    )
    share = float(np.median(away)) / (float(np.quantile(away, 0.99)) or 1.0)
    if not 0 < share < WANTED:
        return 1.0
    # share ** power == WANTED
    return round(max(FLATTEST, float(np.log(WANTED) / np.log(share))), 2)


def cells(coordinates: np.ndarray) -> Cells:
    """The cells around K ≥ 1 points.

    coordinates: (K, 2) or more columns, of any scale, of which the first two are drawn; both axes
        get the same scale.

    Raises RequestError when there is no point.
    """
    from scipy.spatial import Voronoi

    if len(coordinates) == 0:
        raise RequestError(
            "a map needs at least one region and this dictionary has none: build it on more text"
        )
    centers = _in_square(coordinates).astype(np.float32)
    sites = centers.astype(np.float64)
    outline = _outline(sites)
    # Cells of the outermost sites would be unbounded: a ring of sites far outside closes them.
    angle = np.arange(RING) * (2 * np.pi / RING)
    ring = FAR * np.stack([np.cos(angle), np.sin(angle)], 1)
    diagram = Voronoi(np.concatenate([sites, ring]), qhull_options="Qbb Qc Qz Q12")
    regions = [diagram.regions[i] for i in diagram.point_region[: len(sites)]]
    return _cut(centers, diagram.vertices, regions, outline)


def _cut(
    centers: np.ndarray, vertices: np.ndarray, regions: list[list[int]], outline: np.ndarray
) -> Cells:
    """Cells from Voronoi regions, ordered counter-clockwise and clipped to the outline.

    regions: indices into vertices of each cell's corners.
    """
    counts = np.fromiter(map(len, regions), np.int64, len(regions))
    corners = np.concatenate([np.asarray(region, np.int64) for region in regions])
    owner = np.repeat(np.arange(len(regions)), counts)
    away = vertices[corners] - centers.astype(np.float64)[owner]
    # A cell is convex and contains its site: its corners are in order by angle around the site.
    order = np.lexsort((np.arctan2(away[:, 1], away[:, 0]), owner))
    corners = corners[order]
    outside = ~_inside(vertices, outline)
    crossing = np.unique(owner[outside[corners]])  # ids of the cells that the outline cuts
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
    # Drop the vertices that only the cells of the ring or the cut-off parts use.
    used, corners = np.unique(corners, return_inverse=True)
    counts = np.fromiter(map(len, pieces), np.int64, len(pieces))
    vertices = vertices[used]
    areas = _areas(vertices[corners], counts)
    return Cells(
        centers, vertices, corners.astype(np.uint32), counts.astype(np.uint16), areas, outline
    )


def _clip(polygon: np.ndarray, outline: np.ndarray) -> np.ndarray:
    """Clip a convex polygon to a convex outline, both counter-clockwise (Sutherland and Hodgman).

    polygon: (n, 2). outline: (H, 2). Returns (m, 2).
    """
    # Signed heights above each side of the outline; positive is inside.
    sides = np.roll(outline, -1, axis=0) - outline
    heights = sides[:, :1] * (polygon[:, 1] - outline[:, 1:]) - sides[:, 1:] * (
        polygon[:, 0] - outline[:, :1]
    )
    for i in np.flatnonzero((heights < 0).any(axis=1)).tolist():  # only sides that cut something
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
            if (h >= 0) != (j >= 0):  # the edge from p to q crosses the side
                parts.append(p + (q - p) * (h / (h - j)))
        polygon = np.array(parts)
    return polygon


def _areas(points: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """(K,) areas of polygons (shoelace formula).

    points: (C, 2) corners, polygon after polygon, counter-clockwise. counts: (K,) corners of each.
    """
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    following = np.arange(len(points)) + 1
    following[starts + counts - 1] = starts
    after = points[following]
    return np.add.reduceat(points[:, 0] * after[:, 1] - points[:, 1] * after[:, 0], starts) / 2


def _inside(points: np.ndarray, outline: np.ndarray) -> np.ndarray:
    """(n,) whether each point lies inside the convex outline or on it."""
    inside = np.ones(len(points), bool)
    for a, b in zip(outline, np.roll(outline, -1, axis=0), strict=True):
        side = b - a
        inside &= side[0] * (points[:, 1] - a[1]) - side[1] * (points[:, 0] - a[0]) >= 0
    return inside


def _outline(sites: np.ndarray) -> np.ndarray:
    """(H, 2) a smooth convex curve around all sites, at least MARGIN from each.

    The support function of the sites, their extent in every direction, is averaged over
    neighbouring directions. The result is the support function of a mean of rotated copies of the
    hull, so it is convex again and has no corners. The largest amount by which averaging falls
    short is then added in all directions.
    """
    from scipy.spatial import ConvexHull

    angle = np.arange(ROUND) * (2 * np.pi / ROUND)
    along = np.stack([np.cos(angle), np.sin(angle)], 1)
    reach = np.array([float((sites @ direction).max()) for direction in along])
    waves = np.fft.rfft(reach)
    order = np.arange(len(waves))
    # Gaussian smoothing in the Fourier domain. The first harmonic is the position of the hull's
    # middle and stays as it is.
    waves *= np.exp(-0.5 * (SMOOTH * order) ** 2) * (order != 1) + (order == 1)
    smooth = np.fft.irfft(waves, ROUND)
    margin = MARGIN if len(sites) > 1 else 1.0
    smooth += float((reach - smooth).max()) + margin
    # The point of the curve with outward normal u(t) is h(t) u(t) + h'(t) u'(t).
    slope = np.fft.irfft(waves * 1j * order, ROUND)
    curve = smooth[:, None] * along + slope[:, None] * np.stack([-along[:, 1], along[:, 0]], 1)
    return curve[ConvexHull(curve).vertices]


def _in_square(coordinates: np.ndarray) -> np.ndarray:
    """(K, 2) float64 spread coordinates, all different, their range centred at 0 within ±1."""
    rng = np.random.default_rng(0)
    points = np.nan_to_num(np.asarray(coordinates, np.float64)[:, :2], posinf=0, neginf=0)
    if (power := spread(points)) < 1:
        points = points - np.median(points, axis=0)
        away = np.linalg.norm(points, axis=1, keepdims=True)
        points = points * np.maximum(away / away.max(), 1e-9) ** (power - 1)
    low, high = points.min(axis=0), points.max(axis=0)
    points = (points - (low + high) / 2) / (float((high - low).max()) / 2 or 1.0)
    # Qhull needs distinct sites: move all but the first of each group of equal ones.
    for _ in range(8):
        _, first = np.unique(np.round(points / SAME_PLACE), axis=0, return_index=True)
        is_repeated = np.ones(len(points), bool)
        is_repeated[first] = False
        if not is_repeated.any():
            break
        points[is_repeated] += rng.standard_normal((int(is_repeated.sum()), 2)) * 4 * SAME_PLACE
    return points
