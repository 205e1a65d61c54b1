"""Figures of a dictionary's regions before and after a refinement, with intervals.

They are shares of agreement of members, computed from sums of directions alone: the mean cosine of
a member with the mean direction of its region is Σ‖Σû‖/ΣN, and with its region's exemplar e it is
Σ(Σû·e)/ΣN. Their intervals are bootstrapped over regions.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import Any

import numpy as np

from ep.method.dictionary import Dictionary
from ep.method.refine import sums

NEEDED = ("count_arrival", "coherence", "mean_directions", "exemplars")
"""The arrays behind the figures."""
DRAWS = 1000
"""Bootstrap draws behind an interval."""
FIGURES = {
    "to_mean": "cosine of a member with its region's mean",
    "to_exemplar": "cosine of a member with its region's exemplar",
    "survival": "share of (region, other seed) pairs in which the region is found again",
}
"""What each figure is, by the name it has in the provenance."""


def has_figures(dictionary: Dictionary) -> bool:
    """Whether a dictionary has every array that the figures need."""
    return all(name in dictionary for name in NEEDED)


def figures(arrays: Mapping[str, np.ndarray], seed: int = 0) -> dict[str, Any]:
    """Return `regions`, `members`, and (value, low, high) of `to_mean` and `to_exemplar`.

    arrays: those of `NEEDED`, by name; the counts are of the members behind the mean directions.
    seed: of the bootstrap.
    """
    count, total = arrays["count_arrival"].astype(np.float64), sums(arrays)
    length = np.linalg.norm(total, axis=1)
    along = np.einsum("kd,kd->k", total, arrays["exemplars"].astype(np.float64))
    return {
        "regions": len(count),
        "members": int(count.sum()),
        "to_mean": ratio(length, count, seed),
        "to_exemplar": ratio(along, count, seed),
    }


def ratio(top: np.ndarray, bottom: np.ndarray, seed: int = 0) -> list[float]:
    """Return Σtop/Σbottom with its 95 % interval, as [value, low, high], bootstrapped over rows."""
    rng, n = np.random.default_rng(seed), len(top)
    draws = []
    for _ in range(DRAWS):
        weight = np.bincount(rng.integers(0, n, n), minlength=n)
        draws.append(float(weight @ top) / max(float(weight @ bottom), 1e-12))
    low, high = np.quantile(draws, (0.025, 0.975))
    value = float(top.sum()) / max(float(bottom.sum()), 1e-12)
    return [value, min(value, float(low)), max(value, float(high))]


def with_found(info: Mapping[str, Any], names: Container[str]) -> dict[str, Any]:
    """Return a provenance that does not list as missing what a refined file has by now.

    names: of the arrays that the file has.
    """
    refined = info.get("refined")
    if not isinstance(refined, Mapping) or not isinstance(refined.get("missing"), list):
        return dict(info)
    missing = [name for name in refined["missing"] if name not in names]
    return {**info, "refined": {**refined, "missing": missing}}
