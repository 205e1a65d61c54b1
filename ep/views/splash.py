"""The overview figure of a dictionary as one HTML file: the sphere beside eight region cards.

The file works offline and without scripts. The cells are projected here and drawn as SVG, shaded by
gradients, so that they print sharply at any size. A card has the region's members, its lens tokens
and two excerpts with the token marked. Every text is escaped. Equal dictionaries and choices give
equal bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ep.errors import RequestError
from ep.method.dictionary import Dictionary
from ep.shapes import Float64, Int64
from ep.studies.names import name, names, one_line, short
from ep.text import plain, segments
from ep.views import excerpts, layouts, palette, sphere, standalone
from ep.views.excerpts import Row

if TYPE_CHECKING:
    from ep.storage.labels import Labels

CARDS = 8
LENS_SHOWN, EXCERPTS_SHOWN = 5, 2
LEFT, RIGHT = 26, 44
"""Characters of an excerpt before and after the marked token, which fit on one line of a card."""
PLACE = np.array([-0.30, 0.34, 0.0])
"""Position of the selected region on the unit disc (x right, y up): off the middle, so that more
neighbourhoods are visible.
"""
STEP = 0.12
"""Longest edge of a cell in radians; longer ones are divided, to follow the sphere."""
NAMES_SHOWN = 22
SIZE = 1000.0
"""Side of the square picture, in SVG units."""


def html(
    dictionary: Dictionary,
    region: int,
    brushed: Sequence[int] | np.ndarray = (),
    labels: Labels | None = None,
) -> str:
    """The figure of a dictionary, centred on one region.

    region: the region of the first card.
    brushed: regions for the other cards. Where these are too few, large regions that are named by a
        word and lie far apart in the full space follow, see `choose`.
    labels: the labels shown on the cards.

    A dictionary of fewer than eight regions has a card for each. Raises UnknownRegion when the
    dictionary has no such region.
    """
    region = dictionary.check(region)
    cells = _cells(dictionary)
    turned = None if cells is None else _turned(cells, region)
    front = turned[:, 2] > 0.3 if turned is not None else np.ones(len(dictionary), bool)
    chosen = choose(dictionary, region, brushed, front)
    picture = (
        _no_picture()
        if cells is None or turned is None
        else _picture(dictionary, chosen, cells, turned, names(dictionary, labels=labels))
    )
    cards = "".join(_card(dictionary, k, n + 1, labels) for n, k in enumerate(chosen))
    title = _title(dictionary)
    style = Path(__file__).with_name("browser").joinpath("splash.css").read_text(encoding="utf-8")
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f"<title>{_text(title)}</title>\n"
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; style-src '
        "'unsafe-inline'\">\n"
        f"<style>\n{style}</style></head>\n<body><main><section>{picture}</section>\n"
        f'<section class="cards">{cards}</section></main>\n<footer><b>{_text(title)}</b> '
        f"{_text(standalone.provenance(dictionary))}. "
        f"{_text(_caption(dictionary))}</footer></body></html>\n"
    )


def _title(dictionary: Dictionary) -> str:
    """The dictionary's own title, or else its model, with its layer and percentile."""
    own, default = str(dictionary.info.get("title") or "").strip(), standalone.title(dictionary)
    return f"{own} · {default.partition(' · ')[2]}" if own else default


def choose(
    dictionary: Dictionary,
    region: int,
    brushed: Sequence[int] | np.ndarray = (),
    front: np.ndarray | None = None,
) -> list[int]:
    """The regions of the cards, at most `CARDS`, the selected one first.

    region: the selected region.
    brushed: candidates that come first.
    front: (K,) which regions are visible on the sphere; None for all.

    The choice is greedy in the full space: each time the region farthest from all chosen ones.
    Candidates are the brushed regions, then the largest visible regions that are named by a word,
    then all regions.
    """
    size, count = len(dictionary), dictionary.members
    by_size = np.argsort(-count, kind="stable")
    is_front = np.ones(size, bool) if front is None else front
    large = by_size[is_front[by_size]][: max(48, size // 30)]
    called = zip(large.tolist(), names(dictionary, large), strict=True)
    named = np.array([k for k, text in called if _is_word(short(text).split()[0])], np.int64)
    chosen = [region]
    for pool in (np.asarray(brushed, np.int64), named, by_size):
        _spread(dictionary, chosen, pool)
    return chosen


def _spread(dictionary: Dictionary, chosen: list[int], pool: Int64[np.ndarray, " n"]) -> None:
    """Append regions of the pool to `chosen`, farthest first, until there are `CARDS`.

    Of regions that are equally far, the first in the pool is taken.
    """
    exemplars = dictionary.exemplars
    pool = pool[~np.isin(pool, chosen)]
    if not len(pool) or len(chosen) >= CARDS:
        return
    nearest = (1 - exemplars[pool] @ exemplars[chosen].T).min(axis=1)
    while len(chosen) < CARDS and np.isfinite(nearest).any():
        farthest = int(np.argmax(nearest))
        chosen.append(int(pool[farthest]))
        nearest = np.minimum(nearest, 1 - exemplars[pool] @ exemplars[pool[farthest]])
        nearest[farthest] = -np.inf
        nearest[np.isin(pool, chosen)] = -np.inf  # a pool may list a region twice


def _is_word(name: str) -> bool:
    return len(name.strip()) > 2 and name.strip().isalpha()


# -- the sphere ------------------------------------------------------------------------------------


def _cells(dictionary: Dictionary) -> sphere.Cells | None:
    """The dictionary's cells on the sphere; None if it cannot be drawn on one."""
    try:
        return sphere.cells(layouts.coordinates(dictionary, "pca-sphere"))
    except RequestError:
        return None


def _turned(cells: sphere.Cells, region: int) -> Float64[np.ndarray, "K 3"]:
    """The cells' centres in the coordinates of the picture: x right, y up, z towards the viewer.

    region: the region that lies at `PLACE`.
    """
    return cells.centers.astype(np.float64) @ _rotation(cells.centers[region].astype(np.float64)).T


def _rotation(center: Float64[np.ndarray, " 3"]) -> Float64[np.ndarray, "3 3"]:
    """The rotation by the smallest angle that takes a point of the unit sphere to `PLACE`."""
    goal = PLACE + [0.0, 0.0, np.sqrt(1 - float(PLACE @ PLACE))]
    axis, cosine = np.cross(center, goal), float(center @ goal)
    if cosine < -1 + 1e-9:  # opposite points: a half turn about any perpendicular axis
        across = np.cross(goal, [1.0, 0.0, 0.0])
        across /= np.linalg.norm(across)
        return 2 * np.outer(across, across) - np.eye(3)
    # Rodrigues' formula; `axis` is not normalised, its length is the sine of the angle.
    skew = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    return np.eye(3) + skew + skew @ skew / (1 + cosine)


def _picture(
    dictionary: Dictionary,
    chosen: Sequence[int],
    cells: sphere.Cells,
    turned: Float64[np.ndarray, "K 3"],
    called: Sequence[str],
) -> str:
    """The sphere as SVG, with the chosen regions ringed and numbered, and with names.

    called: (K,) the names of all regions.
    """
    vertices = cells.vertices @ _rotation(cells.centers[chosen[0]].astype(np.float64)).T
    colors = palette.map_colors(dictionary)
    starts = np.concatenate([[0], np.cumsum(cells.counts.astype(np.int64))])
    outlines = {}
    for k in np.flatnonzero(turned[:, 2] > -0.35).tolist():  # a large cell may reach the front
        outline = _outline(vertices[cells.corners[starts[k] : starts[k + 1]]])
        if outline is not None:
            outlines[k] = " ".join(f"{x:.1f},{y:.1f}" for x, y in outline)
    polygons = "".join(
        f'<polygon points="{points}" fill="#{bytes(colors[k]).hex()}"/>'
        for k, points in outlines.items()
    )
    rings = "".join(
        f'<polygon class="ring" points="{outlines[k]}"/>' for k in chosen if k in outlines
    )
    marks, taken = _marks(chosen, turned)
    ranking = np.argsort(-(dictionary.members**0.35 * cells.areas), kind="stable")
    written = _names(called, ranking, turned, taken)
    return (
        f'<svg viewBox="-{SIZE / 2:.0f} -{SIZE / 2:.0f} {SIZE:.0f} {SIZE:.0f}" role="img" '
        'aria-label="Regions as cells on a sphere"><defs>'
        '<radialGradient id="light" cx="36%" cy="30%" r="78%">'
        '<stop offset="0" stop-color="#fff" stop-opacity=".22"/>'
        '<stop offset=".5" stop-color="#fff" stop-opacity="0"/>'
        '<stop offset="1" stop-color="#1d2433" stop-opacity=".20"/></radialGradient>'
        '<radialGradient id="limb" r="50%"><stop offset=".84" stop-color="#fff" stop-opacity="0"/>'
        '<stop offset="1" stop-color="#fff" stop-opacity=".62"/></radialGradient></defs>'
        f'<g class="cells">{polygons}</g><circle r="{_RADIUS:.0f}" fill="url(#light)"/>'
        f'<circle r="{_RADIUS:.0f}" fill="url(#limb)"/>'
        f'{rings}<g class="names">{written}</g>{marks}</svg>'
    )


_RADIUS = 0.47 * SIZE
"""Radius of the sphere's disc, in SVG units."""


def _outline(corners: Float64[np.ndarray, "n 3"]) -> Float64[np.ndarray, "m 2"] | None:
    """The outline of a cell on the disc in SVG units; None if the whole cell lies behind.

    corners: (n, 3) unit rows in the picture's coordinates. Edges longer than `STEP` are divided
    along the sphere, and points behind the rim are moved onto it.
    """
    following = np.roll(corners, -1, axis=0)
    angles = np.arccos(np.clip(np.einsum("ij,ij->i", corners, following), -1, 1))
    steps = np.maximum(1, np.ceil(angles / STEP)).astype(np.int64)
    edge = np.repeat(np.arange(len(corners)), steps)
    # Position of each point along its edge, in [0, 1).
    share = (np.arange(len(edge)) - np.repeat(np.cumsum(steps) - steps, steps)) / steps[edge]
    points = corners[edge] + (following - corners)[edge] * share[:, None]
    points /= np.maximum(np.linalg.norm(points, axis=1, keepdims=True), 1e-12)
    behind = points[:, 2] < 0
    if behind.all():
        return None
    flat = points[:, :2].copy()
    flat[behind] /= np.maximum(np.linalg.norm(flat[behind], axis=1, keepdims=True), 1e-12)
    return flat * [_RADIUS, -_RADIUS]


def _marks(
    chosen: Sequence[int], turned: np.ndarray
) -> tuple[str, list[tuple[float, float, float, float]]]:
    """The cards' numbers as SVG, on short stems above their cells, and the boxes they take up.

    A box is (left, top, right, bottom).
    """
    out: list[str] = []
    taken: list[tuple[float, float, float, float]] = []
    for number, k in enumerate(chosen, 1):
        x, y, z = (float(v) for v in turned[k])
        if z < 0.12:
            continue
        x, foot = x * _RADIUS, -y * _RADIUS
        head = foot - 34
        out.append(
            f'<g class="mark"><path d="M{x:.1f} {foot:.1f}V{head:.1f}"/>'
            f'<circle cx="{x:.1f}" cy="{foot:.1f}" r="3"/>'
        )
        out.append(
            f'<circle cx="{x:.1f}" cy="{head:.1f}" r="15"/>'
            f'<text x="{x:.1f}" y="{head + 6:.1f}">{number}</text></g>'
        )
        taken += [(x - 18, head - 18, x + 18, head + 18), (x - 4, head, x + 4, foot)]
    return "".join(out), taken


def _names(
    called: Sequence[str],
    ranking: np.ndarray,
    turned: np.ndarray,
    taken: list[tuple[float, float, float, float]],
) -> str:
    """The names of the largest cells in front as SVG, without overlaps and without repeats.

    called: (K,) the names of all regions.
    ranking: ids of all regions, the most prominent first.
    taken: boxes that names must avoid; the names' own boxes are appended.
    """
    out: list[str] = []
    written: set[str] = set()
    for k in ranking[turned[ranking, 2] > 0.55].tolist():
        text = short(called[k])
        if text in written or len(out) >= NAMES_SHOWN:
            continue
        x, y = float(turned[k, 0]) * _RADIUS, -float(turned[k, 1]) * _RADIUS
        half = 5.2 * len(text) + 5  # half the width of the text
        box = (x - half, y - 12, x + half, y + 12)
        if x * x + y * y > (0.86 * _RADIUS) ** 2 or any(_overlap(box, other) for other in taken):
            continue
        taken.append(box)
        written.add(text)
        out.append(f'<text x="{x:.1f}" y="{y + 5:.1f}">{_text(text)}</text>')
    return "".join(out)


def _overlap(a: Sequence[float], b: Sequence[float]) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _no_picture() -> str:
    return f'<p class="none">A sphere needs at least {sphere.FEWEST} regions.</p>'


def _caption(dictionary: Dictionary) -> str:
    share = layouts.quality(dictionary, "pca-sphere").variance_kept or 0.0
    return (
        f"The sphere shows 3 principal axes of {dictionary.width:,} directions, {100 * share:.0f} "
        "% of the variance; neighbours, distances and membership come from the full space."
    )


# -- the cards -------------------------------------------------------------------------------------


def _card(dictionary: Dictionary, region: int, number: int, labels: Labels | None) -> str:
    color = palette.region_color(dictionary, region)
    """The card of one region. number: the one that marks it on the sphere."""
    lens = [token for token, _ in dictionary.lens(region)[:LENS_SHOWN]]
    tokens = lens or [token for token, _ in dictionary.region(region).tokens[:LENS_SHOWN]]
    called = _text(one_line(name(dictionary, region, labels)))
    count = f"N = {dictionary.members[region]:,}" if dictionary.members_column else ""
    near = excerpts.by_band(dictionary.excerpts(region)).get("near", ())
    rows = "".join(_excerpt(excerpts.aligned(e)) for e in near[:EXCERPTS_SHOWN])
    chips = "".join(f'<span class="chip">{_token(token)}</span>' for token in tokens)
    return (
        f'<article class="card" style="--c:{color}"><h2><i>{number}</i>Region {region}'
        f"<small>{count}</small></h2>"
        + f'<p class="label">{called}</p>'
        + f'<p class="chips">{chips}</p>{rows}</article>\n'
    )


def _excerpt(row: Row) -> str:
    left = _text("".join(row.left).replace("\n", " ")[-LEFT:])
    right = _text(
        "".join(row.right).replace("\n", " ")[: RIGHT if row.token is not None else LEFT + RIGHT]
    )
    marked = "" if row.token is None else f"<mark>{_token(row.token)}</mark>"
    return f'<p class="excerpt"><span>{left}</span>{marked}<span>{right}</span></p>'


def _token(token: str) -> str:
    """A token as HTML, with invisible characters shown as pale marks."""
    parts = ((escape(segment.text, quote=True), segment.mark) for segment in segments(token))
    return "".join(f"<u>{text}</u>" if mark else text for text, mark in parts)


def _text(text: str) -> str:
    return escape(plain(text), quote=True)
