"""The paper's neighbourhood figure as plain data: a column a dictionary, A on top, B at the foot,
cards between them.

Knows no screen. A card is one region as a reader sees it; a column is what lies between A and B, or
the path from A to B, in one dictionary (protocol 11.1 to 11.5).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from ep.method.dictionary import Basis, Dictionary
from ep.studies import between as study
from ep.studies.between import Between, Carried, Path
from ep.views import excerpts
from ep.views.palette import region_color

SHOWN = 8
"""Cards in a column before "and N more" (protocol 11.1)."""
TOKENS = 3
EXCERPTS = 3
MISSED, SAME, MEANT = "miss", "same", "between"


@dataclass(frozen=True)
class Card:
    """One region: its first lens tokens on the basis, its colour, its members, its closest excerpts
    as rows.

    label: what it is called; empty when nobody named it. It stands in for tokens where the file
    holds none.
    """

    region: int
    tokens: tuple[str, ...]
    color: str
    members: int
    excerpts: tuple[excerpts.Row, ...]
    label: str = ""


@dataclass(frozen=True)
class Step:
    """A card with the cosine on the arrow before it and on the arrow after it; excess: by how much
    it misses.
    """

    card: Card
    before: float
    after: float
    excess: float = 0.0


@dataclass(frozen=True)
class Column:
    """One dictionary's answer.

    key: of the dictionary. a, b: the anchors here and how they were carried (None: chosen here).
    cosine: of A with B.
    kind: "between", "path", "miss" (nothing lies between; the steps are the nearest misses), "same"
    (A and B are one region here) or "apart" (no path). total: how many there are, of which `steps`
    are the first. said: a short line.
    """

    key: str
    title: str
    size: int
    a: Card
    b: Card
    carried_a: Carried | None
    carried_b: Carried | None
    cosine: float
    kind: str
    steps: tuple[Step, ...]
    total: int
    said: str


Maker = Callable[[int], Card]


def card(dictionary: Dictionary, region: int, basis: Basis) -> Card:
    """The card of one region; reads its lens and its excerpts."""
    near = [excerpts.aligned(e) for e in dictionary.excerpts(region) if e.band == "near"][:EXCERPTS]
    lens = dictionary.lens(region, f"{basis}_up") or dictionary.lens(region)
    return Card(
        region=region,
        tokens=tuple(score.token for score in lens[:TOKENS]),
        color=region_color(dictionary, region),
        members=int(dictionary.members[region]),
        excerpts=tuple(near),
    )


@dataclass(frozen=True)
class Pair:
    """Anchors A and B in one dictionary, and how each came there."""

    a: int
    b: int
    carried_a: Carried | None = None
    carried_b: Carried | None = None

    @classmethod
    def carry(cls, seed: Dictionary, a: int, b: int, other: Dictionary, basis: Basis) -> Pair:
        """The anchors of `seed` found in another dictionary of its family and layer."""
        if other is seed:
            return cls(a, b)
        first, second = (study.carried(seed, region, other, basis) for region in (a, b))
        return cls(first.region, second.region, first, second)


def lens_column(
    key: str, dictionary: Dictionary, pair: Pair, basis: Basis, make: Maker, shown: int = SHOWN
) -> Column:
    """What lies between the anchors: the first cards in order, or the nearest misses where nothing
    does.
    """
    column = _column(key, dictionary, pair, basis, make)
    if pair.a == pair.b:
        return column(kind=SAME, steps=(), total=0, said="A and B are one region here")
    found = study.between(dictionary.basis(basis), pair.a, pair.b)
    if len(found):
        steps = tuple(_steps(found, make, shown))
        return column(kind=MEANT, steps=steps, total=len(found), said=f"{len(found):,} between")
    said = "none; nearest misses:" if found.misses else "nothing else is here"
    return column(
        kind=MISSED, steps=_missed(dictionary, pair, basis, found, make), total=0, said=said
    )


def path_column(
    key: str,
    dictionary: Dictionary,
    pair: Pair,
    basis: Basis,
    make: Maker,
    listed: study.Neighbours,
    k: int,
    weighted: bool,
) -> Column:
    """The chain of regions from A to B through the graph of k neighbours."""
    column = _column(key, dictionary, pair, basis, make)
    if pair.a == pair.b:
        return column(kind=SAME, steps=(), total=0, said="A and B are one region here")
    found = study.path(dictionary.basis(basis), listed, pair.a, pair.b, k, weighted)
    if found is None:
        least = study.connecting_k(listed, pair.a, pair.b)
        way = f"k = {least} joins them" if least else f"not even k = {study.MOST_LISTED} joins them"
        return column(kind="apart", steps=(), total=0, said=f"no path at k = {k}; {way}")
    hops = f"{found.hops} hop{'s' if found.hops != 1 else ''}"
    return column(
        kind="path", steps=tuple(_chain(found, make)), total=max(0, found.hops - 1), said=hops
    )


def _column(
    key: str, dictionary: Dictionary, pair: Pair, basis: Basis, make: Maker
) -> Callable[..., Column]:
    percentile, vectors = dictionary.info.get("percentile"), dictionary.basis(basis)
    return partial(
        Column,
        key=key,
        title="this dictionary" if percentile is None else f"p = {percentile:g}",
        size=len(dictionary),
        a=make(pair.a),
        b=make(pair.b),
        carried_a=pair.carried_a,
        carried_b=pair.carried_b,
        cosine=float(vectors[pair.a] @ vectors[pair.b]),
    )


def _steps(found: Between, make: Maker, shown: int) -> Sequence[Step]:
    rows = zip(
        found.regions[:shown].tolist(), found.from_a.tolist(), found.to_b.tolist(), strict=False
    )
    return [Step(make(k), 1 - before, 1 - after) for k, before, after in rows]


def _missed(
    dictionary: Dictionary, pair: Pair, basis: Basis, found: Between, make: Maker
) -> tuple[Step, ...]:
    vectors = dictionary.basis(basis)
    return tuple(
        Step(
            make(k),
            float(vectors[k] @ vectors[pair.a]),
            float(vectors[k] @ vectors[pair.b]),
            excess,
        )
        for k, excess in found.misses
    )


def _chain(found: Path, make: Maker) -> Sequence[Step]:
    inner = found.regions[1:-1]
    return [Step(make(k), found.cosines[i], found.cosines[i + 1]) for i, k in enumerate(inner)]
