"""The default strength of a steering setting, from the dictionary or, better, from a sweep."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ep.method.dictionary import Basis, Dictionary
from ep.models.interventions import PUSHING, Mode, of_regions

if TYPE_CHECKING:
    from ep.studies.steering.sweep import Sweep

SPREADS: dict[Mode, float] = {"add": 2.0, "clamp": 1.0}
"""Default strength, in standard deviations of where activations lie along the push.

It moves the stream further than most activations lie, but not further than all.

For add it was chosen on two demo dictionaries (15 regions, 12 harmless prompts each), where 10 to
12 answers of 12 stayed coherent and 7 to 12 of them changed; twice as much left less than half of
the answers coherent in most regions. A model of stories that took no part in the choice agreed: 5
or 6 answers of 6 were as usual as its own, and 0 to 6 at twice the strength.

A clamp moves every token, and tolerates half of that: on 15 regions of three demo dictionaries 10
to 12 answers of 12 stayed coherent in all but one region, against 0 to 7 in four of them at two
deviations.
"""
MOST_REGIONS = 4096
"""Number of regions, the largest, that the spread is measured on.

More regions take seconds and change nothing.
"""
FINEST = 0.05
"""Default strengths are rounded to multiples of this, the step of a slider."""


def default_strength(
    dictionary: Dictionary,
    regions: Sequence[int],
    basis: Basis = "exemplar",
    mode: Mode = "add",
    sweep: Sweep | None = None,
) -> float:
    """Return the strength to begin with along these regions.

    It is in typical norms for modes that push; for the others it is a share, and 1.

    sweep: a sweep of this setting, which gives a better answer (`Sweep.default`).

    Raises UnknownRegion, and ConfigError for directions that cancel each other.
    """
    own = _spread(dictionary, regions, basis, mode) if mode in PUSHING else 1.0
    return own if sweep is None else sweep.default(own)


def _spread(dictionary: Dictionary, regions: Sequence[int], basis: Basis, mode: Mode) -> float:
    """Return `SPREADS[mode]` standard deviations of where activations lie along the push u.

    Each region counts with its members, all at its mean point (`mean_point`). The variation within
    a region is not stored, so the result is rather too small, and a push along a direction in which
    regions hardly differ gets a small strength. It holds for one layer and takes no account of the
    model.
    """
    push = of_regions(dictionary, "add", regions, basis=basis, layers=(0,)).push
    members = dictionary.members.astype(np.float64)
    largest = np.sort(np.argsort(-members, kind="stable")[:MOST_REGIONS])
    means = dictionary.mean_directions[largest]
    if not dictionary.metric.is_plain:  # back among the activations, in typical norms
        size = dictionary.metric_norm / dictionary.typical_norm
        means = size * dictionary.metric.displaced(means)
    along = means @ push
    if dictionary.law.extra:
        along = along * dictionary.column("mean_norms")[largest]
    elif "coherence" in dictionary:
        along = along * dictionary.column("coherence")[largest]
    weights = members[largest] + 1e-9  # a dictionary whose counts are all zero still has a spread
    middle = np.average(along, weights=weights)
    step = SPREADS[mode] * float(np.sqrt(np.average((along - middle) ** 2, weights=weights)))
    return max(FINEST, round(round(step / FINEST) * FINEST, 2))
