"""The rules of a refinement, and what they do to the regions of a dictionary: a `Plan`.

Regions are removed first, by their strength D or by their survival, and those that are left are
merged. Re-anchoring needs activations and is done later (`ep.refining`).
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from ep.errors import ConfigError, RequestError
from ep.method.dictionary import Dictionary
from ep.method.refine import Orphans, Plan, merging, pruning, unchanged
from ep.studies import survival
from ep.studies.matching import CUTOFF
from ep.studies.stability import strengths


@dataclass(frozen=True)
class Rules:
    """What to do with a dictionary's regions; each rule is off by default.

    prune_below: remove regions with D = log10(N·c²) below this (protocol 6.1).
    prune_weakest: remove this share of the regions, those with the smallest D, in (0, 1).
    prune_survival: remove regions found again in less than this share of the other seeds, (0, 1].
    orphans: where the members of removed regions go, "nearest" or "left-out".
    merge: merge regions whose exemplars lie within this many θ; more than 1.
    merge_within: the same, as a distance.
    reanchor: replace each exemplar by the member nearest to its region's mean.
    cutoff: the least cosine at which another seed has found a region again.
    flag: put the regions that the prune rules name on a list instead of removing them.
    """

    prune_below: float | None = None
    prune_weakest: float | None = None
    prune_survival: float | None = None
    orphans: Orphans = "nearest"
    merge: float | None = None
    merge_within: float | None = None
    reanchor: bool = False
    cutoff: float = CUTOFF
    flag: bool = False

    def __post_init__(self) -> None:
        for name, low, high in (
            ("prune_weakest", 0.0, 1.0),
            ("prune_survival", 0.0, 1.0 + 1e-9),
            ("merge_within", 0.0, 2.0),
            ("merge", 1.0, float("inf")),
        ):
            value = getattr(self, name)
            if value is not None and not low < value < high:
                words = f"more than {low:g}" if high > 2 else f"between {low:g} and {high:g}"
                raise ConfigError(f"{name.replace('_', ' ')} is {value:g}: expected {words}")
        if self.merge is not None and self.merge_within is not None:
            raise ConfigError("merge is given both in θ and as a distance: give one of them")
        if self.flag and not self.prunes:
            raise ConfigError("nothing says which regions to flag: give a prune rule")

    @property
    def prunes(self) -> bool:
        """Whether any rule names regions to remove or flag."""
        names = ("prune_below", "prune_weakest", "prune_survival")
        return any(getattr(self, name) is not None for name in names)

    @property
    def merges(self) -> bool:
        """Whether regions are to be merged."""
        return self.merge is not None or self.merge_within is not None

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of change: "prune", "merge", "re-anchor", in the order they are applied."""
        prunes = self.prunes and not self.flag
        kinds = {"prune": prunes, "merge": self.merges, "re-anchor": self.reanchor}
        return tuple(kind for kind, is_on in kinds.items() if is_on)

    def given(self) -> dict[str, Any]:
        """The rules that are not at their default, by name."""
        return {f.name: v for f in fields(self) if (v := getattr(self, f.name)) != f.default}


def unstable(
    dictionary: Dictionary, rules: Rules, found: np.ndarray | None = None, n: int = 0
) -> np.ndarray:
    """Return which regions the prune rules name, (K,) bool.

    found: (K,) in how many of n other seeds each region survived; by default what the file stores.

    Raises RequestError where the file does not hold what a rule needs.
    """
    named = np.zeros(len(dictionary), bool)
    if rules.prune_below is not None or rules.prune_weakest is not None:
        values = strengths(dictionary)
        if values is None:
            raise RequestError(
                "the file has no arrival counts or coherence, so D is not known: prune by survival"
            )
        if rules.prune_below is not None:
            named |= values < rules.prune_below
        if rules.prune_weakest is not None:
            # ties go to the younger region, which more of the stream has passed by
            order = np.lexsort((-np.arange(len(values)), values))
            named[order[: int(rules.prune_weakest * len(values))]] = True
    if rules.prune_survival is not None:
        if found is None and (n := survival.seeds(dictionary)):
            found = dictionary.column("survived")
        if found is None or not n:
            raise RequestError(
                "survival is not known: name dictionaries of other seeds with --other, or build "
                "some with --seeds"
            )
        named |= found / n < rules.prune_survival
    return named


def plan(dictionary: Dictionary, rules: Rules, named: np.ndarray | None = None) -> Plan:
    """Return what the rules do to the regions: remove those named, then merge what is left.

    named: which regions to remove, (K,) bool; by default as `unstable` says.

    Errors as `unstable`, and ConfigError where no region would be left.
    """
    exemplars, size = dictionary.exemplars, len(dictionary)
    result = unchanged(size)
    if rules.prunes and not rules.flag:
        named = unstable(dictionary, rules) if named is None else named
        result = pruning(exemplars, named, rules.orphans)
    if rules.merges:
        within = rules.merge_within or (rules.merge or 0) * dictionary.threshold
        goes = result.target >= 0
        members = dictionary.members[goes].astype(np.int64)
        weight = np.zeros(len(result), np.int64)
        np.add.at(weight, result.target[goes], members)
        result = result.then(merging(exemplars[result.kept], weight, within))
    return result
