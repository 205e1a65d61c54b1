"""What the tokens of regions have in common, and what sets them apart from their nearest regions.

A `Slot` counts the tokens at one place: the marked tokens of the members, those that follow and
those in front. `contrast` compares the counts of each region with those of its neighbours.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ep.method.dictionary import Dictionary
from ep.shapes import Float64, Int64, Integer, Num
from ep.studies.whole_words import fold, of_passages
from ep.studies.wording import events, pairs_of

PRIOR = 20.0
"""Weight of the prior, in members.

It outweighs the counts of a token that has been seen less often than that.
"""
CLEAR = 1.96
"""z from which a token sets a region apart from its neighbours: the two-sided 5 % point."""
FEW_PRIOR = 5.0
"""The same weight for the counts of excerpts, of which a region has two dozen at most."""
BLOCK = 2048
"""Regions compared at a time, which bounds the memory of `contrast`."""


@dataclass(frozen=True)
class Slot:
    """The tokens at one place relative to the marked token, over all regions.

    ids: (K, m) token ids, −1 for none.
    share: (K, m) share of the region's members with that token there, in [0, 1].
    z: (K, m) how far that exceeds its frequency among the members of the nearest regions, in
        standard errors.
    """

    ids: Integer[np.ndarray, "K m"]
    share: Float64[np.ndarray, "K m"]
    z: Float64[np.ndarray, "K m"]

    def best(
        self, least: float, n: int = 1, clear: float = CLEAR, always: float = np.inf
    ) -> Int64[np.ndarray, "K n"]:
        """Return up to n of the clearest tokens (K, n) of each region, −1 where none qualifies.

        least, clear: smallest share and z that a token must have. always: share from which it
        qualifies even where the nearest regions have it as often.
        """
        qualifies = (self.share >= least) & (self.z >= clear) | (self.share >= always)
        worth = np.maximum(self.z, 0.1) * self.share
        return self._first(np.where((self.ids >= 0) & qualifies, -worth, np.inf), n)

    def clearest(self, least: float = 0.0) -> Int64[np.ndarray, "K h"]:
        """Return up to two tokens (K, 2) more frequent here than around, the clearest first.

        least: smallest share that a token must have.
        """
        listed = (self.ids >= 0) & (self.z > 0) & (self.share >= least)
        return self._first(np.where(listed, -self.z, np.inf), 2)

    def _first(self, cost: Float64[np.ndarray, "K m"], n: int) -> Int64[np.ndarray, "K h"]:
        """Return the ids (K, n) of least cost, −1 where the cost is infinite."""
        order = np.argsort(cost, axis=1, kind="stable")[:, :n]
        listed = np.isfinite(np.take_along_axis(cost, order, 1))
        return np.where(listed, np.take_along_axis(self.ids, order, 1), -1).astype(np.int64)


def contrast(
    ids: Integer[np.ndarray, "K m"],
    counts: Num[np.ndarray, "K m"],
    nearest: Integer[np.ndarray, "K r"],
    weight: float = PRIOR,
) -> Float64[np.ndarray, "K m"]:
    """Return how far the frequency of each token exceeds that in the nearest regions.

    ids, counts: (K, m) tokens of each region and how often each occurs; −1 for none.
    nearest: (K, r) ids of the nearest regions, −1 for none.
    weight: of the prior, in members.

    The result (K, m) is in standard errors: the log-odds ratio with an informative Dirichlet prior
    (Monroe, Colaresi, Quinn 2008). The prior is the token's share in the whole dictionary, worth
    `weight` members. Lists contain the most frequent tokens only, and a token that is not in a
    region's list counts as absent there.
    """
    counts = np.where(ids >= 0, counts, 0).astype(np.float64)
    total = counts.sum(axis=1)
    vocabulary, column = np.unique(ids, return_inverse=True)
    frequency = np.bincount(column.ravel(), counts.ravel(), len(vocabulary))
    prior = (weight * frequency / max(1.0, frequency.sum()))[column.reshape(ids.shape)] + 0.01
    z = np.empty(ids.shape)
    for start in range(0, len(ids), BLOCK):
        rows = slice(start, start + BLOCK)
        neighbours = nearest[rows]
        present = neighbours >= 0
        neighbour_counts = np.where(present[:, :, None], counts[neighbours], 0)
        # same[k, m, r, j]: token m of region k is token j of its neighbour r
        same = ids[rows][:, :, None, None] == ids[neighbours][:, None]
        pooled = np.einsum("kmrj,krj->km", same, neighbour_counts)
        pooled_total = np.where(present, total[neighbours], 0).sum(axis=1)
        z[rows] = _log_odds(counts[rows], total[rows], pooled, pooled_total, prior[rows], weight)
    return z


def apart(
    group: Integer[np.ndarray, " K"],
    ids: Integer[np.ndarray, "K m"],
    counts: Num[np.ndarray, "K m"],
    weight: float = PRIOR,
) -> tuple[Int64[np.ndarray, " v"], Float64[np.ndarray, "G v"]]:
    """Return how far the frequency of each token in a group exceeds that in all other groups.

    group: (K,) group of each region.
    ids, counts: (K, m) tokens of each region and how often each occurs; −1 for none.
    weight: of the prior, as in `contrast`.

    The result is (token ids (v,), z (G, v)), in standard errors as in `contrast`.
    """
    vocabulary, column = np.unique(ids[ids >= 0], return_inverse=True)
    groups = np.broadcast_to(group[:, None], ids.shape)[ids >= 0]
    inside = np.zeros((int(group.max(initial=-1)) + 1, len(vocabulary)))
    np.add.at(inside, (groups, column), counts[ids >= 0])
    frequency, total = inside.sum(axis=0), inside.sum(axis=1)
    prior = weight * frequency / max(1.0, frequency.sum()) + 0.01
    outside = frequency - inside
    priors = np.broadcast_to(prior, inside.shape)
    z = _log_odds(inside, total, outside, total.sum() - total, priors, weight)
    return vocabulary.astype(np.int64), np.where(inside > 0, z, -np.inf)


def _log_odds(
    counts: Float64[np.ndarray, "k m"],
    total: Float64[np.ndarray, " k"],
    pooled: Float64[np.ndarray, "k m"],
    pooled_total: Float64[np.ndarray, " k"],
    prior: Float64[np.ndarray, "k m"],
    weight: float = PRIOR,
) -> Float64[np.ndarray, "k m"]:
    """Return the z of each token for one block of regions, see `contrast`."""

    def odds(count: np.ndarray, members: np.ndarray) -> np.ndarray:
        return np.log(count + prior) - np.log(np.maximum(members[:, None] - count, 0) + weight)

    return (odds(counts, total) - odds(pooled, pooled_total)) / np.sqrt(
        1 / (counts + prior) + 1 / (pooled + prior)
    )


# -- tokens in the file ----------------------------------------------------------------------------


def slots(dictionary: Dictionary) -> dict[str, Slot]:
    """Return the slots "token", "next" and "before" that a file has data for.

    Members are preferred as the source, then excerpts. The ids of "before" are numbers of
    `whole_words.of_passages`: the word in front of the one to which the marked token belongs.
    """
    result, nearest = {}, nearest_of(dictionary)
    for name, shift in (("token", 0), ("next", 1)):
        if f"{name}_ids" in dictionary:
            ids, counts = dictionary.column(f"{name}_ids"), dictionary.column(f"{name}_counts")
            result[name] = slot_of(ids, counts, dictionary.members, nearest)
        elif _has_text(dictionary):
            result[name] = slot_of(*_around(dictionary, shift), nearest)
    if _has_text(dictionary) and (spelled := of_passages(dictionary)) is not None:
        region, first, index = events(dictionary)
        place = spelled.first[index] - 1
        inside = place >= first
        words = fold(spelled)[spelled.of_token[place[inside]]]
        counted = table(region[inside], words, len(dictionary))
        result["before"] = slot_of(*counted, nearest, FEW_PRIOR)
    return result


def slot_of(
    ids: Integer[np.ndarray, "K m"],
    counts: Num[np.ndarray, "K m"],
    members: Num[np.ndarray, " K"],
    nearest: Integer[np.ndarray, "K r"],
    weight: float = PRIOR,
) -> Slot:
    """Return a slot from tokens, their counts and the number of members of each region.

    weight: of the prior, as in `contrast`.
    """
    share = np.where(ids >= 0, counts, 0) / np.maximum(1, members)[:, None]
    return Slot(ids, np.minimum(share, 1.0), contrast(ids, counts, nearest, weight))


def nearest_of(dictionary: Dictionary) -> Integer[np.ndarray, "K r"]:
    """Return each region's nearest regions, −1 for none."""
    if "nearest_ids" in dictionary:
        return dictionary.column("nearest_ids")
    return np.full((len(dictionary), 1), -1)


def _has_text(dictionary: Dictionary) -> bool:
    """Return whether the file stores the tokens around the marked ones of its excerpts."""
    return all(name in dictionary for name in ("excerpt_offsets", "passage_ids", "passage_tokens"))


def _around(dictionary: Dictionary, shift: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the tokens at `shift` places from the marked ones in all excerpts, as `table`."""
    region, first, index = events(dictionary)
    starts = dictionary.column("passage_offsets")
    stop = starts[np.searchsorted(starts, index, side="right")]
    index = index + shift
    inside = (index >= first) & (index < stop)
    tokens = dictionary.column("passage_tokens")[index[inside]].astype(np.int64)
    return table(region[inside], tokens, len(dictionary))


def table(
    region: Int64[np.ndarray, " n"], item: Int64[np.ndarray, " n"], size: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the most frequent items of each region.

    The result is (ids (K, m), −1 for none, counts (K, m), number of events of each region (K,)).
    """
    pairs, counts = pairs_of(region, item)
    order = np.lexsort((pairs[1], -counts, pairs[0]))
    pairs, counts = pairs[:, order], counts[order]
    # rows are sorted by region, so a row's rank is its distance from the region's first row
    rank = np.arange(len(counts)) - np.searchsorted(pairs[0], pairs[0])
    stored = rank < STORED
    ids, table = np.full((size, STORED), -1, np.int64), np.zeros((size, STORED), np.int64)
    ids[pairs[0][stored], rank[stored]] = pairs[1][stored]
    table[pairs[0][stored], rank[stored]] = counts[stored]
    return ids, table, np.bincount(region, minlength=size)


STORED = 10
"""Tokens that are stored of each region, as in files that store the counts of members."""
