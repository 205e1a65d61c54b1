"""The words of texts stored without tokens, counted region by region: what names a region of a published dictionary.

Such a file says which token of a text is meant, not where its characters are, so only the whole text can be counted.
"""

from __future__ import annotations

import re

import numpy as np
from jaxtyping import Int64

from ep.method.dictionary import Dictionary

READ, KEPT = 4, 10
"""Excerpts of a region that are read, the closest first, and words of it that are kept."""
WORD = re.compile(r"[^\W\d_]{3,24}")


def words(dictionary: Dictionary) -> tuple[list[str], Int64[np.ndarray, "K m"], Int64[np.ndarray, "K m"]] | None:
    """(vocabulary, word numbers (K, m) with −1 for none, texts of the region with that word (K, m)).

    Kept are the words in most of a region's texts, the rarer in the whole file first. None where texts have tokens.
    """
    if "plain_ids" not in dictionary or "excerpt_offsets" not in dictionary:
        return None
    size, offsets = len(dictionary), dictionary.column("excerpt_offsets")
    region = np.repeat(np.arange(size), np.diff(offsets))
    place = np.arange(len(region)) - offsets[region]
    texts = np.searchsorted(dictionary.column("plain_ids"), dictionary.column("excerpt_passage"))
    pairs = np.unique(np.stack([region, texts])[:, place < READ], axis=1)
    numbers: dict[str, int] = {}
    found = [_numbers(text, numbers) for text in _texts(dictionary, np.unique(pairs[1]))]
    row = np.searchsorted(np.unique(pairs[1]), pairs[1])
    lengths = np.array([len(found[i]) for i in row], np.int64)
    flat = np.concatenate([found[i] for i in row]) if len(row) else np.zeros(0, np.int64)
    events, counts = np.unique(np.stack([np.repeat(pairs[0], lengths), flat]), axis=1, return_counts=True)
    everywhere = np.bincount(events[1], counts, len(numbers))
    order = np.lexsort((events[1], everywhere[events[1]], -counts, events[0]))
    events, counts = events[:, order], counts[order]
    rank = np.arange(len(counts)) - np.searchsorted(events[0], events[0])
    ids, table = np.full((size, KEPT), -1, np.int64), np.zeros((size, KEPT), np.int64)
    kept = rank < KEPT
    ids[events[0][kept], rank[kept]], table[events[0][kept], rank[kept]] = events[1][kept], counts[kept]
    return list(numbers), ids, table


def _texts(dictionary: Dictionary, wanted: Int64[np.ndarray, " n"]) -> list[str]:
    data, offsets = dictionary.column("plain_bytes").tobytes(), dictionary.column("plain_offsets").tolist()
    return [data[offsets[i] : offsets[i + 1]].decode("utf-8", "replace") for i in wanted.tolist()]


def _numbers(text: str, numbers: dict[str, int]) -> Int64[np.ndarray, " n"]:
    """The numbers of the distinct words of a text; new words are numbered on."""
    distinct = sorted({word.lower() for word in WORD.findall(text)})
    return np.array([numbers.setdefault(word, len(numbers)) for word in distinct], np.int64)
