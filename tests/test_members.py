"""Laws of membership: parts equal the whole, cuts do not matter, resuming does not show."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ep.method.assignment import Assignment
from ep.method.counting import PairCounter
from ep.method.excerpts import (
    BANDS,
    CAPACITY,
    EMPTY,
    EVENT,
    SLOTS,
    START,
    ExcerptSlots,
    _empty_places,
)
from ep.method.members import ArrivalMembers, Events, VoronoiMembers
from ep.method.selecting import select

N, D, K, THETA, CONTEXT = 1500, 12, 17, 0.6, 40


@pytest.fixture(scope="module")
def stream() -> tuple[Assignment, np.ndarray, Events]:
    rng = np.random.default_rng(5)
    rows = rng.normal(size=(N, D)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    born = np.sort(rng.integers(0, N // 2, K))
    region = np.array([rng.integers(0, max(1, np.searchsorted(born, i))) for i in range(N)])
    distance = (rng.beta(4, 2, N) * THETA).astype(np.float32)
    distance[::50] = 0
    fold = rng.integers(0, 1200, N).astype(np.uint64)
    distance = distance[
        np.unique(fold, return_index=True)[1][np.unique(fold, return_inverse=True)[1]]
    ]
    events = Events(
        passage=np.arange(N) // 30,
        position=(np.arange(N) % 30).astype(np.int32),
        token=rng.zipf(1.6, N).clip(0, 50).astype(np.int32),
        next_token=(rng.zipf(1.6, N).clip(0, 50) - 2).astype(np.int32),
        fold=fold,
        index=np.arange(N),
    )
    return Assignment(region, distance, np.zeros(N, bool)), rows, events


def feed(stream, size, start=0, arrival=None, voronoi=None, stop=N):
    assignment, rows, events = stream
    arrival, voronoi = (
        arrival or ArrivalMembers(D),
        voronoi or VoronoiMembers(THETA, CONTEXT, seed=3),
    )
    for at in range(start, stop, size):
        part = slice(at, min(at + size, stop))
        cut = Assignment(*(column[part] for column in assignment))
        arrival.observe(cut, rows[part])
        voronoi.observe(cut, events[part])
    return arrival, voronoi


def same(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> None:
    assert a.keys() == b.keys()
    for name in a:
        assert a[name].dtype == b[name].dtype, name
        assert np.array_equal(a[name], b[name]), name


@pytest.mark.parametrize(("size", "stop"), [(1, 200), (13, N), (256, N), (N - 1, N)])
def test_the_cut_into_batches_does_not_matter_to_the_last_bit(stream, size, stop, monkeypatch):
    monkeypatch.setattr("ep.method.counting.PENDING", 100)
    whole, parts = feed(stream, N, stop=stop), feed(stream, size, stop=stop)
    same(whole[0].columns(), parts[0].columns())
    same(whole[1].columns(K), parts[1].columns(K))


@pytest.mark.parametrize("pause", [0, 1, 1234, N])
def test_resuming_equals_never_stopping(stream, pause):
    whole = feed(stream, 100)
    arrival, voronoi = feed(stream, 100, stop=pause)
    arrival, voronoi = (
        ArrivalMembers.from_state(arrival.state()),
        VoronoiMembers.from_state(voronoi.state()),
    )
    assert arrival.n_seen == voronoi.n_seen == pause
    arrival, voronoi = feed(stream, 100, pause, arrival, voronoi)
    same(whole[0].columns(), arrival.columns())
    same(whole[1].columns(K), voronoi.columns(K))


def test_state_is_a_snapshot(stream):
    arrival, voronoi = feed(stream, 500, stop=1000)
    states = arrival.state(), voronoi.state()
    kept = [{name: array.copy() for name, array in state.items()} for state in states]
    feed(stream, 500, 1000, arrival, voronoi)
    for before, after in zip(kept, states, strict=True):
        same(before, after)


def test_arrival_columns_are_the_plain_statistics(stream):
    assignment, rows, _ = stream
    columns = feed(stream, 333)[0].columns()
    assert columns["count_arrival"].sum() == N
    for region in range(K):
        own = assignment.region == region
        total, distance = rows[own].sum(0, dtype=float), assignment.distance[own].astype(float)
        assert np.allclose(
            columns["mean_directions"][region], total / np.linalg.norm(total), atol=1e-6
        )
        assert columns["coherence"][region] == pytest.approx(
            np.linalg.norm(total) / own.sum(), rel=1e-6
        )
        assert columns["distance_sum"][region] == pytest.approx(distance.sum())
        assert columns["distance_square_sum"][region] == pytest.approx((distance**2).sum())


def test_voronoi_columns_are_the_plain_statistics(stream):
    assignment, _, events = stream
    columns = feed(stream, 333)[1].columns(K + 2)
    for name in ("distance_histogram", "position_histogram"):
        assert columns[name].shape[0] == K + 2
        assert np.array_equal(columns[name].sum(1), columns["count_voronoi"])
    for region in range(K + 2):
        own = assignment.region == region
        distance = assignment.distance[own]
        assert columns["count_voronoi"][region] == own.sum()
        assert columns["mean_distance"][region] == pytest.approx(
            distance.mean() if own.any() else 0, rel=1e-5
        )
        assert columns["max_distance"][region] == (distance.max() if own.any() else 0)
        expected = np.histogram(distance, 32, (0, THETA))[0]
        # float32 bin edges
        assert np.abs(columns["distance_histogram"][region].astype(int) - expected).sum() <= 2
        for kind, tokens in (("token", events.token[own]), ("next", events.next_token[own])):
            counts = Counter(tokens[tokens >= 0].tolist())
            top = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:10]
            stored = zip(
                columns[f"{kind}_ids"][region].tolist(),
                columns[f"{kind}_counts"][region].tolist(),
                strict=True,
            )
            assert [pair for pair in stored if pair[0] >= 0] == top


def excerpts_of(
    columns: dict[str, np.ndarray], region: int
) -> dict[int, list[tuple[float, int, int]]]:
    start, stop = columns["excerpt_offsets"][region : region + 2]
    names = ("excerpt_distance", "excerpt_passage", "excerpt_position", "excerpt_band")
    rows = zip(*(columns[name][start:stop].tolist() for name in names), strict=True)
    bands: dict[int, list[tuple[float, int, int]]] = {0: [], 1: [], 2: []}
    for distance, passage, position, band in rows:
        bands[band].append((distance, passage, position))
    return bands


def test_excerpts_are_the_nearest_and_farthest_contexts_once_each(stream):
    assignment, _, events = stream
    columns = feed(stream, 64)[1].columns(K)
    for region in range(K):
        own = np.flatnonzero(assignment.region == region)
        contexts = {int(events.fold[i]): float(assignment.distance[i]) for i in own}
        ranked = sorted(contexts.values())
        bands = excerpts_of(columns, region)
        assert [e[0] for e in bands[0]] == ranked[:8]
        assert [e[0] for e in bands[2]] == ranked[8:][::-1][:6]
        assert [e[0] for e in bands[1]] == sorted(e[0] for e in bands[1])
        shown = [e[1] * 30 + e[2] for band in bands.values() for e in band]
        assert len({int(events.fold[i]) for i in shown}) == len(shown)
        assert set(shown) <= set(own.tolist())
        # at most two of each band, and as many as there are beyond near and far
        for number in range(BANDS):
            low, high = number * THETA / BANDS, (number + 1) * THETA / BANDS
            assert sum(low <= e[0] < high for e in bands[1]) <= 2


def test_spread_is_a_fair_seeded_sample():
    n, seeds = 400, 300
    distance = np.full(n, 0.31, np.float32) + np.arange(n, dtype=np.float32) * 1e-5
    events = Events(
        np.arange(n), *(np.zeros(n, np.int32),) * 3, np.arange(n).astype(np.uint64), np.arange(n)
    )
    assignment = Assignment(np.zeros(n, np.int64), distance, np.zeros(n, bool))
    seen = np.zeros(n)
    for seed in range(seeds):
        members = VoronoiMembers(THETA, CONTEXT, seed)
        members.observe(assignment, events)
        columns = members.columns(1)
        seen[columns["excerpt_passage"][columns["excerpt_band"] == 1]] += 1
    middle = seen[8:-6]
    assert 1.6 * seeds < middle.sum() <= 2 * seeds
    assert middle.max() <= 9  # expectation 1.5: a sample that prefers a member would show here
    halves = middle[: len(middle) // 2].sum(), middle[len(middle) // 2 :].sum()
    assert abs(halves[0] - halves[1]) < 4 * middle.sum() ** 0.5


def test_distances_at_and_just_beyond_the_edges_are_counted():
    distance = np.array([-0.0, 0.0, THETA, THETA * 1.0001], np.float32)
    events = Events(np.arange(4), np.array([0, 1, 39, 400], np.int32), *(np.ones(4, np.int32),) * 2,
                    np.arange(4).astype(np.uint64), np.arange(4))  # fmt: skip
    members = VoronoiMembers(THETA, CONTEXT)
    members.observe(Assignment(np.zeros(4, np.int64), distance, np.zeros(4, bool)), events)
    columns = members.columns(1)
    assert columns["distance_histogram"][0, [0, 31]].tolist() == [2, 2]
    assert columns["position_histogram"][0, [0, 15]].tolist() == [2, 2]
    assert columns["excerpt_distance"].tolist() == sorted(np.abs(distance).tolist())


def test_empty_batches_and_empty_members_are_harmless(stream):
    arrival, voronoi = feed(stream, 100, stop=0)
    voronoi.observe(Assignment(*(column[:0] for column in stream[0])), stream[2][:0])
    columns = voronoi.columns(3)
    assert columns["count_voronoi"].tolist() == [0, 0, 0]
    assert columns["excerpt_offsets"].tolist() == [0, 0, 0, 0]
    assert (columns["token_ids"] == -1).all()
    assert len(arrival.columns()["count_arrival"]) == 0


def test_pair_counter_orders_ties_by_token():
    counter = PairCounter()
    counter.add(np.zeros(6, np.int64), np.array([9, 4, 9, 4, 1, -1], np.int32))
    ids, counts = counter.top(2, k=3)
    assert ids.tolist() == [[4, 9, 1], [-1, -1, -1]]
    assert counts.tolist() == [[2, 2, 1], [0, 0, 0]]


def test_events_slice_like_their_columns(stream):
    events = stream[2][10:20]
    assert len(events) == 10
    assert events.index.tolist() == list(range(10, 20))


def best_of(events: list[tuple[int, int, int]], places: int) -> list[tuple[int, int, int]]:
    """The places of one slot by their definition, of (fold, key, index): the best of each context,
    and of those the best.
    """
    best: dict[int, tuple[int, int]] = {}
    for fold, key, index in events:
        best[fold] = min(best.get(fold, (key, index)), (key, index))
    return [(fold, *event) for fold, event in sorted(best.items(), key=lambda e: e[1])][:places]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 6)), max_size=60),
    st.randoms(use_true_random=False),
)
def test_places_are_the_best_contexts_in_any_order(pairs, shuffler):
    """Few contexts and keys, so that both repeat and tie."""
    events = [(fold, key, index) for index, (fold, key) in enumerate(pairs)]
    shuffled = list(events)
    shuffler.shuffle(shuffled)
    slots = ExcerptSlots(THETA)
    slots._stored, slots._worst = _empty_places(slots._stored, 1), np.full((1, SLOTS), EMPTY, "u8")
    records = np.zeros(len(shuffled), EVENT)
    for name, column in zip(("fold", "key", "index"), zip(*shuffled, strict=True), strict=False):
        records[name] = column
    chosen = np.zeros(len(shuffled), np.int64)
    select(slots._stored, slots._worst, chosen, chosen, records, START)
    kept = slots._stored[0, : CAPACITY[0]]
    kept = kept[kept["key"] != EMPTY]
    found = [(int(e["fold"]), int(e["key"]), int(e["index"])) for e in kept]
    assert found == best_of(events, int(CAPACITY[0]))
