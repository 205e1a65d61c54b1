"""What the tokens of regions have in common, and what sets them apart from their nearest regions.

A `Slot` counts the tokens at one place: the marked tokens of the members, those that follow and
those in front. `contrast` compares the counts of each region with those of its neighbours.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ep.method.dictionary import Dictionary
from ep.shapes import Bool, Float64, Int64, Integer, Num
from ep.studies.wording import pairs_of

PRIOR = 20.0
"""Weight of the prior, in members.

It outweighs the counts of a token that has been seen less often than that.
"""
CLEAR = 1.96
"""z from which a token sets a region apart from its neighbours: the two-sided 5 % point."""
HEADS, HEAD_SHARE, DOMINANT = 3, 0.1, 0.25
"""Most tokens at the head of a label, and two shares of members.

A token below HEAD_SHARE is no head, except where no token reaches DOMINANT. One that reaches it is
a head even where the nearest regions have it more often.
"""
_LAST = 1e6
"""Added to the cost of a token that is used only where there is no better one."""
BLOCK = 2048
"""Regions compared at a time, which bounds the memory of `contrast`."""


@dataclass(frozen=True)
class Spelling:
    """How token ids are written.

    ids: (v,) distinct ids, rising, −1 among them.
    fold: (v,) a number that tokens share which differ in case and surrounding spaces only.
    is_word: (v,) whether the token is a whole word: a space and at least two letters.
    """

    ids: Int64[np.ndarray, " v"]
    fold: Int64[np.ndarray, " v"]
    is_word: Bool[np.ndarray, " v"]

    @classmethod
    def of(cls, dictionary: Dictionary, ids: Integer[np.ndarray, "K m"]) -> Spelling:
        """Return how the given tokens are written."""
        distinct = np.unique(np.append(ids, -1)).astype(np.int64)
        pieces = [dictionary.piece(token) for token in distinct.tolist()]
        number: dict[str, int] = {}
        folded = [piece.strip(" ").lower() or piece for piece in pieces]
        fold = [number.setdefault(text, len(number)) for text in folded]
        is_word = [piece[:1] == " " and len(piece) > 2 and piece[1:].isalpha() for piece in pieces]
        return cls(distinct, np.array(fold), np.array(is_word))

    def row(self, ids: Integer[np.ndarray, "K m"]) -> Int64[np.ndarray, "K m"]:
        """Return the places (K, m) of ids in `ids`."""
        return np.searchsorted(self.ids, ids)


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

    def best(self, least: float) -> Int64[np.ndarray, " K"]:
        """Return the clearest token (K,) of each region, −1 where none qualifies.

        least: smallest share that a token must have; its z must reach `CLEAR`.
        """
        qualifies = (self.ids >= 0) & (self.share >= least) & (self.z >= CLEAR)
        column = np.argmax(np.where(qualifies, self.z * self.share, -np.inf), axis=1)
        return np.where(
            qualifies.any(axis=1), np.take_along_axis(self.ids, column[:, None], 1)[:, 0], -1
        ).astype(np.int64)

    def heads(self, spelling: Spelling) -> Int64[np.ndarray, "K h"]:
        """Return up to `HEADS` tokens (K, h) that describe each region, −1 for none.

        They are the most frequent ones that the nearest regions have less often; tokens that differ
        in case or surrounding spaces only count as one. Where members have many different tokens,
        whole words come first. Every region with a token gets at least one.
        """
        present, fold = self.ids >= 0, spelling.fold[spelling.row(self.ids)]
        alike = (fold[:, :, None] == fold[:, None]) & present[:, :, None] & present[:, None]
        share = np.where(alike, self.share[:, None], 0).sum(axis=2)
        is_repeated = np.tril(alike, -1).any(axis=2)
        is_varied = (share.max(axis=1) < DOMINANT)[:, None]
        is_head = (share >= HEAD_SHARE) | is_varied
        is_head &= ((self.z > 0) | (share >= DOMINANT)) & present & ~is_repeated
        is_head[:, 0] |= present[:, 0] & ~is_head.any(axis=1)
        is_piece = is_varied & ~spelling.is_word[spelling.row(self.ids)]
        return self._first(np.where(is_head, is_piece - share, np.inf), HEADS)

    def clearest(
        self, preferred: Bool[np.ndarray, "K m"] | None = None
    ) -> Int64[np.ndarray, "K h"]:
        """Return up to two tokens (K, 2) more frequent here than around, the clearest first.

        preferred: (K, m) tokens that come before all others.
        """
        cost = -self.z if preferred is None else np.where(preferred, -self.z, -self.z + _LAST)
        return self._first(np.where((self.ids >= 0) & (self.z > 0), cost, np.inf), 2)

    def _first(self, cost: Float64[np.ndarray, "K m"], n: int) -> Int64[np.ndarray, "K h"]:
        """Return the ids (K, n) of least cost, −1 where the cost is infinite."""
        order = np.argsort(cost, axis=1, kind="stable")[:, :n]
        listed = np.isfinite(np.take_along_axis(cost, order, 1))
        return np.where(listed, np.take_along_axis(self.ids, order, 1), -1).astype(np.int64)


def contrast(
    ids: Integer[np.ndarray, "K m"],
    counts: Num[np.ndarray, "K m"],
    nearest: Integer[np.ndarray, "K r"],
) -> Float64[np.ndarray, "K m"]:
    """Return how far the frequency of each token exceeds that in the nearest regions.

    ids, counts: (K, m) tokens of each region and how often each occurs; −1 for none.
    nearest: (K, r) ids of the nearest regions, −1 for none.

    The result (K, m) is in standard errors: the log-odds ratio with an informative Dirichlet prior
    (Monroe, Colaresi, Quinn 2008). The prior is the token's share in the whole dictionary, worth
    `PRIOR` members. Lists contain the most frequent tokens only, and a token that is not in a
    region's list counts as absent there.
    """
    counts = np.where(ids >= 0, counts, 0).astype(np.float64)
    total = counts.sum(axis=1)
    vocabulary, column = np.unique(ids, return_inverse=True)
    frequency = np.bincount(column.ravel(), counts.ravel(), len(vocabulary))
    prior = (PRIOR * frequency / max(1.0, frequency.sum()))[column.reshape(ids.shape)] + 0.01
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
        z[rows] = _log_odds(counts[rows], total[rows], pooled, pooled_total, prior[rows])
    return z


def apart(
    group: Integer[np.ndarray, " K"],
    ids: Integer[np.ndarray, "K m"],
    counts: Num[np.ndarray, "K m"],
) -> tuple[Int64[np.ndarray, " v"], Float64[np.ndarray, "G v"]]:
    """Return how far the frequency of each token in a group exceeds that in all other groups.

    group: (K,) group of each region.
    ids, counts: (K, m) tokens of each region and how often each occurs; −1 for none.

    The result is (token ids (v,), z (G, v)), in standard errors as in `contrast`.
    """
    vocabulary, column = np.unique(ids[ids >= 0], return_inverse=True)
    groups = np.broadcast_to(group[:, None], ids.shape)[ids >= 0]
    inside = np.zeros((int(group.max(initial=-1)) + 1, len(vocabulary)))
    np.add.at(inside, (groups, column), counts[ids >= 0])
    frequency, total = inside.sum(axis=0), inside.sum(axis=1)
    prior = PRIOR * frequency / max(1.0, frequency.sum()) + 0.01
    outside = frequency - inside
    z = _log_odds(inside, total, outside, total.sum() - total, np.broadcast_to(prior, inside.shape))
    return vocabulary.astype(np.int64), np.where(inside > 0, z, -np.inf)


def _log_odds(
    counts: Float64[np.ndarray, "k m"],
    total: Float64[np.ndarray, " k"],
    pooled: Float64[np.ndarray, "k m"],
    pooled_total: Float64[np.ndarray, " k"],
    prior: Float64[np.ndarray, "k m"],
) -> Float64[np.ndarray, "k m"]:
    """Return the z of each token for one block of regions, see `contrast`."""

    def odds(count: np.ndarray, members: np.ndarray) -> np.ndarray:
        return np.log(count + prior) - np.log(np.maximum(members[:, None] - count, 0) + PRIOR)

    return (odds(counts, total) - odds(pooled, pooled_total)) / np.sqrt(
        1 / (counts + prior) + 1 / (pooled + prior)
    )


# -- tokens in the file ----------------------------------------------------------------------------


def slots(dictionary: Dictionary) -> dict[str, Slot]:
    """Return the slots "token", "next" and "before" that a file has data for.

    Members are preferred as the source, then excerpts.
    """
    result = {}
    nearest = nearest_of(dictionary)
    for name, shift in (("before", -1), ("token", 0), ("next", 1)):
        if f"{name}_ids" in dictionary:
            ids, counts = dictionary.column(f"{name}_ids"), dictionary.column(f"{name}_counts")
            result[name] = slot_of(ids, counts, dictionary.members, nearest)
        elif (counted := _around(dictionary, shift)) is not None:
            result[name] = slot_of(*counted, nearest)
    return result


def slot_of(
    ids: Integer[np.ndarray, "K m"],
    counts: Num[np.ndarray, "K m"],
    members: Num[np.ndarray, " K"],
    nearest: Integer[np.ndarray, "K r"],
) -> Slot:
    """Return a slot from tokens, their counts and the number of members of each region."""
    share = np.where(ids >= 0, counts, 0) / np.maximum(1, members)[:, None]
    return Slot(ids, np.minimum(share, 1.0), contrast(ids, counts, nearest))


def nearest_of(dictionary: Dictionary) -> Integer[np.ndarray, "K r"]:
    """Return each region's nearest regions, −1 for none."""
    if "nearest_ids" in dictionary:
        return dictionary.column("nearest_ids")
    return np.full((len(dictionary), 1), -1)


def _around(dictionary: Dictionary, shift: int) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """Return the tokens at `shift` places from the marked ones in all excerpts.

    The result is (ids (K, m), counts (K, m), number of excerpts (K,)), or None without stored text.
    """
    if not all(name in dictionary for name in _TEXT_ARRAYS):
        return None
    offsets, size = dictionary.column("passage_offsets"), len(dictionary)
    row = np.searchsorted(dictionary.column("passage_ids"), dictionary.column("excerpt_passage"))
    index = offsets[row] + dictionary.column("excerpt_position") + shift
    region = np.repeat(np.arange(size), np.diff(dictionary.column("excerpt_offsets")))
    inside = (index >= offsets[row]) & (index < offsets[row + 1])
    # an excerpt stored in two bands of a region counts once
    events, _ = pairs_of(region[inside], index[inside])
    tokens = dictionary.column("passage_tokens")[events[1]].astype(np.int64)
    pairs, counts = pairs_of(events[0], tokens)
    order = np.lexsort((pairs[1], -counts, pairs[0]))
    pairs, counts = pairs[:, order], counts[order]
    # rows are sorted by region, so a row's rank is its distance from the region's first row
    rank = np.arange(len(counts)) - np.searchsorted(pairs[0], pairs[0])
    stored = rank < _STORED
    ids, table = np.full((size, _STORED), -1, np.int64), np.zeros((size, _STORED), np.int64)
    ids[pairs[0][stored], rank[stored]] = pairs[1][stored]
    table[pairs[0][stored], rank[stored]] = counts[stored]
    return ids, table, np.bincount(events[0], minlength=size)


_TEXT_ARRAYS = ("excerpt_offsets", "passage_ids", "passage_tokens")
_STORED = 10
