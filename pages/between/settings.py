"""The settings of the Between page, which its link contains."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from ep.method.dictionary import BASES, Basis
from ep.studies.between import DEFAULT_K, LEAST_K, MOST_K
from pages.shared.links import integer, one_of

View = Literal["lens", "path"]
VIEWS: dict[View, str] = {"lens": "Between", "path": "Path"}
Way = Literal["hops", "length"]
WAYS: dict[Way, str] = {"hops": "Hops", "length": "Distance"}


@dataclass(frozen=True)
class Settings:
    """The settings of the Between page.

    view: the regions between A and B, or the path from A to B. basis: the directions that are
    compared. neighbours: the number k of neighbours of each region in the graph of the path. way:
    whether the shortest path has the fewest hops or the smallest total distance.
    """

    view: View = one_of("between", get_args(View), "lens")
    basis: Basis = one_of("basis", BASES, "mean")
    neighbours: int = integer("neighbours", DEFAULT_K, LEAST_K, MOST_K)
    way: Way = one_of("way", get_args(Way), "hops")
