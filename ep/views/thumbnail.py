"""A small picture of a dictionary's map: its cells on the sphere, in their colours, as pixels.

Every pixel of the disc is the cell whose centre is nearest to it, as on the Atlas, so the picture
shows real cells whatever their number. Borders and rim are transparent, which suits a light and a
dark page. The picture is one of a projection, like the map. This module does not depend on
Streamlit.
"""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from ep.errors import RequestError
from ep.method.dictionary import Dictionary
from ep.shapes import Float64, UInt8
from ep.views import layouts, palette, sphere

SIZE = 224
"""Side of the picture in pixels; it is drawn at half of that, for screens of twice the density."""
TOWARDS = np.array([0.52, 0.37, 0.77])
"""The direction of the map that points to the viewer: off the axes, so that three are seen."""
LIGHT = np.array([-0.45, 0.62, 0.64])
BORDER_PX = 1.1
"""Width of the gap between two cells."""


def picture(dictionary: Dictionary, size: int = SIZE) -> UInt8[np.ndarray, "size size 4"]:
    """Return the picture of a dictionary's PCA sphere, as (size, size, 4) RGBA.

    size: side in pixels.

    Raises RequestError for a dictionary that is too small for a sphere.
    """
    if len(dictionary) < sphere.FEWEST:
        raise RequestError(
            f"a sphere needs at least {sphere.FEWEST} regions and this dictionary has "
            f"{len(dictionary)}: a smaller percentile or more text gives more"
        )
    sites = sphere.on_sphere(layouts.coordinates(dictionary, "pca-sphere"))
    return draw(sites, palette.map_colors(dictionary), size)


def draw(
    sites: Float64[np.ndarray, "K 3"], colors: UInt8[np.ndarray, "K 3"], size: int = SIZE
) -> UInt8[np.ndarray, "size size 4"]:
    """Return the cells around K ≥ 2 points of the unit sphere, as (size, size, 4) RGBA.

    sites: (K, 3) unit rows, the centres of the cells.
    colors: (K, 3) their colours.
    """
    axis = (np.arange(size) + 0.5) * 2 / size - 1
    x, y = np.meshgrid(axis, -axis)
    radius = np.hypot(x, y)
    pixel = 2 / size
    inside = radius < 1.0
    height = np.sqrt(np.clip(1 - radius[inside] ** 2, 0, 1))
    points = np.stack([x[inside], y[inside], height], 1)
    distances, nearest = cKDTree(sites @ _turn().T).query(points, k=2)
    apart = np.linalg.norm(sites[nearest[:, 0]] - sites[nearest[:, 1]], axis=1)
    # The bisector of two sites is where their squared distances are equal; their difference over
    # twice the distance of the sites is the distance to it.
    border = (distances[:, 1] ** 2 - distances[:, 0] ** 2) / np.maximum(2 * apart, 1e-9) / pixel
    out = np.zeros((size, size, 4))
    out[inside, :3] = _lit(colors[nearest[:, 0]].astype(np.float64), points)
    # Gaps between cells of a few pixels would swallow them.
    gap = 0.8 * (1 - _step(BORDER_PX * 0.5 - 0.4, BORDER_PX * 0.5 + 0.6, border))
    gap *= _step(3.0, 9.0, apart / pixel)
    fade = 0.6 * _step(0.5, 1.0, 1 - height)
    rim = np.clip((1 - radius[inside]) / pixel, 0, 1)
    out[inside, 3] = 255 * (1 - gap) * (1 - fade) * rim
    return np.round(np.clip(out, 0, 255)).astype(np.uint8)


def _turn() -> Float64[np.ndarray, "3 3"]:
    """Return the rotation into the picture's coordinates: rows point right, up, to the viewer."""
    towards = TOWARDS / np.linalg.norm(TOWARDS)
    right = np.cross([0.0, 1.0, 0.0], towards)
    right /= np.linalg.norm(right)
    return np.stack([right, np.cross(towards, right), towards])


def _lit(colors: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Return colours as a lamp at the upper left shows them on a ball."""
    light = 0.5 + 0.5 * np.clip(points @ (LIGHT / np.linalg.norm(LIGHT)), -1, 1)
    return colors * (0.80 + 0.25 * light * light * (3 - 2 * light))[:, None]


def _step(low: float, high: float, value: np.ndarray) -> np.ndarray:
    """Return 0 below `low`, 1 above `high`, and a smooth rise between them."""
    share = np.clip((value - low) / (high - low), 0, 1)
    return share * share * (3 - 2 * share)
