"""What the Between page keeps in its link."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from ep.method.dictionary import BASES, Basis
from ep.studies.between import DEFAULT_K, LEAST_K, MOST_K
from pages.shared.links import one_of, whole

View = Literal["lens", "path"]
VIEWS: dict[View, str] = {"lens": "Between", "path": "Path"}
Way = Literal["hops", "length"]
WAYS: dict[Way, str] = {"hops": "Hops", "length": "Distance"}


@dataclass(frozen=True)
class Settings:
    """view: the regions between A and B, or the path from one to the other. basis: the directions
    they are measured on. neighbours, way: k of the graph a path walks on, and what is shortest.
    """

    view: View = one_of("between", get_args(View), "lens")
    basis: Basis = one_of("basis", BASES, "mean")
    neighbours: int = whole("neighbours", DEFAULT_K, LEAST_K, MOST_K)
    way: Way = one_of("way", get_args(Way), "hops")
