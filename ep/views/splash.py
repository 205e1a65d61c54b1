"""The figure that introduces a dictionary: the sphere with its names beside eight region cards, as
one HTML file.

Offline and without a script: cells are projected here, drawn as SVG and shaded by one gradient, so
it prints sharp at any size. The cards hold what makes a region readable: members, lens tokens, two
excerpts with the token marked. Every text is escaped. Equal dictionaries and choices give equal
bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float64, Int64

from ep.errors import RequestError
from ep.method.dictionary import Dictionary
from ep.text import plain, segments
from ep.views import excerpts, layouts, palette, sphere, standalone, tables
from ep.views.excerpts import Row

if TYPE_CHECKING:
    from ep.storage.labels import Labels

CARDS = 8
LENS_SHOWN, EXCERPTS_SHOWN = 5, 2
LEFT, RIGHT = 26, 44
"""Characters of an excerpt before and after the marked token: one line of a card."""
PLACE = np.array([-0.30, 0.34, 0.0])
"""Where the selected region comes to lie on the disc: up left, so that several neighbourhoods
show.
"""
STEP = 0.12  # radians: longer edges are bent along the sphere
NAMES_SHOWN = 22
SIZE = 1000.0


def html(
    dictionary: Dictionary,
    region: int,
    brushed: Sequence[int] | np.ndarray = (),
    labels: Labels | None = None,
) -> str:
    """The figure of a dictionary around one region.

    The cards: the region, then the brushed regions or, where those do not suffice, large ones with
    a word for a name that lie far apart in the full space. A dictionary of fewer regions has a card
    for each. UnknownRegion when it has no such region.
    """
    region = dictionary.check(region)
    found = _cells(dictionary)
    turned = None if found is None else _turned(found, region)
    front = turned[:, 2] > 0.3 if turned is not None else np.ones(len(dictionary), bool)
    chosen = choose(dictionary, region, brushed, front)
    picture = (
        _no_picture()
        if found is None or turned is None
        else _picture(dictionary, chosen, found, turned)
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
        f"{_text(_kept(dictionary))}</footer></body></html>\n"
    )


def _title(dictionary: Dictionary) -> str:
    named, where = str(dictionary.info.get("title") or "").strip(), standalone.title(dictionary)
    return f"{named} · {where.partition(' · ')[2]}" if named else where


def choose(
    dictionary: Dictionary,
    region: int,
    brushed: Sequence[int] | np.ndarray = (),
    front: np.ndarray | None = None,
) -> list[int]:
    """The regions of the cards, at most `CARDS`, the selected one first.

    Greedy in the full space: the next one is the region whose nearest chosen one is farthest away.
    Candidates are the brushed regions first, then the largest with a word for a name in `front`
    (K,), then all.
    """
    size, count = len(dictionary), dictionary.members
    by_size = np.argsort(-count, kind="stable")
    is_front = np.ones(size, bool) if front is None else front
    large = by_size[is_front[by_size]][: max(48, size // 30)]
    named = np.array([k for k in large.tolist() if _is_word(tables.name(dictionary, k))], np.int64)
    chosen = [region]
    for pool in (np.asarray(brushed, np.int64), named, by_size):
        _spread(dictionary, chosen, pool)
    return chosen


def _spread(dictionary: Dictionary, chosen: list[int], pool: Int64[np.ndarray, " n"]) -> None:
    """Adds regions of the pool to those chosen until there are enough; equals in the order of the
    pool.
    """
    exemplars = dictionary.exemplars
    pool = pool[~np.isin(pool, chosen)]
    if not len(pool) or len(chosen) >= CARDS:
        return
    nearest = (1 - exemplars[pool] @ exemplars[chosen].T).min(axis=1)
    while len(chosen) < CARDS and np.isfinite(nearest).any():
        at = int(np.argmax(nearest))
        chosen.append(int(pool[at]))
        nearest = np.minimum(nearest, 1 - exemplars[pool] @ exemplars[pool[at]])
        nearest[at] = -np.inf
        nearest[np.isin(pool, chosen)] = -np.inf


def _is_word(name: str) -> bool:
    return len(name.strip()) > 2 and name.strip().isalpha()


# -- the sphere ------------------------------------------------------------------------------------


def _cells(dictionary: Dictionary) -> sphere.Cells | None:
    try:
        return sphere.cells(layouts.coordinates(dictionary, "pca-sphere"))
    except RequestError:
        return None


def _turned(found: sphere.Cells, region: int) -> Float64[np.ndarray, "K 3"]:
    """The cells' centres as the camera sees them (x right, y up, z to the viewer)."""
    return found.centers.astype(np.float64) @ _rotation(found.centers[region].astype(np.float64)).T


def _rotation(center: Float64[np.ndarray, " 3"]) -> Float64[np.ndarray, "3 3"]:
    """The shortest turn that brings a point of the unit sphere to `PLACE`."""
    goal = PLACE + [0.0, 0.0, np.sqrt(1 - float(PLACE @ PLACE))]
    axis, cosine = np.cross(center, goal), float(center @ goal)
    if cosine < -1 + 1e-9:  # opposite: any half turn about an axis across
        across = np.cross(goal, [1.0, 0.0, 0.0])
        across /= np.linalg.norm(across)
        return 2 * np.outer(across, across) - np.eye(3)
    skew = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    return np.eye(3) + skew + skew @ skew / (1 + cosine)


def _picture(
    dictionary: Dictionary,
    chosen: Sequence[int],
    found: sphere.Cells,
    turned: Float64[np.ndarray, "K 3"],
) -> str:
    vertices = found.vertices @ _rotation(found.centers[chosen[0]].astype(np.float64)).T
    colors = palette.map_colors(dictionary)
    starts = np.concatenate([[0], np.cumsum(found.counts.astype(np.int64))])
    outlines = {}
    for k in np.flatnonzero(turned[:, 2] > -0.35).tolist():
        outline = _outline(vertices[found.corners[starts[k] : starts[k + 1]]])
        if outline is not None:
            outlines[k] = " ".join(f"{x:.1f},{y:.1f}" for x, y in outline)
    cells = "".join(
        f'<polygon points="{points}" fill="#{bytes(colors[k]).hex()}"/>'
        for k, points in outlines.items()
    )
    rings = "".join(
        f'<polygon class="ring" points="{outlines[k]}"/>' for k in chosen if k in outlines
    )
    marks, taken = _marks(chosen, turned)
    ranking = np.argsort(-(dictionary.members**0.35 * found.areas), kind="stable")
    names = _names(dictionary, ranking, turned, taken)
    return (
        f'<svg viewBox="-{SIZE / 2:.0f} -{SIZE / 2:.0f} {SIZE:.0f} {SIZE:.0f}" role="img" '
        'aria-label="Regions as cells on a sphere"><defs><radialGradient id="light" cx="36%" '
        'cy="30%" r="78%">'
        '<stop offset="0" stop-color="#fff" stop-opacity=".22"/><stop offset=".5" '
        'stop-color="#fff" stop-opacity="0"/>'
        '<stop offset="1" stop-color="#1d2433" stop-opacity=".20"/></radialGradient>'
        '<radialGradient id="limb" r="50%"><stop offset=".84" stop-color="#fff" stop-opacity="0"/>'
        '<stop offset="1" stop-color="#fff" stop-opacity=".62"/></radialGradient></defs>'
        f'<g class="cells">{cells}</g><circle r="{_R:.0f}" fill="url(#light)"/><circle '
        f'r="{_R:.0f}" fill="url(#limb)"/>'
        f'{rings}<g class="names">{names}</g>{marks}</svg>'
    )


_R = 0.47 * SIZE


def _outline(corners: Float64[np.ndarray, "n 3"]) -> Float64[np.ndarray, "m 2"] | None:
    """A cell's outline on the disc, edges bent along the sphere; what lies behind is brought to the
    rim.
    """
    following = np.roll(corners, -1, axis=0)
    angles = np.arccos(np.clip(np.einsum("ij,ij->i", corners, following), -1, 1))
    steps = np.maximum(1, np.ceil(angles / STEP)).astype(np.int64)
    edge = np.repeat(np.arange(len(corners)), steps)
    share = (np.arange(len(edge)) - np.repeat(np.cumsum(steps) - steps, steps)) / steps[edge]
    points = corners[edge] + (following - corners)[edge] * share[:, None]
    points /= np.maximum(np.linalg.norm(points, axis=1, keepdims=True), 1e-12)
    behind = points[:, 2] < 0
    if behind.all():
        return None
    flat = points[:, :2].copy()
    flat[behind] /= np.maximum(np.linalg.norm(flat[behind], axis=1, keepdims=True), 1e-12)
    return flat * [_R, -_R]


def _marks(
    chosen: Sequence[int], turned: np.ndarray
) -> tuple[str, list[tuple[float, float, float, float]]]:
    """The numbers of the cards on short stems above their cells, and the boxes they take."""
    out: list[str] = []
    taken: list[tuple[float, float, float, float]] = []
    for number, k in enumerate(chosen, 1):
        x, y, z = (float(v) for v in turned[k])
        if z < 0.12:
            continue
        x, foot = x * _R, -y * _R
        head = foot - 34
        out.append(
            f'<g class="mark"><path d="M{x:.1f} {foot:.1f}V{head:.1f}"/><circle cx="{x:.1f}" '
            f'cy="{foot:.1f}" r="3"/>'
        )
        out.append(
            f'<circle cx="{x:.1f}" cy="{head:.1f}" r="15"/><text x="{x:.1f}" '
            f'y="{head + 6:.1f}">{number}</text></g>'
        )
        taken += [(x - 18, head - 18, x + 18, head + 18), (x - 4, head, x + 4, foot)]
    return "".join(out), taken


def _names(
    dictionary: Dictionary,
    ranking: np.ndarray,
    turned: np.ndarray,
    taken: list[tuple[float, float, float, float]],
) -> str:
    """Names of the largest cells in front, where no other stands; no name twice."""
    out: list[str] = []
    said: set[str] = set()
    for k in ranking[turned[ranking, 2] > 0.55].tolist():
        text = tables.map_name(tables.name(dictionary, k))[:18]
        if text in said or len(out) >= NAMES_SHOWN:
            continue
        x, y, half = float(turned[k, 0]) * _R, -float(turned[k, 1]) * _R, 5.2 * len(text) + 5
        box = (x - half, y - 12, x + half, y + 12)
        if x * x + y * y > (0.86 * _R) ** 2 or any(_overlap(box, other) for other in taken):
            continue
        taken.append(box)
        said.add(text)
        out.append(f'<text x="{x:.1f}" y="{y + 5:.1f}">{_text(text)}</text>')
    return "".join(out)


def _overlap(a: Sequence[float], b: Sequence[float]) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _no_picture() -> str:
    return f'<p class="none">A sphere needs at least {sphere.FEWEST} regions.</p>'


def _kept(dictionary: Dictionary) -> str:
    kept = layouts.quality(dictionary, "pca-sphere").variance_kept or 0.0
    return (
        f"The sphere shows 3 principal axes of {dictionary.width:,} directions, {100 * kept:.0f} % "
        "of the variance; "
        "neighbours, distances and membership come from the full space."
    )


# -- the cards -------------------------------------------------------------------------------------


def _card(dictionary: Dictionary, region: int, number: int, labels: Labels | None) -> str:
    color = palette.region_color(dictionary, region)
    lens = [token for token, _ in dictionary.lens(region)[:LENS_SHOWN]]
    shown = lens or [token for token, _ in dictionary.region(region).tokens[:LENS_SHOWN]]
    named = labels.stored(region) if labels is not None else ()
    about = _text(named[0].text) if named else ""
    count = int(dictionary.members[region])
    near = excerpts.by_band(dictionary.excerpts(region)).get("near", ())
    rows = "".join(_excerpt(excerpts.aligned(e)) for e in near[:EXCERPTS_SHOWN])
    chips = "".join(f'<span class="chip">{_token(token)}</span>' for token in shown)
    return (
        f'<article class="card" style="--c:{color}"><h2><i>{number}</i>Region {region}'
        f"<small>N = {count:,}</small></h2>"
        + (f'<p class="label">{about}</p>' if about else "")
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
    parts = ((escape(segment.text, quote=True), segment.mark) for segment in segments(token))
    return "".join(f"<u>{text}</u>" if mark else text for text, mark in parts)


def _text(text: str) -> str:
    return escape(plain(text), quote=True)
