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
from ep.method.dictionary import Dictionary
from ep.storage.labels import Labels
from ep.studies.grouping import AROUND, of_groups
from ep.studies.naming import WORDED
from ep.text import label

LENS_SHOWN = 4
"""Lens tokens of a region in a table."""
LONGEST_BRIEF = 22
"""Characters of a shortened label."""
NAMELESS = "▯"
"""Stands for an empty token on the map."""


def token_ids(dictionary: Dictionary) -> np.ndarray | None:
    """(K, n) int32 ids of the tokens that describe each region best, or None.

    These are the tokens of the exemplar's lens, or else those of the members. -1 stands for no
    token.
    """
    for name in ("lens_exemplar_up_ids", "token_ids"):
        if name in dictionary:
            return dictionary.column(name)
    return None


def lens_tokens(
    dictionary: Dictionary, regions: Sequence[int] | np.ndarray, n: int = LENS_SHOWN
) -> list[list[str]]:
    """The first n tokens of each region by `token_ids`, on one line, with visible whitespace."""
    ids = token_ids(dictionary)
    if ids is None:
        return [[] for _ in regions]
    rows = ids[np.asarray(regions, np.int64), :n].tolist()
    return [[label(dictionary.piece(token)) for token in row if token >= 0] for row in rows]


def name(dictionary: Dictionary, region: int) -> str:
    """The text of the token that names a region; empty if the file has neither lens nor tokens."""
    for column in ("lens_exemplar_up_ids", "token_ids"):
        if column in dictionary and (token := int(dictionary.row(column, region)[0])) >= 0:
            return dictionary.piece(token)
    return ""


def brief(text: str) -> str:
    """A label shortened to stand in for a token, where a region has none.

    text: the label; the introduction `WORDED` of automatic labels is left out.

    Spaces become en spaces, because an ordinary space in a token would be shown as a visible mark.
    """
    words = " ".join(text.removeprefix(WORDED).split())
    short = words if len(words) <= LONGEST_BRIEF else f"{words[: LONGEST_BRIEF - 1].rstrip()}…"
    return short.replace(" ", "\N{EN SPACE}")


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

    Names that the file does not store are computed, see `ep.studies.grouping`.
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
    """A token as on the map; a computed name that is not a token is left as it is."""
    return token if token.startswith(AROUND) else map_name(token)


def opening_region(dictionary: Dictionary) -> int:
    """The region that is selected at first: large, coherent, named by a word, not of group 0.

    Raises RequestError when the dictionary has no region.
    """
    if len(dictionary) == 0:
        raise RequestError("this dictionary has no regions: build it on more text")
    score = np.log1p(dictionary.members.astype(np.float64))
    for column, weight in (("coherence", 2.0), ("neighbourhood", 4.0)):
        if column in dictionary:
            values = np.nan_to_num(dictionary.column(column).astype(np.float64))
            # A neighbourhood counts 0 for group 0, the palest, and 1 for all others.
            score = score + weight * np.minimum(values, 1)
    best = np.argsort(-score, kind="stable")[:64].tolist()
    return next(
        (k for k in best if len(word := name(dictionary, k).strip()) > 3 and word.isalpha()),
        best[0],
    )


def columns(
    dictionary: Dictionary, regions: np.ndarray, labels: Labels | None = None
) -> dict[str, Any]:
    """Columns by name for a table of the given regions, in their order.

    region: int ids.
    label, label_source: the best label of each region and its source, empty without one; only with
        `labels`.
    lens: lists of token texts.
    members, arrival: int counts of Voronoi and arrival members.
    coherence: in [0, 1].
    mean_distance, nearest: cosine distances.

    Columns whose arrays the file does not have are left out.
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
    """The ids that a table lists, in order.

    selected: listed first, whatever its members; None for no such region.
    found: the regions of a search or a brush, in order; None for all, largest first.
    least_members: fewest members of a region that is listed.
    """
    count = dictionary.members
    ids = np.argsort(-count, kind="stable") if found is None else np.asarray(found, np.int64)
    ids = ids[count[ids] >= least_members]
    return ids if selected is None else np.concatenate([[selected], ids[ids != selected]])
