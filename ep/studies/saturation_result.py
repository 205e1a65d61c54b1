"""What a comparison of domains found: for each text its regions, and those that are its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ep.method.dictionary import Dictionary
from ep.studies.rates import Rate
from ep.studies.saturation import Chao, Curve, Growth

RULE = (
    "a region is a text's own if none of the n activations of each other text lies within θ of its "
    "exemplar"
)


@dataclass(frozen=True)
class Domain:
    """One text at one layer and percentile.

    name: of the text. n: activations. curve: K against activations. members: Chao1, from the
    arrival members of the regions. passages: Chao2, from the passages that have members in them.
    rate: of new regions over the last activations. growth: what two laws say of the curve.
    orders: K in other orders of the passages. halves: K of its first and its second half.
    own: (m,) ids of the regions that are its own, see RULE.
    away: by other text, (K,) distances from each exemplar to the nearest activation of that text.
    control: at n/2 against n/2, the regions of one half that no activation of its other half is
        within θ of.
    apart: by other text, the same for the regions of the halves and one half of that text.
    dictionary: its regions with their text. file: where they were written; None if nowhere.
    """

    name: str
    n: int
    curve: Curve
    members: Chao
    passages: Chao
    rate: Rate
    growth: Growth
    orders: tuple[int, ...]
    halves: tuple[int, int]
    own: np.ndarray
    away: Mapping[str, np.ndarray]
    control: Rate
    apart: Mapping[str, Rate]
    dictionary: Dictionary
    file: Path | None = None

    @property
    def regions(self) -> int:
        """K."""
        return len(self.dictionary)


@dataclass(frozen=True)
class Joint:
    """The regions of all texts together, which give one activation each in turn.

    curve: K against the activations of all. alone: by text, regions with arrival members of that
    text alone. shared: regions with members of every text.
    """

    curve: Curve
    alone: Mapping[str, int]
    shared: int

    @property
    def regions(self) -> int:
        """K."""
        return int(self.curve.regions[-1])


@dataclass(frozen=True)
class Comparison:
    """The texts at one layer and percentile, in the order in which they were given."""

    layer: int
    percentile: float
    threshold: float
    domains: tuple[Domain, ...]
    joint: Joint

    @property
    def n(self) -> int:
        """Activations of each text."""
        return self.domains[0].n


@dataclass(frozen=True)
class Saturation:
    """The result of a study.

    comparisons: by layer, then percentile. n: activations of each text. shared: how many of each
    measured centre and θ. notes: what the caller should know, a sentence each.
    """

    comparisons: tuple[Comparison, ...]
    n: int
    shared: int
    notes: tuple[str, ...]

    @property
    def files(self) -> tuple[Path, ...]:
        """The dictionaries that were written."""
        found = (one.file for each in self.comparisons for one in each.domains)
        return tuple(path for path in found if path is not None)
