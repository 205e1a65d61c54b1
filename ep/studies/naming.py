"""Automatic labels: a few quoted words that set a region apart from its nearest regions.

They need no key, model or network. A label says where its words come from: `" am" → " sorry"` is a
word that the region's members are and the token that follows it, `" the" after " of"` has the word
in front. `in texts with "bomb"` has a word of the text before, and so has `"bomb" before "?"`.
`lens " Paris"` is a token that the exemplar promotes, and `texts with "harbour"` a word of texts
that are stored without tokens. Where a file lacks some of these, the others are used; where it has
none, the label is the region's number.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from threading import Lock
from weakref import WeakKeyDictionary

import numpy as np

from ep.method.dictionary import Dictionary
from ep.shapes import Bool
from ep.studies.contrasting import CLEAR, FEW_PRIOR, Slot, nearest_of, slot_of, slots
from ep.studies.heading import HEADS, Heads, of_regions
from ep.studies.whole_words import of_passages
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
GRAMMAR_SHARE, DOMINANT_SIDE = 0.2, 0.5
"""The same share for regions of grammar, numbers and punctuation, which what is around them tells
apart; and the share from which it is named even where the nearest regions have it as often.
"""
TEXT_SHARE, TEXT_CLEAR = 0.3, CLEAR
"""Share of a region's texts, and z, of a word that says in which texts such a region occurs."""
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
    filled, size = slots(dictionary), len(dictionary)
    heads = Heads([[]] * size, [[]] * size, np.zeros(size, bool), np.zeros((size, 0)))
    if "token" in filled:
        heads = of_regions(dictionary, filled["token"])
    around = _Around.of(dictionary, filled, heads.is_function)
    names = around.labels(heads.texts)
    names = _replaced(names, around.labels(heads.texts, closer=True))
    names = _replaced(names, around.labels(heads.plain, closer=True))
    names = _with_context(dictionary, names, heads.is_function)
    lens: list[list[str]] = [[]] * size
    if "lens_exemplar_up_ids" in dictionary:
        rows = dictionary.column("lens_exemplar_up_ids")[:, :HEADS].tolist()
        lens = [[dictionary.piece(token) for token in row if token >= 0] for row in rows]
    names = _with_lens(names, lens)
    return [
        name or by_words or numbered(k)
        for k, (name, by_words) in enumerate(zip(names, _names_by_words(dictionary), strict=True))
    ]


@dataclass(frozen=True, eq=False)
class _Around:
    """What precedes and follows the members of each region, as texts, the clearest first.

    Usual texts and those that only regions with a shared label need, as (before, after) each.
    """

    usual: tuple[list[list[str]], list[list[str]]]
    closer: tuple[list[list[str]], list[list[str]]]

    @classmethod
    def of(
        cls, dictionary: Dictionary, filled: Mapping[str, Slot], grammar: Bool[np.ndarray, " K"]
    ) -> _Around:
        """Return it for all regions.

        filled: the slots that the file has data for. grammar: (K,) regions whose heads say little
        without what is around them.
        """
        words = of_passages(dictionary)
        spell = words.texts.__getitem__ if words is not None else dictionary.piece
        before, after = filled.get("before"), filled.get("next")
        if after is not None and words is not None and "token" in filled:
            after = _without_endings(dictionary, after, filled["token"])

        def texts(slot: Slot | None, spell: Callable[[int], str], share: float) -> list[list[str]]:
            if slot is None:
                return [[]] * len(grammar)
            rows = slot.best(share)
            rows = np.hstack([rows, np.full(rows.shape, -1)])
            rows[grammar] = slot.best(GRAMMAR_SHARE, 2, always=DOMINANT_SIDE)[grammar]
            return [[spell(token) for token in row if token >= 0] for row in rows.tolist()]

        usual, closer = (
            (texts(before, spell, 2 * share), texts(after, dictionary.piece, share))
            for share in (SIDE_SHARE, LEAST_SIDE_SHARE)
        )
        return cls(usual, closer)

    def labels(self, heads: list[list[str]], closer: bool = False) -> list[str]:
        """Return the labels of all regions with these heads, empty for regions without."""
        before, after = self.closer if closer else self.usual
        return [_label(*one) for one in zip(heads, before, after, strict=True)]


def _without_endings(dictionary: Dictionary, after: Slot, token: Slot) -> Slot:
    """Return the tokens that follow without endings of the members' own words.

    The whole words stand at the head of the label.
    """
    tokens = np.unique(np.append(np.append(after.ids, token.ids[:, 0]), -1))
    pieces = [dictionary.piece(i) if i >= 0 else "" for i in tokens.tolist()]
    begins = np.array([piece[:1].isalpha() for piece in pieces])
    ends = np.array([piece[-1:].isalpha() for piece in pieces])
    is_open = ends[np.searchsorted(tokens, token.ids[:, 0])][:, None]
    is_ending = is_open & begins[np.searchsorted(tokens, after.ids)]
    return replace(after, ids=np.where(is_ending, -1, after.ids))


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


@lru_cache(maxsize=1 << 16)
def _quoted(text: str) -> str:
    """Return a token or word in quotation marks, on one line."""
    piece = shorten(text, LONGEST_TOKEN)
    shown = "".join(part.text for part in segments(piece, spaces=not piece.strip(" ")))
    return f'"{shown}"'


def _joined(texts: Sequence[str]) -> str:
    """Return texts as `"a" / "b"`; those that look the same only once."""
    return " / ".join(dict.fromkeys(map(_quoted, texts)))


def _label(heads: Sequence[str], before: Sequence[str], after: Sequence[str]) -> str:
    """Return the label of one region, empty when it has no heads."""
    if not heads:
        return ""
    name = _joined(heads)
    if before:
        name = f"{name} after {_joined(before)}"
    return f"{name} → {_joined(after)}" if after else name


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


def _with_lens(names: list[str], lens: list[list[str]]) -> list[str]:
    """Return the labels, with tokens that the exemplar promotes where nothing else is known.

    Labels that several regions share still get the first such token that is new.
    """
    result = []
    for name, promoted, shared in zip(names, lens, _shared(names).tolist(), strict=True):
        quoted = list(map(_quoted, promoted))
        new = next((token for token in quoted if token not in name), "")
        if not name and quoted:
            name = f"lens {' '.join(quoted)}"
        elif name and shared and new:
            name = f"{name}, lens {new}"
        result.append(name)
    return result


def _with_context(
    dictionary: Dictionary, names: list[str], grammar: Bool[np.ndarray, " K"]
) -> list[str]:
    """Add to some labels one or two words of the text before that are more frequent than around.

    They are the labels that are still shared, and those whose heads say little by themselves, where
    such words are in many of the region's texts.

    grammar: (K,) regions whose heads say little.
    """
    shared = _shared(names) & np.array([bool(name) for name in names], bool)
    if not (shared | grammar).any() or (counted := context(dictionary)) is None:
        return names
    texts, ids, counts, passages = counted
    slot = slot_of(ids, counts, passages, nearest_of(dictionary), FEW_PRIOR)
    rows = np.where(shared[:, None], slot.clearest(), slot.best(TEXT_SHARE, 2, TEXT_CLEAR))
    rows[~(shared | grammar)] = -1
    result, frequency = [], Counter(names)
    for name, row, is_shared in zip(names, rows.tolist(), shared.tolist(), strict=True):
        if name and (words := _joined([texts[i].strip(" ") for i in row if i >= 0])):
            is_usual = is_shared and frequency[name] > USUAL_SHARE * len(names)
            name = f"{words} before {name}" if is_usual else f"{name}, in texts with {words}"
        result.append(name)
    return result
