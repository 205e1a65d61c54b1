"""Stability: D is its formula, a dictionary found again is found exactly, and matching undoes a
shuffle.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from ep.errors import RequestError
from ep.method.dictionary import Dictionary
from ep.method.source import MemorySource
from ep.studies import stability
from pages.region.stability import FIFTHS, MEASURED
from tests.fixtures.dictionaries import synthetic


def test_d_is_the_logarithm_of_the_sum_of_directions_squared_over_n() -> None:
    rng = np.random.default_rng(0)
    members = rng.standard_normal((50, 8))
    members /= np.linalg.norm(members, axis=1, keepdims=True)
    total = members.sum(0)
    d = stability.strength(np.array([50]), np.array([np.linalg.norm(total) / 50]))
    assert d[0] == pytest.approx(np.log10(total @ total / 50))
    assert stability.strength(np.array([1]), np.array([1.0]))[0] == 0
    assert stability.strength(np.array([9]), np.array([0.0]))[0] == -np.inf


def test_d_of_a_dictionary_needs_counts_and_coherence() -> None:
    whole = synthetic(40, 16)
    d = stability.strengths(whole)
    assert d is not None and d[3] == pytest.approx(
        np.log10(whole.column("count_arrival")[3] * whole.column("coherence")[3] ** 2)
    )
    bare = Dictionary(MemorySource({"exemplars": whole.exemplars}), whole.info, 40)
    assert stability.strengths(bare) is None


def test_the_share_below_counts_equals_half() -> None:
    assert stability.share_below(np.array([1.0, 2, 3, 4, 5]), 2) == 0.5
    assert stability.share_below(np.array([1.0, 2, 3]), 2) == 1.0
    assert stability.share_below(np.array([2.0, 2, 2]), 0) == 0.5
    assert stability.share_below(np.array([2.0]), 0) == 0.5


def test_matching_undoes_a_shuffle_and_leaves_nobody_twice() -> None:
    first = synthetic(80, 16).mean_directions
    order = np.random.default_rng(1).permutation(80)
    pairs = stability.match(first, first[order])
    assert np.array_equal(order[pairs.second], pairs.first) and np.allclose(pairs.cosine, 1)
    short = stability.match(first, first[:30])
    assert (
        len(short) == 30 and len(set(short.first.tolist())) == len(set(short.second.tolist())) == 30
    )
    with pytest.raises(RequestError, match="dimensions"):
        stability.match(first, synthetic(80, 12).mean_directions)


def test_a_dictionary_is_found_again_in_itself() -> None:
    dictionary = synthetic(60, 16)
    found = stability.relate(dictionary, dictionary)
    assert found.n == 60 and found.median == pytest.approx(1) and found.sizes == (60, 60)
    assert (
        all(mean == pytest.approx(1) for mean, _ in found.fifths)
        and sum(n for _, n in found.fifths) == 60
    )


def test_d_that_decides_the_noise_is_seen_to() -> None:
    """Mean directions of members with noise come back the better the more members there are: a
    positive correlation.
    """
    rng = np.random.default_rng(0)
    true = rng.standard_normal((300, 24))
    true /= np.linalg.norm(true, axis=1, keepdims=True)
    count = rng.integers(1, 200, 300)

    def drawn(seed: int) -> Dictionary:
        noise = np.random.default_rng(seed).standard_normal((300, 24)) / np.sqrt(count)[:, None] / 4
        mean = true + noise
        mean /= np.linalg.norm(mean, axis=1, keepdims=True)
        arrays = {
            "mean_directions": mean.astype(np.float32),
            "count_arrival": count,
            "coherence": np.full(300, 0.8),
        }
        return Dictionary(MemorySource(arrays), {"threshold": 0.5}, 300)

    found = stability.relate(drawn(1), drawn(2))
    assert found.spearman > 0.5 and found.interval[0] < found.spearman < found.interval[1]
    means = [mean for mean, _ in found.fifths]
    assert means == sorted(means)
    assert stability.relate(drawn(1), drawn(2)) == found  # the bootstrap is seeded


def test_ranks_share_ties_and_too_few_regions_are_refused() -> None:
    assert stability.spearman(np.array([1, 2, 3]), np.array([10, 20, 30])) == pytest.approx(1)
    assert stability.spearman(np.array([1, 2, 3]), np.array([3, 2, 1])) == pytest.approx(-1)
    assert np.isnan(stability.spearman(np.array([1, 2, 3]), np.array([5, 5, 5])))
    with pytest.raises(RequestError, match="at least 10"):
        stability.relate(synthetic(5, 8), synthetic(5, 8))


def test_the_card_says_what_the_benchmark_measured() -> None:
    results = json.loads(
        (Path(__file__).resolve().parents[1] / "benchmarks" / "results.json").read_text()
    )
    (row,) = results["stability"]["rows"]
    assert tuple(round(value, 2) for value in row["fifths"]) == FIFTHS
    low, high = (float(end) for end in row["interval"].split(" to "))
    assert f"n = {row['n']:,} regions" in MEASURED
    assert f"{row['spearman']:.2f} ({low:.2f} to {high:.2f})" in MEASURED
