"""An index of stored passages: the regions with an excerpt that has a phrase near its marked token.

Tokens are numbered by the sorted order of their texts, so that tokens with a common beginning have
consecutive numbers. A phrase is searched for within single tokens and, at each place where a token
boundary may divide it, across tokens, starting from the rarer side. The cost of a search depends on
the number of occurrences, not on the length of the text. Case is ignored, in every script. This
module does not depend on Streamlit.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence

import numpy as np

from ep.method.dictionary import Dictionary

BEFORE, AFTER = 16, 8
"""Largest distance, in tokens, of a phrase before and after the marked token of its excerpt.

It is measured from the nearer end of the phrase. One line shows about this much.
"""
SHORTEST = 2
"""Shortest phrase to search for, in bytes: a single letter is in every passage."""
_LAST = b"\xff" * 4
"""Sorts after every UTF-8 text, since none contains the byte 0xff."""
Hits = tuple[np.ndarray, np.ndarray]
"""Occurrences of a phrase: (n,) indices of their first tokens, (n,) of their last, in all text."""


def fold(text: bytes) -> bytes:
    """Case-folded text, in UTF-8.

    Of bytes that are not valid UTF-8, such as part of a character, only ASCII letters are folded.
    """
    try:
        return text.decode().casefold().encode()
    except UnicodeDecodeError:
        return text.lower()


def containing(texts: Sequence[bytes], phrase: bytes) -> np.ndarray:
    """The indices of the texts that contain the phrase, in rising order."""
    return np.array([i for i, text in enumerate(texts) if phrase in text], np.int64)


class Vocabulary:
    """The distinct case-folded pieces of a dictionary's tokens, sorted.

    texts: the pieces; a piece's number is its index here.
    """

    def __init__(self, dictionary: Dictionary, more: np.ndarray) -> None:
        """Read the pieces of a dictionary.

        more: token ids that need a number too; "<id>" stands for the text of one that the file
            does not have.
        """
        known = dictionary.column("vocabulary_ids").astype(np.int64)
        folded = [fold(piece) for piece in dictionary.column("vocabulary_pieces").tolist()]
        unknown = np.setdiff1d(more, known)
        folded += [f"<{token}>".encode() for token in unknown.tolist()]
        self.texts = sorted(set(folded))
        number_of = {piece: i for i, piece in enumerate(self.texts)}
        ids = np.concatenate([known, unknown])
        order = np.argsort(ids, kind="stable")
        self._ids, self._numbers = (
            ids[order],
            np.array([number_of[piece] for piece in folded], np.int32)[order],
        )
        # Reversed pieces in sorted order, to look up pieces by their endings.
        self._reversed = sorted((piece[::-1], i) for i, piece in enumerate(self.texts))
        self._number_of = number_of

    def number(self, ids: np.ndarray) -> np.ndarray:
        """The number of each token id's piece, int32 in the same shape; `len(texts)` for other ids.

        ids: token ids of any shape; -1 and the like are allowed.
        """
        if not len(self._ids):
            return np.zeros(ids.shape, np.int32)
        row = np.minimum(np.searchsorted(self._ids, ids), len(self._ids) - 1)
        return np.where(self._ids[row] == ids, self._numbers[row], np.int32(len(self.texts)))

    def beginning(self, text: bytes) -> range:
        """The numbers of the pieces that begin with the text."""
        return range(bisect_left(self.texts, text), bisect_left(self.texts, text + _LAST))

    def ending(self, text: bytes) -> np.ndarray:
        """The numbers of the pieces that end with the text."""
        low = bisect_left(self._reversed, (text[::-1], -1))
        high = bisect_left(self._reversed, (text[::-1] + _LAST, -1))
        return np.array([i for _, i in self._reversed[low:high]], np.int64)

    def opening(self, text: bytes) -> list[tuple[int, bytes]]:
        """The pieces that are proper prefixes of the text: (number, remainder of the text)."""
        splits = ((self._number_of.get(text[:n]), text[n:]) for n in range(1, len(text)))
        return [(number, rest) for number, rest in splits if number is not None]


class Passages:
    """The tokens of all stored passages, indexed by piece, and the excerpts around each token."""

    def __init__(self, dictionary: Dictionary, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        # Inverted index: piece p occurs at the tokens order[at[p] : at[p + 1]].
        self._tokens = vocabulary.number(dictionary.column("passage_tokens"))
        self._order = np.argsort(self._tokens, kind="stable").astype(np.int32)
        counts = np.bincount(self._tokens, minlength=len(vocabulary.texts))
        self._at = np.concatenate([[0], np.cumsum(counts)])
        offsets = dictionary.column("passage_offsets").astype(np.int64)
        self._opens = np.zeros(len(self._tokens) + 1, bool)  # whether a passage begins at a token
        self._opens[offsets] = True
        row = np.searchsorted(
            dictionary.column("passage_ids"), dictionary.column("excerpt_passage")
        )
        # Excerpts in the order of their marked tokens: those near any token are consecutive.
        marked = offsets[row] + dictionary.column("excerpt_position")
        order = np.argsort(marked, kind="stable")
        self._region = _region_of_excerpts(dictionary)[order]
        lengths = np.diff(offsets)
        # before[i]: number of excerpts marked before token i.
        before = np.concatenate(
            [[0], np.cumsum(np.bincount(marked, minlength=len(self._tokens)))]
        ).astype(np.int32)
        token = np.arange(len(self._tokens))
        first, last = np.repeat(offsets[:-1], lengths), np.repeat(offsets[1:], lengths) - 1
        # A phrase from token a to token b of one passage belongs to excerpts low[a]:high[b].
        self._low = before[np.maximum(token - AFTER, first)]
        self._high = before[np.minimum(token + BEFORE, last) + 1]

    def regions(self, phrase: bytes) -> np.ndarray:
        """Ids, in rising order, of the regions with an excerpt that has the phrase near its token.

        phrase: case-folded, see `fold`.
        """
        # Each occurrence covers an interval of excerpts: +1 where it begins, -1 where it ends. The
        # running sum is then the number of occurrences that belong to each excerpt.
        change = np.zeros(len(self._region) + 1, np.int64)
        for first, last in self._hits(phrase):
            change += np.bincount(self._low[first], minlength=len(change))
            change -= np.bincount(self._high[last], minlength=len(change))
        return np.unique(self._region[np.cumsum(change[:-1]) > 0])

    def _hits(self, phrase: bytes) -> Iterator[Hits]:
        """Every occurrence of the phrase: within one token, or across the boundary of two."""
        inside = self._where(containing(self._vocabulary.texts, phrase))
        yield inside, inside
        for cut in range(1, len(phrase)):
            yield from self._across(phrase[:cut], phrase[cut:])

    def _across(self, head: bytes, rest: bytes) -> Iterator[Hits]:
        """Occurrences where a token ends with `head` and the following tokens begin with `rest`."""
        ends = self._vocabulary.ending(head)
        whole, parts = self._vocabulary.beginning(rest), self._vocabulary.opening(rest)
        begins = np.array([*whole, *(number for number, _ in parts)], np.int64)
        if not len(ends) or not len(begins):
            return
        # Start from the rarer side, and check the other side at these places only.
        if self._occurrences(ends) <= self._occurrences(begins):
            first = self._where(ends)
        else:
            first = self._where(begins) - 1
            first = first[first >= 0]
            first = first[self._among(ends)[self._tokens[first]]]
        yield from self._follow(first, first + 1, rest)

    def _follow(self, first: np.ndarray, current: np.ndarray, rest: bytes) -> Iterator[Hits]:
        """Occurrences that began at `first` and continue with `rest` from the tokens `current`."""
        inside = ~self._opens[current]  # an occurrence does not reach into the next passage
        first, current = first[inside], current[inside]
        piece = self._tokens[current]
        whole = self._vocabulary.beginning(rest)
        is_complete = (piece >= whole.start) & (piece < whole.stop)
        if is_complete.any():
            yield first[is_complete], current[is_complete]
        for number, remainder in self._vocabulary.opening(rest):
            if (mask := piece == number).any():
                yield from self._follow(first[mask], current[mask] + 1, remainder)

    def _where(self, pieces: np.ndarray) -> np.ndarray:
        """The tokens at which any of the pieces occurs."""
        slices = [self._order[self._at[p] : self._at[p + 1]] for p in pieces.tolist()]
        return np.concatenate(slices) if slices else np.zeros(0, np.int32)

    def _occurrences(self, pieces: np.ndarray) -> int:
        return int((self._at[pieces + 1] - self._at[pieces]).sum())

    def _among(self, pieces: np.ndarray) -> np.ndarray:
        """A mask over all pieces that is true for the given ones."""
        mask = np.zeros(len(self._vocabulary.texts), bool)
        mask[pieces] = True
        return mask


class PlainPassages:
    """Passages without tokens: a phrase anywhere in a passage belongs to all its excerpts."""

    def __init__(self, dictionary: Dictionary) -> None:
        offsets = dictionary.column("plain_offsets").tolist()
        data = dictionary.column("plain_bytes").tobytes()
        self._texts = [fold(data[a:b]) for a, b in zip(offsets, offsets[1:], strict=False)]
        self._row = np.searchsorted(
            dictionary.column("plain_ids"), dictionary.column("excerpt_passage")
        )
        self._region = _region_of_excerpts(dictionary)

    def regions(self, phrase: bytes) -> np.ndarray:
        """Ids, in rising order, of the regions with an excerpt whose passage has the phrase."""
        mask = np.zeros(len(self._texts), bool)
        mask[containing(self._texts, phrase)] = True
        return np.unique(self._region[mask[self._row]])


def _region_of_excerpts(dictionary: Dictionary) -> np.ndarray:
    """(E,) the region of each stored excerpt."""
    counts = np.diff(dictionary.column("excerpt_offsets"))
    return np.repeat(np.arange(len(counts)), counts)
