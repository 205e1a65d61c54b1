"""Search of all regions by id, label, lens tokens, members' tokens and the text of excerpts.

An index is built once from a dictionary's columns. A search looks at the vocabulary and at the
occurrences of a phrase, not at every region, so that it is fast enough to run while typing. Case is
ignored. This module does not depend on Streamlit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ep.method.dictionary import Dictionary
from ep.method.lenses import PAPER
from ep.views.passages import SHORTEST, Passages, PlainPassages, Vocabulary, containing, fold
from ep.views.tables import first_lens_column

REASONS = ("id", "label", "lens tokens", "members' tokens", "excerpts", "meaning")
ID, LABEL, LENS, MEMBERS, EXCERPTS, MEANING = range(len(REASONS))
"""Why a region matches, best reason first: indices into `REASONS`."""
LONGEST = 200
"""Characters of a query beyond which it is cut off."""
MOST_WORDS = 8
"""Words of a query that are searched for one by one."""
# The score of a match is _STEP · reason + a rank below _STEP within the reason; lower is better.
# Where only the single words match, _WORDS is added, which is more than any score of a whole query.
_STEP, _WORDS = 100, 1000
_NO = np.iinfo(np.int32).max
"""The score of a region that does not match."""


@dataclass(frozen=True, eq=False)
class Hits:
    """The regions that match a query.

    regions: (n,) ids, best first.
    reasons: (n,) why each matches, as indices into `REASONS`.
    """

    regions: np.ndarray
    reasons: np.ndarray

    def __len__(self) -> int:
        return len(self.regions)

    def summary(self) -> str:
        """The result in words, such as "23 regions: 5 by lens tokens, 18 by excerpts"."""
        n = len(self)
        if n == 0:
            return "no region"
        counts = np.bincount(self.reasons, minlength=len(REASONS))
        parts = ", ".join(f"{c:,} by {name}" for c, name in zip(counts, REASONS, strict=True) if c)
        return f"{n:,} region{'s' if n != 1 else ''}: {parts}"


NOTHING = Hits(np.zeros(0, np.int64), np.zeros(0, np.int64))


class Index:
    """A search index of one dictionary.

    A dictionary without a vocabulary can be searched by id, by label and by the plain text of its
    excerpts.
    """

    def __init__(self, dictionary: Dictionary) -> None:
        self._size = len(dictionary)
        self._members = dictionary.members
        stored = [
            (r, n)
            for r, n in (
                *((LENS, name) for name in lens_columns(dictionary)),
                (MEMBERS, "token_ids"),
            )
            if n in dictionary
        ]
        self._vocabulary: Vocabulary | None = None
        self._columns: list[tuple[int, np.ndarray]] = []
        self._text: Passages | PlainPassages | None = None
        if "vocabulary_ids" in dictionary:
            has_passages = all(
                n in dictionary for n in ("passage_tokens", "passage_ids", "excerpt_offsets")
            )
            tokens = dictionary.column("passage_tokens") if has_passages else np.zeros(0, np.int64)
            self._vocabulary = Vocabulary(dictionary, tokens)
            self._columns = [
                (reason, self._vocabulary.number(dictionary.column(name)))
                for reason, name in stored
            ]
            self._text = Passages(dictionary, self._vocabulary) if has_passages else None
        if self._text is None and "plain_ids" in dictionary and "excerpt_offsets" in dictionary:
            self._text = PlainPassages(dictionary)
        self._stored = lru_cache(64)(self._in_dictionary)
        # The labels of the last search, their regions (n,) and their folded texts.
        self._last_labels: tuple[Mapping[int, str], np.ndarray, list[bytes]] | None = None

    def find(self, query: str, labels: Mapping[int, str] | None = None) -> Hits:
        """The regions that match a query, best first.

        query: text of which at most 200 characters and 8 words are used. A number is also an id
            ("17", "#17", "region 17"). Excerpts are not searched for a phrase of a single byte.
        labels: texts by region, as `Labels.texts()` gives them; searching again with the same
            object is faster.

        Regions that match the whole query come before those that match each of its words somewhere.
        Within both, the order is by reason (id, label, lens token, member token, excerpt), then by
        how well it matches, then by number of members.
        """
        words = query[:LONGEST].split()
        if not words:
            return NOTHING
        score = self._score(" ".join(words), labels)
        if len(words) > 1:
            each = [self._score(word, labels) for word in dict.fromkeys(words[:MOST_WORDS])]
            all_words = np.max(each, axis=0)  # the worst of the words, _NO where one is missing
            score = np.where(
                score < _NO, score, np.where(all_words < _NO, all_words % _WORDS + _WORDS, _NO)
            )
        ids = np.flatnonzero(score < _NO)
        ids = ids[np.lexsort((ids, -self._members[ids], score[ids]))]
        return Hits(ids, score[ids] % _WORDS // _STEP)

    def _score(self, phrase: str, labels: Mapping[int, str] | None) -> np.ndarray:
        """(K,) int32 score of every region for one phrase; `_NO` where it does not match."""
        score = self._stored(phrase)
        if labels:
            regions, texts = self._labels(labels)
            folded = fold(phrase.encode("utf-8", "replace"))
            hits = containing(texts, folded)
            label = [_STEP * LABEL + (0 if texts[i] == folded else 50) for i in hits.tolist()]
            score = score.copy()
            score[regions[hits]] = np.minimum(score[regions[hits]], np.array(label, np.int32))
        return score

    def _labels(self, labels: Mapping[int, str]) -> tuple[np.ndarray, list[bytes]]:
        """The labelled regions (n,) and their case-folded labels, cached for one labels object."""
        last = self._last_labels
        if last is None or last[0] is not labels:
            regions = np.array([k for k in labels if 0 <= k < self._size], np.int64)
            last = (
                labels,
                regions,
                [fold(labels[k].encode("utf-8", "replace")) for k in regions.tolist()],
            )
            self._last_labels = last
        return last[1:]

    def _in_dictionary(self, phrase: str) -> np.ndarray:
        """(K,) read-only score of every region by everything but labels."""
        score = np.full(self._size, _NO, np.int32)
        folded = fold(phrase.encode("utf-8", "replace"))
        number = folded.removeprefix(b"#").removeprefix(b"region ")
        if self._vocabulary is not None:
            # Tokens that contain the phrase, and those that are the phrase but for whitespace.
            part = containing(self._vocabulary.texts, folded)
            whole = np.array(
                [i for i in part.tolist() if self._vocabulary.texts[i].strip() == folded], np.int64
            )
            for reason, tokens in self._columns:
                _lower(score, tokens, part, len(self._vocabulary.texts), _STEP * reason + 50)
                _lower(score, tokens, whole, len(self._vocabulary.texts), _STEP * reason)
        if self._text is not None and len(folded) >= SHORTEST:
            ids = self._text.regions(folded)
            score[ids] = np.minimum(score[ids], _STEP * EXCERPTS)
        if number.isdigit() and len(number) < 12 and int(number) < self._size:
            score[int(number)] = _STEP * ID
        score.setflags(write=False)
        return score


def lens_columns(dictionary: Dictionary) -> tuple[str, ...]:
    """The arrays of lens tokens that are searched: those that screens show, and the paper's."""
    names = (first_lens_column(dictionary), f"lens_{PAPER}_ids")
    return tuple(dict.fromkeys(name for name in names if name))


def _lower(
    score: np.ndarray, tokens: np.ndarray, matching: np.ndarray, size: int, base: int
) -> None:
    """Lower, in place, the scores of regions that list a matching token.

    score: (K,) to lower to at most base + the column of the region's first matching token.
    tokens: (K, n) numbers of the regions' tokens, `size` for none.
    matching: (m,) numbers of the matching tokens.
    size: number of pieces in the vocabulary.
    """
    is_match = np.zeros(size + 1, bool)
    is_match[matching] = True
    hits = is_match[tokens]
    ids = np.flatnonzero(hits.any(axis=1))
    score[ids] = np.minimum(score[ids], base + np.argmax(hits[ids], axis=1))
