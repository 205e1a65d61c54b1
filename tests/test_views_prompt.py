"""Laws of a reading: it agrees with the dictionary's own assignment, distances and read-outs, token
by token.
"""

from __future__ import annotations

import numpy as np
import pytest

from ep.errors import ModelError
from ep.method import readouts
from ep.method.dictionary import Dictionary
from ep.views import prompt
from tests.fixtures.dictionaries import synthetic


@pytest.fixture(scope="module")
def dictionary() -> Dictionary:
    return synthetic(size=120, width=24, seed=1)


@pytest.fixture(scope="module")
def reading(dictionary: Dictionary) -> prompt.Reading:
    rng = np.random.default_rng(0)
    near = dictionary.exemplars[rng.integers(0, len(dictionary), 150)] * 7
    x = (dictionary.center + near + rng.normal(0, 0.6, near.shape)).astype(np.float32)
    x[-20:] = dictionary.center - near[-20:]
    outside = [i == 0 for i in range(150)]
    return prompt.reading(dictionary, [f" t{i}" for i in range(150)], x, outside, [False] * 150)


def test_the_nearest_region_is_the_assigned_one(
    dictionary: Dictionary, reading: prompt.Reading
) -> None:
    found = dictionary.assign(reading.x)
    assert np.array_equal(reading.region, found.region)
    assert np.allclose(reading.distance, found.distance, atol=1e-6)


def test_near_regions_are_the_smallest_distances_in_order(
    dictionary: Dictionary, reading: prompt.Reading
) -> None:
    distances = dictionary.distances(reading.x)
    assert np.allclose(reading.near_distances, np.sort(distances, 1)[:, : prompt.NEAR], atol=1e-6)
    assert np.allclose(
        np.take_along_axis(distances, reading.near_ids, 1), reading.near_distances, atol=1e-6
    )
    assert np.all(np.diff(reading.near_distances, axis=1) >= 0)
    assert reading.margin(3) == pytest.approx(
        reading.near_distances[3, 1] - reading.near_distances[3, 0]
    )


@pytest.mark.parametrize("readout", prompt.READOUTS)
def test_chosen_regions_are_those_of_the_readout(
    dictionary: Dictionary, reading: prompt.Reading, readout: str
) -> None:
    for token in (0, 70, 149):
        distances = dictionary.distances(reading.x[token : token + 1])
        masks = {
            "Nearest": readouts.top1(distances),
            "Top 5": readouts.top_k(distances, 5),
            "Within θ": readouts.within_threshold(distances, dictionary.threshold),
            "Otsu": readouts.otsu(distances),
        }
        ids, values = prompt.chosen(dictionary, reading, token, readout)
        assert set(ids.tolist()) == set(np.flatnonzero(masks[readout][0]).tolist())
        assert np.all(np.diff(values) >= 0)


@pytest.mark.parametrize("readout", prompt.READOUTS)
def test_strengths_stay_in_range_and_leave_out_what_is_outside(
    dictionary: Dictionary, reading: prompt.Reading, readout: str
) -> None:
    groups = prompt.groups(dictionary)
    strength = prompt.strengths(reading, readout, groups, len(dictionary), dictionary.threshold)
    assert strength[0] == 0
    assert np.all((strength[1:] >= prompt.WEAKEST) & (strength[1:] <= prompt.STRONGEST))


def test_every_token_is_counted_once(dictionary: Dictionary, reading: prompt.Reading) -> None:
    counts, beyond = prompt.group_counts(reading, prompt.groups(dictionary), dictionary.threshold)
    assert sum(counts.values()) + beyond == 149
    assert beyond >= 20
    found = prompt.regions(reading)
    assert found["tokens"].sum() == 149
    assert list(found["tokens"]) == sorted(found["tokens"], reverse=True)
    assert set(found["region"].tolist()) == set(reading.region[1:].tolist())


def test_the_usual_distances_are_those_of_the_histograms(dictionary: Dictionary) -> None:
    usual = prompt.build_distances(dictionary)
    assert usual is not None
    assert usual.n == dictionary.column("distance_histogram").sum()
    for share in (0.05, 0.5, 0.95):
        assert usual.farther(usual.quantile(share)) == pytest.approx(1 - share, abs=1e-6)
    assert usual.farther(-1) == 1 and usual.farther(3) == 0


def test_another_width_is_refused_in_one_line(dictionary: Dictionary) -> None:
    with pytest.raises(ModelError, match="7 dimensions.*has 24") as caught:
        prompt.reading(dictionary, ["a"], np.zeros((1, 7), np.float32), [False], [False])
    assert "\n" not in str(caught.value)


def test_a_dictionary_of_one_region_can_be_read() -> None:
    one = synthetic(size=1, width=8)
    x = np.random.default_rng(0).normal(size=(3, 8)).astype(np.float32)
    reading = prompt.reading(one, list("abc"), x, [False] * 3, [False] * 3)
    assert reading.margin(0) is None
    assert np.all(reading.region == 0)
    for readout in prompt.READOUTS:
        prompt.chosen(one, reading, 0, readout)
        assert np.isfinite(
            prompt.strengths(reading, readout, prompt.groups(one), 1, one.threshold)
        ).all()


def test_a_path_is_the_group_of_each_layers_region(
    dictionary: Dictionary, reading: prompt.Reading
) -> None:
    found = prompt.path([dictionary, dictionary], [reading.x, reading.x], reading.outside)
    assert found.shape == (2, 150)
    assert np.array_equal(found[0], found[1])
    assert found[0, 0] == -2
    far = reading.distance[1:] > dictionary.threshold
    assert np.array_equal(found[0, 1:] == -1, far)
    inside = ~far
    assert np.array_equal(
        found[0, 1:][inside], prompt.groups(dictionary)[reading.region[1:]][inside]
    )


def test_the_opening_token_is_a_word_close_to_its_exemplar(reading: prompt.Reading) -> None:
    words = prompt.Reading(**{**reading.__dict__, "tokens": tuple(["word"] * 100 + ["."] * 50)})
    assert prompt.opening_token(words, final=False) == 1 + int(np.argmin(reading.distance[1:100]))
    assert prompt.opening_token(words, final=True) == 149
