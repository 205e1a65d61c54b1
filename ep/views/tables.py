"""Columns, names and orders of regions, for tables, maps and legends.

Everything is read from the dictionary's arrays; what a file does not have is left out. This module
does not depend on Streamlit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ep.errors import RequestError
from ep.method.dictionary import Basis, Dictionary
from ep.method.lenses import PAPER
from ep.method.region import TokenScore
from ep.storage.labels import Labels
from ep.studies import survival
from ep.studies.grouping import AROUND, FOLLOWS, NO_REGION, of_groups
from ep.studies.names import LONGEST_CELL, heads, is_placed, names, short
from ep.studies.naming import is_named
from ep.studies.whole_words import is_content
from ep.text import label

LENS_SHOWN = 4
"""Lens tokens of a region in a table."""
OPENING, CLEARNESS = 1024, 3.0
"""Regions among which the one that is selected at first is chosen, and the weight of its name."""
ENOUGH = 200
"""Members of a region beyond which more of them count little for that."""
NAMELESS = "▯"
"""Stands for an empty token on the map."""


def first_lens_column(dictionary: Dictionary) -> str | None:
    """The name of the array with the ids of the lens tokens that screens show, or None."""
    name = f"lens_{dictionary.first_lens}_ids"
    return name if name in dictionary else None


def first_lens(
    dictionary: Dictionary, region: int, basis: Basis = "exemplar"
) -> tuple[TokenScore, ...]:
    """The lens tokens of a region that screens show, strongest first; none without a lens.

    They are those of `Dictionary.first_lens`. Where that is the paper's rule, which is no choice
    between lenses, they are those of the direction that is looked at.

    basis: that direction.
    """
    if dictionary.first_lens != PAPER:
        return dictionary.lens(region)
    return dictionary.lens(region, f"{basis}_up") or dictionary.lens(region)


def token_ids(dictionary: Dictionary) -> np.ndarray | None:
    """(K, n) int32 ids of the tokens that describe each region best, or None.

    These are the tokens of its first lens, or else those of the members. -1 stands for no token.
    """
    name = first_lens_column(dictionary) or "token_ids"
    return dictionary.column(name) if name in dictionary else None


def lens_tokens(
    dictionary: Dictionary, regions: Sequence[int] | np.ndarray, n: int = LENS_SHOWN
) -> list[list[str]]:
    """The first n tokens of each region by `token_ids`, on one line, with visible whitespace."""
    ids = token_ids(dictionary)
    if ids is None:
        return [[] for _ in regions]
    rows = ids[np.asarray(regions, np.int64), :n].tolist()
    return [[label(dictionary.piece(token)) for token in row if token >= 0] for row in rows]


def cells(
    dictionary: Dictionary,
    regions: Sequence[int] | np.ndarray | None = None,
    labels: Labels | None = None,
) -> list[str]:
    """The names of regions, of all by default, in the form for a table's cells."""
    return [short(text, LONGEST_CELL) for text in names(dictionary, regions, labels)]


def model_name(info: Mapping[str, Any], otherwise: str = "unknown model") -> str:
    """The name of a dictionary's model: its name on the Hub, or the last part of a folder's path.

    info: the dictionary's provenance. otherwise: returned where it names no model.
    """
    name = str(info.get("model_name") or info.get("model") or otherwise)
    return Path(name).name if name.startswith((".", "/", "~")) or name.count("/") > 1 else name


def map_name(token: str) -> str:
    """A token as a name on the map: without surrounding spaces, or visible if it is only spaces."""
    return label(token.strip(" ") or token or NAMELESS)


def group_names(dictionary: Dictionary, n: int = 2) -> list[str]:
    """The neighbourhoods' names, made of their first n tokens; ["regions"] if the file has none.

    Groups that would have one name have more of their tokens in it, or their number.
    """
    groups = of_groups(dictionary)
    if "neighbourhood" not in dictionary:
        return ["regions"]
    names = [_group_name(group, n) for group in groups]
    names = [
        _group_name(group, len(group)) if names.count(name) > 1 else name
        for name, group in zip(names, groups, strict=True)
    ]
    return [
        f"{name} ({g})" if names.count(name) > 1 and name != NO_REGION else name
        for g, name in enumerate(names)
    ]


def _group_name(parts: Sequence[str], n: int) -> str:
    """A group's name of its first n tokens and of the one that follows, on one line."""
    tokens = [part for part in parts if not part.startswith(FOLLOWS)][:n]
    follows = [part.removeprefix(FOLLOWS) for part in parts if part.startswith(FOLLOWS)]
    text = " / ".join(token if token.startswith(AROUND) else map_name(token) for token in tokens)
    return " ".join([text, *(FOLLOWS + map_name(token) for token in follows)])


def opening_region(dictionary: Dictionary) -> int:
    """The region that is selected at first: large, coherent, and named by words with content.

    Its most frequent tokens should be most of its members, so that they are what its name says. It
    is none of group 0, the palest, where there is another. Raises RequestError when the
    dictionary has no region.
    """
    if len(dictionary) == 0:
        raise RequestError("this dictionary has no regions: build it on more text")
    members = dictionary.members.astype(np.float64)
    score = np.log1p(np.minimum(members, ENOUGH)) + 0.25 * np.log1p(members)
    for column, weight in (("coherence", 3.0), ("neighbourhood", 4.0)):
        if column in dictionary:
            values = np.nan_to_num(dictionary.column(column).astype(np.float64))
            # A neighbourhood counts 0 for group 0 and 1 for all others.
            score = score + weight * np.minimum(values, 1)
    if "token_counts" in dictionary:
        listed = dictionary.column("token_counts").sum(axis=1, dtype=np.float64)
        score = score + 2.0 * np.minimum(listed / np.maximum(members, 1), 1)
    best = np.argsort(-score, kind="stable")[:OPENING].tolist()
    if not is_named(dictionary):  # naming all regions takes long; the most frequent token does
        return next((k for k in best if is_content(_token(dictionary, k))), best[0])
    called = names(dictionary, best)
    words = [heads(name) for name in called]
    telling = [sum(map(is_content, row)) if is_content(row[0]) else 0 for row in words]
    # three words that all say something are clearer than one, or than words that need a place
    clear = [
        min(n, 3) / 3 * n / len(row) - is_placed(name) / 3
        for n, row, name in zip(telling, words, called, strict=True)
    ]
    return best[int(np.argmax(score[best] + CLEARNESS * np.array(clear)))]


def _token(dictionary: Dictionary, region: int) -> str:
    """The members' most frequent token, or else the first lens token; empty without both."""
    for column in ("token_ids", first_lens_column(dictionary)):
        if (
            column
            and column in dictionary
            and (token := int(dictionary.row(column, region)[0])) >= 0
        ):
            return dictionary.piece(token)
    return ""


def columns(
    dictionary: Dictionary, regions: np.ndarray, labels: Labels | None = None
) -> dict[str, Any]:
    """Columns by name for a table of the given regions, in their order.

    region: int ids.
    name: the name of each region, as in `ep.studies.names`; `labels` adds those of people.
    lens: lists of token texts.
    members, arrival: int counts of Voronoi and arrival members.
    coherence: in [0, 1].
    mean_distance, nearest: distances.
    survival: share of the other seeds that find the region again, in [0, 1].

    Columns whose arrays the file does not have are left out.
    """
    regions = np.asarray(regions, np.int64)
    table: dict[str, Any] = {"region": regions, "name": cells(dictionary, regions, labels)}
    table["lens"] = lens_tokens(dictionary, regions)
    for shown, stored in (
        ("members", "count_voronoi"),
        ("arrival", "count_arrival"),
        ("coherence", "coherence"),
        ("mean_distance", "mean_distance"),
    ):
        if stored in dictionary:
            table[shown] = dictionary.column(stored)[regions]
    if "nearest_distances" in dictionary:
        table["nearest"] = dictionary.column("nearest_distances")[regions, 0]
    if (found := survival.share(dictionary)) is not None:
        table["survival"] = found[regions]
    return table


def order(
    dictionary: Dictionary,
    selected: int | None,
    found: np.ndarray | None,
    least_members: int = 0,
    least_survival: float = 0.0,
) -> np.ndarray:
    """The ids that a table lists, in order.

    selected: listed first, whatever its members; None for no such region.
    found: the regions of a search or a brush, in order; None for all, largest first.
    least_members: fewest members of a region that is listed.
    least_survival: least share of the other seeds that find it again; without effect where
        survival is not stored.
    """
    count = dictionary.members
    ids = np.argsort(-count, kind="stable") if found is None else np.asarray(found, np.int64)
    ids = ids[count[ids] >= least_members]
    if (survived := survival.share(dictionary)) is not None:
        ids = ids[survived[ids] >= least_survival - 1e-9]
    return ids if selected is None else np.concatenate([[selected], ids[ids != selected]])
