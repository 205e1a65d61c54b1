"""One search box over all regions: ids, lens tokens, members' tokens and the text around the marked token of excerpts.

The index is built once from the columns; a search looks at the vocabulary and one run of text, not at regions one by
one. Letters match whatever their case (ASCII letters inside excerpts). Knows no screen.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ep.method.dictionary import Dictionary
from ep.views.tables import members

BEFORE, AFTER = 16, 8
"""How far from the marked token, in tokens, a phrase in an excerpt may start: about what one line shows."""
REASONS = ("id", "lens tokens", "members' tokens", "excerpts")
LONGEST = 200
_NO = np.iinfo(np.int64).max


@dataclass(frozen=True)
class Found:
    """Regions that match, best first, and where each was found (an index into `REASONS`)."""

    regions: np.ndarray
    reasons: np.ndarray

    def __len__(self) -> int:
        return len(self.regions)

    def summary(self) -> str:
        """ "23 regions: 5 by lens tokens, 18 by excerpts"."""
        n = len(self)
        if n == 0:
            return "no region"
        counts = np.bincount(self.reasons, minlength=len(REASONS))
        parts = ", ".join(f"{c:,} by {name}" for c, name in zip(counts, REASONS, strict=True) if c)
        return f"{n:,} region{'s' if n != 1 else ''}: {parts}"


class Index:
    """What `find` needs of a dictionary, read once; a file without tokens can be searched by id only."""

    def __init__(self, dictionary: Dictionary) -> None:
        self._size = len(dictionary)
        self._members = members(dictionary)
        self._columns = [
            (reason, dictionary.column(name))
            for reason, name in ((1, "lens_exemplar_up_ids"), (2, "token_ids"))
            if name in dictionary
        ]
        self._ids = np.zeros(0, np.int64)
        self._words: list[str] = []
        if "vocabulary_ids" in dictionary:
            self._ids = dictionary.column("vocabulary_ids").astype(np.int64)
            self._words = [dictionary.piece(int(token)).strip().lower() for token in self._ids]
        self._text = _Text(dictionary) if _has_text(dictionary) else None

    def find(self, query: str) -> Found:
        """Regions matching a phrase: its id first, then by lens token, member token, excerpt; larger regions first."""
        phrase = " ".join(query.lower().split())[:LONGEST]
        score = np.full(self._size, _NO)
        if not phrase:
            return Found(np.zeros(0, np.int64), np.zeros(0, np.int64))
        number = phrase.removeprefix("#").removeprefix("region ")
        if number.isascii() and number.isdigit() and len(number) < 12 and int(number) < self._size:
            score[int(number)] = 0
        whole, part = self._tokens(phrase.__eq__), self._tokens(lambda word: phrase in word)
        for reason, ids in self._columns:
            for offset, wanted in ((0, whole), (50, part)):
                hits = np.isin(ids, wanted)
                place = 100 * reason + offset + np.argmax(hits, axis=1)
                score = np.where(hits.any(axis=1), np.minimum(score, place), score)
        if self._text is not None:
            near = self._text.regions(phrase.encode())
            score[near] = np.minimum(score[near], 300)
        found = np.flatnonzero(score < _NO)
        found = found[np.lexsort((found, -self._members[found], score[found]))]
        return Found(found, score[found] // 100)

    def _tokens(self, matches: Callable[[str], bool]) -> np.ndarray:
        return self._ids[[i for i, word in enumerate(self._words) if matches(word)]]


class _Text:
    """All stored passages as one run of lower-cased bytes, with the place of every token and every excerpt in it."""

    def __init__(self, dictionary: Dictionary) -> None:
        ids = dictionary.column("vocabulary_ids")
        pieces = dictionary.column("vocabulary_pieces").tolist()
        tokens = dictionary.column("passage_tokens")
        at = np.minimum(np.searchsorted(ids, tokens), len(ids) - 1)
        known = ids[at] == tokens
        lengths = np.fromiter(map(len, pieces), np.int64, len(pieces))
        self._starts = np.concatenate([[0], np.cumsum(np.where(known, lengths[at], 0))])
        self._bytes = b"".join(
            [pieces[i] if k else b"" for i, k in zip(at.tolist(), known.tolist(), strict=True)]
        ).lower()
        self._passages = dictionary.column("passage_offsets")
        row = np.searchsorted(dictionary.column("passage_ids"), dictionary.column("excerpt_passage"))
        marked = self._passages[row] + dictionary.column("excerpt_position")
        order = np.argsort(marked, kind="stable")
        counts = np.diff(dictionary.column("excerpt_offsets"))
        self._marked, self._region = marked[order], np.repeat(np.arange(len(counts)), counts)[order]

    def regions(self, phrase: bytes) -> np.ndarray:
        """Ids of the regions with an excerpt that has the phrase around its marked token."""
        places, at = [], self._bytes.find(phrase)
        while at >= 0:
            places.append(at)
            at = self._bytes.find(phrase, at + len(phrase))
        starts = np.asarray(places, np.int64)
        first = np.searchsorted(self._starts, starts, "right") - 1
        last = np.searchsorted(self._starts, starts + len(phrase) - 1, "right") - 1
        passage = np.searchsorted(self._passages, first, "right") - 1
        inside = passage == np.searchsorted(self._passages, last, "right") - 1
        first, last, passage = first[inside], last[inside], passage[inside]
        low = np.searchsorted(self._marked, np.maximum(first - AFTER, self._passages[passage]), "left")
        high = np.searchsorted(self._marked, np.minimum(last + BEFORE, self._passages[passage + 1] - 1), "right")
        hit = np.zeros(len(self._marked) + 1, np.int64)
        np.add.at(hit, low, 1)
        np.add.at(hit, high, -1)
        return np.unique(self._region[np.cumsum(hit[:-1]) > 0])


def _has_text(dictionary: Dictionary) -> bool:
    needed = ("vocabulary_ids", "vocabulary_pieces", "passage_tokens", "passage_ids", "excerpt_offsets")
    return all(name in dictionary for name in needed)
