"""Resolution: one region followed through the percentiles of its build.

A *ladder* is dictionaries of one layer, coarse to fine, and a *rung* is one of them. Any two rungs
overlap in counts of activations. These were recorded while building (`coarser_*` and `farther_*`,
docs/format.md), or are estimated by counting every finer region as a whole where its exemplar
falls.

The members of the followed region are therefore known on every rung. How they move between two
rungs neither of which is its own is not recorded: these links are fitted to the counts at both
ends, starting from the overlap of the two. No member is lost: those beyond the four recorded homes
of a region are carried along as the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ep.errors import RequestError
from ep.method.carrying import carried_rows, home
from ep.method.dictionary import Dictionary
from ep.shapes import Float64, Int64
from ep.studies.fitting import fit

SHOWN = 8
"""Default number of regions of a level that get a node of their own."""
OTHERS, REST = -1, -2
"""In place of a region id: all regions not shown, and members whose region was not recorded."""
LEAST_SHARE = 1e-9
"""Links below this share of the followed members are left out as rounding."""
SAME_TOLERANCE = 1e-4
"""An exemplar is the same when its cosine is at least 1 minus this (protocol 11.4)."""
Method = Literal["counted", "estimated"]
"""How the numbers of a level were obtained."""


@dataclass(frozen=True, eq=False)
class Overlap:
    """The activations that two rungs have in common.

    finer, coarser, count: (m,) `count[i]` activations lie in region finer[i] of the finer rung and
        in region coarser[i] of the coarser.
    finer_size: (K_f,) members of every finer region.
    coarser_size: (K_c,) members of every coarser region.
    recorded: whether the counts were recorded while building, on one stream.

    The members of a region exceed the sum over its pairs where homes beyond the fourth were left
    out.
    """

    finer: Int64[np.ndarray, " m"]
    coarser: Int64[np.ndarray, " m"]
    count: Float64[np.ndarray, " m"]
    finer_size: Float64[np.ndarray, " Kf"]
    coarser_size: Float64[np.ndarray, " Kc"]
    recorded: bool

    def carry(self, mass: Float64[np.ndarray, " K"], down: bool) -> Float64[np.ndarray, " m"]:
        """Return the members (m,) that each pair takes over from one rung to the other.

        mass: (K,) members of each region of the rung they come from.
        down: whether they are carried to the finer rung; else to the coarser.
        """
        source, size = (self.coarser, self.coarser_size) if down else (self.finer, self.finer_size)
        return mass[source] * self.count / size[source]


@dataclass(frozen=True)
class Node:
    """A region of one level, all its regions not shown (`OTHERS`), or unrecorded members (`REST`).

    level: index of the rung.
    region: id, `OTHERS` or `REST`.
    members: number of members of the followed region that lie here.
    share: of all of them, in [0, 1].
    total: members of the region itself, wherever they come from.
    merged: number of regions that the node stands for.
    """

    level: int
    region: int
    members: float
    share: float
    total: int
    merged: int = 1


@dataclass(frozen=True)
class Link:
    """The members that a node of a level and one of the next finer level have in common.

    level: index of the coarser rung.
    coarser, finer: the region of each node.
    count: number of followed members.
    exact: whether they were counted, and not fitted or estimated.
    """

    level: int
    coarser: int
    finer: int
    count: float
    exact: bool


@dataclass(frozen=True)
class Level:
    """One rung.

    percentile: p.
    nodes: most members first, then others and rest.
    known: how the numbers were obtained.
    carried: the region nearest to the followed exemplar.
    cosine: between their exemplars.
    same: whether the two are the same exemplar.
    """

    percentile: float
    nodes: tuple[Node, ...]
    known: Method
    carried: int
    cosine: float
    same: bool


@dataclass(frozen=True)
class Flow:
    """A region followed over a ladder, coarse to fine.

    levels: the rungs.
    links: between neighbouring rungs.
    origin: index of the followed region's own level.
    region: its id.
    members: its number of members; the nodes of every level add up to it.
    """

    levels: tuple[Level, ...]
    links: tuple[Link, ...]
    origin: int
    region: int
    members: int


def recorded(finer: Dictionary, coarser: Dictionary) -> tuple[np.ndarray, np.ndarray] | None:
    """Return the homes of the finer dictionary's regions in the coarser one, or None.

    They are (ids (K, 4), counts (K, 4)), as far as they were recorded while building.
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
    # ids beyond the coarser dictionary belong to another build: not usable
    return (ids, counts) if int(ids.max(initial=-1)) < len(coarser) else None


def cost(finer: Dictionary, coarser: Dictionary) -> float:
    """Return the multiply-adds of `overlap`: K·K·d for an estimate, 0 where counts are recorded."""
    return 0.0 if recorded(finer, coarser) else float(len(finer)) * len(coarser) * finer.width


def overlap(finer: Dictionary, coarser: Dictionary) -> Overlap:
    """Return the overlap of two rungs.

    Raises RequestError when the widths differ.
    """
    if finer.width != coarser.width:
        raise RequestError(
            f"the dictionaries are {finer.width} and {coarser.width} wide, so their regions do not "
            "overlap: choose two of one model"
        )
    homes = recorded(finer, coarser)
    if homes is None:
        # estimated: each finer region is counted as a whole where its exemplar falls
        rows = carried_rows(finer, coarser)
        homed = coarser.law.nearest(rows, coarser.basis_rows("exemplar"))[1]
        weight = np.maximum(finer.members, 1e-9).astype(np.float64)
        return Overlap(
            np.arange(len(finer)),
            homed,
            weight,
            weight,
            np.bincount(homed, weight, len(coarser)),
            False,
        )
    ids, counts = homes
    row, place = np.nonzero((ids >= 0) & (counts > 0))
    pairs = row, ids[row, place].astype(np.int64), counts[row, place].astype(np.float64)
    one_stream = bool(finer.members.sum() == coarser.members.sum())
    finer_size = _at_least(finer.members, pairs[0], pairs[2])
    # A coarser dictionary that stopped earlier has fewer members than its pairs count. Its own
    # member counts are then ignored (times 0), and only the shares of the pairs are used.
    coarser_size = _at_least(coarser.members * one_stream, pairs[1], pairs[2])
    return Overlap(*pairs, finer_size, coarser_size, one_stream)


def _at_least(members: np.ndarray, region: np.ndarray, count: np.ndarray) -> np.ndarray:
    """Return the members of every region, but never fewer than its pairs count."""
    return np.maximum(members.astype(np.float64), np.bincount(region, count, len(members)))


def follow(
    ladder: Sequence[Dictionary],
    origin: int,
    region: int,
    between: Callable[[int, int], Overlap] | None = None,
    shown: int = SHOWN,
) -> Flow:
    """Follow one region of ladder[origin] up and down the ladder.

    ladder: at least one dictionary, coarse to fine.
    between: between(finer level, coarser level) returns their overlap, for callers that cache it.
    shown: number of regions of a level with a node of their own; the others share one node.

    Raises UnknownRegion for a region that does not exist.
    """
    region = ladder[origin].check(region)
    between = between or (lambda finer, coarser: overlap(ladder[finer], ladder[coarser]))
    total = float(ladder[origin].members[region])
    masses: list[np.ndarray] = []
    levels: list[Level] = []
    for i, dictionary in enumerate(ladder):
        mass, known = _members(len(dictionary), origin, i, region, total, between)
        home = _home(ladder[origin], region, dictionary)
        nodes = _nodes(i, mass, _shown_regions(mass, home[0], shown), total, dictionary.members)
        levels.append(Level(float(dictionary.info.get("percentile") or 0), nodes, known, *home))
        masses.append(mass)
    links: list[Link] = []
    for i in range(len(ladder) - 1 if total else 0):
        # only members of the followed region itself were counted, so its own level must be an end
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
) -> tuple[np.ndarray, Method]:
    """Return the followed members (K,) by region of one level, and how they are known."""
    if level == origin:
        return np.bincount([region], [total], n_regions), "counted"
    down = level > origin
    shared = between(max(level, origin), min(level, origin))
    sides = (shared.coarser, shared.finer) if down else (shared.finer, shared.coarser)
    own = sides[0] == region
    start = np.bincount([region], [total], len(shared.coarser_size if down else shared.finer_size))
    mass = np.bincount(sides[1][own], shared.carry(start, down)[own], n_regions)
    return mass, "counted" if shared.recorded else "estimated"


def _prior(
    levels: Sequence[Level], masses: Sequence[np.ndarray], level: int, origin: int, shared: Overlap
) -> Float64[np.ndarray, "n m"]:
    """Return expected links (n, m) between the nodes of a level and of the next finer one.

    They are what the links would be if regions split the followed members like all others. The
    rest, whose regions are not known, is split in proportion.
    """
    down = level >= origin
    flow = shared.carry(masses[level if down else level + 1], down)
    rows, columns = levels[level].nodes, levels[level + 1].nodes
    row, column = (
        _slots(nodes, len(masses[i])) for nodes, i in ((rows, level), (columns, level + 1))
    )
    # the extra row and column take regions without members, and are cut off again
    prior = np.zeros((len(rows) + 1, len(columns) + 1))
    np.add.at(prior, (row[shared.coarser], column[shared.finer]), flow)
    prior = prior[:-1, :-1]
    coarser_members, finer_members = (
        np.array([node.members for node in nodes]) for nodes in (rows, columns)
    )
    proportional = np.outer(coarser_members, finer_members) / max(1e-12, coarser_members.sum())
    is_rest = np.array([n.region == REST for n in rows])[:, None] | np.array(
        [n.region == REST for n in columns]
    )
    # a little of every link, since the fit can only scale entries that are not zero
    return np.where(is_rest, proportional, prior) + 1e-9 * proportional


def _slots(nodes: Sequence[Node], n_regions: int) -> np.ndarray:
    """Return the place (K,) of every region among the nodes.

    A region that is not shown gets the place of the others, or one past the end without that node.
    """
    places = {node.region: i for i, node in enumerate(nodes)}
    slots = np.full(n_regions, places.get(OTHERS, len(nodes)))
    for region, i in places.items():
        if region >= 0:
            slots[region] = i
    return slots


def _home(followed: Dictionary, region: int, dictionary: Dictionary) -> tuple[int, float, bool]:
    """Return (region, cosine, same): the home of the followed exemplar in another dictionary.

    `same` requires the same centre, and the same length where the metric keeps it, too.
    """
    found = home(followed, region, dictionary)
    # centres of two runs over the same sample differ by rounding only
    scale = float(np.abs(followed.center).max(initial=1e-12))
    centred = np.allclose(followed.center, dictionary.center, rtol=0, atol=1e-5 * scale)
    same = centred and found.lengths_agree and found.cosine >= 1 - SAME_TOLERANCE
    return found.region, found.cosine, bool(same)


def _shown_regions(mass: np.ndarray, carried: int, shown: int) -> np.ndarray:
    """Return the regions with a node: the largest, and the one nearest to the exemplar."""
    order = np.argsort(-mass, kind="stable")[:shown]
    order = order[mass[order] > 0]
    # it takes the place of the smallest
    if mass[carried] > 0 and carried not in order:
        order[-1] = carried
    return order


def _nodes(
    level: int, mass: np.ndarray, chosen: np.ndarray, total: float, sizes: np.ndarray
) -> tuple[Node, ...]:
    """Return the nodes of one level: the chosen regions, the others and the rest."""
    nodes = [
        Node(level, int(k), float(mass[k]), _share(mass[k], total), int(sizes[k])) for k in chosen
    ]
    others = mass.copy()
    others[chosen] = 0
    n_merged = int((others > 0).sum())
    if n_merged:
        others_size = int(sizes[others > 0].sum())
        nodes.append(
            Node(
                level,
                OTHERS,
                float(others.sum()),
                _share(others.sum(), total),
                others_size,
                n_merged,
            )
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
    """Return the links between two levels, with the prior fitted to the members of their nodes.

    Every node gives and receives exactly the members that it has.
    """
    coarser_members, finer_members = (
        np.array([node.members for node in level.nodes]) for level in (coarser, finer)
    )
    fitted = fit(prior, coarser_members, finer_members)
    return [
        Link(a.level, a.region, b.region, float(fitted[i, j]), exact)
        for i, a in enumerate(coarser.nodes)
        for j, b in enumerate(finer.nodes)
        if fitted[i, j] > LEAST_SHARE * max(1.0, coarser_members.sum())
    ]
