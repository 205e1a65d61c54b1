"""What the texts around say, counted region by region: for regions their own tokens do not tell apart.

Regions of a dictionary of last tokens all hold the same token; a published file says which token of a text is meant,
not where its characters are. There the text names the region: its tokens before the marked one, or all its words.
"""

from __future__ import annotations

import re

import numpy as np
from jaxtyping import Bool, Int64

from ep.method.dictionary import Dictionary

READ, KEPT, WINDOW = 4, 10, 48
"""Excerpts of a region that are read, the closest first, words of it that are kept, and tokens
before the marked one that count."""
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
    pairs, _ = pairs_of(region[place < READ], texts[place < READ])
    numbers: dict[str, int] = {}
    found = [_numbers(text, numbers) for text in _texts(dictionary, np.unique(pairs[1]))]
    row = np.searchsorted(np.unique(pairs[1]), pairs[1])
    lengths = np.array([len(found[i]) for i in row], np.int64)
    flat = np.concatenate([found[i] for i in row]) if len(row) else np.zeros(0, np.int64)
    return list(numbers), *_ranked(np.repeat(pairs[0], lengths), flat, size)


def context(
    dictionary: Dictionary, regions: Bool[np.ndarray, " K"]
) -> tuple[Int64[np.ndarray, "K m"], Int64[np.ndarray, "K m"]] | None:
    """(token ids (K, m) with −1 for none, excerpts with that token (K, m)) of the text before the marked token.

    regions: which are read; the others stay empty. The last `WINDOW` tokens before the marked one count, each once an
    excerpt. None where texts have no tokens.
    """
    if "excerpt_offsets" not in dictionary or "passage_tokens" not in dictionary:
        return None
    size, offsets = len(dictionary), dictionary.column("excerpt_offsets")
    region = np.repeat(np.arange(size), np.diff(offsets))
    chosen = (np.arange(len(region)) - offsets[region] < READ) & regions[region]
    row = np.searchsorted(dictionary.column("passage_ids"), dictionary.column("excerpt_passage")[chosen])
    first = dictionary.column("passage_offsets")[row]
    last = first + dictionary.column("excerpt_position")[chosen]
    _, distinct = np.unique(region[chosen] * (int(last.max(initial=0)) + 1) + last, return_index=True)
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
    """(items (K, KEPT), how often (K, KEPT)): the most frequent of each region, those rarer elsewhere first."""
    events, counts = pairs_of(region, item)
    everywhere = np.bincount(events[1], counts)
    order = np.lexsort((events[1], everywhere[events[1]], -counts, events[0]))
    events, counts = events[:, order], counts[order]
    rank = np.arange(len(counts)) - np.searchsorted(events[0], events[0])
    ids, table = np.full((size, KEPT), -1, np.int64), np.zeros((size, KEPT), np.int64)
    kept = rank < KEPT
    ids[events[0][kept], rank[kept]], table[events[0][kept], rank[kept]] = events[1][kept], counts[kept]
    return ids, table


def _texts(dictionary: Dictionary, wanted: Int64[np.ndarray, " n"]) -> list[str]:
    data, offsets = dictionary.column("plain_bytes").tobytes(), dictionary.column("plain_offsets").tolist()
    return [data[offsets[i] : offsets[i + 1]].decode("utf-8", "replace") for i in wanted.tolist()]


def _numbers(text: str, numbers: dict[str, int]) -> Int64[np.ndarray, " n"]:
    """The numbers of the distinct words of a text; new words are numbered on."""
    distinct = sorted({word.lower() for word in WORD.findall(text)})
    return np.array([numbers.setdefault(word, len(numbers)) for word in distinct], np.int64)
