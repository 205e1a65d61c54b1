"""Names of neighbourhoods: what sets the members of a group apart from those of the other groups.

A group is named by the members' tokens that it has more often than all others, and the token that
follows more often, or by words of the text before where these are alike; in files without tokens by
the words of its texts, and without these by the words of published labels. In a file with nothing
but geometry it is named after its largest region, which can be looked up.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from threading import Lock
from weakref import WeakKeyDictionary

import numpy as np

from ep.method.dictionary import Dictionary
from ep.method.surroundings import group_names
from ep.shapes import Bool, Int64, Integer, Num
from ep.storage.labels import published_in
from ep.studies.contrasting import CLEAR, FEW_PRIOR, apart, slots
from ep.studies.heading import of_regions
from ep.studies.whole_words import flags
from ep.studies.wording import WORD, context, words

AROUND = "group of region "
"""Beginning of the name of a group of which nothing but the geometry is known."""
NO_REGION = "no region"
"""Name of a group without regions."""
FOLLOWS = "→ "
"""Beginning of the last part of a name, the token that follows the members' tokens."""
MOST_TOKENS, SHOWN = 10, 3
"""Tokens of a region that are used, and tokens in a name, at most."""
TELLING = 0.5
"""Smallest z of a word of regions' heads: these set their regions apart already."""

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
    """Return the names of all groups from the heads of their regions' labels.

    A group is named by words with content, by words of grammar, or by numbers and punctuation,
    whichever most of its members are. In the last two cases it also has the token that follows more
    often. Groups that would be named alike, as in a dictionary of last tokens, are named by words
    of the text before.
    """
    heads = of_regions(dictionary, slots(dictionary)["token"])
    texts = list(dict.fromkeys(text for row in heads.texts for text in row))
    number = {text: i for i, text in enumerate(texts)}
    ids = np.full(heads.worth.shape, -1)
    for k, row in enumerate(heads.texts):
        ids[k, : len(row)] = [number[text] for text in row]
    counts = np.where(ids >= 0, heads.worth, 0)
    group, kinds = dictionary.column("neighbourhood").astype(np.int64), _kinds(texts)
    # a region counts as often as the root of its size, so that no single one names its group
    counts = counts * np.sqrt(dictionary.members)[:, None]
    mass = [
        np.bincount(group, np.where(ids >= 0, counts * kind[ids], 0).sum(axis=1)) for kind in kinds
    ]
    kind_of = np.argmax(mass, axis=0).tolist()
    by_kind = [
        _clearest(group, texts, ids, counts, n=SHOWN, wanted=kind, clear=TELLING) for kind in kinds
    ]
    names = [by_kind[kind][g] for g, kind in enumerate(kind_of)]
    if "next_ids" in dictionary:
        names = [
            [*row, *(FOLLOWS + text for text in follow)] if row and kind else row
            for row, follow, kind in zip(names, _following(dictionary, group), kind_of, strict=True)
        ]
    if all(names) and len({tuple(row) for row in names}) == len(names):
        return names
    if (read := context(dictionary)) is None:
        return names
    others = _clearest(group, read[0], read[1], read[2], n=SHOWN)
    return [
        text if text and (not name or names.count(name) > 1) else name
        for name, text in zip(names, others, strict=True)
    ]


def _kinds(texts: Sequence[str]) -> Bool[np.ndarray, "3 w"]:
    """Return which texts are words with content, words of grammar, and numbers or punctuation."""
    kinds = flags(texts)[1]
    has_letters = np.array([any(map(str.isalpha, text)) for text in texts], bool)
    is_broken = np.array(["\ufffd" in text for text in texts], bool)  # part of a character
    return np.stack([kinds[1], kinds[0] & has_letters, kinds[0] & ~has_letters & ~is_broken])


def _following(dictionary: Dictionary, group: Int64[np.ndarray, " K"]) -> list[list[str]]:
    """Return the token that follows the members of each group clearly more often, or none."""
    ids, counts = dictionary.column("next_ids"), dictionary.column("next_counts")
    tokens = np.unique(ids[ids >= 0])
    texts = [dictionary.piece(token) for token in tokens.tolist()]
    places = np.where(ids >= 0, np.searchsorted(tokens, ids), -1).astype(np.int64)
    return _clearest(group, texts, places, counts, n=1)


def _clearest(
    group: Int64[np.ndarray, " K"],
    texts: Sequence[str],
    ids: Integer[np.ndarray, "K m"],
    counts: Num[np.ndarray, "K m"],
    n: int,
    wanted: Bool[np.ndarray, " w"] | None = None,
    clear: float = CLEAR,
) -> list[list[str]]:
    """Return up to n texts that each group clearly has more often than the others.

    ids, counts: (K, m) numbers of texts and how often each occurs in a region; −1 for none.
    wanted: (w,) which texts may name; the first one does even where none is clear.
    clear: smallest z of the others.

    Forms of one word count together, and the most frequent form is returned. The texts come from
    different regions, so that a name shows the breadth of its group.
    """
    if not len(texts):  # as after the last token of every passage
        return [[] for _ in range(int(group.max(initial=-1)) + 1)]
    stems = flags(texts)[0]
    if wanted is not None:
        ids = np.where((ids >= 0) & np.append(wanted, False)[ids], ids, -1)
    listed = ids >= 0
    frequency = np.bincount(ids[listed], counts[listed], len(texts))
    shown = np.zeros(int(stems.max(initial=-1)) + 1, np.int64)
    order = np.argsort(frequency, kind="stable")
    shown[stems[order]] = order  # the last one written, the most frequent, stays
    vocabulary, z = apart(group, np.where(listed, stems[ids], -1), counts, FEW_PRIOR)
    owner = _owners(group, np.searchsorted(vocabulary, stems[ids]), np.where(listed, counts, 0))
    names = []
    for g, row in enumerate(z):
        chosen: list[int] = []
        for i in np.argsort(-row, kind="stable")[: 8 * n].tolist():
            is_first = wanted is not None and not chosen and np.isfinite(row[i])
            is_new = owner[g, i] not in {owner[g, j] for j in chosen}
            if is_new and len(chosen) < n and (row[i] >= clear or is_first):
                chosen.append(i)
        names.append([texts[i] for i in shown[vocabulary[chosen]].tolist()])
    return names


def _owners(
    group: Int64[np.ndarray, " K"], places: Int64[np.ndarray, "K m"], counts: Num[np.ndarray, "K m"]
) -> Int64[np.ndarray, "G v"]:
    """Return the region of each group in which a text is most frequent, −1 for none."""
    owner = np.full((int(group.max(initial=-1)) + 1, int(places.max(initial=-1)) + 1), -1)
    region, column = np.nonzero(counts)
    order = np.argsort(counts[region, column], kind="stable")
    region, column = region[order], column[order]
    owner[group[region], places[region, column]] = region
    return owner


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
