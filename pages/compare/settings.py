"""The settings of the Compare page that its link keeps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from ep.method.dictionary import BASES, Basis
from ep.studies.matching import CENTRES, CUTOFF
from ep.views.matching import COSINE, VERDICT
from pages.shared.links import integer, number, one_of, text

View = Literal["verdicts", "final", "prompt", "inputs"]
VIEWS: dict[View, str] = {
    "verdicts": "Regions",
    "final": "Final token",
    "prompt": "One prompt",
    "inputs": "Shared inputs",
}
CENTRE_NAMES = {
    "own": "Own centres",
    "common": "Common centre",
    "a": "Centre of A",
    "b": "Centre of B",
}
COLORINGS = {VERDICT: "Verdict", COSINE: "Matched cosine"}
Kind = Literal["all", "persisted", "moved", "here", "there"]
KINDS: dict[Kind, str] = {
    "all": "All",
    "persisted": "Persisted",
    "moved": "Moved",
    "here": "Only in A",
    "there": "Only in B",
}
ReadAs = Literal["chat", "text"]
LEAST_CUTOFF, MOST_CUTOFF = 0.3, 0.99


@dataclass(frozen=True)
class Settings:
    """What is compared and shown.

    b: key of the second dictionary; empty until one is chosen.
    basis, centre: how directions are compared.
    cutoff: cosine from which a pair counts as persisted.
    coloring: of the maps.
    kind: the verdict that filters the table.
    region: region of B, where it was selected itself.
    token: index of the selected token in A's reading of the prompt.
    read_as: whether the prompt is read as a chat turn or as text.
    """

    b: str = text("cb")
    view: View = one_of("cview", get_args(View), "verdicts")
    basis: Basis = one_of("cbasis", BASES, "mean")
    centre: str = one_of("ccentre", CENTRES, "own")
    cutoff: float = number("ccut", CUTOFF, LEAST_CUTOFF, MOST_CUTOFF)
    coloring: str = one_of("cmap", tuple(COLORINGS), VERDICT)
    kind: Kind = one_of("ckind", get_args(Kind), "all")
    region: int | None = integer("creg")
    token: int | None = integer("ctok")
    read_as: ReadAs = one_of("as", get_args(ReadAs), "chat")
