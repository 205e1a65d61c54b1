"""Which dictionaries of one family have regions that hold enough of the prompts at hand.

A region counts as a candidate with a few prompts at least, so a dictionary may be too fine for a
short list. Its siblings, cut at other percentiles, need no further answers of the model: the same
activations are assigned again.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ep.method.dictionary import Dictionary
from ep.storage import Entry
from ep.studies.behaviour import Scored
from ep.studies.experiment import Observed, place


@dataclass(frozen=True, eq=False)
class Serving:
    """How well one dictionary serves a list of prompts.

    dictionary: the dictionary.
    best: its best candidate; None where it has none.
    fullest: number of prompts in the region that holds most.
    """

    dictionary: Dictionary
    best: Scored | None
    fullest: int


def serving(observed: Observed, dictionaries: Iterable[Dictionary]) -> list[Serving]:
    """Return how well each dictionary serves the prompts, in the order given.

    dictionaries: of the model and layer that the prompts were observed at.
    """
    found = []
    for dictionary in dictionaries:
        placement = place(dictionary, observed)
        best = next(iter(placement.candidates), None)
        fullest = max((one.rate.n for one in placement.scored), default=0)
        found.append(Serving(dictionary, best, fullest))
    return found


def siblings(entry: Entry, family: Iterable[Entry]) -> list[Entry]:
    """Return the files of a family at the layer of one of them, without it, by percentile."""
    others = [
        one
        for one in family
        if one.path != entry.path
        and (one.layer, one.width) == (entry.layer, entry.width)
        and one.percentile is not None
        and not one.error
    ]
    return sorted(others, key=lambda one: one.percentile or 0.0)
