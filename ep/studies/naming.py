"""Automatic labels: a few quoted tokens that set a region apart from its nearest regions.

They need no key, model or network. A label says where its tokens come from: `" am" → " sorry"` is a
token of the region's members and the one that follows it, `"ance" after " bal"` has the one in
front, `in texts with " bomb"` has a token of the text before, and so has `" bomb" before "?"`.
`lens " Paris"` is a token that the exemplar promotes, and `texts with "harbour"` a word of texts
that are stored without tokens. Where a file lacks some of these, the others are used; where it has
none, the label is the region's number.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from threading import Lock
from weakref import WeakKeyDictionary

import numpy as np

from ep.method.dictionary import Dictionary
from ep.shapes import Bool, Int64
from ep.studies.contrasting import HEADS, Slot, Spelling, nearest_of, slot_of, slots
from ep.studies.wording import context, words
from ep.text import plain, segments, shorten

USUAL_SHARE = 0.1
"""A label that more than this share of all regions would have says little of each.

It then comes after the words of the text before, as in a dictionary of last tokens.
"""
SIDE_SHARE, LEAST_SIDE_SHARE = 0.25, 0.1
"""Smallest share of members that the token that follows must have; the one in front needs twice as
much. The second share is for regions that would otherwise have the label of another.
"""
LONGEST_TOKEN = 24
"""Most characters of a quoted token."""
LONGEST_STORED = 2000
"""Bytes of a label that are stored and read, far more than a label has."""
WORDED = "texts with "
"""Beginning of the label of a region whose texts are known but not their tokens."""
_cache: WeakKeyDictionary[Dictionary, tuple[str, ...]] = WeakKeyDictionary()
_lock = Lock()


def automatic(dictionary: Dictionary, regions: Sequence[int] | None = None) -> list[str]:
    """Return the automatic label of every region, or of the given ones in their order.

    The same file always gives the same labels. They are made from the stored counts of members'
    tokens and next tokens (the ten most frequent of each) and from the tokens in front in the
    excerpts, each compared with the pooled members of the region's nearest regions.

    A file that stores names is read; for others the first call names all regions, which may take
    seconds for 20,000 of them. The labels are cached for the life of the dictionary.
    """
    with _lock:  # a second caller waits for the first and then finds the names in the cache
        if (names := _cache.get(dictionary)) is None:
            names = _cache[dictionary] = tuple(_stored(dictionary) or compute(dictionary))
    return list(names) if regions is None else [names[dictionary.check(k)] for k in regions]


def is_named(dictionary: Dictionary) -> bool:
    """Return whether the labels are stored or in the cache, so that `automatic` is immediate."""
    return dictionary in _cache or "name_offsets" in dictionary


def _stored(dictionary: Dictionary) -> list[str]:
    """Return the labels that the file stores, as one short line each; none where it has none."""
    if "name_offsets" not in dictionary:
        return []
    text = dictionary.column("name_bytes").tobytes()
    offsets = dictionary.column("name_offsets").tolist()
    lines = [
        text[start : min(stop, start + LONGEST_STORED)].decode("utf-8", "replace")
        for start, stop in zip(offsets, offsets[1:], strict=False)
    ]
    return [
        (line if line.isprintable() else " ".join(plain(line).split())) or numbered(k)
        for k, line in enumerate(lines)
    ]


def as_arrays(names: Sequence[str]) -> dict[str, np.ndarray]:
    """Return labels as the arrays that a file stores, see `docs/format.md`."""
    texts = [name.encode()[:LONGEST_STORED] for name in names]
    offsets = np.cumsum([0, *map(len, texts)], dtype=np.int64)
    return {"name_offsets": offsets, "name_bytes": np.frombuffer(b"".join(texts), np.uint8)}


def numbered(region: int) -> str:
    """Return the label of a region of which nothing is known."""
    return f"region {region}"


def is_numbered(name: str) -> bool:
    """Return whether a label is only a region's number, after a space of any width."""
    return name.split()[:1] == ["region"] and "".join(name.split()[1:]).isdecimal()


# -- the words -------------------------------------------------------------------------------------


def compute(dictionary: Dictionary) -> list[str]:
    """Compute the labels of all regions, whether the file stores some or not."""
    filled, quote = slots(dictionary), _Quotes(dictionary)
    none = np.full((len(dictionary), 1), -1, np.int64)
    heads = none
    if "token" in filled:
        heads = filled["token"].heads(Spelling.of(dictionary, filled["token"].ids))
    names = _quoted(quote, heads, filled, SIDE_SHARE)
    closer = _quoted(quote, heads, filled, LEAST_SIDE_SHARE)
    names = _replaced(names, closer)
    names = _with_context(dictionary, names, quote)
    lens = none
    if "lens_exemplar_up_ids" in dictionary:
        lens = dictionary.column("lens_exemplar_up_ids")[:, :HEADS].astype(np.int64)
    names = _with_lens(names, lens.tolist(), quote)
    return [
        name or by_words or numbered(k)
        for k, (name, by_words) in enumerate(zip(names, _names_by_words(dictionary), strict=True))
    ]


def _quoted(
    quote: _Quotes, heads: Int64[np.ndarray, "K h"], filled: Mapping[str, Slot], least: float
) -> list[str]:
    """Return the labels of all regions from their tokens, empty where they have none.

    heads: (K, h) tokens at the head, −1 for none.
    filled: the slots that the file has data for.
    least: smallest share of members with the token that follows.
    """
    none = np.full(len(heads), -1, np.int64)
    after = filled["next"].best(least) if "next" in filled else none
    before = filled["before"].best(2 * least) if "before" in filled else none
    parts = zip(heads.tolist(), after.tolist(), before.tolist(), strict=True)
    return [quote.label(*one) for one in parts]


def _names_by_words(dictionary: Dictionary) -> list[str]:
    """Return labels from the words of the excerpts, empty where there are none."""
    if (counted := words(dictionary)) is None:
        return [""] * len(dictionary)
    vocabulary, ids, counts = counted
    chosen = slot_of(
        ids, counts, np.maximum(1, counts.max(axis=1)), nearest_of(dictionary)
    ).clearest()
    return [
        f"{WORDED}{' / '.join(quoted)}"
        if (quoted := [f'"{vocabulary[i]}"' for i in row if i >= 0])
        else ""
        for row in chosen.tolist()
    ]


class _Quotes:
    """Token ids as quoted text on one line; each id is converted once."""

    def __init__(self, dictionary: Dictionary) -> None:
        self._dictionary = dictionary
        self._cache: dict[int, str] = {}

    def __call__(self, token: int) -> str:
        if token not in self._cache:
            piece = shorten(self._dictionary.piece(token), LONGEST_TOKEN)
            text = "".join(segment.text for segment in segments(piece, spaces=not piece.strip(" ")))
            self._cache[token] = f'"{text}"'
        return self._cache[token]

    def label(self, heads: list[int], after: int, before: int) -> str:
        """Return the label of one region, empty when it has no heads.

        heads: tokens at the head.
        after, before: the token that follows and the one in front, −1 for none.
        """
        tokens = " / ".join(self(token) for token in heads if token >= 0)
        if not tokens:
            return ""
        if before >= 0:
            tokens = f"{tokens} after {self(before)}"
        return f"{tokens} → {self(after)}" if after >= 0 else tokens


def _shared(names: list[str]) -> Bool[np.ndarray, " K"]:
    """Return which regions have a label that another region has too."""
    _, place, counts = np.unique(
        np.asarray(names, object).astype(str), return_inverse=True, return_counts=True
    )
    return counts[place] > 1


def _replaced(names: list[str], closer: list[str]) -> list[str]:
    """Return the labels, with the closer description where several regions share a label."""
    shared = _shared(names).tolist()
    return [new if one else name for name, new, one in zip(names, closer, shared, strict=True)]


def _with_lens(names: list[str], lens: list[list[int]], quote: _Quotes) -> list[str]:
    """Return the labels, with tokens that the exemplar promotes where nothing else is known.

    Labels that several regions share still get the first such token that is new.
    """
    result = []
    for name, promoted, shared in zip(names, lens, _shared(names).tolist(), strict=True):
        quoted = [quote(token) for token in promoted if token >= 0]
        new = next((token for token in quoted if token not in name), "")
        if not name and quoted:
            name = f"lens {' '.join(quoted)}"
        elif name and shared and new:
            name = f"{name}, lens {new}"
        result.append(name)
    return result


def _with_context(dictionary: Dictionary, names: list[str], quote: _Quotes) -> list[str]:
    """Add to labels that are still shared one or two tokens of the text before.

    These are tokens more frequent there than around.
    """
    shared, nearest = _shared(names), nearest_of(dictionary)
    shared &= np.array([bool(name) for name in names], bool)
    # the neighbours' texts are needed for comparison, whether their labels are shared or not
    wanted = shared.copy()
    wanted[nearest[shared][nearest[shared] >= 0]] = True
    if not shared.any() or (counted := context(dictionary, wanted)) is None:
        return names
    ids, counts = counted
    spelling = Spelling.of(dictionary, ids)
    # whole words say more of a text than pieces, punctuation and the marks of a chat's turns
    slot = slot_of(ids, counts, np.maximum(1, counts.max(axis=1)), nearest)
    clearest = slot.clearest(spelling.is_word[spelling.row(ids)]).tolist()
    result, frequency = [], Counter(names)
    for name, tokens, is_shared in zip(names, clearest, shared.tolist(), strict=True):
        quoted = " / ".join(quote(token) for token in tokens if token >= 0)
        if is_shared and quoted:
            is_usual = frequency[name] > USUAL_SHARE * len(names)
            name = f"{quoted} before {name}" if is_usual else f"{name}, in texts with {quoted}"
        result.append(name)
    return result
