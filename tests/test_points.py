"""Laws of the Euclidean metric: exact whatever the lengths, the batches and the screen."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import ep
from ep.errors import ActivationError, ConfigError, DictionaryFileError
from ep.method import points as module
from ep.method.calibration import calibrate
from ep.method.carrying import carried_rows, home
from ep.method.dictionary import Dictionary
from ep.method.laws import EUCLIDEAN, joined
from ep.method.metrics import Metric
from ep.method.nearest import fold
from ep.method.percentiles import cosines, pair_percentiles
from ep.method.points import distances, nearest_point, pair_squares, points, screen
from ep.method.source import MemorySource
from ep.method.surroundings import surround
from ep.storage import schema
from tests.fixtures.dictionaries import in_metric, synthetic

KINDS = ("even", "massive", "alike", "twins", "odd")


def rows_of(kind: str, n: int = 700, d: int = 33, seed: int = 0) -> np.ndarray:
    """Rows (n, d + 1) that are hard for a screen, each kind in its own way."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, d)) * rng.uniform(0.5, 2, (n, 1))
    if kind == "massive":  # some a thousand times as long as the others
        x[::7] *= 1000
    if kind == "alike":  # all so close that float32 products cannot tell them apart
        x = 50 + 1e-4 * x
    if kind == "twins":  # every row several times
        x = x[rng.integers(40, size=n)]
    if kind == "odd":  # the centre itself, and lengths of very different magnitude
        x *= 10.0 ** rng.integers(-12, 12, (n, 1))
        x[::11] = 0
    return Metric(np.zeros(d, np.float32), "euclidean", unit=1.7).rows(x)


def plain(a: np.ndarray, b: np.ndarray) -> float:
    """F of two rows, in the words of the rule."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    return float(fold((a[-1] * a[:-1] - b[-1] * b[:-1]) ** 2))


@pytest.mark.parametrize("kind", KINDS)
def test_the_nearest_exemplar_is_that_of_the_plain_rule(kind: str) -> None:
    rows = rows_of(kind)
    exemplars, x = rows[:300], rows[250:]
    square, region = nearest_point(x, exemplars)
    for i in range(0, len(x), 9):
        wanted = [plain(x[i], e) for e in exemplars]
        assert region[i] == int(np.argmin(wanted)) and square[i] == min(wanted)
    assert (square[:50] == 0).all()  # an exemplar lies on itself


@pytest.mark.parametrize("kind", KINDS)
def test_the_screen_is_within_its_slack(kind: str) -> None:
    part = points(rows_of(kind, 60))
    row, column = np.divmod(np.arange(3600), 60)
    exact = pair_squares(part, part, row, column).reshape(60, 60)
    for dtype in (module.FLOAT32, module.FLOAT64):
        estimate, slack = screen(part, part, dtype)
        assert (np.abs(estimate - exact) <= slack).all()
    assert np.array_equal(exact, exact.T) and (exact.diagonal() == 0).all()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [1, 64, 700])
def test_the_regions_do_not_depend_on_the_batches(kind: str, size: int) -> None:
    rows = rows_of(kind)
    theta = float(np.quantile(distances(rows[:200], rows[:200]), 0.05)) + 1e-3
    whole, parts = EUCLIDEAN.leaders(theta), EUCLIDEAN.leaders(theta)
    wanted = whole.partial_fit(rows)
    for start in range(0, len(rows), size):
        part = slice(start, start + size)
        found = parts.partial_fit(rows[part])
        assert np.array_equal(found.region, wanted.region[part])
        assert found.distance.tobytes() == wanted.distance[part].tobytes()
        if start == 128:  # interrupted and resumed
            parts = parts.from_state(parts.state())
    assert parts.exemplars.tobytes() == whole.exemplars.tobytes()
    assert (wanted.distance <= np.float32(theta)).all()
    # the leader rule, one activation after the other
    exemplars: list[np.ndarray] = []
    for row, region in zip(rows[:150], wanted.region[:150], strict=True):
        away = [np.sqrt(plain(row, e)) for e in exemplars]
        if not away or not min(away) <= theta:
            exemplars.append(row)
            assert region == len(exemplars) - 1
        else:
            assert region == int(np.argmin(away))


def test_the_size_of_blocks_and_tiles_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = rows_of("massive")
    wanted = nearest_point(rows, rows[:400])
    for name, value in (("SCREEN_NUMBERS", 1000), ("TILE", 37), ("CROWDED", 0)):
        monkeypatch.setattr(module, name, value)
        for one, other in zip(nearest_point(rows, rows[:400]), wanted, strict=True):
            assert one.tobytes() == other.tobytes()


def test_a_tie_goes_to_the_older_exemplar() -> None:
    d = 8
    unit = np.eye(d, dtype=np.float32)
    # 1 lies as far from 0 as from 2, and from the two sides of an axis
    exemplars = joined(unit[[0, 0, 1]], np.array([2, 0, 1]))
    x = joined(unit[[0, 2]], np.array([1, 3]))
    square, region = nearest_point(x, exemplars)
    assert region.tolist() == [0, 1] and square.tolist() == [1, 9]
    assert nearest_point(x, exemplars[::-1])[1].tolist() == [1, 1]


def test_length_counts_where_a_cosine_sees_none() -> None:
    x = np.zeros((4, 5), np.float32)
    x[:, 0] = [1, 2, 4, 1000]
    rows = Metric(np.zeros(5, np.float32), "euclidean", unit=2.0).rows(x)
    assert rows[:, -1].tolist() == [0.5, 1, 2, 500]
    assert distances(rows, rows[:1])[:, 0].tolist() == [0, 0.5, 1.5, 499.5]
    leaders = EUCLIDEAN.leaders(0.6)
    assert leaders.partial_fit(rows).region.tolist() == [0, 0, 1, 2]


def test_the_unit_is_the_typical_norm_so_that_scale_does_not_count() -> None:
    rng = np.random.default_rng(0)
    x = (rng.normal(size=(20, 16))[rng.integers(20, size=900)] + 2).astype(np.float32)
    x += 0.3 * rng.normal(size=x.shape).astype(np.float32)
    found = [calibrate([x * np.float32(by)], (3.0,), metric="euclidean") for by in (1, 64)]
    assert found[0].thresholds == found[1].thresholds
    assert found[1].metric.unit == 64 * found[0].metric.unit == found[1].typical_norm
    one, other = (of.metric.rows(x * np.float32(by)) for of, by in zip(found, (1, 64), strict=True))
    assert one.tobytes() == other.tobytes()
    norms = np.linalg.norm(x.astype(np.float64) - found[0].center, axis=1)
    assert np.allclose(one[:, -1], norms / np.median(norms), rtol=1e-4)


@pytest.mark.parametrize("kind", ["even", "massive", "twins"])
def test_counting_pairs_equals_sorting_them(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rows, shares = rows_of(kind), (0.5, 3, 40)
    wanted = pair_percentiles(rows, shares, distances)
    exact = distances(rows, rows)[np.triu_indices(len(rows), 1)].astype(float)
    assert np.allclose(wanted, np.percentile(exact, shares), rtol=1e-6)
    monkeypatch.setattr("ep.method.percentiles.DIRECT_PAIRS", 0)
    monkeypatch.setattr("ep.method.percentiles.SAMPLE_ROWS", 150)
    monkeypatch.setattr("ep.method.percentiles.BLOCK_VALUES", 40_000)
    assert np.allclose(pair_percentiles(rows, shares, distances), wanted, rtol=1e-6, atol=1e-6)
    unit = rows[:, :-1]
    assert np.allclose(
        pair_percentiles(unit, shares),
        np.percentile(cosines(unit, unit)[np.triu_indices(len(unit), 1)], shares),
        atol=1e-6,
    )


def test_the_nearest_regions_are_those_by_distance() -> None:
    rows = rows_of("massive", 90)
    columns, _ = surround(rows[:, :-1], np.ones(90), norms=rows[:, -1])
    away = np.array([[np.sqrt(plain(a, b)) for b in rows] for a in rows])
    np.fill_diagonal(away, np.inf)
    assert np.array_equal(columns["nearest_ids"], np.argsort(away, axis=1, kind="stable")[:, :8])
    assert np.allclose(columns["nearest_distances"], np.sort(away, axis=1)[:, :8], rtol=1e-6)


def test_the_mean_of_a_region_is_the_mean_of_its_points() -> None:
    rows = rows_of("even", 200)
    leaders, members = EUCLIDEAN.leaders(1.5), EUCLIDEAN.arrival(33)
    region = leaders.partial_fit(rows)
    members.observe(region, rows)
    found = members.from_state(members.state()).columns()
    whole = rows[:, :-1].astype(np.float64) * rows[:, -1:]
    for k in range(len(leaders)):
        own = whole[region.region == k]
        mean = found["mean_norms"][k] * found["mean_directions"][k]
        assert np.allclose(mean, own.mean(0), atol=1e-5)
        spread = np.linalg.norm(own.sum(0)) / np.linalg.norm(own, axis=1).sum()
        assert found["coherence"][k] == pytest.approx(spread, abs=1e-5)


def test_bad_rows_are_named() -> None:
    leaders = EUCLIDEAN.leaders(0.5, 4)
    row = joined(np.eye(4, dtype=np.float32)[:1], np.array([1.0]))
    for value in (-1.0, np.nan, np.inf):
        bad = row.copy()
        bad[0, -1] = value
        with pytest.raises(ActivationError, match="direction 0 of 1"):
            leaders.partial_fit(bad)
    with pytest.raises(ActivationError, match=r"expected \(n, 5\)"):
        leaders.partial_fit(row[:, 1:])
    with pytest.raises(ActivationError, match="no regions"):
        leaders.assign(row)
    with pytest.raises(ActivationError, match="do not fit"):
        nearest_point(row, row[:, 1:])
    for theta in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(ConfigError, match="threshold is"):
            EUCLIDEAN.leaders(theta)
    assert len(EUCLIDEAN.leaders(5.0)) == 0
    square, region = nearest_point(row, row[:0])
    assert np.isinf(square).all() and region.tolist() == [-1]


# -- files and other dictionaries ------------------------------------------------------------------


def test_a_file_holds_lengths_exactly_where_its_metric_counts_them(tmp_path: Path) -> None:
    made = in_metric(synthetic(), "euclidean")
    made.info["typical_norm"] = 2.0
    arrays = {name: made.column(name) for name in schema.ARRAYS if name in made}
    arrays["vocabulary_pieces"] = made.source.read("vocabulary_pieces")

    def save(info: dict[str, object], **changes: np.ndarray | None) -> Dictionary:
        kept = {n: a for n, a in (arrays | changes).items() if a is not None}
        whole = Dictionary(MemorySource(kept), made.info | info, len(made))
        return ep.open(ep.save(whole, tmp_path / "d.ep.h5"))

    far = np.full_like(made.column("nearest_distances"), 700.0)
    assert save({"threshold": 3.5}, nearest_distances=far).threshold == 3.5
    none = {"exemplar_norms": None, "mean_norms": None}
    for info, changes, message in (
        ({}, {"mean_norms": None}, "mean_norms is missing"),
        ({"metric": None}, {}, "exemplar_norms is there"),
        ({"metric": None, "threshold": 3.5}, none, "between 0 and 2"),
        ({"metric": None}, {**none, "nearest_distances": far}, "nearest_distances, row 0"),
        ({"typical_norm": None}, {}, "lacks typical_norm"),
        ({}, {"exemplar_norms": -made.column("exemplar_norms")}, "exemplar_norms, row 0"),
        ({}, {"nearest_distances": np.float32(np.inf) * far}, "nearest_distances, row 0"),
    ):
        with pytest.raises(DictionaryFileError, match=message):
            save(info, **changes)


def test_exemplars_are_carried_with_their_lengths_to_another_unit() -> None:
    one, other = (in_metric(synthetic(seed=7), "euclidean") for _ in range(2))
    one.info["typical_norm"], other.info["typical_norm"] = 2.0, 4.0
    rows = carried_rows(one, other)
    assert np.array_equal(rows[:, :-1], one.exemplars)
    assert np.allclose(rows[:, -1], one.column("exemplar_norms") / 2)
    assert np.array_equal(carried_rows(one, other, [3, 1]), rows[[3, 1]])
    assert home(one, 5, one) == (5, pytest.approx(1), True)
    # without lengths, those of a cosine dictionary count as typical
    assert (carried_rows(synthetic(seed=7), other)[:, -1] == 1).all()
    assert carried_rows(one, synthetic(seed=7)).shape[1] == one.width
