"""The whole words of a file's passages, rebuilt from their tokens, and which of them carry meaning.

A tokenizer cuts rare words into pieces ("d", "aisy"), and a piece says little as a name. This
module finds the word around every stored token. It also knows which forms belong to one word
("result", "resulted") and which words are grammar rather than content ("of", "the").
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from weakref import WeakKeyDictionary

import numpy as np

from ep.method.dictionary import Dictionary
from ep.shapes import Bool, Int64, Integer

LONGEST_WORD, MOST_PIECES = 24, 12
"""Characters and tokens of a word beyond which it is left in its tokens.

Text in a script without spaces is one long run of letters.
"""
LEAST_CONTENT = 3
"""Letters of the shortest word that says what a text is about."""
LEAST_STEM = 4
"""Letters that remain of a word without its ending; shorter ones keep it."""
_ENDINGS = "ingly edly ings ing ied ies ed ers er es ly s e y"
ENDINGS = tuple(_ENDINGS.split())
"""English endings, which forms of one word may differ in; the first that fits is taken off."""
_GRAMMAR = """
a about above across after again against ago all almost alone along already also although
always am among amongst an and another any anybody anyone anything are around as at away be
became because become been before behind being below beneath beside between beyond both but by
came can cannot could did do does doing done down during each either else enough etc even ever
every everyone everything few first for from further gave get gets getting give given go goes
going gone got had has have having he hence her here hers herself him himself his how however
i if in indeed instead into is it its itself just last least less let like made make makes
many may me might mine more most much must my myself near neither never next no nobody none
nor not nothing now of off often on once one ones only onto or other others otherwise ought
our ours out over own per perhaps put quite rather really said same say says see seen several
shall she should since so some someone something soon still such than that the thee their
theirs them themselves then there therefore these they thing things this those thou though
through thus thy till to together too took toward towards under until up upon us used very via
was way we well went were what whatever when whence where whether which while who whole whom
whose why will with within without would yes yet you your yours yourself 's 't 'd 'm 'll 've
're ’s ’t ’d ’m ’ll ’ve ’re
"""
FUNCTION = frozenset(_GRAMMAR.split())
"""English words that hold sentences together; they never say what a text is about."""
_REMEMBERED = 1 << 16
"""Words of which it is remembered what they are: the passages of a build are looked at often."""
_cache: WeakKeyDictionary[Dictionary, Words] = WeakKeyDictionary()


@dataclass(frozen=True, eq=False)
class Words:
    """The words of all stored passages.

    of_token: (n,) number of the word to which each stored token belongs; a token outside words,
        such as a comma, is a word of its own.
    first: (n,) index of the first token of that word.
    texts: (w,) words as they are written, with the space in front.
    """

    of_token: Int64[np.ndarray, " n"]
    first: Int64[np.ndarray, " n"]
    texts: tuple[str, ...]


@lru_cache(_REMEMBERED)
def stem(text: str) -> str:
    """Return what the forms of a word have in common: "result" for " Resulting".

    Texts that are no words are returned without surrounding spaces, in lower case.
    """
    word = text.strip(" ").lower()
    if not word.isalpha():
        return word or text
    for ending in ENDINGS:
        rest = word.removesuffix(ending)
        if rest != word and len(rest) >= LEAST_STEM:
            is_doubled = ending in ("ing", "ed") and rest[-1] == rest[-2] and rest[-1] not in "ls"
            return rest[:-1] if is_doubled else rest
    return word


@lru_cache(_REMEMBERED)
def is_function(text: str) -> bool:
    """Return whether a text is grammar, a number or punctuation: it has no content by itself."""
    word = text.strip(" ").lower()
    return word in FUNCTION or len(word) < 2 or not any(map(str.isalpha, word))


@lru_cache(_REMEMBERED)
def is_content(text: str) -> bool:
    """Return whether a text is a word that says what a passage is about."""
    word = text.strip(" ").lower()
    return LEAST_CONTENT <= len(word) <= LONGEST_WORD and word.isalpha() and word not in FUNCTION


def fold(words: Words) -> Int64[np.ndarray, " w"]:
    """Return for each word the most frequent that differs from it in case and spaces only."""
    usual: dict[str, int] = {}
    frequency = np.bincount(words.of_token, minlength=len(words.texts))
    folded = [text.strip(" ").lower() or text for text in words.texts]
    for i in np.argsort(-frequency, kind="stable").tolist():
        usual.setdefault(folded[i], i)
    return np.array([usual[text] for text in folded], np.int64)


def flags(texts: Sequence[str]) -> tuple[Int64[np.ndarray, " w"], Bool[np.ndarray, "2 w"]]:
    """Return for texts the number of each one's stem, and rows: is it a function word, content."""
    number: dict[str, int] = {}
    stems = [number.setdefault(stem(text), len(number)) for text in texts]
    kinds = [[is_function(text) for text in texts], [is_content(text) for text in texts]]
    return np.array(stems, np.int64), np.array(kinds, bool).reshape(2, len(texts))


def of_passages(dictionary: Dictionary) -> Words | None:
    """Return the words of a file's passages, or None for a file that stores no tokens of them.

    They are cached for the life of the dictionary.
    """
    if "passage_tokens" not in dictionary or "passage_offsets" not in dictionary:
        return None
    if dictionary not in _cache:
        tokens, offsets = dictionary.column("passage_tokens"), dictionary.column("passage_offsets")
        distinct, row = np.unique(tokens, return_inverse=True)
        pieces = [dictionary.piece(token) for token in distinct.tolist()]
        _cache[dictionary] = _joined(row.ravel().astype(np.int64), offsets, pieces)
    return _cache[dictionary]


def _joined(
    row: Int64[np.ndarray, " n"], offsets: Integer[np.ndarray, " m"], pieces: Sequence[str]
) -> Words:
    """Return the words of passages.

    row: (n,) place in `pieces` of each stored token. offsets: (m,) where passages begin and end.
    """
    if not len(row):
        return Words(row, row, ())
    begins = np.array([piece[:1].isalpha() for piece in pieces])[row]
    ends = np.array([piece[-1:].isalpha() for piece in pieces])[row]
    is_start = np.ones(len(row), bool)
    is_start[1:] = ~(begins[1:] & ends[:-1])
    is_start[offsets[:-1][offsets[:-1] < len(row)]] = True
    first = _first(is_start)
    # a run of too many tokens is no word: each of its tokens then stands for itself
    is_start |= (np.bincount(first, minlength=len(row)) > MOST_PIECES)[first]
    first = _first(is_start)
    starts = np.flatnonzero(is_start)
    weight = np.random.default_rng(0).integers(1, 2**63, MOST_PIECES, np.uint64)
    place = np.minimum(np.arange(len(row)) - first, MOST_PIECES - 1)
    hashed = np.add.reduceat((row.astype(np.uint64) + np.uint64(1)) * weight[place], starts)
    _, example, number = np.unique(hashed, return_index=True, return_inverse=True)
    stops = np.append(starts[1:], len(row))
    texts = tuple(
        "".join([pieces[i] for i in row[start:stop]])
        for start, stop in zip(starts[example].tolist(), stops[example].tolist(), strict=True)
    )
    return Words(number.ravel()[np.cumsum(is_start) - 1], first, texts)


def _first(is_start: Bool[np.ndarray, " n"]) -> Int64[np.ndarray, " n"]:
    """Return for each token the index of the last start at or before it."""
    return np.maximum.accumulate(np.where(is_start, np.arange(len(is_start)), 0))
