"""The regions between two regions A and B, and the paths from A to B.

A region lies between A and B when it is nearer to both than they are to each other. Everything is
computed on one basis (unit rows: the exemplars or the mean directions) of one dictionary, in the
full space; protocol 11.1 to 11.6.

A float32 product screens the regions. Where its rounding could decide, the rule of
`ep.method.nearest` is applied in float64. The answer therefore does not depend on batching, and
exchanging A and B exchanges only their roles.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from ep.errors import RequestError
from ep.method.carrying import home
from ep.method.dictionary import Basis, Dictionary
from ep.method.metrics import carried
from ep.method.nearest import pair_cosines, rounding_bound
from ep.method.surroundings import nearest
from ep.shapes import Float32, Float64, Int64
from ep.studies.names import heads
from ep.studies.naming import automatic, is_numbered
from ep.studies.whole_words import is_content, stem

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

IDENTICAL = 1 - 1e-4
"""Smallest cosine at which two exemplars are the same activation (protocol 11.4)."""
MISSES = 3
"""Number of regions listed that come nearest to lying between."""
MOST_SHARE, FEW = 0.5, 8
"""Of very unlike regions most of a dictionary lies between: then more than this share of it, and
more than a few regions."""
MOST_LISTED = 32
"""Neighbours listed for each region; the graphs of every k up to this use the same lists."""
LEAST_K, DEFAULT_K, MOST_K = 2, 3, 10
"""Smallest, default and largest k of a graph that users may choose."""


@dataclass(frozen=True, eq=False)
class Between:
    """The regions between A and B on one basis; distances are cosine distances in [0, 2].

    a, b: ids of A and B.
    distance: d(A, B).
    regions: (m,) ids, ordered by ½(d(A,C) + d(C,B)), the older of equals first.
    from_a, to_b: (m,) their distances d(A,C) and d(C,B).
    misses: up to three pairs (id, excess) of the regions that come nearest to lying between, where
        the excess is max(d(A,C), d(C,B)) − d(A,B), at least 0.
    size: K, the number of regions of the dictionary.
    """

    a: int
    b: int
    distance: float
    regions: Int64[np.ndarray, " m"]
    from_a: Float32[np.ndarray, " m"]
    to_b: Float32[np.ndarray, " m"]
    misses: tuple[tuple[int, float], ...]
    size: int

    def __len__(self) -> int:
        return len(self.regions)

    @property
    def is_meaningful(self) -> bool:
        """Whether A and B are alike enough for "between" to tell regions apart.

        Regions that point away from each other (cosine at most 0) have nothing in common for others
        to lie between, and nearly every region is nearer to both than they are to each other.
        """
        most = max(FEW, MOST_SHARE * (self.size - 2))
        return self.distance < 1 and len(self) <= most


def between(vectors: Float32[np.ndarray, "K d"], a: int, b: int) -> Between:
    """Return every region C with d(A,C) < d(A,B) and d(C,B) < d(A,B) (protocol 11.1), in O(K·d).

    vectors: (K, d) unit rows of one basis.
    a, b: ids of A and B.

    Raises RequestError when A and B are the same region.
    """
    if a == b:
        raise RequestError(f"A and B are both region {a}: choose two different regions")
    # The product is the same whichever of the two is A, so exchanging them changes no bit.
    first, last = min(a, b), max(a, b)
    both = 1.0 - vectors @ vectors[[first, last]].T.copy()
    apart = _exact(vectors, [first], last)[0]
    larger = both.max(axis=1).astype(np.float64)
    tolerance = 2 * rounding_bound(vectors.shape[1])
    # Both sides of the comparison carry a rounding error, hence twice the bound. Beyond it float32
    # decides; within it both distances are recomputed in float64.
    inside = larger < apart - tolerance
    unsure = np.flatnonzero(np.abs(larger - apart) <= tolerance)
    inside[unsure] = (
        np.maximum(_exact(vectors, unsure, first), _exact(vectors, unsure, last)) < apart
    )
    inside[[a, b]] = False
    regions = np.flatnonzero(inside)
    regions = regions[np.lexsort((regions, both[regions].sum(axis=1)))]
    both = np.clip(both, 0, 2)
    return Between(
        a=a,
        b=b,
        distance=float(np.clip(apart, 0, 2)),
        regions=regions,
        from_a=both[regions, int(a == last)],
        to_b=both[regions, int(b == last)],
        misses=_misses(larger - apart, inside, (a, b)),
        size=len(vectors),
    )


def alike(vectors: Float32[np.ndarray, "K d"], a: int, n: int = 3, among: int = 64) -> list[int]:
    """Return up to n regions nearest to A of which "between A and it" is meaningful and not empty.

    vectors: (K, d) unit rows of one basis. among: number of nearest regions considered, nearest
    first.
    """
    nearest = np.argsort(-(vectors @ vectors[a]), kind="stable")
    candidates = nearest[nearest != a][:among].tolist()
    fitting = (b for b in candidates if (x := between(vectors, a, b)).is_meaningful and len(x))
    return list(islice(fitting, n))


def _exact(
    vectors: np.ndarray, rows: Sequence[int] | np.ndarray, other: int
) -> Float64[np.ndarray, " n"]:
    """Return 1 − cosine (n,) of rows with another row, by the rule of `ep.method.nearest`."""
    rows = np.asarray(rows, np.int64)
    return 1.0 - pair_cosines(vectors, vectors, rows, np.full(len(rows), other))


def _misses(
    excess: np.ndarray, inside: np.ndarray, ends: tuple[int, int]
) -> tuple[tuple[int, float], ...]:
    """Return the regions outside with the smallest excess, apart from A and B themselves."""
    outside = ~inside
    outside[list(ends)] = False
    ids = np.flatnonzero(outside)
    closest = ids[np.argsort(excess[ids], kind="stable")[:MISSES]]
    return tuple((int(k), max(0.0, float(excess[k]))) for k in closest)


# -- anchors ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Counterpart:
    """The counterpart in another dictionary of a region.

    region: id of the counterpart.
    cosine: in [−1, 1], of the exemplars when `same`, else of the directions on the basis in use.
    same: whether it has the very same exemplar; else it is the nearest direction.
    """

    region: int
    cosine: float
    same: bool


def counterpart(
    seed: Dictionary, region: int, other: Dictionary, basis: Basis = "exemplar"
) -> Counterpart:
    """Return the counterpart in `other` of a region of `seed` (protocol 11.4).

    It is the region with the same exemplar where there is one, else the one with the nearest
    direction. An exemplar counts as the same when both dictionaries have the same centre and the
    cosine is at least 1 − 1e-4, and both are equally long where the metric keeps lengths.

    Raises RequestError when the widths differ.
    """
    if seed.width != other.width:
        raise RequestError(
            f"a region of width {seed.width} has no counterpart in a dictionary of width "
            f"{other.width}: use dictionaries of one model and layer"
        )
    if np.array_equal(seed.center, other.center):
        found = home(seed, region, other)
        if found.cosine >= IDENTICAL and found.lengths_agree:
            return Counterpart(found.region, min(1.0, found.cosine), same=True)
    row = carried(seed.basis(basis)[[region]], seed.metric, other.metric)[0]
    cosine = other.basis(basis) @ row
    best = int(np.argmax(cosine))
    return Counterpart(best, float(np.clip(cosine[best], -1, 1)), same=False)


def cleanliness(dictionary: Dictionary) -> Float64[np.ndarray, " K"]:
    """Return the share of the words at the head of each region's name that have content.

    Zeros for regions of which nothing but the number is known.
    """
    rows = [[] if is_numbered(name) else heads(name) for name in automatic(dictionary)]
    return np.array([sum(map(is_content, row)) / max(1, len(row)) for row in rows], np.float64)


def anchor_pairs(
    listed: Neighbours, clean: Float64[np.ndarray, " K"], n: int = 5, k: int = DEFAULT_K
) -> tuple[tuple[int, int], ...]:
    """Return up to `n` example pairs: edges of the k-nearest-neighbour graph (protocol 11.3).

    listed: neighbours of every region.
    clean: (K,) from `cleanliness`.

    The pairs with the clearest names come first, then the closest. Each region is used once, so
    that the pairs show different things.
    """
    row, column, distance = _edges(listed, k)
    order = np.lexsort((row, distance, -(clean[row] + clean[column])))
    pairs: list[tuple[int, int]] = []
    for i in order.tolist():
        pair = int(row[i]), int(column[i])
        if not {*pair} & {end for other in pairs for end in other}:
            pairs.append(pair)
        if len(pairs) == n:
            break
    return tuple(pairs)


def partner(
    dictionary: Dictionary,
    a: int,
    coarser: Sequence[Dictionary] = (),
    basis: Basis = "exemplar",
    wanted: int = 3,
    among: int = 600,
) -> int | None:
    """Return a region worth comparing with A, or None when A is the only region.

    coarser: dictionaries in which the two should fall in different regions.
    wanted: number of regions that should lie between the two.
    among: number of regions considered.

    The nearest region is chosen whose name begins with another word, stays apart from A in all of
    `coarser`, and has `wanted` regions between. Where no region meets all of these, the last is
    given up first, then the second, then the first.
    """
    vectors, word = dictionary.basis(basis), words(dictionary)
    distance = 1.0 - vectors @ vectors[a]
    named = (np.char.str_len(word) > 2) & (word != word[a])
    near = np.lexsort((distance, ~named))
    near = near[near != a][:among]
    if not len(near):
        return None
    apart = np.ones(len(near), bool)
    for other in coarser:
        apart &= _nearest_rows(vectors[near], other.basis(basis)) != _nearest_rows(
            vectors[[a]], other.basis(basis)
        )
    # by name, then by staying apart, then by distance: lexsort takes the last key first
    best = near[np.lexsort((distance[near], ~apart, ~named[near]))][:12].tolist()
    return next((b for b in best if len(between(vectors, a, b)) >= wanted), best[0])


def words(dictionary: Dictionary) -> np.ndarray:
    """Return the stem of the first word of each region's name, as an array (K,).

    The text is empty where the name does not begin with a word that has content.
    """
    first = [heads(name)[0] for name in automatic(dictionary)]
    return np.array([stem(word) if is_content(word) else "" for word in first], str)


def _nearest_rows(rows: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """Return the index (n,) of the nearest of `vectors` for each row."""
    return np.asarray((rows @ vectors.T).argmax(axis=1))


# -- paths -----------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Neighbours:
    """The nearest other regions of each region on one basis, nearest first.

    ids: (K, m).
    distances: (K, m) cosine distances.
    """

    ids: Int64[np.ndarray, "K m"]
    distances: Float32[np.ndarray, "K m"]


def neighbours(vectors: Float32[np.ndarray, "K d"]) -> Neighbours:
    """Return the 32 nearest regions of every region, which serve the graphs of every k.

    It takes K²·d multiply-adds, in chunks of 64 MB.
    """
    return Neighbours(*nearest(vectors, MOST_LISTED))


def _edges(listed: Neighbours, k: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the undirected edges (row, column, distance) of the graph, with row < column.

    Two regions are joined when either of them lists the other among its first k.
    """
    ids, distances = listed.ids[:, :k], listed.distances[:, :k]
    row = np.repeat(np.arange(len(ids)), ids.shape[1])
    # an edge that both ends list appears twice, as the same sorted pair
    ends = np.sort(np.stack([row, ids.ravel()], 1), axis=1)
    ends, first = np.unique(ends, axis=0, return_index=True)
    return ends[:, 0], ends[:, 1], distances.ravel()[first]


def graph(listed: Neighbours, k: int = DEFAULT_K, weighted: bool = False) -> csr_matrix:
    """Return the symmetric k-nearest-neighbour graph (K, K) with the lengths of its edges (11.2).

    listed: neighbours of every region.
    weighted: whether an edge is as long as its cosine distance. Otherwise it is 1 plus a millionth
        of that, so that among the paths with fewest hops the shortest is found, and always the same
        one.
    """
    from scipy.sparse import csr_matrix

    size = len(listed.ids)
    row, column, distance = _edges(listed, k)
    length = np.maximum(distance.astype(np.float64), 1e-12)  # scipy drops zeros
    length = length if weighted else 1 + 1e-6 * length
    return csr_matrix(
        (np.r_[length, length], (np.r_[row, column], np.r_[column, row])), (size, size)
    )


@dataclass(frozen=True)
class Path:
    """A path from A to B through the graph.

    regions: ids, both ends included.
    cosines: of each step.
    """

    regions: tuple[int, ...]
    cosines: tuple[float, ...]

    @property
    def hops(self) -> int:
        """Number of steps."""
        return len(self.regions) - 1


def path(
    vectors: Float32[np.ndarray, "K d"],
    listed: Neighbours,
    a: int,
    b: int,
    k: int = DEFAULT_K,
    weighted: bool = False,
) -> Path | None:
    """Return the shortest path from A to B in the graph of k neighbours, or None without one."""
    from scipy.sparse.csgraph import dijkstra

    _, predecessor = dijkstra(graph(listed, k, weighted), indices=a, return_predecessors=True)
    regions = [b]
    while regions[-1] != a:
        if predecessor[regions[-1]] < 0:  # scipy's mark for "not reached"
            return None
        regions.append(int(predecessor[regions[-1]]))
    regions.reverse()
    cosine = pair_cosines(
        vectors, vectors, np.array(regions[:-1], np.int64), np.array(regions[1:], np.int64)
    )
    return Path(tuple(regions), tuple(np.clip(cosine, -1, 1).tolist()))


def connecting_k(listed: Neighbours, a: int, b: int) -> int | None:
    """Return the smallest k whose graph connects A and B, or None when none up to 32 does."""
    from scipy.sparse.csgraph import connected_components

    for k in range(1, listed.ids.shape[1] + 1):
        _, label = connected_components(graph(listed, k), directed=False)
        if label[a] == label[b]:
            return k
    return None
