"""Laws of the arms of a trial: directions from the prompts alone, and controls that match."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from ep.errors import ConfigError
from ep.models.interventions import Applied, Intervention
from ep.studies.arms import (
    ARMS,
    MEANS,
    MOST_IN_SET,
    SET,
    SPAN,
    WIDER_ARMS,
    Ends,
    set_of,
    wider_arms,
)
from ep.studies.behaviour import score
from ep.studies.experiment import MOST_LAYERS, spread_layers

D = 24


@pytest.fixture
def ends() -> Ends:
    """Ordinary prompts around one point, and behaving ones around two others, in three regions."""
    rng = np.random.default_rng(4)
    region = np.repeat([0, 1, 2], [60, 20, 12])
    points = rng.normal(size=(3, D)) * 4
    x = (points[region] + rng.normal(size=(len(region), D))).astype(np.float32)
    return Ends(x, region > 0, region.astype(np.int64), layer=3)


def moved(ablation: Intervention, x: np.ndarray) -> np.ndarray:
    """What an ablation takes from rows, by its formula alone."""
    span = ablation.span.astype(np.float64)
    return ablation.strength * ((x - ablation.reference) @ span.T) @ span


def test_the_difference_of_means_leaves_both_kinds_of_prompts_with_equal_means_along_it(
    ends: Ends,
) -> None:
    (means,) = wider_arms(ends, [1, 2], norm=10.0, seed=0)[MEANS]
    after = ends.x - moved(means, ends.x)
    along = after @ means.directions[0].astype(np.float64)
    assert np.allclose(along, along[0], atol=1e-4)
    step = ends.x[ends.behaves].mean(0) - ends.x[~ends.behaves].mean(0)
    assert np.allclose(means.directions[0], step / np.linalg.norm(step), atol=1e-5)
    assert means.layers == (3,) and means.norm == 10.0


def test_the_set_takes_the_raw_mean_of_each_of_its_regions_to_the_ordinary_mean(ends: Ends) -> None:
    (together,) = wider_arms(ends, [1, 2], norm=1.0, seed=0)[SET]
    for region in (1, 2):
        mean = ends.x[ends.region == region].mean(0, keepdims=True)
        assert np.allclose(mean - moved(together, mean), ends.ordinary, atol=1e-3)


@pytest.mark.parametrize("seed", range(3))
def test_the_random_span_moves_every_row_as_far_along_as_many_directions_elsewhere(
    ends: Ends, seed: int
) -> None:
    arms = wider_arms(ends, [1, 2], norm=1.0, seed=seed)
    (together,), (span,) = arms[SET], arms[SPAN]
    x = torch.from_numpy(ends.x)
    steps = [(Applied(one, "cpu").apply(x) - x).numpy() for one in (together, span)]
    lengths = [np.linalg.norm(step, axis=1) for step in steps]
    assert np.allclose(*lengths, rtol=1e-4) and lengths[0].min() > 0
    assert np.linalg.matrix_rank(steps[1], tol=1e-2) == np.linalg.matrix_rank(steps[0], tol=1e-2)
    assert np.allclose(steps[1] @ together.span.T, 0, atol=1e-3)


def test_only_what_removes_can_be_turned_elsewhere(ends: Ends) -> None:
    (means,) = wider_arms(ends, [], norm=1.0, seed=0)[MEANS]
    with pytest.raises(ConfigError, match="turned elsewhere"):
        replace(means, mode="add", along=means.span)
    with pytest.raises(ConfigError, match="as many directions"):
        replace(means, along=np.eye(3, D, dtype=np.float32))


def test_the_set_holds_regions_in_which_most_prompts_behave() -> None:
    region = np.repeat(np.arange(14), 10)
    rate = np.array([9, 8, 7, 6, 5, 5, 5, 5, 5, 5, 4, 3, 0, 0])
    behaves = np.concatenate([np.arange(10) < hits for hits in rate])
    scored = score(region.astype(np.int64), behaves)
    assert set_of(scored) == list(range(MOST_IN_SET))
    assert set_of([one for one in scored if one.region >= 10]) == []


def test_without_a_set_there_is_the_difference_of_means_alone(ends: Ends) -> None:
    assert list(wider_arms(ends, [], norm=1.0, seed=0)) == [MEANS]
    assert set(WIDER_ARMS) < set(ARMS) and len(set(ARMS)) == len(ARMS)


@pytest.mark.parametrize(("n_layers", "own"), [(1, 0), (2, 1), (6, 2), (30, 20), (26, 3)])
def test_layers_to_sweep_are_few_distinct_ones_of_the_model_with_its_own(
    n_layers: int, own: int
) -> None:
    layers = spread_layers(n_layers, own)
    assert own in layers and len(layers) <= MOST_LAYERS and layers == sorted(set(layers))
    assert all(0 <= layer < n_layers for layer in layers)
