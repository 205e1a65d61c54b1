"""Names of neighbourhoods: what sets the members of a group apart from those of the other groups.

A group is named by the members' tokens that it has more often than all others, and the token that
follows more often, or by words of the text before where these are alike; in files without tokens by
the words of its texts, and without these by the words of published labels. In a file with nothing
but geometry it is named after its largest region, which can be looked up.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from weakref import WeakKeyDictionary

import numpy as np

from ep.method.dictionary import Dictionary
from ep.method.surroundings import group_names
from ep.shapes import Int64, Integer, Num
from ep.storage.labels import published_in
from ep.studies.contrasting import CLEAR, Spelling, apart
from ep.studies.wording import WORD, context, words

AROUND = "group of region "
"""Beginning of the name of a group of which nothing but the geometry is known."""
NO_REGION = "no region"
"""Name of a group without regions."""
FOLLOWS = "→ "
"""Beginning of the last part of a name, the token that follows the members' tokens."""
MOST_TOKENS, SHOWN = 10, 3
"""Tokens of a region that are used, and tokens in a name, at most."""

_cache: WeakKeyDictionary[Dictionary, tuple[tuple[str, ...], ...]] = WeakKeyDictionary()
_lock = Lock()


def of_groups(dictionary: Dictionary) -> tuple[tuple[str, ...], ...]:
    """Return the names of each neighbourhood, in the order of their numbers.

    Each has its most specific tokens or words, best first, and perhaps `FOLLOWS` + the token that
    follows; or a single name `AROUND` + id where nothing is known of it. Empty when the file stores
    no neighbourhoods. The names are those stored in the file, if it stores names of regions too;
    otherwise they are computed once and cached for the life of the dictionary.
    """
    if "neighbourhood" not in dictionary or not len(dictionary):
        return ()
    with _lock:
        if dictionary not in _cache:
            _cache[dictionary] = _names(dictionary)
        return _cache[dictionary]


def is_by_geometry(dictionary: Dictionary) -> bool:
    """Return whether any group is named after a region."""
    return any(name.startswith(AROUND) for names in of_groups(dictionary) for name in names[:1])


def compute(dictionary: Dictionary) -> list[list[str]]:
    """Return the names of each neighbourhood by tokens, words or labels; empty lists for others."""
    group, weight = dictionary.column("neighbourhood"), dictionary.members
    names: list[list[str]] = [[] for _ in range(int(group.max()) + 1)]
    if "token_ids" in dictionary:
        names = _by_tokens(dictionary)
    if not all(names) and (source := _vocabulary(dictionary)) is not None:
        ids, spell = source
        chosen = group_names(group, weight, ids)
        others = [[spell(token) for token in row if token >= 0] for row in chosen.tolist()]
        names = [name or other for name, other in zip(names, others, strict=True)]
    return names


def _names(dictionary: Dictionary) -> tuple[tuple[str, ...], ...]:
    """Return the names of all groups: stored ones, computed ones, or the largest region."""
    group, weight = dictionary.column("neighbourhood"), dictionary.members
    n_groups = int(group.max()) + 1
    stored = [tuple(map(str, row)) for row in dictionary.info.get("group_names") or []]
    stored = (stored + [()] * n_groups)[:n_groups]
    # without names of regions the file is of an older version, which named groups by lens tokens
    is_current = "name_offsets" in dictionary and all(stored)
    names = stored if is_current else [tuple(row) for row in compute(dictionary)]
    largest = [np.flatnonzero(group == g) for g in range(n_groups)]
    return tuple(
        name
        or old
        or ((f"{AROUND}{members[np.argmax(weight[members])]}",) if len(members) else (NO_REGION,))
        for name, old, members in zip(names, stored, largest, strict=True)
    )


def _by_tokens(dictionary: Dictionary) -> list[list[str]]:
    """Return the names of all groups from the counts of their members' tokens.

    Groups whose members' tokens are alike, as in a dictionary of last tokens, are named by words of
    the text before.
    """
    group = dictionary.column("neighbourhood").astype(np.int64)
    counted = dictionary.column("token_ids"), dictionary.column("token_counts")
    names = _clearest(dictionary, group, *counted, n=SHOWN)
    if "next_ids" in dictionary:
        counted = dictionary.column("next_ids"), dictionary.column("next_counts")
        after = _clearest(dictionary, group, *counted, n=1)
        names = [
            [*row, *(FOLLOWS + text for text in follow)] if row else []
            for row, follow in zip(names, after, strict=True)
        ]
    if all(names) and len({tuple(row) for row in names}) == len(names):
        return names
    if (read := context(dictionary, np.ones(len(dictionary), bool))) is None:
        return names
    texts = _clearest(dictionary, group, *read, n=SHOWN, words=True)
    return [
        text if text and (not name or names.count(name) > 1) else name
        for name, text in zip(names, texts, strict=True)
    ]


def _clearest(
    dictionary: Dictionary,
    group: Int64[np.ndarray, " K"],
    ids: Integer[np.ndarray, "K m"],
    counts: Num[np.ndarray, "K m"],
    n: int,
    words: bool = False,
) -> list[list[str]]:
    """Return up to n tokens that each group clearly has more often than the others.

    ids, counts: (K, m) tokens of each region and how often each occurs; −1 for none.
    words: use whole words only, and the first one even where none is clear.

    Tokens that differ in case and surrounding spaces only count as one.
    """
    if words:
        spelling = Spelling.of(dictionary, ids)
        ids = np.where(spelling.is_word[spelling.row(ids)], ids, -1)
    vocabulary, z = apart(group, ids, counts)
    names = []
    for row in z:
        texts: dict[str, str] = {}
        for place in np.argsort(-row, kind="stable")[: 4 * n].tolist():
            is_last_hope = words and not texts and np.isfinite(row[place])
            if row[place] >= CLEAR or is_last_hope:
                piece = dictionary.piece(int(vocabulary[place]))
                texts.setdefault(piece.strip(" ").lower() or piece, piece)
        names.append(list(texts.values())[:n])
    return names


def _vocabulary(
    dictionary: Dictionary,
) -> tuple[Integer[np.ndarray, "K m"], Callable[[int], str]] | None:
    """Return what regions are named by, from the best source in the file, or None.

    The result is (numbers, spell): the numbers (K, m) of the tokens or words of each region, −1 for
    none, and a function from a number to its text.
    """
    if (read := words(dictionary)) is not None:
        vocabulary, ids, _ = read
        return ids, vocabulary.__getitem__
    if (labelled := _labelled(dictionary)) is not None:
        return labelled
    if "lens_exemplar_up_ids" in dictionary:
        return dictionary.column("lens_exemplar_up_ids")[:, :MOST_TOKENS], dictionary.piece
    return None


def _labelled(
    dictionary: Dictionary,
) -> tuple[Int64[np.ndarray, "K m"], Callable[[int], str]] | None:
    """Return the words of the labels that came with the file, as `_vocabulary` does."""
    numbers: dict[str, int] = {}
    ids = np.full((len(dictionary), MOST_TOKENS), -1, np.int64)
    for region, text in published_in(
        dictionary.info.get("published_labels"), len(dictionary)
    ).items():
        spelled = list(dict.fromkeys(WORD.findall(text.lower())))[:MOST_TOKENS]
        ids[region, : len(spelled)] = [numbers.setdefault(word, len(numbers)) for word in spelled]
    return (ids, list(numbers).__getitem__) if numbers else None
