"""What the texts around say, counted region by region: for regions their own tokens do not tell
apart.

Regions of a dictionary of last tokens all hold the same token; a published file says which token of
a text is meant, not where its characters are. There the text names the region: its tokens before
the marked one, or all its words.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterator
from weakref import WeakKeyDictionary

import numpy as np
from jaxtyping import Bool, Int64

from ep.method.dictionary import Dictionary

READ, KEPT, WINDOW = 4, 10, 48
"""Excerpts of a region that are read, the closest first, words of it that are kept, and tokens
before the marked one that count."""
WORD = re.compile(r"[^\W\d_]{3,24}")


Words = tuple[list[str], Int64[np.ndarray, "K m"], Int64[np.ndarray, "K m"]]
_read: WeakKeyDictionary[Dictionary, Words] = WeakKeyDictionary()


def words(dictionary: Dictionary) -> Words | None:
    """(vocabulary, word numbers (K, m) with −1 for none, texts of the region with that word (K,
    m)).

    Kept are the words in most of a region's texts, the rarer in the whole file first. None where
    texts have tokens. Read once, in seconds for 20,000 regions, and kept as long as the dictionary
    is.
    """
    if "plain_ids" not in dictionary or "excerpt_offsets" not in dictionary:
        return None
    if dictionary not in _read:
        _read[dictionary] = _words(dictionary)
    return _read[dictionary]


def _words(dictionary: Dictionary) -> Words:
    size, offsets = len(dictionary), dictionary.column("excerpt_offsets")
    region = np.repeat(np.arange(size), np.diff(offsets))
    place = np.arange(len(region)) - offsets[region]
    texts = np.searchsorted(dictionary.column("plain_ids"), dictionary.column("excerpt_passage"))
    pairs, _ = pairs_of(region[place < READ], texts[place < READ])
    numbers = _Numbers()
    wanted, row = np.unique(pairs[1], return_inverse=True)
    starts, flat = [0], array("q")
    for text in _texts(dictionary, wanted):
        flat.extend(numbers.of(text))
        starts.append(len(flat))
    first, length = np.array(starts)[row], np.diff(starts)[row]
    at = np.repeat(first - (np.cumsum(length) - length), length) + np.arange(int(length.sum()))
    return list(numbers), *_ranked(np.repeat(pairs[0], length), np.array(flat, np.int64)[at], size)


def context(
    dictionary: Dictionary, regions: Bool[np.ndarray, " K"]
) -> tuple[Int64[np.ndarray, "K m"], Int64[np.ndarray, "K m"]] | None:
    """(token ids (K, m) with −1 for none, excerpts with that token (K, m)) of the text before the
    marked token.

    regions: which are read; the others stay empty. The last `WINDOW` tokens before the marked one
    count, each once an excerpt. None where texts have no tokens.
    """
    if "excerpt_offsets" not in dictionary or "passage_tokens" not in dictionary:
        return None
    size, offsets = len(dictionary), dictionary.column("excerpt_offsets")
    region = np.repeat(np.arange(size), np.diff(offsets))
    chosen = (np.arange(len(region)) - offsets[region] < READ) & regions[region]
    row = np.searchsorted(
        dictionary.column("passage_ids"), dictionary.column("excerpt_passage")[chosen]
    )
    first = dictionary.column("passage_offsets")[row]
    last = first + dictionary.column("excerpt_position")[chosen]
    _, distinct = np.unique(
        region[chosen] * (int(last.max(initial=0)) + 1) + last, return_index=True
    )
    owner, first, last = region[chosen][distinct], first[distinct], last[distinct]
    at = last[:, None] - np.arange(1, WINDOW + 1)
    inside = at >= first[:, None]
    tokens = dictionary.column("passage_tokens")[np.where(inside, at, 0)].astype(np.int64)
    number = np.broadcast_to(np.arange(len(at))[:, None], at.shape)
    (excerpt, token), _ = pairs_of(number[inside], tokens[inside])
    return _ranked(owner[excerpt], token, size)


def pairs_of(
    first: Int64[np.ndarray, " n"], second: Int64[np.ndarray, " n"]
) -> tuple[Int64[np.ndarray, "2 m"], Int64[np.ndarray, " m"]]:
    """The distinct pairs of two rows of numbers from 0, rising, and how often each is there."""
    base = int(second.max(initial=0)) + 1
    keys, counts = np.unique(first * base + second, return_counts=True)
    return np.stack([keys // base, keys % base]), counts


def _ranked(
    region: Int64[np.ndarray, " n"], item: Int64[np.ndarray, " n"], size: int
) -> tuple[Int64[np.ndarray, "K m"], Int64[np.ndarray, "K m"]]:
    """(items (K, KEPT), how often (K, KEPT)): the most frequent of each region, those rarer
    elsewhere first.
    """
    ids, table = np.full((size, KEPT), -1, np.int64), np.zeros((size, KEPT), np.int64)
    (region, item), counts = pairs_of(region, item)
    rarest = np.argsort(np.bincount(item, counts), kind="stable")
    place = np.empty(len(rarest), np.int64)
    place[rarest] = np.arange(len(rarest))
    # one number holds all three to sort by: much faster than three keys
    most = int(counts.max(initial=0)) + 1
    keys = np.sort((region * most + (most - 1 - counts)) * len(rarest) + place[item])
    keys, place = np.divmod(keys, max(1, len(rarest)))
    region, fewer = np.divmod(keys, most)
    rank = np.arange(len(region)) - np.searchsorted(region, region)
    kept = rank < KEPT
    ids[region[kept], rank[kept]], table[region[kept], rank[kept]] = (
        rarest[place[kept]],
        most - 1 - fewer[kept],
    )
    return ids, table


def _texts(dictionary: Dictionary, wanted: Int64[np.ndarray, " n"]) -> list[str]:
    data, offsets = (
        dictionary.column("plain_bytes").tobytes(),
        dictionary.column("plain_offsets").tolist(),
    )
    return [data[offsets[i] : offsets[i + 1]].decode("utf-8", "replace") for i in wanted.tolist()]


class _Numbers(dict[str, int]):
    """Words by the order they were met in."""

    def __missing__(self, word: str) -> int:
        self[word] = len(self)
        return self[word]

    def of(self, text: str) -> Iterator[int]:
        """The numbers of the distinct words of a text; new words are numbered on."""
        return map(self.__getitem__, sorted(set(WORD.findall(text.lower()))))
