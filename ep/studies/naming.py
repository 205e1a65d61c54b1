"""Automatic labels: a few quoted tokens that set a region apart from its nearest regions.

They need no key, model or network. A label says where its tokens come from: `" am" → " sorry"` is a
token of the region's members and the one that follows it, `"ance" after " bal"` has the one in
front, `lens " Paris"` is a token that the exemplar promotes, `in texts with " bomb"` has a token of
the text before, and `texts with "harbour"` a word of texts that are stored without tokens. Where a
file lacks some of these, the others are used; where it has none, the label is the region's number.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from threading import Lock
from weakref import WeakKeyDictionary

import numpy as np

from ep.method.dictionary import Dictionary
from ep.shapes import Bool, Float64, Int64, Integer, Num
from ep.studies.wording import context, pairs_of, words
from ep.text import segments, shorten

PRIOR = 20.0
"""Weight of the prior, in members.

It outweighs the counts of a token that has been seen less often than that.
"""
CLEAR = 1.96
"""z from which a token sets a region apart from its neighbours: the two-sided 5 % point."""
HEADS, HEAD_SHARE, SIDE_SHARE = 3, 0.1, 0.25
"""Most tokens at the head of a label, and the smallest shares of members that a token must have.

HEAD_SHARE is for further tokens at the head, SIDE_SHARE for the token that follows; the one in
front needs twice SIDE_SHARE.
"""
LONGEST_TOKEN = 24
"""Most characters of a quoted token."""
WORDED = "texts with "
"""Beginning of the label of a region whose texts are known but not their tokens."""
BLOCK = 2048
"""Regions compared at a time, which bounds the memory of `contrast`."""

_cache: WeakKeyDictionary[Dictionary, tuple[str, ...]] = WeakKeyDictionary()
_lock = Lock()


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

    def heads(self) -> Int64[np.ndarray, "K h"]:
        """Return up to `HEADS` of the most frequent tokens (K, h) of each region, −1 for none.

        Every region with a token gets at least one.
        """
        is_head = (self.ids >= 0) & (self.share >= HEAD_SHARE)
        is_head[:, :1] = self.ids[:, :1] >= 0
        return self._first(np.where(is_head, -self.share, np.inf), HEADS)

    def clearest(self) -> Int64[np.ndarray, "K h"]:
        """Return up to two tokens (K, 2) more frequent here than around, the clearest first."""
        return self._first(np.where((self.ids >= 0) & (self.z > 0), -self.z, np.inf), 2)

    def _first(self, cost: Float64[np.ndarray, "K m"], n: int) -> Int64[np.ndarray, "K h"]:
        """Return the ids (K, n) of least cost, −1 where the cost is infinite."""
        order = np.argsort(cost, axis=1, kind="stable")[:, :n]
        listed = np.isfinite(np.take_along_axis(cost, order, 1))
        return np.where(listed, np.take_along_axis(self.ids, order, 1), -1).astype(np.int64)


def automatic(dictionary: Dictionary, regions: Sequence[int] | None = None) -> list[str]:
    """Return the automatic label of every region, or of the given ones in their order.

    The same file always gives the same labels. They are made from the stored counts of members'
    tokens and next tokens (the ten most frequent of each) and from the tokens in front in the
    excerpts, each compared with the pooled members of the region's nearest regions.

    The first call names all regions, which may take seconds for 20,000 regions known by their texts
    alone. The labels are cached for the life of the dictionary.
    """
    with _lock:  # a second caller waits for the first and then finds the names in the cache
        if (names := _cache.get(dictionary)) is None:
            names = _cache[dictionary] = tuple(_names(dictionary))
    return list(names) if regions is None else [names[dictionary.check(k)] for k in regions]


def is_named(dictionary: Dictionary) -> bool:
    """Return whether the labels are in the cache, so that `automatic` returns immediately."""
    return dictionary in _cache


def numbered(region: int) -> str:
    """Return the label of a region of which nothing is known."""
    return f"region {region}"


def is_numbered(name: str) -> bool:
    """Return whether a label is only a region's number, after a space of any width."""
    return name.split()[:1] == ["region"] and "".join(name.split()[1:]).isdecimal()


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
    nearest = _nearest(dictionary)
    for name, shift in (("before", -1), ("token", 0), ("next", 1)):
        if f"{name}_ids" in dictionary:
            ids, counts = dictionary.column(f"{name}_ids"), dictionary.column(f"{name}_counts")
            result[name] = _slot(ids, counts, dictionary.members, nearest)
        elif (counted := _around(dictionary, shift)) is not None:
            result[name] = _slot(*counted, nearest)
    return result


def _slot(
    ids: Integer[np.ndarray, "K m"],
    counts: Num[np.ndarray, "K m"],
    members: Num[np.ndarray, " K"],
    nearest: Integer[np.ndarray, "K r"],
) -> Slot:
    """Return a slot from tokens, their counts and the number of members of each region."""
    share = np.where(ids >= 0, counts, 0) / np.maximum(1, members)[:, None]
    return Slot(ids, np.minimum(share, 1.0), contrast(ids, counts, nearest))


def _nearest(dictionary: Dictionary) -> Integer[np.ndarray, "K r"]:
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


# -- the words -------------------------------------------------------------------------------------


def _names(dictionary: Dictionary) -> list[str]:
    """Return the labels of all regions."""
    size = len(dictionary)
    filled = slots(dictionary)
    none = np.full(size, -1, np.int64)
    heads = filled["token"].heads() if "token" in filled else none[:, None]
    after = filled["next"].best(SIDE_SHARE) if "next" in filled else none
    before = filled["before"].best(2 * SIDE_SHARE) if "before" in filled else none
    lens = (
        dictionary.column("lens_exemplar_up_ids")[:, :HEADS].astype(np.int64)
        if _has_lens(dictionary)
        else none[:, None]
    )
    quote = _Quotes(dictionary)
    names = [
        quote.label(*parts)
        for parts in zip(
            heads.tolist(), after.tolist(), before.tolist(), lens.tolist(), strict=True
        )
    ]
    names = [
        name or by_words or numbered(k)
        for k, (name, by_words) in enumerate(zip(names, _names_by_words(dictionary), strict=True))
    ]
    return _with_context(dictionary, _disambiguated(names, lens.tolist(), quote), quote)


def _has_lens(dictionary: Dictionary) -> bool:
    """Return whether the file stores the logit lens of the exemplars."""
    return "lens_exemplar_up_ids" in dictionary


def _names_by_words(dictionary: Dictionary) -> list[str]:
    """Return labels from the words of the excerpts, empty where there are none."""
    if (counted := words(dictionary)) is None:
        return [""] * len(dictionary)
    vocabulary, ids, counts = counted
    chosen = _slot(ids, counts, np.maximum(1, counts.max(axis=1)), _nearest(dictionary)).clearest()
    return [
        f"{WORDED}{' / '.join(quoted)}"
        if (quoted := [f'"{vocabulary[i]}"' for i in row if i >= 0])
        else ""
        for row in chosen.tolist()
    ]


class _Quotes:
    """Token ids as quoted text on one line; each id is converted once."""

    def __init__(self, dictionary: Dictionary) -> None:
        self._dictionary = dictionary
        self._cache: dict[int, str] = {}

    def __call__(self, token: int) -> str:
        if token not in self._cache:
            piece = shorten(self._dictionary.piece(token), LONGEST_TOKEN)
            text = "".join(segment.text for segment in segments(piece, spaces=not piece.strip(" ")))
            self._cache[token] = f'"{text}"'
        return self._cache[token]

    def label(self, heads: list[int], after: int, before: int, lens: list[int]) -> str:
        """Return the label of one region, empty when nothing is known of it.

        heads: tokens at the head.
        after, before: the token that follows and the one in front, −1 for none.
        lens: tokens that the exemplar promotes, used where there are no heads.
        """
        tokens = " / ".join(self(token) for token in heads if token >= 0)
        if not tokens:
            promoted = " ".join(self(token) for token in lens if token >= 0)
            return f"lens {promoted}" if promoted else ""
        if before >= 0:
            tokens = f"{tokens} after {self(before)}"
        return f"{tokens} → {self(after)}" if after >= 0 else tokens


def _shared(names: list[str]) -> Bool[np.ndarray, " K"]:
    """Return which regions have a label that another region has too."""
    _, place, counts = np.unique(
        np.asarray(names, object).astype(str), return_inverse=True, return_counts=True
    )
    return counts[place] > 1


def _disambiguated(names: list[str], lens: list[list[int]], quote: _Quotes) -> list[str]:
    """Add to labels that several regions share their first lens token, where that is new."""
    result = []
    for name, promoted, shared in zip(names, lens, _shared(names).tolist(), strict=True):
        new = next(
            (quote(token) for token in promoted if token >= 0 and quote(token) not in name), ""
        )
        result.append(f"{name}, lens {new}" if shared and new else name)
    return result


def _with_context(dictionary: Dictionary, names: list[str], quote: _Quotes) -> list[str]:
    """Add to labels that are still shared one or two tokens of the text before.

    These are tokens more frequent there than around.
    """
    shared, nearest = _shared(names) if names else np.zeros(0, bool), _nearest(dictionary)
    # the neighbours' texts are needed for comparison, whether their labels are shared or not
    wanted = shared.copy()
    wanted[nearest[shared][nearest[shared] >= 0]] = True
    if not shared.any() or (counted := context(dictionary, wanted)) is None:
        return names
    clearest = _slot(*counted, np.maximum(1, counted[1].max(axis=1)), nearest).clearest().tolist()
    result = []
    for name, tokens, is_shared in zip(names, clearest, shared.tolist(), strict=True):
        quoted = " / ".join(quote(token) for token in tokens if token >= 0)
        result.append(f"{name}, in texts with {quoted}" if is_shared and quoted else name)
    return result
