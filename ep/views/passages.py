"""An index of stored passages: which regions have an excerpt with a phrase around its marked token.

Tokens are numbered by their text, so that those which begin a certain way are neighbours; a phrase
is found inside tokens, and across them from the rarer side of each possible cut. What a search
costs depends on the hits, not on the length of all text. Letters match whatever their case, in
every script. Knows no region's columns and no screen.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence

import numpy as np

from ep.method.dictionary import Dictionary

BEFORE, AFTER = 16, 8
"""How far from the marked token, in tokens, a phrase in an excerpt may start: about what one line
shows.
"""
SHORTEST = 2
"""Bytes: one letter is in every passage."""
_LAST = b"\xff" * 4
"""Sorts after every UTF-8 text."""
Hits = tuple[np.ndarray, np.ndarray]


def fold(text: bytes) -> bytes:
    """Text without the difference of case; bytes that are no UTF-8 of their own (part of a
    character) stay.
    """
    try:
        return text.decode().casefold().encode()
    except UnicodeDecodeError:
        return text.lower()


def containing(texts: Sequence[bytes], phrase: bytes) -> np.ndarray:
    """The indices of the texts that hold the phrase, rising."""
    return np.array([i for i, text in enumerate(texts) if phrase in text], np.int64)


class Vocabulary:
    """The distinct folded pieces of a dictionary's tokens, sorted; `number` finds a token id's
    place among them.
    """

    def __init__(self, dictionary: Dictionary, more: np.ndarray) -> None:
        """more: token ids that must have a place too, though the file may not know their text."""
        known = dictionary.column("vocabulary_ids").astype(np.int64)
        folded = [fold(piece) for piece in dictionary.column("vocabulary_pieces").tolist()]
        strange = np.setdiff1d(more, known)
        folded += [f"<{token}>".encode() for token in strange.tolist()]
        self.texts = sorted(set(folded))
        place = {piece: i for i, piece in enumerate(self.texts)}
        ids = np.concatenate([known, strange])
        order = np.argsort(ids, kind="stable")
        self._ids, self._places = (
            ids[order],
            np.array([place[piece] for piece in folded], np.int32)[order],
        )
        self._reversed = sorted((piece[::-1], i) for i, piece in enumerate(self.texts))
        self._place = place

    def number(self, ids: np.ndarray) -> np.ndarray:
        """The place of each token id, int32 of the same shape; ids that are no token get
        `len(texts)`.
        """
        if not len(self._ids):
            return np.zeros(ids.shape, np.int32)
        at = np.minimum(np.searchsorted(self._ids, ids), len(self._ids) - 1)
        return np.where(self._ids[at] == ids, self._places[at], np.int32(len(self.texts)))

    def beginning(self, text: bytes) -> range:
        """The pieces that begin with the text."""
        return range(bisect_left(self.texts, text), bisect_left(self.texts, text + _LAST))

    def ending(self, text: bytes) -> np.ndarray:
        """The pieces that end with the text."""
        low = bisect_left(self._reversed, (text[::-1], -1))
        high = bisect_left(self._reversed, (text[::-1] + _LAST, -1))
        return np.array([i for _, i in self._reversed[low:high]], np.int64)

    def opening(self, text: bytes) -> list[tuple[int, bytes]]:
        """The pieces that the text begins with, shorter than it, each with what is left of the
        text.
        """
        found = ((self._place.get(text[:n]), text[n:]) for n in range(1, len(text)))
        return [(place, rest) for place, rest in found if place is not None]


class Passages:
    """The tokens of all passages, where each piece occurs, and which excerpts a phrase at each
    place belongs to.
    """

    def __init__(self, dictionary: Dictionary, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self._tokens = vocabulary.number(dictionary.column("passage_tokens"))
        self._order = np.argsort(self._tokens, kind="stable").astype(np.int32)
        counts = np.bincount(self._tokens, minlength=len(vocabulary.texts))
        self._at = np.concatenate([[0], np.cumsum(counts)])
        offsets = dictionary.column("passage_offsets").astype(np.int64)
        self._opens = np.zeros(len(self._tokens) + 1, bool)
        self._opens[offsets] = True
        row = np.searchsorted(
            dictionary.column("passage_ids"), dictionary.column("excerpt_passage")
        )
        marked = offsets[row] + dictionary.column("excerpt_position")
        order = np.argsort(marked, kind="stable")
        self._region = _region_of_excerpts(dictionary)[order]
        lengths = np.diff(offsets)
        before = np.concatenate(
            [[0], np.cumsum(np.bincount(marked, minlength=len(self._tokens)))]
        ).astype(np.int32)
        place = np.arange(len(self._tokens))
        first, last = np.repeat(offsets[:-1], lengths), np.repeat(offsets[1:], lengths) - 1
        self._low = before[np.maximum(place - AFTER, first)]
        self._high = before[np.minimum(place + BEFORE, last) + 1]

    def regions(self, phrase: bytes) -> np.ndarray:
        """Ids of the regions with an excerpt that has the folded phrase around its marked token,
        rising.
        """
        change = np.zeros(len(self._region) + 1, np.int64)
        for first, last in self._hits(phrase):
            change += np.bincount(self._low[first], minlength=len(change))
            change -= np.bincount(self._high[last], minlength=len(change))
        return np.unique(self._region[np.cumsum(change[:-1]) > 0])

    def _hits(self, phrase: bytes) -> Iterator[Hits]:
        inside = self._where(containing(self._vocabulary.texts, phrase))
        yield inside, inside
        for cut in range(1, len(phrase)):
            yield from self._across(phrase[:cut], phrase[cut:])

    def _across(self, head: bytes, rest: bytes) -> Iterator[Hits]:
        """Where a token ends with `head` and the next ones go on with `rest`, as (first, last)
        tokens.
        """
        ends = self._vocabulary.ending(head)
        whole, parts = self._vocabulary.beginning(rest), self._vocabulary.opening(rest)
        begins = np.array([*whole, *(place for place, _ in parts)], np.int64)
        if not len(ends) or not len(begins):
            return
        if self._occurrences(ends) <= self._occurrences(begins):
            first = self._where(ends)
        else:
            first = self._where(begins) - 1
            first = first[first >= 0]
            first = first[self._among(ends)[self._tokens[first]]]
        yield from self._follow(first, first + 1, rest)

    def _follow(self, first: np.ndarray, now: np.ndarray, rest: bytes) -> Iterator[Hits]:
        inside = ~self._opens[now]
        first, now = first[inside], now[inside]
        token = self._tokens[now]
        whole = self._vocabulary.beginning(rest)
        done = (token >= whole.start) & (token < whole.stop)
        if done.any():
            yield first[done], now[done]
        for place, left in self._vocabulary.opening(rest):
            if (here := token == place).any():
                yield from self._follow(first[here], now[here] + 1, left)

    def _where(self, pieces: np.ndarray) -> np.ndarray:
        slices = [self._order[self._at[p] : self._at[p + 1]] for p in pieces.tolist()]
        return np.concatenate(slices) if slices else np.zeros(0, np.int32)

    def _occurrences(self, pieces: np.ndarray) -> int:
        return int((self._at[pieces + 1] - self._at[pieces]).sum())

    def _among(self, pieces: np.ndarray) -> np.ndarray:
        wanted = np.zeros(len(self._vocabulary.texts), bool)
        wanted[pieces] = True
        return wanted


class PlainPassages:
    """Passages without tokens: a phrase anywhere in the text belongs to all its excerpts."""

    def __init__(self, dictionary: Dictionary) -> None:
        offsets = dictionary.column("plain_offsets").tolist()
        data = dictionary.column("plain_bytes").tobytes()
        self._texts = [fold(data[a:b]) for a, b in zip(offsets, offsets[1:], strict=False)]
        self._row = np.searchsorted(
            dictionary.column("plain_ids"), dictionary.column("excerpt_passage")
        )
        self._region = _region_of_excerpts(dictionary)

    def regions(self, phrase: bytes) -> np.ndarray:
        """Ids of the regions with an excerpt whose text holds the folded phrase, rising."""
        wanted = np.zeros(len(self._texts), bool)
        wanted[containing(self._texts, phrase)] = True
        return np.unique(self._region[wanted[self._row]])


def _region_of_excerpts(dictionary: Dictionary) -> np.ndarray:
    counts = np.diff(dictionary.column("excerpt_offsets"))
    return np.repeat(np.arange(len(counts)), counts)
