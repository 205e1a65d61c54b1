"""The paper's neighbourhood figure as data: one column per dictionary, with cards between A and B.

A card describes one region. A column has the anchor A on top, B at the foot, and the regions
between them, or on a path from A to B, in one dictionary (protocol 11.1 to 11.5). This module does
not depend on Streamlit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from ep.method.dictionary import Basis, Dictionary
from ep.studies import between as study
from ep.studies.between import Between, Counterpart, Path
from ep.studies.names import name
from ep.views import excerpts
from ep.views.palette import region_color
from ep.views.tables import first_lens

SHOWN = 8
"""Cards in a column before "and N more" (protocol 11.1)."""
TOKENS = 3
EXCERPTS = 3
MISSED, SAME, MEANT, APART = "miss", "same", "between", "apart"
"""Kinds of a column, see `Column`."""


@dataclass(frozen=True)
class Card:
    """One region of the figure.

    name: its whole name.
    tokens: its first lens tokens on the basis.
    color: "#rrggbb".
    members: number of members.
    excerpts: its nearest excerpts as rows.
    """

    region: int
    name: str
    tokens: tuple[str, ...]
    color: str
    members: int
    excerpts: tuple[excerpts.Row, ...]


@dataclass(frozen=True)
class Step:
    """A card between the anchors.

    before, after: cosine on the arrow to the card and on the arrow from it.
    excess: by how much a nearest miss fails the condition of lying between; 0 for others.
    """

    card: Card
    before: float
    after: float
    excess: float = 0.0


@dataclass(frozen=True)
class Column:
    """The column of one dictionary.

    key: identifies the dictionary.
    title: name of the column.
    size: regions of the dictionary.
    a, b: cards of the anchors in this dictionary.
    counterpart_a, counterpart_b: how closely a and b match the chosen anchors; None in the
        dictionary where they were chosen.
    cosine: between A and B.
    kind: "between", "path", "miss" (no region lies between; `steps` are the nearest misses), "same"
        (A and B are one region here) or "apart" (there is no path, or A and B are too unlike for
        anything to lie between them).
    steps: the first of the regions, in order.
    total: number of regions between or on the path.
    result: the result in one short line.
    """

    key: str
    title: str
    size: int
    a: Card
    b: Card
    counterpart_a: Counterpart | None
    counterpart_b: Counterpart | None
    cosine: float
    kind: str
    steps: tuple[Step, ...]
    total: int
    result: str


Maker = Callable[[int], Card]


def card(dictionary: Dictionary, region: int, basis: Basis) -> Card:
    """The card of one region, with its first lens and its nearest excerpts.

    basis: whose lens is shown where the file has no other first one.

    Its name is the one by the file alone; code that knows labels of people replaces it.
    """
    near = [excerpts.aligned(e) for e in dictionary.excerpts(region) if e.band == "near"][:EXCERPTS]
    lens = first_lens(dictionary, region, basis)
    return Card(
        region=region,
        name=name(dictionary, region),
        tokens=tuple(score.token for score in lens[:TOKENS]),
        color=region_color(dictionary, region),
        members=int(dictionary.members[region]),
        excerpts=tuple(near),
    )


@dataclass(frozen=True)
class Pair:
    """The anchors A and B in one dictionary.

    a, b: ids of the regions. counterpart_a, counterpart_b: how closely they match the anchors that
        were chosen in another dictionary; None where they were chosen in this one.
    """

    a: int
    b: int
    counterpart_a: Counterpart | None = None
    counterpart_b: Counterpart | None = None

    @classmethod
    def carry(cls, seed: Dictionary, a: int, b: int, other: Dictionary, basis: Basis) -> Pair:
        """Carry the anchors a and b of `seed` to another dictionary of its family and layer."""
        if other is seed:
            return cls(a, b)
        first, second = (study.counterpart(seed, region, other, basis) for region in (a, b))
        return cls(first.region, second.region, first, second)


def lens_column(
    key: str, dictionary: Dictionary, pair: Pair, basis: Basis, make: Maker, shown: int = SHOWN
) -> Column:
    """The column of the regions between the anchors, or of the nearest misses if there are none.

    key: identifies the dictionary.
    pair: the anchors in it.
    basis: the vectors compared.
    make: makes the card of a region.
    shown: largest number of cards.
    """
    column = _column(key, dictionary, pair, basis, make)
    if pair.a == pair.b:
        return column(kind=SAME, steps=(), total=0, result="A and B are one region here")
    between = study.between(dictionary.basis(basis), pair.a, pair.b)
    if not between.is_meaningful:
        count = f"{len(between):,} of {len(dictionary) - 2:,} would count"
        return column(kind=APART, steps=(), total=0, result=f"too unlike: {count}")
    if len(between):
        steps = tuple(_steps(between, make, shown))
        return column(
            kind=MEANT, steps=steps, total=len(between), result=f"{len(between):,} between"
        )
    result = "none; nearest misses:" if between.misses else "no other region"
    return column(
        kind=MISSED, steps=_missed(dictionary, pair, basis, between, make), total=0, result=result
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
    """The column of the regions on the shortest path from A to B in the graph of k neighbours.

    key, pair, basis, make: as in `lens_column`.
    listed: the neighbours of every region on the basis.
    k: number of neighbours each region is joined to.
    weighted: whether an edge is as long as its cosine distance; else the path has the fewest edges.
    """
    column = _column(key, dictionary, pair, basis, make)
    if pair.a == pair.b:
        return column(kind=SAME, steps=(), total=0, result="A and B are one region here")
    path = study.path(dictionary.basis(basis), listed, pair.a, pair.b, k, weighted)
    if path is None:
        least = study.connecting_k(listed, pair.a, pair.b)
        hint = (
            f"k = {least} joins them" if least else f"not even k = {study.MOST_LISTED} joins them"
        )
        return column(kind=APART, steps=(), total=0, result=f"no path at k = {k}; {hint}")
    hops = f"{path.hops} hop{'s' if path.hops != 1 else ''}"
    return column(
        kind="path", steps=tuple(_chain(path, make)), total=max(0, path.hops - 1), result=hops
    )


def _column(
    key: str, dictionary: Dictionary, pair: Pair, basis: Basis, make: Maker
) -> Callable[..., Column]:
    """`Column` with everything filled in but kind, steps, total and result."""
    percentile, vectors = dictionary.info.get("percentile"), dictionary.basis(basis)
    return partial(
        Column,
        key=key,
        title="this dictionary" if percentile is None else f"p = {percentile:g}",
        size=len(dictionary),
        a=make(pair.a),
        b=make(pair.b),
        counterpart_a=pair.counterpart_a,
        counterpart_b=pair.counterpart_b,
        cosine=float(vectors[pair.a] @ vectors[pair.b]),
    )


def _steps(between: Between, make: Maker, shown: int) -> Sequence[Step]:
    rows = zip(
        between.regions[:shown].tolist(),
        between.from_a.tolist(),
        between.to_b.tolist(),
        strict=False,
    )
    return [Step(make(k), 1 - before, 1 - after) for k, before, after in rows]


def _missed(
    dictionary: Dictionary, pair: Pair, basis: Basis, between: Between, make: Maker
) -> tuple[Step, ...]:
    vectors = dictionary.basis(basis)
    return tuple(
        Step(
            make(k),
            float(vectors[k] @ vectors[pair.a]),
            float(vectors[k] @ vectors[pair.b]),
            excess,
        )
        for k, excess in between.misses
    )


def _chain(path: Path, make: Maker) -> Sequence[Step]:
    inner = path.regions[1:-1]
    return [Step(make(k), path.cosines[i], path.cosines[i + 1]) for i, k in enumerate(inner)]
