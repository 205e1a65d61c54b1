"""One search box over all regions: ids, labels, lens tokens, members' tokens and the text of
excerpts.

The index is built once from the columns; a search looks at the vocabulary and at the places a
phrase occurs in, not at regions one by one, so that results can follow every key. Letters match
whatever their case. Knows no screen.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ep.method.dictionary import Dictionary
from ep.views.passages import SHORTEST, Passages, PlainPassages, Vocabulary, containing, fold

REASONS = ("id", "label", "lens tokens", "members' tokens", "excerpts", "meaning")
ID, LABEL, LENS, MEMBERS, EXCERPTS, MEANING = range(len(REASONS))
LONGEST = 200
MOST_WORDS = 8
_STEP, _WORDS = 100, 1000
_NO = np.iinfo(np.int32).max


@dataclass(frozen=True, eq=False)
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


NOTHING = Found(np.zeros(0, np.int64), np.zeros(0, np.int64))


class Index:
    """What `find` needs of a dictionary, read once; a file without tokens can be searched by id and
    label only.
    """

    def __init__(self, dictionary: Dictionary) -> None:
        self._size = len(dictionary)
        self._members = dictionary.members
        stored = [
            (r, n)
            for r, n in ((LENS, "lens_exemplar_up_ids"), (MEMBERS, "token_ids"))
            if n in dictionary
        ]
        self._vocabulary: Vocabulary | None = None
        self._columns: list[tuple[int, np.ndarray]] = []
        self._text: Passages | PlainPassages | None = None
        if "vocabulary_ids" in dictionary:
            has_passages = all(
                n in dictionary for n in ("passage_tokens", "passage_ids", "excerpt_offsets")
            )
            more = dictionary.column("passage_tokens") if has_passages else np.zeros(0, np.int64)
            self._vocabulary = Vocabulary(dictionary, more)
            self._columns = [
                (reason, self._vocabulary.number(dictionary.column(name)))
                for reason, name in stored
            ]
            self._text = Passages(dictionary, self._vocabulary) if has_passages else None
        if self._text is None and "plain_ids" in dictionary and "excerpt_offsets" in dictionary:
            self._text = PlainPassages(dictionary)
        self._stored = lru_cache(64)(self._in_dictionary)
        self._said: tuple[Mapping[int, str], np.ndarray, list[bytes]] | None = None

    def find(self, query: str, labels: Mapping[int, str] | None = None) -> Found:
        """Regions with the whole query first, then those with all its words somewhere; larger
        regions first.

        Within each: by id ("17", "#17", "region 17"), label, lens token, member token, excerpt.
        labels: text by region, `Labels.texts()`; the same object again costs less. Excerpts are
        looked through from two letters on.
        """
        words = query[:LONGEST].split()
        if not words:
            return NOTHING
        score = self._score(" ".join(words), labels)
        if len(words) > 1:
            each = [self._score(word, labels) for word in dict.fromkeys(words[:MOST_WORDS])]
            all_words = np.max(each, axis=0)
            score = np.where(
                score < _NO, score, np.where(all_words < _NO, all_words % _WORDS + _WORDS, _NO)
            )
        found = np.flatnonzero(score < _NO)
        found = found[np.lexsort((found, -self._members[found], score[found]))]
        return Found(found, score[found] % _WORDS // _STEP)

    def _score(self, phrase: str, labels: Mapping[int, str] | None) -> np.ndarray:
        """(K,) int32: lower is better, `_NO` where the phrase is not."""
        score = self._stored(phrase)
        if labels:
            regions, texts = self._labels(labels)
            folded = fold(phrase.encode("utf-8", "replace"))
            hits = containing(texts, folded)
            place = [_STEP * LABEL + (0 if texts[i] == folded else 50) for i in hits.tolist()]
            score = score.copy()
            score[regions[hits]] = np.minimum(score[regions[hits]], np.array(place, np.int32))
        return score

    def _labels(self, labels: Mapping[int, str]) -> tuple[np.ndarray, list[bytes]]:
        said = self._said
        if said is None or said[0] is not labels:
            regions = np.array([k for k in labels if 0 <= k < self._size], np.int64)
            said = (
                labels,
                regions,
                [fold(labels[k].encode("utf-8", "replace")) for k in regions.tolist()],
            )
            self._said = said
        return said[1:]

    def _in_dictionary(self, phrase: str) -> np.ndarray:
        score = np.full(self._size, _NO, np.int32)
        folded = fold(phrase.encode("utf-8", "replace"))
        number = folded.removeprefix(b"#").removeprefix(b"region ")
        if self._vocabulary is not None:
            part = containing(self._vocabulary.texts, folded)
            whole = np.array(
                [i for i in part.tolist() if self._vocabulary.texts[i].strip() == folded], np.int64
            )
            for reason, tokens in self._columns:
                _lower(score, tokens, part, len(self._vocabulary.texts), _STEP * reason + 50)
                _lower(score, tokens, whole, len(self._vocabulary.texts), _STEP * reason)
        if self._text is not None and len(folded) >= SHORTEST:
            near = self._text.regions(folded)
            score[near] = np.minimum(score[near], _STEP * EXCERPTS)
        if number.isdigit() and len(number) < 12 and int(number) < self._size:
            score[int(number)] = _STEP * ID
        score.setflags(write=False)
        return score


def _lower(
    score: np.ndarray, tokens: np.ndarray, wanted: np.ndarray, size: int, place: int
) -> None:
    """Lowers the score of regions with one of the wanted tokens among theirs (K, n) to place + its
    column.
    """
    is_wanted = np.zeros(size + 1, bool)
    is_wanted[wanted] = True
    hits = is_wanted[tokens]
    some = np.flatnonzero(hits.any(axis=1))
    score[some] = np.minimum(score[some], place + np.argmax(hits[some], axis=1))
