"""What stands at the head of a region's automatic label: the words that its members are.

Heads are chosen from the counts of all members' tokens and from the marked words of the excerpts.
Pieces of a word are shown as the word that they mostly belong to, and forms of one word count
together.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ep.method.dictionary import Dictionary
from ep.shapes import Bool, Float64, Int64, Integer
from ep.studies.contrasting import FEW_PRIOR, Slot, nearest_of, slot_of, table
from ep.studies.whole_words import Words, flags, of_passages
from ep.studies.wording import events, pairs_of

HEADS, MOST_HEADS = 3, 4
"""Most words at the head of a label; the second where the members are of many different words."""
CORE = 2
"""Heads that are chosen with the help of the excerpts nearest to the exemplar, where members are of
many different words."""
MOSTLY_GRAMMAR = 0.75
"""Share of a region's words that are grammar from which words with content come last in its label;
below one half those of grammar do.
"""
LEAST, OF_TOP, DOMINANT = 0.04, 0.2, 0.25
"""Shares of members: a head has LEAST and OF_TOP of the first one's, except where no word reaches
DOMINANT. One that reaches it is a head even where the nearest regions have it more often.
"""
EXCERPTS_COUNT = 0.5
"""Weight of a share of excerpts beside a share of members.

They are the excerpts nearest to the exemplar, which say what a region is about at its core where
its members are of many different words.
"""
WHOLE, MOSTLY = 1 / 3, 0.5
"""Share of a token's marked places that must lie in one word, for that word to be shown instead:
among the places in the region, or among all places of the file.
"""


@dataclass(frozen=True, eq=False)
class Heads:
    """The words at the head of each label, best first.

    texts: of each region, up to `MOST_HEADS`.
    plain: the same with pieces instead of the words that they belong to.
    is_function: (K,) whether all of them are grammar, numbers or punctuation, which by themselves
        say little.
    worth: (K, h) of each head: its share of members, and of excerpts with less weight.
    """

    texts: list[list[str]]
    plain: list[list[str]]
    is_function: Bool[np.ndarray, " K"]
    worth: Float64[np.ndarray, "K h"]


@dataclass(frozen=True, eq=False)
class _Candidates:
    """What may stand at the head of each label; columns (K, m) are numbers of `texts`, −1 for none.

    shown, plain: as words, and as they are counted. share: of members. near: of excerpts. z: how
    far it exceeds that of the nearest regions. is_piece: a piece whose word is not known.
    """

    texts: list[str]
    shown: Int64[np.ndarray, "K m"]
    plain: Int64[np.ndarray, "K m"]
    share: Float64[np.ndarray, "K m"]
    near: Float64[np.ndarray, "K m"]
    z: Float64[np.ndarray, "K m"]
    is_piece: Bool[np.ndarray, "K m"]


def of_regions(dictionary: Dictionary, slot: Slot) -> Heads:
    """Return the heads of all regions. slot: their members' tokens.

    They are the most frequent words that the nearest regions have less often. Where members are of
    many different words, those with content come first, unless most members are grammar. Every
    region with a token gets at least one.
    """
    found = _candidates(dictionary, slot)
    stems, kinds = flags(found.texts)
    present = found.shown >= 0
    stem, is_function = stems[found.shown], kinds[0][found.shown] & present
    alike = (stem[:, :, None] == stem[:, None]) & present[:, :, None] & present[:, None]
    share = np.where(alike, found.share[:, None], 0).sum(axis=2)
    worth = share + EXCERPTS_COUNT * np.where(alike, found.near[:, None], 0).sum(axis=2)
    z = np.where(alike, found.z[:, None], -np.inf).max(axis=2, initial=-np.inf)
    top = share.max(axis=1, initial=0)[:, None]
    is_varied = top < DOMINANT
    is_head = is_varied | (share >= np.maximum(LEAST, OF_TOP * top))
    is_head &= ((z > 0) | (share >= DOMINANT)) & present & ~np.tril(alike, -1).any(axis=2)
    is_head[:, 0] |= present[:, 0] & ~is_head.any(axis=1)
    each = found.share + EXCERPTS_COUNT * found.near
    grammar = np.where(is_function, each, 0).sum(axis=1) / np.maximum(1e-9, each.sum(axis=1))
    is_later = np.where(is_function, grammar[:, None] < 0.5, grammar[:, None] > MOSTLY_GRAMMAR)
    later = found.is_piece | is_later
    # a share is at most 1.5, so that what comes later comes after everything else
    penalty = np.where(is_varied & later, 2, 0)
    order = np.argsort(np.where(is_head, penalty - worth, np.inf), axis=1, kind="stable")
    # where members are of many words, the last heads show the breadth: the most frequent ones
    rest = np.where(is_head, penalty - share, np.inf)
    np.put_along_axis(rest, order[:, :CORE], -np.inf, 1)
    breadth = np.argsort(rest, axis=1, kind="stable")
    breadth[:, :CORE] = order[:, :CORE]
    order = np.where(is_varied, breadth, order)[:, :MOST_HEADS]
    listed = np.take_along_axis(is_head, order, 1)
    listed[:, HEADS:] &= is_varied & ~np.take_along_axis(later, order, 1)[:, HEADS:]
    every = np.where(listed, np.take_along_axis(is_function, order, 1), True).all(axis=1)
    return Heads(
        _texts(found.texts, np.where(listed, np.take_along_axis(found.shown, order, 1), -1)),
        _texts(found.texts, np.where(listed, np.take_along_axis(found.plain, order, 1), -1)),
        every & listed[:, 0],
        np.take_along_axis(worth, order, 1),
    )


def _texts(texts: list[str], rows: Int64[np.ndarray, "K h"]) -> list[list[str]]:
    return [[texts[i] for i in row if i >= 0] for row in rows.tolist()]


def _candidates(dictionary: Dictionary, slot: Slot) -> _Candidates:
    """Return the members' tokens as words, and the marked words of the excerpts after them."""
    tokens = np.unique(slot.ids[slot.ids >= 0])
    pieces = [dictionary.piece(token) for token in tokens.tolist()]
    plain = np.where(slot.ids >= 0, np.searchsorted(tokens, slot.ids), -1).astype(np.int64)
    has_letters = np.array([*(any(map(str.isalpha, piece)) for piece in pieces), False])
    in_word = np.array([*(piece[:1] != " " for piece in pieces), False])
    is_piece = (has_letters & in_word)[plain]
    near = np.zeros(slot.share.shape)
    spelled = of_passages(dictionary)
    if spelled is None or "excerpt_offsets" not in dictionary or not len(spelled.texts):
        return _Candidates(pieces, plain, plain, slot.share, near, slot.z, is_piece)
    texts = [*pieces, *spelled.texts]
    region, _, index = events(dictionary)
    word, token = spelled.of_token[index], dictionary.column("passage_tokens")[index]
    whole = _whole(dictionary, plain, tokens, spelled, (region, token, word))
    is_whole = (whole >= 0) & has_letters[plain]
    shown = np.where(is_whole, len(pieces) + whole, plain)
    region, _, index = events(dictionary, near=True)
    counted = table(region, spelled.of_token[index], len(dictionary))
    marked = slot_of(*counted, nearest_of(dictionary), FEW_PRIOR)
    extra = np.where(marked.ids >= 0, len(pieces) + marked.ids, -1)
    return _Candidates(
        texts,
        np.hstack([shown, extra]),
        np.hstack([plain, extra]),
        np.hstack([slot.share, np.zeros(extra.shape)]),
        np.hstack([near, marked.share]),
        np.hstack([slot.z, marked.z]),
        np.hstack([is_piece & ~is_whole, np.zeros(extra.shape, bool)]),
    )


def _whole(
    dictionary: Dictionary,
    plain: Int64[np.ndarray, "K m"],
    tokens: Integer[np.ndarray, " v"],
    spelled: Words,
    marked: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> Int64[np.ndarray, "K m"]:
    """Return the word (K, m) to which a region's token mostly belongs, −1 where there is none.

    plain: (K, m) places in `tokens`, −1 for none. marked: region, token and word of each excerpt.
    """
    n = len(tokens)
    region, token, word = marked
    place = np.minimum(np.searchsorted(tokens, token), n - 1)
    known = tokens[place] == token
    inside = _mostly(region[known] * n + place[known], word[known], WHOLE)
    own = _looked_up(np.arange(len(plain))[:, None] * n + plain, *inside)
    stored = dictionary.column("passage_tokens")
    place = np.minimum(np.searchsorted(tokens, stored), n - 1)
    known = tokens[place] == stored
    everywhere = _mostly(place[known], spelled.of_token[known], MOSTLY)
    other = _looked_up(plain, *everywhere)
    return np.where(plain < 0, -1, np.where(own >= 0, own, other))


def _mostly(
    key: Int64[np.ndarray, " n"], word: Int64[np.ndarray, " n"], least: float
) -> tuple[Int64[np.ndarray, " m"], Int64[np.ndarray, " m"]]:
    """Return the distinct keys (m,) and the most frequent word of each, −1 below a share."""
    pairs, counts = pairs_of(key, word)
    order = np.lexsort((-counts, pairs[0]))
    keys, first, place = np.unique(pairs[0][order], return_index=True, return_inverse=True)
    total = np.bincount(place.ravel(), counts[order], len(keys))
    best = counts[order][first] >= least * total
    return keys, np.where(best, pairs[1][order][first], -1)


def _looked_up(
    key: Int64[np.ndarray, "K m"], keys: Int64[np.ndarray, " n"], words: Int64[np.ndarray, " n"]
) -> Int64[np.ndarray, "K m"]:
    """Return the word of each key (K, m), −1 for keys that are not listed."""
    if not len(keys):
        return np.full(key.shape, -1)
    place = np.minimum(np.searchsorted(keys, key), len(keys) - 1)
    return np.where(keys[place] == key, words[place], -1)
