"""Automatic labels: a few quoted tokens that set a region apart from its nearest regions. No key,
no model, no network.

A label says what it is made of: `" am" → " sorry"` is a token of the region's members and the one
that follows it, `"ance" after " bal"` the one in front, `lens " Paris"` a token its exemplar
promotes, `in texts with " bomb"` a token of the text before, `texts with "harbour"` a word of a
text stored without tokens. What a file does not hold is done without; where nothing is known there
remains the number.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from threading import Lock
from weakref import WeakKeyDictionary

import numpy as np
from jaxtyping import Bool, Float64, Int64, Integer, Num

from ep.method.dictionary import Dictionary
from ep.studies.wording import context, pairs_of, words
from ep.text import segments, shorten

PRIOR = 20.0
"""Weight of the prior, in members: a token must be seen this often before its own counts speak
louder.
"""
CLEAR = 1.96
"""z above which a token sets a region apart from its neighbours: the two-sided 5 % point."""
HEADS, HEAD_SHARE, SIDE_SHARE = 3, 0.1, 0.25
LONGEST_TOKEN = 24
WORDED = "texts with "
"""How the label of a region begins whose texts are known, but not their tokens."""
BLOCK = 2048

_kept: WeakKeyDictionary[Dictionary, tuple[str, ...]] = WeakKeyDictionary()
_lock = Lock()


@dataclass(frozen=True)
class Slot:
    """One place around the marked token, over all regions.

    ids: (K, m) token ids, −1 for none. share: (K, m) share of the region's members with that token
    there, in [0, 1].
    z: (K, m) how clearly that is more than among the members of the nearest regions, in standard
    errors.
    """

    ids: Integer[np.ndarray, "K m"]
    share: Float64[np.ndarray, "K m"]
    z: Float64[np.ndarray, "K m"]

    def best(self, least: float) -> Int64[np.ndarray, " K"]:
        """The clearest token of each region that has at least this share and is clear at all; −1
        where none is.
        """
        fits = (self.ids >= 0) & (self.share >= least) & (self.z >= CLEAR)
        at = np.argmax(np.where(fits, self.z * self.share, -np.inf), axis=1)
        return np.where(
            fits.any(axis=1), np.take_along_axis(self.ids, at[:, None], 1)[:, 0], -1
        ).astype(np.int64)

    def heads(self) -> Int64[np.ndarray, "K h"]:
        """Up to `HEADS` tokens that make up a region: the frequent ones, most frequent first, one
        at least.
        """
        often = (self.ids >= 0) & (self.share >= HEAD_SHARE)
        often[:, :1] = self.ids[:, :1] >= 0
        return self._first(np.where(often, -self.share, np.inf), HEADS)

    def clearest(self) -> Int64[np.ndarray, "K h"]:
        """Up to two tokens that are more frequent here than around, the clearest first."""
        return self._first(np.where((self.ids >= 0) & (self.z > 0), -self.z, np.inf), 2)

    def _first(self, cost: Float64[np.ndarray, "K m"], n: int) -> Int64[np.ndarray, "K h"]:
        order = np.argsort(cost, axis=1, kind="stable")[:, :n]
        fits = np.isfinite(np.take_along_axis(cost, order, 1))
        return np.where(fits, np.take_along_axis(self.ids, order, 1), -1).astype(np.int64)


def automatic(dictionary: Dictionary, regions: Sequence[int] | None = None) -> list[str]:
    """The automatic label of every region, or of the given ones, in their order. Same file, same
    labels.

    Members' tokens and next tokens from the stored counts (the ten most frequent of each), the
    token in front from the excerpts; each compared with the pooled members of the region's nearest
    regions. Seconds for 20,000 regions known by their texts alone: all of them are named at the
    first call and kept as long as the dictionary is.
    """
    with _lock:  # who comes second waits for the first, and finds the names
        if (names := _kept.get(dictionary)) is None:
            names = _kept[dictionary] = tuple(_names(dictionary))
    return list(names) if regions is None else [names[dictionary.check(k)] for k in regions]


def is_named(dictionary: Dictionary) -> bool:
    """Whether `automatic` answers at once."""
    return dictionary in _kept


def numbered(region: int) -> str:
    """What a region is called of which nothing is known."""
    return f"region {region}"


def is_numbered(name: str) -> bool:
    """Whether a name is only a region's number, with a space of any width before it."""
    return name.split()[:1] == ["region"] and "".join(name.split()[1:]).isdecimal()


def distinct(names: Sequence[str]) -> float:
    """The share of labels, in [0, 1], that no other region has."""
    if not names:
        return 1.0
    _, counts = np.unique(np.asarray(names, object).astype(str), return_counts=True)
    return float((counts == 1).sum() / len(names))


def contrast(
    ids: Integer[np.ndarray, "K m"],
    counts: Num[np.ndarray, "K m"],
    nearest: Integer[np.ndarray, "K r"],
) -> Float64[np.ndarray, "K m"]:
    """How clearly each token is more frequent in a region than in its nearest ones, in standard
    errors.

    Log-odds ratio with an informative Dirichlet prior (Monroe, Colaresi, Quinn 2008): the prior is
    the whole dictionary's share of the token, worth `PRIOR` members. nearest: −1 for none. Tokens a
    region's own list of the most frequent leaves out count as not seen there.
    """
    counts = np.where(ids >= 0, counts, 0).astype(np.float64)
    total = counts.sum(axis=1)
    vocabulary, column = np.unique(ids, return_inverse=True)
    overall = np.bincount(column.ravel(), counts.ravel(), len(vocabulary))
    prior = (PRIOR * overall / max(1.0, overall.sum()))[column.reshape(ids.shape)] + 0.01
    z = np.empty(ids.shape)
    for start in range(0, len(ids), BLOCK):
        rows = slice(start, start + BLOCK)
        around = nearest[rows]
        there = around >= 0
        theirs = np.where(there[:, :, None], counts[around], 0)
        same = ids[rows][:, :, None, None] == ids[around][:, None]
        rival = np.einsum("kmrj,krj->km", same, theirs)
        rivals = np.where(there, total[around], 0).sum(axis=1)
        z[rows] = _log_odds(counts[rows], total[rows], rival, rivals, prior[rows])
    return z


def _log_odds(
    own: Float64[np.ndarray, "k m"],
    total: Float64[np.ndarray, " k"],
    rival: Float64[np.ndarray, "k m"],
    rivals: Float64[np.ndarray, " k"],
    prior: Float64[np.ndarray, "k m"],
) -> Float64[np.ndarray, "k m"]:
    def odds(count: np.ndarray, of: np.ndarray) -> np.ndarray:
        return np.log(count + prior) - np.log(np.maximum(of[:, None] - count, 0) + PRIOR)

    return (odds(own, total) - odds(rival, rivals)) / np.sqrt(
        1 / (own + prior) + 1 / (rival + prior)
    )


# -- what a file holds -----------------------------------------------------------------------------


def slots(dictionary: Dictionary) -> dict[str, Slot]:
    """The slots "token", "next" and "before", those a file can fill: from the members, else from
    the excerpts.
    """
    found = {}
    nearest = _nearest(dictionary)
    for name, shift in (("before", -1), ("token", 0), ("next", 1)):
        if f"{name}_ids" in dictionary:
            ids, counts = dictionary.column(f"{name}_ids"), dictionary.column(f"{name}_counts")
            found[name] = _slot(ids, counts, dictionary.members, nearest)
        elif (read := _around(dictionary, shift)) is not None:
            found[name] = _slot(*read, nearest)
    return found


def _slot(
    ids: Integer[np.ndarray, "K m"],
    counts: Num[np.ndarray, "K m"],
    members: Num[np.ndarray, " K"],
    nearest: Integer[np.ndarray, "K r"],
) -> Slot:
    share = np.where(ids >= 0, counts, 0) / np.maximum(1, members)[:, None]
    return Slot(ids, np.minimum(share, 1.0), contrast(ids, counts, nearest))


def _nearest(dictionary: Dictionary) -> Integer[np.ndarray, "K r"]:
    if "nearest_ids" in dictionary:
        return dictionary.column("nearest_ids")
    return np.full((len(dictionary), 1), -1)


def _around(dictionary: Dictionary, shift: int) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """(ids (K, m), counts (K, m), excerpts (K,)) of the tokens `shift` places from the marked ones
    of all excerpts.
    """
    if not all(name in dictionary for name in _TEXT):
        return None
    offsets, size = dictionary.column("passage_offsets"), len(dictionary)
    row = np.searchsorted(dictionary.column("passage_ids"), dictionary.column("excerpt_passage"))
    at = offsets[row] + dictionary.column("excerpt_position") + shift
    region = np.repeat(np.arange(size), np.diff(dictionary.column("excerpt_offsets")))
    inside = (at >= offsets[row]) & (at < offsets[row + 1])
    events, _ = pairs_of(region[inside], at[inside])
    tokens = dictionary.column("passage_tokens")[events[1]].astype(np.int64)
    pairs, counts = pairs_of(events[0], tokens)
    order = np.lexsort((pairs[1], -counts, pairs[0]))
    pairs, counts = pairs[:, order], counts[order]
    place = np.arange(len(counts)) - np.searchsorted(pairs[0], pairs[0])
    kept = place < _KEPT
    ids, table = np.full((size, _KEPT), -1, np.int64), np.zeros((size, _KEPT), np.int64)
    ids[pairs[0][kept], place[kept]] = pairs[1][kept]
    table[pairs[0][kept], place[kept]] = counts[kept]
    return ids, table, np.bincount(events[0], minlength=size)


_TEXT = ("excerpt_offsets", "passage_ids", "passage_tokens")
_KEPT = 10


# -- the words -------------------------------------------------------------------------------------


def _names(dictionary: Dictionary) -> list[str]:
    size = len(dictionary)
    found = slots(dictionary)
    none = np.full(size, -1, np.int64)
    heads = found["token"].heads() if "token" in found else none[:, None]
    after = found["next"].best(SIDE_SHARE) if "next" in found else none
    before = found["before"].best(2 * SIDE_SHARE) if "before" in found else none
    lens = (
        dictionary.column("lens_exemplar_up_ids")[:, :HEADS].astype(np.int64)
        if _lens(dictionary)
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
        for k, (name, by_words) in enumerate(zip(names, _words(dictionary), strict=True))
    ]
    return _placed(dictionary, _told_apart(names, lens.tolist(), quote), quote)


def _lens(dictionary: Dictionary) -> bool:
    return "lens_exemplar_up_ids" in dictionary


def _words(dictionary: Dictionary) -> list[str]:
    """A name from the words of the excerpts' texts, for every region; empty where there are
    none.
    """
    if (read := words(dictionary)) is None:
        return [""] * len(dictionary)
    vocabulary, ids, counts = read
    chosen = _slot(ids, counts, np.maximum(1, counts.max(axis=1)), _nearest(dictionary)).clearest()
    return [
        f"{WORDED}{' / '.join(quoted)}"
        if (quoted := [f'"{vocabulary[i]}"' for i in row if i >= 0])
        else ""
        for row in chosen.tolist()
    ]


class _Quotes:
    """Token ids as quoted text on one line, each spelled once."""

    def __init__(self, dictionary: Dictionary) -> None:
        self._dictionary = dictionary
        self._known: dict[int, str] = {}

    def __call__(self, token: int) -> str:
        if token not in self._known:
            piece = shorten(self._dictionary.piece(token), LONGEST_TOKEN)
            text = "".join(segment.text for segment in segments(piece, spaces=not piece.strip(" ")))
            self._known[token] = f'"{text}"'
        return self._known[token]

    def label(self, heads: list[int], after: int, before: int, lens: list[int]) -> str:
        """The label of one region; empty when nothing is known of it."""
        tokens = " / ".join(self(token) for token in heads if token >= 0)
        if not tokens:
            promoted = " ".join(self(token) for token in lens if token >= 0)
            return f"lens {promoted}" if promoted else ""
        if before >= 0:
            tokens = f"{tokens} after {self(before)}"
        return f"{tokens} → {self(after)}" if after >= 0 else tokens


def _shared(names: list[str]) -> Bool[np.ndarray, " K"]:
    """Which regions have a label another region has too."""
    _, place, counts = np.unique(
        np.asarray(names, object).astype(str), return_inverse=True, return_counts=True
    )
    return counts[place] > 1


def _told_apart(names: list[str], lens: list[list[int]], quote: _Quotes) -> list[str]:
    """Labels several regions share get the first lens token, where that says something new."""
    out = []
    for name, promoted, shared in zip(names, lens, _shared(names).tolist(), strict=True):
        new = next(
            (quote(token) for token in promoted if token >= 0 and quote(token) not in name), ""
        )
        out.append(f"{name}, lens {new}" if shared and new else name)
    return out


def _placed(dictionary: Dictionary, names: list[str], quote: _Quotes) -> list[str]:
    """Labels still shared get one or two tokens of the text before, more frequent here than
    around.
    """
    shared, nearest = _shared(names) if names else np.zeros(0, bool), _nearest(dictionary)
    wanted = shared.copy()
    wanted[nearest[shared][nearest[shared] >= 0]] = True
    if not shared.any() or (read := context(dictionary, wanted)) is None:
        return names
    clear = _slot(*read, np.maximum(1, read[1].max(axis=1)), nearest).clearest().tolist()
    out = []
    for name, tokens, needed in zip(names, clear, shared.tolist(), strict=True):
        quoted = " / ".join(quote(token) for token in tokens if token >= 0)
        out.append(f"{name}, in texts with {quoted}" if needed and quoted else name)
    return out
