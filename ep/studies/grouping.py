"""Names of neighbourhoods, for files that store no names of them.

A neighbourhood is named by the tokens most specific to it; in files without tokens by the words of
its texts, and without these by the words of published labels. In a file with nothing but geometry
it is named after its largest region, which can be looked up.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from weakref import WeakKeyDictionary

import numpy as np

from ep.method.dictionary import Dictionary
from ep.method.surroundings import group_names
from ep.shapes import Int64, Integer
from ep.storage.labels import published_in
from ep.studies.wording import WORD, words

AROUND = "group of region "
"""Beginning of the name of a group of which nothing but the geometry is known."""
MOST_TOKENS = 10
"""Tokens of a region that are used, at most."""

_cache: WeakKeyDictionary[Dictionary, tuple[tuple[str, ...], ...]] = WeakKeyDictionary()
_lock = Lock()


def of_groups(dictionary: Dictionary) -> tuple[tuple[str, ...], ...]:
    """Return the names of each neighbourhood, in the order of their numbers.

    Each has its most specific tokens or words, best first; or a single name `AROUND` + id where
    nothing is known of it. Empty when the file stores no neighbourhoods. The names are computed
    once and cached for the life of the dictionary.
    """
    if "neighbourhood" not in dictionary or not len(dictionary):
        return ()
    with _lock:
        if dictionary not in _cache:
            _cache[dictionary] = _names(dictionary)
        return _cache[dictionary]


def is_by_geometry(dictionary: Dictionary) -> bool:
    """Return whether the file has no group names and any group is named after a region."""
    return not dictionary.info.get("group_names") and any(
        name.startswith(AROUND) for names in of_groups(dictionary) for name in names[:1]
    )


def _names(dictionary: Dictionary) -> tuple[tuple[str, ...], ...]:
    """Compute the names of all groups."""
    group, weight = dictionary.column("neighbourhood"), dictionary.members
    n_groups = int(group.max()) + 1
    names_of: list[tuple[str, ...]] = [()] * n_groups
    if (source := _vocabulary(dictionary)) is not None:
        ids, spell = source
        chosen = group_names(group, weight, ids)
        names_of = [tuple(spell(token) for token in row if token >= 0) for row in chosen.tolist()]
    largest = [np.flatnonzero(group == g) for g in range(n_groups)]
    return tuple(
        names
        or ((f"{AROUND}{members[np.argmax(weight[members])]}",) if len(members) else ("no region",))
        for names, members in zip(names_of, largest, strict=True)
    )


def _vocabulary(
    dictionary: Dictionary,
) -> tuple[Integer[np.ndarray, "K m"], Callable[[int], str]] | None:
    """Return what regions are named by, from the best source in the file, or None.

    The result is (numbers, spell): the numbers (K, m) of the tokens or words of each region, −1 for
    none, and a function from a number to its text.
    """
    for name in ("lens_exemplar_up_ids", "token_ids"):
        if name in dictionary:
            return dictionary.column(name)[:, :MOST_TOKENS], dictionary.piece
    if (read := words(dictionary)) is not None:
        vocabulary, ids, _ = read
        return ids, vocabulary.__getitem__
    return _labelled(dictionary)


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
