"""What the neighbourhoods of a file are called that stores no names for them: by what its regions
have in common.

By the tokens most specific to a group where the file knows tokens, else by the words of its texts,
else by those of published labels. Where a file holds nothing but geometry a group is called by its
largest region, which can be looked up. Knows no screen.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from weakref import WeakKeyDictionary

import numpy as np
from jaxtyping import Int64, Integer

from ep.method.dictionary import Dictionary
from ep.method.surroundings import group_names
from ep.storage.labels import published_in
from ep.studies.wording import WORD, words

AROUND = "group of region "
"""How a group's name begins of which nothing is known but where its regions lie."""
MOST_TOKENS = 10

_kept: WeakKeyDictionary[Dictionary, tuple[tuple[str, ...], ...]] = WeakKeyDictionary()
_lock = Lock()


def of_groups(dictionary: Dictionary) -> tuple[tuple[str, ...], ...]:
    """The names of each neighbourhood in its number's order: its most specific tokens or words,
    best first.

    One name `AROUND` + id where none says anything of a group. Empty when the file stores no
    neighbourhoods; found once and kept as long as the dictionary is.
    """
    if "neighbourhood" not in dictionary or not len(dictionary):
        return ()
    with _lock:
        if dictionary not in _kept:
            _kept[dictionary] = _named(dictionary)
        return _kept[dictionary]


def is_by_geometry(dictionary: Dictionary) -> bool:
    """Whether the file stores no names of groups, and nothing they could be named by."""
    return not dictionary.info.get("group_names") and any(
        name.startswith(AROUND) for names in of_groups(dictionary) for name in names[:1]
    )


def _named(dictionary: Dictionary) -> tuple[tuple[str, ...], ...]:
    group, weight = dictionary.column("neighbourhood"), dictionary.members
    n_groups = int(group.max()) + 1
    found: list[tuple[str, ...]] = [()] * n_groups
    if (said := _spoken(dictionary)) is not None:
        ids, spell = said
        chosen = group_names(group, weight, ids)
        found = [tuple(spell(token) for token in row if token >= 0) for row in chosen.tolist()]
    largest = [np.flatnonzero(group == g) for g in range(n_groups)]
    return tuple(
        names or ((f"{AROUND}{own[np.argmax(weight[own])]}",) if len(own) else ("no region",))
        for names, own in zip(found, largest, strict=True)
    )


def _spoken(
    dictionary: Dictionary,
) -> tuple[Integer[np.ndarray, "K m"], Callable[[int], str]] | None:
    """(numbers (K, m) of what each region says, −1 for none; how a number is spelled), of the best
    the file has.
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
    """The words of the labels that came with the file."""
    numbers: dict[str, int] = {}
    ids = np.full((len(dictionary), MOST_TOKENS), -1, np.int64)
    for region, text in published_in(
        dictionary.info.get("published_labels"), len(dictionary)
    ).items():
        said = list(dict.fromkeys(WORD.findall(text.lower())))[:MOST_TOKENS]
        ids[region, : len(said)] = [numbers.setdefault(word, len(numbers)) for word in said]
    return (ids, list(numbers).__getitem__) if numbers else None
