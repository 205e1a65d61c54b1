"""The words that follow a region's members in its stored excerpts, and the words of its read-outs.

The window of an excerpt is the tokens after the one that follows the marked token. A word counts
where it lies in a window as a whole; it is read from the text, so that several tokens may spell it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np

from ep.method.dictionary import Dictionary
from ep.shapes import Int64

WINDOW = 30
"""Tokens of a window; the token right after the marked one is before it."""
SHORTEST = 4
"""Letters of a word that counts: shorter ones are mostly function words."""
WORDS = 10
"""Words of a read-out that count, the strongest."""
PASSAGES_AT_ONCE = 1000
"""Passages decoded at a time."""
_WORD = re.compile(rf"[^\W\d_]{{{SHORTEST},}}")


class Numbers(dict[str, int]):
    """Numbers for words in the order in which they are first asked for."""

    def __missing__(self, word: str) -> int:
        self[word] = len(self)
        return self[word]


def following(
    dictionary: Dictionary, regions: Int64[np.ndarray, " r"], numbers: Numbers
) -> tuple[Int64[np.ndarray, " m"], Int64[np.ndarray, " m"]]:
    """Return distinct pairs (index into `regions`, number of a word in one of its windows), sorted.

    There are none in a file without token ids or without excerpts.
    """
    none = np.zeros(0, np.int64)
    if "passage_ids" not in dictionary or "excerpt_offsets" not in dictionary:
        return none, none
    owner, passage, start = _windows(dictionary, regions)
    at = dictionary.column("passage_offsets")
    first = at[passage] + start
    last = np.minimum(first + WINDOW, at[passage + 1])
    pairs = [np.zeros((0, 2), np.int64)]
    used = np.unique(passage)
    for chunk in (used[i : i + PASSAGES_AT_ONCE] for i in range(0, len(used), PASSAGES_AT_ONCE)):
        begins, ends, word = _words(dictionary, chunk, numbers)
        mine = np.flatnonzero(np.isin(passage, chunk))
        low = np.searchsorted(begins, first[mine])
        count = np.maximum(0, np.searchsorted(ends, last[mine], "right") - low)
        which = np.repeat(low - np.cumsum(count) + count, count) + np.arange(count.sum())
        found = np.stack([np.repeat(owner[mine], count), word[which]], 1)
        pairs.append(np.unique(found, axis=0))
    row, word = np.unique(np.concatenate(pairs), axis=0).T
    return row, word


def _windows(
    dictionary: Dictionary, regions: Int64[np.ndarray, " r"]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return of each excerpt: index into `regions`, row of its passage, start of its window."""
    offsets = dictionary.column("excerpt_offsets")
    counts = offsets[regions + 1] - offsets[regions]
    owner = np.repeat(np.arange(len(regions)), counts)
    excerpt = np.arange(len(owner)) + np.repeat(
        offsets[regions] - np.cumsum(counts) + counts, counts
    )
    ids = dictionary.column("passage_ids")
    passage = np.searchsorted(ids, dictionary.column("excerpt_passage")[excerpt])
    return owner, passage, dictionary.column("excerpt_position")[excerpt].astype(np.int64) + 2


def _words(
    dictionary: Dictionary, passages: np.ndarray, numbers: Numbers
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the words of some passages: first token, one past the last one, and number.

    passages: their rows, rising. Tokens are counted as in `passage_tokens`.
    """
    offsets, tokens = dictionary.column("passage_offsets"), dictionary.column("passage_tokens")
    place = np.concatenate([np.arange(offsets[p], offsets[p + 1]) for p in passages])
    pieces = _pieces(dictionary, tokens[place])
    text = b"".join(pieces).decode("utf-8", "surrogateescape")
    piece_ends = np.cumsum([len(piece) for piece in pieces])
    spans = [(m.start(), m.end(), numbers[m.group().lower()]) for m in _WORD.finditer(text)]
    begin, end, word = np.array(spans, np.int64).reshape(-1, 3).T
    byte = _byte_offsets(text)
    first = np.searchsorted(piece_ends, byte[begin], "right")
    last = np.searchsorted(piece_ends, byte[end] - 1, "right")
    return place[first], place[last] + 1, word


def _pieces(dictionary: Dictionary, tokens: np.ndarray) -> list[bytes]:
    """Return the bytes of tokens; a space for a token without an entry in the vocabulary."""
    ids = dictionary.column("vocabulary_ids")
    vocabulary = dictionary.column("vocabulary_pieces")
    row = np.minimum(np.searchsorted(ids, tokens), len(ids) - 1)
    return [bytes(p) for p in np.where(ids[row] == tokens, vocabulary[row], b" ").tolist()]


def _byte_offsets(text: str) -> np.ndarray:
    """Return where each character of a text began in its bytes, and at last their number.

    text: decoded with "surrogateescape", so that an undecodable byte is one character.
    """
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4")
    lengths = 1 + (codes >= 0x80).astype(np.int64) + (codes >= 0x800) + (codes >= 0x10000)
    lengths[(codes >= 0xDC80) & (codes <= 0xDCFF)] = 1
    return np.concatenate([[0], np.cumsum(lengths)])


def strongest(
    dictionary: Dictionary, lens: str, regions: Int64[np.ndarray, " r"], numbers: Numbers
) -> Int64[np.ndarray, "r w"]:
    """Return the numbers of the strongest words of a stored read-out (r, WORDS); -1 for none.

    A token is a word if its letters, without the spaces around them, are all there is of it.
    """
    ids = dictionary.column(f"lens_{lens}_ids")[regions].astype(np.int64)
    tokens, place = np.unique(ids, return_inverse=True)
    number = np.array([_number(dictionary, token, numbers) for token in tokens.tolist()], np.int64)
    found = number[place.reshape(ids.shape)]
    found[_repeated(found)] = -1
    order = np.argsort(found < 0, axis=1, kind="stable")[:, :WORDS]
    return np.take_along_axis(found, order, 1)


def _number(dictionary: Dictionary, token: int, numbers: Numbers) -> int:
    word = dictionary.piece(token).strip().lower() if token >= 0 else ""
    return numbers[word] if _WORD.fullmatch(word) else -1


def _repeated(rows: np.ndarray) -> np.ndarray:
    """Return which entries of each row stand further left in it as well, in other capitals."""
    same = rows[:, :, None] == rows[:, None, :]
    return np.asarray(np.tril(same, -1).any(2))


def shared(
    row: Int64[np.ndarray, " m"],
    word: Int64[np.ndarray, " m"],
    asked: Int64[np.ndarray, "r w"],
    texts: Int64[np.ndarray, " r"],
    n_words: int,
) -> Int64[np.ndarray, " r"]:
    """Return how many of the words `asked[i]` are among those that follow in region `texts[i]`.

    row, word: the result of `following`; n_words: number of different words.
    """
    keys = row * n_words + word
    wanted = texts[:, None] * n_words + asked
    at = np.minimum(np.searchsorted(keys, wanted), max(0, len(keys) - 1))
    hit = (keys[at] == wanted) if len(keys) else np.zeros(wanted.shape, bool)
    return np.asarray((hit & (asked >= 0)).sum(1), np.int64)


def deranged(n: int, draws: int, rng: np.random.Generator) -> Iterator[Int64[np.ndarray, " n"]]:
    """Yield permutations of 0 … n-1 that leave nothing in its place; n must be at least 2.

    Each is one random cycle through all.
    """
    for _ in range(draws):
        order = rng.permutation(n)
        out = np.empty(n, np.int64)
        out[order] = np.roll(order, 1)
        yield out
