"""The flat map's laws: every region has a cell around its own site, and the cells fill the outline
without overlap.
"""

from __future__ import annotations

import numpy as np
import pytest

from ep.errors import RequestError
from ep.views import flat

RNG = np.random.default_rng(0)
CLOUDS = {
    "scattered": RNG.normal(size=(300, 2)),
    "one": np.array([[3.0, 4.0]]),
    "two": np.array([[3.0, 4.0], [5.0, 6.0]]),
    "in pairs": np.repeat(RNG.normal(size=(40, 2)), 3, axis=0).astype(np.float32),
    "on one line": np.outer(np.linspace(-1, 1, 30), [1, 2]),
    "in one place": np.ones((9, 2)),
    "an island far away": np.concatenate(
        [RNG.normal(size=(200, 2)), RNG.normal(size=(5, 2)) * 0.01 + 1000]
    ),
    "with infinities": np.where(np.eye(30, 2) > 0, np.inf, RNG.normal(size=(30, 2))),
    "more than thousand": RNG.normal(size=(1500, 2)),
}


def area(polygon: np.ndarray) -> float:
    after = np.roll(polygon, -1, axis=0)
    return float((polygon[:, 0] * after[:, 1] - polygon[:, 1] * after[:, 0]).sum() / 2)


@pytest.mark.parametrize("name", CLOUDS)
def test_cells_fill_the_outline_and_each_is_a_polygon(name: str) -> None:
    found = flat.cells(CLOUDS[name])
    assert len(found.counts) == len(CLOUDS[name]) and found.counts.min() >= 3
    assert found.counts.sum() == len(found.corners) and found.corners.max() < len(found.vertices)
    assert np.isfinite(found.vertices).all() and (found.areas > 0).all()
    np.testing.assert_allclose(found.areas.sum(), area(found.outline), rtol=1e-6)
    # picking tells cells apart by their sites
    assert len(np.unique(found.centers, axis=0)) == len(found.counts)
    assert np.abs(found.outline).max() < 1.2 or len(found.counts) == 1


def test_every_corner_is_as_near_to_its_cell_as_to_any_other_and_inside_the_outline() -> None:
    found = flat.cells(CLOUDS["scattered"])
    owner = np.repeat(np.arange(len(found.counts)), found.counts)
    away = np.linalg.norm(found.vertices[found.corners][:, None] - found.centers[None], axis=2)
    np.testing.assert_allclose(away[np.arange(len(owner)), owner], away.min(axis=1), atol=1e-6)
    for a, b in zip(found.outline, np.roll(found.outline, -1, axis=0), strict=True):
        (dx, dy), (px, py) = b - a, (found.vertices - a).T
        assert (dx * py - dy * px > -1e-9).all()


def test_the_cell_that_holds_a_point_is_that_of_the_nearest_site() -> None:
    found = flat.cells(CLOUDS["scattered"])
    starts = np.concatenate([[0], np.cumsum(found.counts, dtype=np.int64)])
    for k in range(0, 300, 7):
        polygon = found.vertices[found.corners[starts[k] : starts[k + 1]]]
        weights = np.random.default_rng(k).dirichlet(np.ones(len(polygon)), 20)
        inside = weights @ polygon
        nearest = np.linalg.norm(inside[:, None] - found.centers[None], axis=2).argmin(axis=1)
        assert (nearest == k).all()


def test_the_shape_of_the_cloud_is_kept() -> None:
    points = np.random.default_rng(1).uniform(-1, 1, (300, 2)) * [3.0, 1.0]
    assert flat.spread(points) == 1
    found = flat.cells(points)
    scale = np.ptp(found.centers, axis=0) / np.ptp(points, axis=0)
    np.testing.assert_allclose(scale[0], scale[1], rtol=1e-5)


def test_a_crowded_middle_is_spread_but_no_direction_and_no_order_is_lost() -> None:
    points = RNG.normal(size=(400, 2)) * RNG.exponential(size=(400, 1))
    power = flat.spread(points)
    assert 0.5 <= power < 1
    found = flat.cells(points).centers.astype(np.float64)
    away = points - np.median(points, axis=0)
    r = np.linalg.norm(away, axis=1)
    there = away / r[:, None] * (r / r.max())[:, None] ** power
    scale = np.ptp(found, axis=0) / np.ptp(there, axis=0)
    np.testing.assert_allclose(found, there * scale + (found[0] - there[0] * scale), atol=1e-5)


def test_the_outline_has_no_sharp_corner_and_stands_off_every_site() -> None:
    for name in ("scattered", "more than thousand", "on one line"):
        found = flat.cells(CLOUDS[name])
        sides = np.roll(found.outline, -1, axis=0) - found.outline
        turns = np.angle(np.exp(1j * np.diff(np.angle(sides[:, 0] + 1j * sides[:, 1]), append=0)))[
            :-1
        ]
        assert turns.min() > 0 and turns.max() < np.radians(20), name
        for (x, y), (dx, dy) in zip(found.outline, sides, strict=True):
            off = (dx * (found.centers[:, 1] - y) - dy * (found.centers[:, 0] - x)) / np.hypot(
                dx, dy
            )
            assert off.min() > 0.03, name


def test_no_region_has_no_map() -> None:
    with pytest.raises(RequestError, match="at least one"):
        flat.cells(np.zeros((0, 2)))
