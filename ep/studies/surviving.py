"""Counts survival: in how many dictionaries of other seeds a region is found again.

Each other dictionary is of the same setting and another order of the stream. Regions are paired one
to one by their mean directions (protocol 6.2), and a region survives in it if the cosine with its
partner is at least a cutoff; a region without a partner does not. The number of seeds is stored
(`survived`), as is how it was counted (the entry `survival` of the provenance).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ep.errors import RequestError
from ep.method.dictionary import Dictionary
from ep.method.pairing import pair
from ep.progress import Report, silent
from ep.shapes import Int64
from ep.studies.matching import CUTOFF, same_setting


def refuse_others(dictionary: Dictionary, others: Sequence[Dictionary]) -> None:
    """Raise RequestError unless the others are other seeds of the dictionary's setting."""
    if not others:
        raise RequestError("there is no other seed: give at least one dictionary of another")
    for other in others:
        name = other.path.name if other.path else "a dictionary"
        if other.width != dictionary.width or not same_setting(dictionary.info, other.info):
            raise RequestError(
                f"{name} is no other seed of this dictionary: expected one of the same model, "
                "layer, percentile and settings, built with another --seed"
            )
    seeds = [other.info.get("seed") for other in others]
    if len(set(seeds)) < len(seeds):
        raise RequestError(f"two of the dictionaries have the same seed ({seeds}): give each once")


def survived(
    dictionary: Dictionary,
    others: Sequence[Dictionary],
    cutoff: float = CUTOFF,
    report: Report = silent,
) -> Int64[np.ndarray, " K"]:
    """Return in how many of the other dictionaries each region is found again, (K,).

    cutoff: the least cosine with its partner.
    """
    found, own = np.zeros(len(dictionary), np.int64), dictionary.raw_basis("mean")
    for done, other in enumerate(others):
        report(f"pairing with seed {other.info.get('seed')}", done / len(others))
        pairs = pair(own, other.raw_basis("mean"))
        found[pairs.first[pairs.cosine >= cutoff]] += 1
    return found


def provenance(others: Sequence[Dictionary], cutoff: float) -> dict[str, Any]:
    """Return the entry `survival`: `n` seeds, the `seeds`, their `regions`, and the `cutoff`."""
    return {
        "n": len(others),
        "seeds": [other.info.get("seed") for other in others],
        "regions": [len(other) for other in others],
        "cutoff": cutoff,
    }
