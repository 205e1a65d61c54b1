"""Words and tokens of the texts around, counted for each region.

They name regions whose own tokens do not tell them apart. All regions of a dictionary of last
tokens have the same token, for example, and a published file marks a token of a text by its index,
without its characters. Then the text names the region: its tokens before the marked one, or all its
words.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterator
from weakref import WeakKeyDictionary

import numpy as np

from ep.method.dictionary import Dictionary
from ep.method.region import BANDS
from ep.shapes import Int64
from ep.studies.whole_words import flags, fold, of_passages

READ, KEPT, WINDOW = 8, 10, 32
"""Counts that bound the work: excerpts read, words stored, and tokens before the marked one.

Of the excerpts of a region the closest are read.
"""
WORD = re.compile(r"[^\W\d_]{3,24}")
"""A word: 3 to 24 letters."""
Words = tuple[list[str], Int64[np.ndarray, "K m"], Int64[np.ndarray, "K m"]]
"""The result of `words`: (vocabulary, numbers, counts)."""
_cache: WeakKeyDictionary[Dictionary, Words] = WeakKeyDictionary()


def words(dictionary: Dictionary) -> Words | None:
    """Return the words of each region's texts, or None for a file whose texts have tokens.

    The result is (vocabulary, numbers (K, m) of words, −1 for none, number (K, m) of the region's
    texts with that word). The words in most of a region's texts are returned, those rarer in the
    whole file first.

    The result takes seconds for 20,000 regions, and is cached for the life of the dictionary.
    """
    if "plain_ids" not in dictionary or "excerpt_offsets" not in dictionary:
        return None
    if dictionary not in _cache:
        _cache[dictionary] = _words(dictionary)
    return _cache[dictionary]


def _words(dictionary: Dictionary) -> Words:
    """Compute the result of `words`."""
    size, offsets = len(dictionary), dictionary.column("excerpt_offsets")
    region = np.repeat(np.arange(size), np.diff(offsets))
    place = np.arange(len(region)) - offsets[region]
    texts = np.searchsorted(dictionary.column("plain_ids"), dictionary.column("excerpt_passage"))
    pairs, _ = pairs_of(region[place < READ], texts[place < READ])
    numbers = _Numbers()
    text_ids, row = np.unique(pairs[1], return_inverse=True)
    starts, flat = [0], array("q")
    for text in _texts(dictionary, text_ids):
        flat.extend(numbers.of(text))
        starts.append(len(flat))
    # Gather the words of every (region, text) pair: text i is flat[starts[i] : starts[i + 1]]. The
    # index runs from first to first + length within each pair, without a loop over the pairs.
    first, length = np.array(starts)[row], np.diff(starts)[row]
    index = np.repeat(first - (np.cumsum(length) - length), length) + np.arange(int(length.sum()))
    return list(numbers), *_ranked(
        np.repeat(pairs[0], length), np.array(flat, np.int64)[index], size
    )


def context(dictionary: Dictionary) -> tuple[*Words, Int64[np.ndarray, " K"]] | None:
    """Return content words of the text before the marked tokens, or None without stored tokens.

    The result is as that of `words`, and then the number (K,) of each region's passages. The last
    `WINDOW` tokens before the marked one count in `READ` excerpts, each word once in a passage.
    Words of grammar are left out.
    """
    if (spelled := of_passages(dictionary)) is None or "excerpt_offsets" not in dictionary:
        return None
    texts, folded, is_content = spelled.texts, fold(spelled), flags(spelled.texts)[1][1]
    region, first, index = events(dictionary, READ)
    before = spelled.first[index][:, None] - np.arange(1, WINDOW + 1)
    inside = before >= first[:, None]
    word = folded[spelled.of_token[np.where(inside, before, 0)]]
    inside &= is_content[word]
    # every passage of a region has a number, so that its excerpts count together
    key = region * (int(first.max(initial=0)) + 1) + first
    _, example, passage = np.unique(key, return_index=True, return_inverse=True)
    number = np.broadcast_to(passage.ravel()[:, None], inside.shape)
    (number, item), _ = pairs_of(number[inside], word[inside])
    size, owner = len(dictionary), region[example]
    total = np.bincount(owner, minlength=size)
    return list(texts), *_ranked(owner[number], item, size), total


def events(
    dictionary: Dictionary, most: int | None = None, near: bool = False
) -> tuple[Int64[np.ndarray, " n"], Int64[np.ndarray, " n"], Int64[np.ndarray, " n"]]:
    """Return the marked tokens of all excerpts, each once in a region, by region.

    most: excerpts of a region that are read, the closest first; None for all. near: read only
    those of the closest members, not the sample over all distances.

    The result is (region (n,), index (n,) of the passage's first token, index (n,) of the marked
    token), both in the file's `passage_tokens`.
    """
    offsets = dictionary.column("excerpt_offsets")
    region = np.repeat(np.arange(len(dictionary)), np.diff(offsets))
    kept = np.ones(len(region), bool)
    if most is not None:
        kept = np.arange(len(region)) - offsets[region] < most
    if near and "excerpt_band" in dictionary:
        kept &= dictionary.column("excerpt_band") == BANDS.index("near")
    row = np.searchsorted(
        dictionary.column("passage_ids"), dictionary.column("excerpt_passage")[kept]
    )
    starts = dictionary.column("passage_offsets")
    index = starts[row] + dictionary.column("excerpt_position")[kept]
    inside = index < starts[row + 1]
    # an excerpt stored in two bands of a region counts once
    (region, index), _ = pairs_of(region[kept][inside], index[inside].astype(np.int64))
    return region, starts[np.searchsorted(starts, index, side="right") - 1], index


def pairs_of(
    first: Int64[np.ndarray, " n"], second: Int64[np.ndarray, " n"]
) -> tuple[Int64[np.ndarray, "2 m"], Int64[np.ndarray, " m"]]:
    """Return the distinct pairs of two arrays of numbers from 0, in rising order, and their counts.

    The pairs are rows 0 and 1 of an array (2, m).
    """
    base = int(second.max(initial=0)) + 1
    keys, counts = np.unique(first * base + second, return_counts=True)
    return np.stack([keys // base, keys % base]), counts


def _ranked(
    region: Int64[np.ndarray, " n"], item: Int64[np.ndarray, " n"], size: int
) -> tuple[Int64[np.ndarray, "K m"], Int64[np.ndarray, "K m"]]:
    """Return the most frequent items of each region, those rarer elsewhere first among equals.

    The result is (items (K, KEPT), −1 for none, how often each occurs (K, KEPT)).
    """
    ids, table = np.full((size, KEPT), -1, np.int64), np.zeros((size, KEPT), np.int64)
    (region, item), counts = pairs_of(region, item)
    rarest = np.argsort(np.bincount(item, counts), kind="stable")
    place = np.empty(len(rarest), np.int64)
    place[rarest] = np.arange(len(rarest))
    # Sort by region, then by falling count, then by rarity. One number encodes all three, which is
    # much faster than a sort by three keys; `divmod` decodes it.
    most = int(counts.max(initial=0)) + 1
    keys = np.sort((region * most + (most - 1 - counts)) * len(rarest) + place[item])
    keys, place = np.divmod(keys, max(1, len(rarest)))
    region, fewer = np.divmod(keys, most)
    rank = np.arange(len(region)) - np.searchsorted(region, region)
    stored = rank < KEPT
    ids[region[stored], rank[stored]], table[region[stored], rank[stored]] = (
        rarest[place[stored]],
        most - 1 - fewer[stored],
    )
    return ids, table


def _texts(dictionary: Dictionary, text_ids: Int64[np.ndarray, " n"]) -> list[str]:
    """Return the texts of passages that are stored without tokens."""
    data, offsets = (
        dictionary.column("plain_bytes").tobytes(),
        dictionary.column("plain_offsets").tolist(),
    )
    return [data[offsets[i] : offsets[i + 1]].decode("utf-8", "replace") for i in text_ids.tolist()]


class _Numbers(dict[str, int]):
    """Words and their numbers, in the order in which they were first seen."""

    def __missing__(self, word: str) -> int:
        self[word] = len(self)
        return self[word]

    def of(self, text: str) -> Iterator[int]:
        """Return the numbers of the distinct words of a text; new words get new numbers."""
        return map(self.__getitem__, sorted(set(WORD.findall(text.lower()))))
