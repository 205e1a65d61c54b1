"""What lies between two regions A and B: regions nearer to both than the two are to each other, and
paths from A to B.

All on one basis (unit rows: the exemplars or the mean directions) of one dictionary, in the full
space. Protocol 11.1 to 11.6. A float32 product screens; where it could not report, the law of
`ep.method.nearest` decides in float64, so the answer does not depend on batching, and exchanging A
and B exchanges nothing but the names. Knows no screen.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float32, Float64, Int64

from ep.errors import RequestError
from ep.method.dictionary import Basis, Dictionary
from ep.method.nearest import pair_cosines, rounding_bound
from ep.method.surroundings import nearest

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

IDENTICAL = 1 - 1e-4
"""Exemplars of two dictionaries at this cosine or above are one and the same event (protocol
11.4).
"""
MISSES = 3
MOST_LISTED = 32
"""Neighbours kept a region: graphs of any k up to this come from one search."""
LEAST_K, DEFAULT_K, MOST_K = 2, 3, 10
WORD = re.compile(r"[A-Za-z]{2,15}")
"""What counts as a clean token of a decode (protocol 5.2)."""


@dataclass(frozen=True, eq=False)
class Between:
    """The regions between A and B on one basis; distances are cosine distances in [0, 2].

    regions: (m,) ids, ordered by ½(d(A,C) + d(C,B)), the older of equals first. from_a, to_b: (m,)
    their distances.
    distance: d(A, B). misses: up to three ids that come nearest to lying between, and by how much
    each misses: max(d(A,C), d(C,B)) − d(A,B), at least 0.
    """

    a: int
    b: int
    distance: float
    regions: Int64[np.ndarray, " m"]
    from_a: Float32[np.ndarray, " m"]
    to_b: Float32[np.ndarray, " m"]
    misses: tuple[tuple[int, float], ...]

    def __len__(self) -> int:
        return len(self.regions)


def between(vectors: Float32[np.ndarray, "K d"], a: int, b: int) -> Between:
    """Every region C with d(A,C) < d(A,B) and d(C,B) < d(A,B), both strict (protocol 11.1). O(K·d).

    vectors: unit rows of one basis. RequestError when A and B are one region.
    """
    if a == b:
        raise RequestError(f"A and B are both region {a}: choose two different regions")
    # one product whichever is called A: exchanging them changes no bit
    first, last = min(a, b), max(a, b)
    both = 1.0 - vectors @ vectors[[first, last]].T.copy()
    ends = _exact(vectors, [first], last)[0]
    larger = both.max(axis=1).astype(np.float64)
    doubt = 2 * rounding_bound(vectors.shape[1])
    inside = larger < ends - doubt
    unsure = np.flatnonzero(np.abs(larger - ends) <= doubt)
    inside[unsure] = (
        np.maximum(_exact(vectors, unsure, first), _exact(vectors, unsure, last)) < ends
    )
    inside[[a, b]] = False
    found = np.flatnonzero(inside)
    found = found[np.lexsort((found, both[found].sum(axis=1)))]
    both = np.clip(both, 0, 2)
    return Between(
        a=a,
        b=b,
        distance=float(np.clip(ends, 0, 2)),
        regions=found,
        from_a=both[found, int(a == last)],
        to_b=both[found, int(b == last)],
        misses=_misses(larger - ends, inside, (a, b)),
    )


def _exact(
    vectors: np.ndarray, rows: Sequence[int] | np.ndarray, other: int
) -> Float64[np.ndarray, " n"]:
    """1 − cosine of the given rows with one other, by the law of `ep.method.nearest`."""
    rows = np.asarray(rows, np.int64)
    return 1.0 - pair_cosines(vectors, vectors, rows, np.full(len(rows), other))


def _misses(
    excess: np.ndarray, inside: np.ndarray, ends: tuple[int, int]
) -> tuple[tuple[int, float], ...]:
    outside = ~inside
    outside[list(ends)] = False
    ids = np.flatnonzero(outside)
    nearest_ = ids[np.argsort(excess[ids], kind="stable")[:MISSES]]
    return tuple((int(k), max(0.0, float(excess[k]))) for k in nearest_)


# -- anchors ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Carried:
    """A region of one dictionary found in another. same: its very exemplar is there; else the
    nearest direction.

    cosine: of the exemplars when `same`, else of the directions of the basis that was used; in [−1,
    1].
    """

    region: int
    cosine: float
    same: bool


def carried(seed: Dictionary, region: int, other: Dictionary, basis: Basis = "exemplar") -> Carried:
    """Where a region of `seed` is in `other`: its exemplar when it survives there, else the nearest
    direction (11.4).

    It survives when the two share one centre and some exemplar has cosine ≥ 1 − 1e-4 with its own.
    RequestError when the widths differ.
    """
    if seed.width != other.width:
        raise RequestError(
            f"a region of {seed.width} dimensions cannot be found among {other.width}: "
            "use dictionaries of one model and layer"
        )
    if np.array_equal(seed.center, other.center):
        cosine = other.exemplars @ seed.row("exemplars", region)
        best = int(np.argmax(cosine))
        exact = float(
            pair_cosines(other.exemplars, seed.exemplars, np.array([best]), np.array([region]))[0]
        )
        if exact >= IDENTICAL:
            return Carried(best, min(1.0, exact), same=True)
    cosine = other.basis(basis) @ seed.basis(basis)[region]
    best = int(np.argmax(cosine))
    return Carried(best, float(np.clip(cosine[best], -1, 1)), same=False)


def cleanliness(dictionary: Dictionary, basis: Basis = "exemplar") -> Float64[np.ndarray, " K"]:
    """The share of each region's lens tokens that are 2 to 15 ASCII letters and nothing else (5.2);
    zeros without lens.

    Tokens are stripped, empties dropped, as in the protocol's decodes; the first eight count.
    """
    name = f"lens_{basis}_up_ids"
    if name not in dictionary:
        return np.zeros(len(dictionary))
    ids = dictionary.column(name)[:, :8]
    known, place = np.unique(ids, return_inverse=True)
    pieces = [dictionary.piece(int(token)).strip() if token >= 0 else "" for token in known]
    word = np.array([bool(WORD.fullmatch(piece)) for piece in pieces])[place].reshape(ids.shape)
    there = np.array([bool(piece) for piece in pieces])[place].reshape(ids.shape)
    return np.asarray((word & there).sum(axis=1) / np.maximum(1, there.sum(axis=1)), np.float64)


def anchor_pairs(
    listed: Neighbours, clean: Float64[np.ndarray, " K"], n: int = 5, k: int = DEFAULT_K
) -> tuple[tuple[int, int], ...]:
    """Example pairs: edges of the k-nearest-neighbour graph, the cleanest decodes first, then the
    closest (11.3).

    Each region is used once, so that the pairs show different things.
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
    """A region worth comparing A with: the nearest named by another word that stays apart from A in
    all `coarser` ones.

    Looked for among the `among` nearest such, with at least `wanted` regions between at this
    resolution; what cannot be had is done without, from the last of these wishes to the first. None
    when A is the only region.
    """
    vectors, word = dictionary.basis(basis), words(dictionary, basis)
    distance = 1.0 - vectors @ vectors[a]
    named = (np.char.str_len(word) > 3) & (word != word[a])
    near = np.lexsort((distance, ~named))
    near = near[near != a][:among]
    if not len(near):
        return None
    apart = np.ones(len(near), bool)
    for other in coarser:
        apart &= _homes(vectors[near], other.basis(basis)) != _homes(
            vectors[[a]], other.basis(basis)
        )
    best = near[np.lexsort((distance[near], ~apart, ~named[near]))][:12].tolist()
    return next((b for b in best if len(between(vectors, a, b)) >= wanted), best[0])


def words(dictionary: Dictionary, basis: Basis = "exemplar") -> np.ndarray:
    """(K,) each region's first lens token in lower case where it is the beginning of a word, else
    an empty text.

    A token begins a word when a space stands in front of it, as in the tokenizers in use.
    """
    name = f"lens_{basis}_up_ids"
    if name not in dictionary:
        return np.full(len(dictionary), "")
    known, place = np.unique(dictionary.column(name)[:, 0], return_inverse=True)
    pieces = [dictionary.piece(int(token)) if token >= 0 else "" for token in known]
    begun = [
        piece.strip().lower() if piece[:1] == " " and WORD.fullmatch(piece.strip()) else ""
        for piece in pieces
    ]
    return np.array(begun)[place.ravel()]


def _homes(rows: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    return np.asarray((rows @ vectors.T).argmax(axis=1))


# -- paths -----------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Neighbours:
    """Each region's nearest others on one basis, nearest first: ids (K, m) and cosine distances (K,
    m).
    """

    ids: Int64[np.ndarray, "K m"]
    distances: Float32[np.ndarray, "K m"]


def neighbours(vectors: Float32[np.ndarray, "K d"]) -> Neighbours:
    """The 32 nearest of every region, once for all graphs: K²·d multiply-adds, in chunks of 64
    MB.
    """
    return Neighbours(*nearest(vectors, MOST_LISTED))


def _edges(listed: Neighbours, k: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The undirected edges (row < column, distance) of the symmetric graph: either end lists the
    other among its k.
    """
    ids, distances = listed.ids[:, :k], listed.distances[:, :k]
    row = np.repeat(np.arange(len(ids)), ids.shape[1])
    ends = np.sort(np.stack([row, ids.ravel()], 1), axis=1)
    ends, first = np.unique(ends, axis=0, return_index=True)
    return ends[:, 0], ends[:, 1], distances.ravel()[first]


def graph(listed: Neighbours, k: int = DEFAULT_K, weighted: bool = False) -> csr_matrix:
    """The symmetric k-nearest-neighbour graph (K, K) with its edges' lengths (11.2).

    weighted: an edge is as long as its cosine distance; else 1 plus a millionth of it, so that of
    paths with the fewest hops the shortest is found and the answer is always the same.
    """
    from scipy.sparse import csr_matrix

    size = len(listed.ids)
    row, column, distance = _edges(listed, k)
    length = np.maximum(distance.astype(np.float64), 1e-12)  # an explicit zero would be no edge
    length = length if weighted else 1 + 1e-6 * length
    return csr_matrix(
        (np.r_[length, length], (np.r_[row, column], np.r_[column, row])), (size, size)
    )


@dataclass(frozen=True)
class Path:
    """The regions from A to B through the graph, both ends included, and the cosine of each
    step.
    """

    regions: tuple[int, ...]
    cosines: tuple[float, ...]

    @property
    def hops(self) -> int:
        return len(self.regions) - 1


def path(
    vectors: Float32[np.ndarray, "K d"],
    listed: Neighbours,
    a: int,
    b: int,
    k: int = DEFAULT_K,
    weighted: bool = False,
) -> Path | None:
    """The shortest path from A to B in the graph of k neighbours; None when no path exists."""
    from scipy.sparse.csgraph import dijkstra

    _, before = dijkstra(graph(listed, k, weighted), indices=a, return_predecessors=True)
    regions = [b]
    while regions[-1] != a:
        if before[regions[-1]] < 0:
            return None
        regions.append(int(before[regions[-1]]))
    regions.reverse()
    cosine = pair_cosines(
        vectors, vectors, np.array(regions[:-1], np.int64), np.array(regions[1:], np.int64)
    )
    return Path(tuple(regions), tuple(np.clip(cosine, -1, 1).tolist()))


def connecting_k(listed: Neighbours, a: int, b: int) -> int | None:
    """The smallest k whose graph holds a path from A to B; None when none up to 32 does."""
    from scipy.sparse.csgraph import connected_components

    for k in range(1, listed.ids.shape[1] + 1):
        _, label = connected_components(graph(listed, k), directed=False)
        if label[a] == label[b]:
            return k
    return None
