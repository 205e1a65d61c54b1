"""The arms of a trial: what is done to the stream in each, and which of them control which.

    default               nothing
    ablated               the region tried, projected out
    swapped               the same, with the mean of a quiet region, or of all prompts without the
                          behaviour, put in its place
    set of regions        the means of several regions that show the behaviour, projected out
    difference of means   the direction from ordinary to behaving prompts, projected out; no
                          dictionary is needed for it
    random direction      as many directions as the region has: one
    random span           what the set takes out is moved along as many random directions instead,
                          so that the stream is moved as far at every position
    matched region        a region without the behaviour, of like size, projected out

The means of the set and the difference of means come from the prompts that the region is chosen
on, never from those it is tried on. The published protocol has no control matched in magnitude; a
random span that is projected out moves the stream less than the set does, and controls for little.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ep.method.dictionary import Basis, Dictionary
from ep.models.interventions import Intervention, of_regions, random_control, turned
from ep.shapes import Bool, Float32, Int64
from ep.studies.behaviour import FEWEST, NULL_RATE, Scored, candidates

DEFAULT, ABLATED, SWAPPED, RANDOM, MATCHED = (
    "default",
    "ablated",
    "swapped",
    "random direction",
    "matched region",
)
SET, MEANS, SPAN = "set of regions", "difference of means", "random span"
ARMS = (DEFAULT, ABLATED, SWAPPED, SET, MEANS, RANDOM, SPAN, MATCHED)
"""Names of all conditions of a trial, in the order in which they are shown."""
WIDER_ARMS = (SET, MEANS, SPAN)
"""The arms that `wider_arms` adds."""
SEED_ARMS = (ABLATED, RANDOM, MATCHED)
"""The arms that each order of a stream answers; all orders share the unchanged model's answers."""
LAYER_ARMS = (ABLATED, SET, MEANS, RANDOM)
"""The arms that each layer of a sweep answers, beside the unchanged model."""
SET_RATE, MOST_IN_SET = 0.5, 8
"""Smallest rate of a region of the set, and most regions in it.

A region of which half the prompts behave otherwise points as much to them."""

Changes = dict[str, tuple[Intervention, ...]]
"""The interventions of every arm by name."""


@dataclass(frozen=True, eq=False)
class Ends:
    """The last tokens of the prompts that the region is chosen on.

    x: (n, d) activations at `layer`. behaves: (n,) whether the prompt shows the behaviour.
    region: (n,) of each in the dictionary.
    """

    x: Float32[np.ndarray, "n d"]
    behaves: Bool[np.ndarray, " n"]
    region: Int64[np.ndarray, " n"]
    layer: int

    @property
    def ordinary(self) -> Float32[np.ndarray, " d"]:
        """The mean of the prompts without the behaviour."""
        return self.x[~self.behaves].mean(axis=0, dtype=np.float64).astype(np.float32)

    def step(self, rows: Bool[np.ndarray, " n"]) -> Float32[np.ndarray, " d"]:
        """Return the unit direction from `ordinary` to the mean of some of the prompts."""
        there = self.x[rows].mean(axis=0, dtype=np.float64) - self.ordinary
        return np.asarray(there / max(float(np.linalg.norm(there)), 1e-12), np.float32)


def region_arms(
    dictionary: Dictionary,
    region: int,
    target: Float32[np.ndarray, " d"] | None,
    control: int | None,
    controls: bool,
    seed: int,
    basis: Basis = "exemplar",
) -> Changes:
    """Return the interventions of the arms of one region by name, the unchanged model first.

    region: the region to ablate.
    target: (d,) the point that a swap puts in its place; None for no swap.
    control: the matched region; None for none.
    controls: whether to add a random direction, drawn by seed.
    basis: "exemplar" or "mean".
    """
    ablate = of_regions(dictionary, "ablate", [region], basis=basis)
    changes: Changes = {DEFAULT: (), ABLATED: (ablate,)}
    if target is not None:
        changes[SWAPPED] = (replace(ablate, mode="swap", target=target),)
    if controls:
        changes[RANDOM] = (random_control(ablate, seed),)
    if control is not None:
        changes[MATCHED] = (of_regions(dictionary, "ablate", [control], basis=basis),)
    return changes


def quiet_region(scored: Sequence[Scored]) -> int | None:
    """Return the region with most prompts among those that hardly ever show the behaviour.

    A swap puts its mean back. None where no region qualifies: then a swap puts back the mean of
    all prompts without the behaviour.
    """
    quiet = [
        one for one in scored if one.rate.n >= FEWEST and one.rate.hits <= NULL_RATE * one.rate.n
    ]
    return max(quiet, key=lambda one: (one.rate.n, -one.region)).region if quiet else None


def set_of(scored: Sequence[Scored]) -> list[int]:
    """Return the regions of the set: candidates of high rate, those of most behaving prompts first.

    scored: from `ep.studies.behaviour.score`.
    """
    pure = [one for one in candidates(scored) if one.rate.hits >= SET_RATE * one.rate.n]
    return [one.region for one in pure[:MOST_IN_SET]]


def wider_arms(ends: Ends, regions: Sequence[int], norm: float, seed: int) -> Changes:
    """Return the arms of a set of regions and of the difference of means, each about `ordinary`.

    regions: of the set; empty for none. A region's direction is that of the raw mean of its
        behaving prompts.
    norm: the typical norm, in whose units the results state how far the stream was moved.
    seed: of the random span.
    """
    means = Intervention(
        "ablate", ends.step(ends.behaves)[None], (ends.layer,), ends.ordinary, norm
    )
    if not regions:
        return {MEANS: (means,)}
    rows = np.stack([ends.step((ends.region == k) & ends.behaves) for k in regions])
    together = replace(means, directions=rows)
    return {
        SET: (together,),
        MEANS: (means,),
        SPAN: (turned(together, seed),),
    }
