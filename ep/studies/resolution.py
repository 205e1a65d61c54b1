"""Resolution: one region followed through the percentiles of its build.

A *ladder* is dictionaries of one layer, coarse to fine. Any two of them overlap in counts of
activations: recorded while building (`coarser_*` and `farther_*`, docs/format.md), else estimated,
every finer region counted whole where its exemplar falls. So the members of the followed region are
known on every rung. How they move between two rungs neither of which is its own is not recorded:
those links are fitted to the counts at both ends, from the overlap of the two. Nothing is lost on
the way: members beyond the four recorded homes of a region are carried as the rest.

It knows no screen, no model and no file.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float64, Int64

from ep.errors import RequestError
from ep.method.dictionary import Dictionary
from ep.method.nearest import nearest_exemplar
from ep.studies.fitting import fit

SHOWN = 8
OTHERS, REST = -1, -2
"""Instead of a region: all regions not shown on their own, and members whose region was not
recorded.
"""
LEAST = 1e-9
"""Links below this share of the followed members are left out: rounding."""
SAME = 1e-4
"""An exemplar is the same when its cosine is at least 1 minus this (protocol 11.4)."""
Known = Literal["counted", "estimated"]


@dataclass(frozen=True, eq=False)
class Overlap:
    """Two rungs: `count[i]` activations lie in region finer[i] of the finer and coarser[i] of the
    coarser.

    recorded: counted while building, on one stream. finer_size, coarser_size: members of every
    region; larger than the sum over its pairs where homes beyond the fourth were left out.
    """

    finer: Int64[np.ndarray, " m"]
    coarser: Int64[np.ndarray, " m"]
    count: Float64[np.ndarray, " m"]
    finer_size: Float64[np.ndarray, " Kf"]
    coarser_size: Float64[np.ndarray, " Kc"]
    recorded: bool

    def carry(self, mass: Float64[np.ndarray, " K"], down: bool) -> Float64[np.ndarray, " m"]:
        """What each pair takes over of the members given by region: to the finer rung (down) or to
        the coarser.
        """
        source, size = (self.coarser, self.coarser_size) if down else (self.finer, self.finer_size)
        return mass[source] * self.count / size[source]


@dataclass(frozen=True)
class Node:
    """A region of one level, all its other regions together (`OTHERS`), or what was not recorded
    (`REST`).

    members: of the followed region, that lie here; share: of all of them, in [0, 1]. total: members
    of the region itself, wherever they come from. merged: regions that stand behind the node.
    """

    level: int
    region: int
    members: float
    share: float
    total: int
    merged: int = 1


@dataclass(frozen=True)
class Link:
    """Members common to a node of a level and one of the next finer level; exact: counted, not
    fitted or estimated.
    """

    level: int
    coarser: int
    finer: int
    count: float
    exact: bool


@dataclass(frozen=True)
class Level:
    """One rung: its percentile, its nodes (most members first, then others and rest), and how their
    numbers are known.

    carried: the region nearest to the followed exemplar, cosine: with it; same: it is the same
    exemplar.
    """

    percentile: float
    nodes: tuple[Node, ...]
    known: Known
    carried: int
    cosine: float
    same: bool


@dataclass(frozen=True)
class Flow:
    """A region followed over a ladder, coarse to fine.

    origin: the level of the followed region; members: of it, which is what the nodes of every level
    add up to.
    """

    levels: tuple[Level, ...]
    links: tuple[Link, ...]
    origin: int
    region: int
    members: int


def recorded(finer: Dictionary, coarser: Dictionary) -> tuple[np.ndarray, np.ndarray] | None:
    """(ids, counts) (K, 4): the homes in the coarser dictionary of the finer one's regions; None
    when not recorded.
    """
    if "coarser_ids" not in finer or "count_voronoi" not in finer or "count_voronoi" not in coarser:
        return None
    if any(finer.info.get(name) != coarser.info.get(name) for name in ("family", "layer")):
        return None
    p, farther = coarser.info.get("percentile"), finer.info.get("farther_percentiles") or []
    if p == finer.info.get("coarser_percentile"):
        ids, counts = finer.column("coarser_ids"), finer.column("coarser_counts")
    elif p in farther[: finer.column("farther_ids").shape[1] if "farther_ids" in finer else 0]:
        ids, counts = (
            finer.column(f"farther_{kind}")[:, farther.index(p)] for kind in ("ids", "counts")
        )
    else:
        return None
    return (ids, counts) if int(ids.max(initial=-1)) < len(coarser) else None


def cost(finer: Dictionary, coarser: Dictionary) -> float:
    """Multiply-adds that `overlap` takes: K·K·d where it must estimate, none where counts were
    recorded.
    """
    return 0.0 if recorded(finer, coarser) else float(len(finer)) * len(coarser) * finer.width


def overlap(finer: Dictionary, coarser: Dictionary) -> Overlap:
    """How two rungs overlap. RequestError when their widths differ."""
    if finer.width != coarser.width:
        raise RequestError(
            f"dictionaries of {finer.width} and {coarser.width} dimensions have no regions in "
            "common"
        )
    homes = recorded(finer, coarser)
    if homes is None:
        home = nearest_exemplar(finer.exemplars, coarser.exemplars)[1]
        weight = np.maximum(finer.members, 1e-9).astype(np.float64)
        return Overlap(
            np.arange(len(finer)),
            home,
            weight,
            weight,
            np.bincount(home, weight, len(coarser)),
            False,
        )
    ids, counts = homes
    row, place = np.nonzero((ids >= 0) & (counts > 0))
    pairs = row, ids[row, place].astype(np.int64), counts[row, place].astype(np.float64)
    one_stream = bool(finer.members.sum() == coarser.members.sum())
    finer_size = _at_least(finer.members, pairs[0], pairs[2])
    # one that stopped earlier has fewer activations than the pairs: shares are all they tell then
    coarser_size = _at_least(coarser.members * one_stream, pairs[1], pairs[2])
    return Overlap(*pairs, finer_size, coarser_size, one_stream)


def _at_least(members: np.ndarray, region: np.ndarray, count: np.ndarray) -> np.ndarray:
    """Members of every region, never fewer than its pairs say."""
    return np.maximum(members.astype(np.float64), np.bincount(region, count, len(members)))


def follow(
    ladder: Sequence[Dictionary],
    origin: int,
    region: int,
    between: Callable[[int, int], Overlap] | None = None,
    shown: int = SHOWN,
) -> Flow:
    """Follow one region of ladder[origin] up and down the ladder.

    ladder: coarse to fine, at least one. between: between(finer level, coarser level) gives their
    overlap, for callers that keep them. shown: regions of a level shown on their own; the others
    come as one node. Raises UnknownRegion for a region that does not exist.
    """
    region = ladder[origin].check(region)
    between = between or (lambda finer, coarser: overlap(ladder[finer], ladder[coarser]))
    total = float(ladder[origin].members[region])
    masses: list[np.ndarray] = []
    levels: list[Level] = []
    for i, dictionary in enumerate(ladder):
        mass, known = _members(len(dictionary), origin, i, region, total, between)
        home = _home(ladder[origin], region, dictionary)
        nodes = _nodes(i, mass, _chosen(mass, home[0], shown), total, dictionary.members)
        levels.append(Level(float(dictionary.info.get("percentile") or 0), nodes, known, *home))
        masses.append(mass)
    links: list[Link] = []
    for i in range(len(ladder) - 1 if total else 0):
        exact = origin in (i, i + 1) and levels[i].known == levels[i + 1].known == "counted"
        links += _links(
            levels[i], levels[i + 1], _prior(levels, masses, i, origin, between(i + 1, i)), exact
        )
    return Flow(tuple(levels), tuple(links), origin, region, round(total))


def _members(
    n_regions: int,
    origin: int,
    level: int,
    region: int,
    total: float,
    between: Callable[[int, int], Overlap],
) -> tuple[np.ndarray, Known]:
    """Where the followed members lie on one level: (K,) by region, and how that is known."""
    if level == origin:
        return np.bincount([region], [total], n_regions), "counted"
    down = level > origin
    found = between(max(level, origin), min(level, origin))
    ends = (found.coarser, found.finer) if down else (found.finer, found.coarser)
    own = ends[0] == region
    start = np.bincount([region], [total], len(found.coarser_size if down else found.finer_size))
    mass = np.bincount(ends[1][own], found.carry(start, down)[own], n_regions)
    return mass, "counted" if found.recorded else "estimated"


def _prior(
    levels: Sequence[Level], masses: Sequence[np.ndarray], level: int, origin: int, found: Overlap
) -> Float64[np.ndarray, "n m"]:
    """What links between the nodes of a level and the next would be if regions split the followed
    members like all others; the rest, of which nothing is known, in proportion.
    """
    down = level >= origin
    flow = found.carry(masses[level if down else level + 1], down)
    rows, columns = levels[level].nodes, levels[level + 1].nodes
    row, column = (
        _slots(nodes, len(masses[i])) for nodes, i in ((rows, level), (columns, level + 1))
    )
    # the last place takes regions without members
    prior = np.zeros((len(rows) + 1, len(columns) + 1))
    np.add.at(prior, (row[found.coarser], column[found.finer]), flow)
    prior = prior[:-1, :-1]
    given, got = (np.array([node.members for node in nodes]) for nodes in (rows, columns))
    even = np.outer(given, got) / max(1e-12, given.sum())
    unknown = np.array([n.region == REST for n in rows])[:, None] | np.array(
        [n.region == REST for n in columns]
    )
    return np.where(unknown, even, prior) + 1e-9 * even


def _slots(nodes: Sequence[Node], n_regions: int) -> np.ndarray:
    """(K,) the place among the nodes of every region; the others' place, or one past the end, for
    those not shown.
    """
    places = {node.region: i for i, node in enumerate(nodes)}
    slots = np.full(n_regions, places.get(OTHERS, len(nodes)))
    for region, i in places.items():
        if region >= 0:
            slots[region] = i
    return slots


def _home(followed: Dictionary, region: int, dictionary: Dictionary) -> tuple[int, float, bool]:
    """(region, cosine, same): where the followed exemplar lies in another dictionary; same needs
    the same centre.
    """
    cosine, nearest = nearest_exemplar(
        followed.row("exemplars", region)[None], dictionary.exemplars
    )
    scale = float(np.abs(followed.center).max(initial=1e-12))
    centred = np.allclose(followed.center, dictionary.center, rtol=0, atol=1e-5 * scale)
    return int(nearest[0]), float(cosine[0]), bool(centred and cosine[0] >= 1 - SAME)


def _chosen(mass: np.ndarray, carried: int, shown: int) -> np.ndarray:
    """The regions shown on their own: the largest, and in any case the one that carries the
    exemplar.
    """
    order = np.argsort(-mass, kind="stable")[:shown]
    order = order[mass[order] > 0]
    if mass[carried] > 0 and carried not in order:
        order[-1] = carried
    return order


def _nodes(
    level: int, mass: np.ndarray, chosen: np.ndarray, total: float, size_: np.ndarray
) -> tuple[Node, ...]:
    nodes = [
        Node(level, int(k), float(mass[k]), _share(mass[k], total), int(size_[k])) for k in chosen
    ]
    left = mass.copy()
    left[chosen] = 0
    merged = int((left > 0).sum())
    if merged:
        behind = int(size_[left > 0].sum())
        nodes.append(
            Node(level, OTHERS, float(left.sum()), _share(left.sum(), total), behind, merged)
        )
    rest = total - float(mass.sum())
    if rest > 1e-6 * max(1.0, total):
        nodes.append(Node(level, REST, rest, _share(rest, total), 0, 0))
    return tuple(nodes)


def _share(members: float, total: float) -> float:
    return float(members) / total if total else 0.0


def _links(
    coarser: Level, finer: Level, prior: Float64[np.ndarray, "n m"], exact: bool
) -> list[Link]:
    """The prior fitted to the members of the nodes at both ends, as links; no node gives more or
    less than it has.
    """
    given, got = (np.array([node.members for node in level.nodes]) for level in (coarser, finer))
    fitted = fit(prior, given, got)
    return [
        Link(a.level, a.region, b.region, float(fitted[i, j]), exact)
        for i, a in enumerate(coarser.nodes)
        for j, b in enumerate(finer.nodes)
        if fitted[i, j] > LEAST * max(1.0, given.sum())
    ]
