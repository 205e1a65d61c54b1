"""Regions as plain columns: what a table, a map's labels and a legend show of all regions at once.

Everything comes from the dictionary's columns; an array a file lacks leaves its place out. Knows no
screen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ep.errors import RequestError
from ep.method.dictionary import Dictionary
from ep.storage.labels import Labels
from ep.studies.grouping import AROUND, of_groups
from ep.studies.naming import WORDED
from ep.text import label

LENS_SHOWN = 4
LONGEST_BRIEF = 22
NAMELESS = "▯"


def token_ids(dictionary: Dictionary) -> np.ndarray | None:
    """(K, n) int32 token ids that say best what a region is: the exemplar's lens, else its members'
    tokens, else None.

    -1 fills places with no token.
    """
    for name in ("lens_exemplar_up_ids", "token_ids"):
        if name in dictionary:
            return dictionary.column(name)
    return None


def lens_tokens(
    dictionary: Dictionary, regions: Sequence[int] | np.ndarray, n: int = LENS_SHOWN
) -> list[list[str]]:
    """The first n telling tokens of each region as plain one-line text with whitespace made
    visible.
    """
    ids = token_ids(dictionary)
    if ids is None:
        return [[] for _ in regions]
    rows = ids[np.asarray(regions, np.int64), :n].tolist()
    return [[label(dictionary.piece(token)) for token in row if token >= 0] for row in rows]


def name(dictionary: Dictionary, region: int) -> str:
    """The one token that stands for a region, as text; empty when the file holds neither lens nor
    tokens.
    """
    for column in ("lens_exemplar_up_ids", "token_ids"):
        if column in dictionary and (token := int(dictionary.row(column, region)[0])) >= 0:
            return dictionary.piece(token)
    return ""


def brief(text: str) -> str:
    """A label as short as a token, where no token can stand for a region: the words without what
    introduces them.

    Its spaces are wide ones, which chips leave as they are: in a token a space would be marked.
    """
    words = " ".join(text.removeprefix(WORDED).split())
    cut = words if len(words) <= LONGEST_BRIEF else f"{words[: LONGEST_BRIEF - 1].rstrip()}…"
    return cut.replace(" ", "\N{EN SPACE}")


def model_name(info: Mapping[str, Any], otherwise: str = "unknown model") -> str:
    """What a dictionary's model is called: a Hub name as it is; of a folder, its name and not the
    way to it.
    """
    name = str(info.get("model_name") or info.get("model") or otherwise)
    return Path(name).name if name.startswith((".", "/", "~")) or name.count("/") > 1 else name


def map_name(token: str) -> str:
    """A token as a label on the map: without the space in front of a word, whitespace alone made
    visible.
    """
    return label(token.strip(" ") or token or NAMELESS)


def group_names(dictionary: Dictionary, n: int = 2) -> list[str]:
    """The neighbourhoods' names: their first n tokens, as plain text; "regions" when the file
    stores no neighbourhood.

    A file without names gets some, see `ep.studies.grouping`.
    """
    stored = dictionary.info.get("group_names") or []
    if "neighbourhood" not in dictionary:
        return ["regions"]
    count = int(dictionary.column("neighbourhood").max()) + 1 if len(dictionary) else 0
    tokens = [list(stored[i])[:n] if i < len(stored) else [] for i in range(count)]
    if not all(tokens):
        computed = of_groups(dictionary)
        tokens = [group or list(computed[i])[:n] for i, group in enumerate(tokens)]
    return [" · ".join(_plain_name(str(t)) for t in group) for group in tokens]


def _plain_name(token: str) -> str:
    """A token as on the map; the name of a group that no token names, with its spaces."""
    return token if token.startswith(AROUND) else map_name(token)


def opening_region(dictionary: Dictionary) -> int:
    """The region a screen opens on: much frequented, coherent, outside the palest group, and named
    by a word.

    RequestError when the dictionary has no region.
    """
    if len(dictionary) == 0:
        raise RequestError("this dictionary has no regions: build it on more text")
    score = np.log1p(dictionary.members.astype(np.float64))
    for column, weight in (("coherence", 2.0), ("neighbourhood", 4.0)):
        if column in dictionary:
            values = np.nan_to_num(dictionary.column(column).astype(np.float64))
            # a neighbourhood counts as palest (0) or not (1)
            score = score + weight * np.minimum(values, 1)
    best = np.argsort(-score, kind="stable")[:64].tolist()
    return next(
        (k for k in best if len(word := name(dictionary, k).strip()) > 3 and word.isalpha()),
        best[0],
    )


def columns(
    dictionary: Dictionary, regions: np.ndarray, labels: Labels | None = None
) -> dict[str, Any]:
    """The table of the given regions, in their order: one entry per column the file can fill.

    labels: adds label and label_source, the best one of each region and where it comes from, empty
    where there is none. region int · lens lists of text · members, arrival int · coherence [0, 1] ·
    mean_distance, nearest cosine distance.
    """
    regions = np.asarray(regions, np.int64)
    table: dict[str, Any] = {"region": regions}
    if labels is not None:
        texts, sources = labels.texts(), labels.sources()
        table["label"] = [texts.get(k, "") for k in regions.tolist()]
        table["label_source"] = [sources.get(k, "") for k in regions.tolist()]
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
    return table


def order(
    dictionary: Dictionary, selected: int | None, found: np.ndarray | None, least_members: int = 0
) -> np.ndarray:
    """The ids a table lists: those found (None: all, largest first) with enough members, the
    selected one on top.
    """
    count = dictionary.members
    ids = np.argsort(-count, kind="stable") if found is None else np.asarray(found, np.int64)
    ids = ids[count[ids] >= least_members]
    return ids if selected is None else np.concatenate([[selected], ids[ids != selected]])
