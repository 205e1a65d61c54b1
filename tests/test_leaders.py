"""Laws of leader clustering: the one-at-a-time rule in float64, whatever the batches, screens and
interruptions.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ep.errors import ActivationError, ConfigError
from ep.method import leaders as leaders_module
from ep.method import rows as rows_module
from ep.method import search, threads
from ep.method.leaders import Leaders
from ep.method.nearest import folded_cosine, nearest_exemplar
from ep.method.rows import Rows, checked_rows
from tests.fixtures.directions import unit


def one_at_a_time(x: np.ndarray, threshold: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The rule itself: founders' rows, and every row's region and float64 distance at arrival."""
    founders: list[int] = []
    region, distance = np.empty(len(x), np.int64), np.empty(len(x))
    for i, row in enumerate(x):
        d = 1.0 - folded_cosine(np.broadcast_to(row, (len(founders), x.shape[1])), x[founders])
        if len(d) and d.min() <= threshold:
            region[i], distance[i] = d.argmin(), d.min()
        else:
            region[i], distance[i] = len(founders), 0.0
            founders.append(i)
    return np.array(founders), region, distance


def split(x: np.ndarray, cuts: list[int]) -> list[np.ndarray]:
    return np.split(x, sorted(c % (len(x) + 1) for c in cuts))


def run(leaders: Leaders, batches: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    parts = [leaders.partial_fit(batch) for batch in batches]
    return tuple(np.concatenate(column) for column in zip(*parts, strict=True))


def assert_is_the_rule(x: np.ndarray, threshold: float, batches: list[np.ndarray]) -> None:
    founders, region, distance = one_at_a_time(x, threshold)
    leaders = Leaders(threshold)
    got_region, got_distance, is_new = run(leaders, batches)
    assert np.array_equal(leaders.founded_at, founders)
    assert np.array_equal(leaders.exemplars, x[founders])
    assert np.array_equal(got_region, region)
    assert np.array_equal(got_distance, np.clip(distance, 0, 2).astype(np.float32))
    assert np.array_equal(np.flatnonzero(is_new), founders)
    assert len(leaders) == len(founders) and leaders.n_seen == len(x)


def streams() -> dict[str, tuple[np.ndarray, float]]:
    """(directions, threshold) that found few, many or all rows, sit on the threshold, or repeat
    themselves.
    """
    rng = np.random.default_rng(11)
    draw = lambda n, d: rng.standard_normal((n, d))  # noqa: E731
    clusters = unit(draw(12, 64)[rng.integers(0, 12, 400)] + 0.6 * draw(400, 64))
    few = unit(draw(30, 16))
    on = clusters[:120].copy()
    at_threshold = float(1.0 - folded_cosine(on[5:6], on[0:1])[0])
    axis = unit(draw(1, 64))
    return {
        "clustered": (clusters, 0.3),
        "fine": (unit(draw(300, 24)), 0.7),
        "every row a region": (unit(draw(150, 64)), 0.2),
        "one region": (unit(draw(150, 64)), 1.9),
        "far apart": (unit(np.repeat([[1.0], [-1.0]], 40, 0) * axis + 0.05 * draw(80, 64)), 1.2),
        "duplicates": (few[rng.integers(0, 30, 300)], 0.4),
        "near-duplicates": (unit(axis + 1e-4 * draw(300, 64)), 3e-7),
        "a pair at the threshold": (on, at_threshold),
        "just below it": (on, float(np.nextafter(at_threshold, 0))),
        "wide": (unit(draw(8, 2304)[rng.integers(0, 8, 90)] + 0.8 * draw(90, 2304)), 0.45),
        "prime width": (unit(draw(200, 131) + 0.5), 0.8),
    }


STREAMS = streams()
SCREENS = {"float32": 10**9, "int8": 1, "both": 20}


@pytest.fixture(params=SCREENS)
def screen(request, monkeypatch):
    monkeypatch.setattr(search, "INT8_FROM", SCREENS[request.param])
    monkeypatch.setattr(search, "int8_is_exact_and_faster", lambda device: True)


@pytest.mark.parametrize("name", STREAMS)
def test_is_the_one_at_a_time_rule(name, screen):
    x, threshold = STREAMS[name]
    assert_is_the_rule(x, threshold, [x])


@pytest.mark.parametrize("name", STREAMS)
def test_on_a_device_is_the_same_rule(name, screen, monkeypatch):
    monkeypatch.setattr(leaders_module, "on_cpu", lambda x: False)
    monkeypatch.setattr(search, "on_cpu", lambda x: False)
    x, threshold = STREAMS[name]
    assert_is_the_rule(x, threshold, [x[:50], x[50:]])


@pytest.mark.parametrize("name", STREAMS)
def test_one_row_at_a_time_equals_all_at_once(name):
    x, threshold = STREAMS[name]
    x = x[:120]
    assert_is_the_rule(x, threshold, [row[None] for row in x])


@pytest.mark.parametrize("block", [1, 7, 64])
def test_inner_blocks_do_not_show(block, monkeypatch):
    monkeypatch.setattr(leaders_module, "BLOCK", block)
    x, threshold = STREAMS["clustered"]
    assert_is_the_rule(x, threshold, [x])


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    width=st.sampled_from([1, 2, 3, 8, 13, 64]),
    threshold=st.floats(0.01, 1.99),
    noise=st.sampled_from([1e-7, 1e-3, 0.3, 3.0]),
    cuts=st.lists(st.integers(0, 200), max_size=6),
)
def test_any_split_of_any_stream_is_the_rule(seed, width, threshold, noise, cuts):
    rng = np.random.default_rng(seed)
    centers = rng.standard_normal((6, width))
    x = unit(centers[rng.integers(0, 6, 120)] + noise * rng.standard_normal((120, width)) + 1e-9)
    assert_is_the_rule(x, threshold, split(x, cuts))


def close_calls(threshold: float, n: int, d: int) -> np.ndarray:
    """A founder, then rows whose distance to it is the threshold up to a few float32 roundings of
    their entries.
    """
    rng = np.random.default_rng(3)
    founder = unit(rng.standard_normal((1, d))).astype(np.float64)
    across = rng.standard_normal((n, d))
    across -= across @ founder.T * founder
    across /= np.linalg.norm(across, axis=1, keepdims=True)
    cosine = 1.0 - threshold
    return np.concatenate([founder, cosine * founder + np.sqrt(1 - cosine**2) * across]).astype(
        np.float32
    )


@pytest.mark.parametrize("born", ["in an earlier batch", "in the same batch"])
def test_close_calls_are_float64s_not_float32s(born, screen):
    """A float32 product puts some of these rows on the wrong side of the threshold; the clustering
    none.
    """
    threshold = 0.75
    x = close_calls(threshold, 400, 2304)
    exact = 1.0 - folded_cosine(x[1:], np.broadcast_to(x[0], x[1:].shape)) <= threshold
    rounded = np.float32(1.0) - x[1:] @ x[0] <= np.float32(threshold)
    assert exact.any() and (~exact).any() and (exact != rounded).any()
    assert_is_the_rule(x, threshold, [x[:1], x[1:]] if born == "in an earlier batch" else [x])


@pytest.mark.parametrize("at", [0, 1, 37, 400])
def test_state_resumes_as_if_never_stopped(at, screen):
    x, threshold = STREAMS["clustered"]
    whole = Leaders(threshold)
    expected = run(whole, [x])
    first = Leaders(threshold)
    head = run(first, [x[:at]])
    state = first.state()
    assert all(isinstance(value, np.ndarray) and value.dtype != object for value in state.values())
    second = Leaders.from_state(state)
    tail = run(second, [x[at:]])
    assert all(
        np.array_equal(np.concatenate(pair), e)
        for *pair, e in zip(head, tail, expected, strict=True)
    )
    ours, theirs = second.state(), whole.state()
    assert ours.keys() == theirs.keys() and all(np.array_equal(ours[k], theirs[k]) for k in ours)


def test_assign_is_the_nearest_exemplar_and_founds_nothing(screen):
    x, threshold = STREAMS["clustered"]
    leaders = Leaders(threshold)
    leaders.partial_fit(x[:300])
    before = leaders.state()
    region, distance, is_new = leaders.assign(x)
    cosine, expected = nearest_exemplar(x, leaders.exemplars)
    assert np.array_equal(region, expected) and not is_new.any()
    assert np.array_equal(distance, np.clip(1 - cosine, 0, 2).astype(np.float32))
    assert all(np.array_equal(before[k], v) for k, v in leaders.state().items())
    with pytest.raises(ActivationError, match="no regions"):
        Leaders(threshold, width=64).assign(x)


def test_an_empty_batch_changes_nothing():
    leaders = Leaders(0.5, width=4)
    assert (
        len(leaders) == 0 and leaders.exemplars.shape == (0, 4) and leaders.founded_at.shape == (0,)
    )
    assignment = leaders.partial_fit(np.empty((0, 4), np.float32))
    assert assignment.region.shape == assignment.distance.shape == assignment.is_new.shape == (0,)
    assert leaders.n_seen == 0


@pytest.mark.parametrize("threshold", [0.0, 2.0, -1.0, 5.0, float("nan"), float("inf")])
def test_a_threshold_that_is_no_distance_is_refused(threshold):
    with pytest.raises(ConfigError, match="greater than 0 and less than 2"):
        Leaders(threshold)


def test_directions_that_are_none_are_refused_and_leave_no_trace():
    good = np.eye(4, dtype=np.float32)
    leaders = Leaders(0.5)
    for value, what in (
        (np.nan, "length nan"),
        (np.inf, "length inf"),
        (1e30, "length inf"),
        (2.0, "length 2"),
    ):
        bad = good.copy()
        bad[2, 2] = value
        with pytest.raises(ActivationError, match=f"direction 2 of 4 has {what}"):
            leaders.partial_fit(bad)
    with pytest.raises(ActivationError, match="one row per activation"):
        leaders.partial_fit(good[0])
    leaders.partial_fit(good)
    with pytest.raises(ActivationError, match=r"expected \(n, 4\)"):
        leaders.partial_fit(np.eye(5, dtype=np.float32))
    assert len(leaders) == 4 and leaders.n_seen == 4


def test_clusterings_that_share_rows_are_those_that_do_not(screen, monkeypatch):
    """Whatever part of a batch each of them takes; the codes of the batch are made once."""
    made: list[int] = []
    encoded = rows_module._encoded
    monkeypatch.setattr(
        rows_module, "_encoded", lambda x, coder: made.append(len(x)) or encoded(x, coder)
    )
    x, _ = STREAMS["wide"]
    x = np.concatenate([x, STREAMS["wide"][0][::-1]])
    shared = Rows(checked_rows(x, None), is_shared=True)
    ways = ([slice(0, 60), slice(60, None)], [slice(0, None)], [np.arange(len(x)) % 2 == 0])
    for threshold, parts in zip((0.3, 0.45, 0.6), ways, strict=True):
        ours, theirs = Leaders(threshold), Leaders(threshold)
        for part in parts:
            got, expected = ours.partial_fit(shared[part]), theirs.partial_fit(x[part])
            assert all(np.array_equal(a, b) for a, b in zip(got, expected, strict=True))
        assert np.array_equal(ours.exemplars, theirs.exemplars)
        again, plain = ours.assign(shared), theirs.assign(x)
        assert all(np.array_equal(a, b) for a, b in zip(again, plain, strict=True))
        seconds = ours.runner_up(shared, again.region), theirs.runner_up(x, again.region)
        assert all(np.array_equal(a, b) for a, b in zip(*seconds, strict=True))
    assert made.count(len(x)) <= 1


def test_many_founders_in_one_block_are_screened_and_few_are_not(screen, monkeypatch):
    x, threshold = STREAMS["fine"]
    monkeypatch.setattr(leaders_module, "FEW", 10**9)
    assert_is_the_rule(x, threshold, [x])
    monkeypatch.setattr(leaders_module, "FEW", 0)
    assert_is_the_rule(x, threshold, [x])


def test_blocks_that_several_threads_share_are_the_same_rule(screen, monkeypatch):
    monkeypatch.setattr(threads, "FEWEST_ROWS", 16)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    for name in ("fine", "clustered", "duplicates"):
        x, threshold = STREAMS[name]
        assert_is_the_rule(x, threshold, [x])
