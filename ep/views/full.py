"""Tables for download: a dictionary's regions, excerpts, neighbours, lenses, and a prompt's tokens.

Columns have the names of `docs/format.md`, so the two membership counts are distinct:
`count_arrival` and `count_voronoi`. The text of tokens is raw; whitespace is not made visible.
`ep.views.export` encodes the tables. This module does not depend on Streamlit and writes no files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa

from ep.method.dictionary import Dictionary
from ep.method.lenses import STORED
from ep.method.region import SCALARS
from ep.storage.labels import Labels
from ep.studies.names import names
from ep.views.export import table
from ep.views.prompt import Reading
from ep.views.tables import group_names

_LISTS = ("rival", "coarser")
"""Lists of regions with a count for each, `NAME_ids` and `NAME_counts` in the file."""


def regions(
    dictionary: Dictionary,
    ids: Sequence[int] | np.ndarray | None = None,
    labels: Labels | None = None,
) -> pa.Table:
    """One row per region: its name, every stored column, its tokens and lenses with their values.

    ids: the regions in the order of the rows; None for all.
    labels: adds label, label_source, label_score (null where it was not measured) and note.
    """
    rows = np.arange(len(dictionary)) if ids is None else np.asarray(ids, np.int64)
    columns: dict[str, object] = {"region": rows, "name": names(dictionary, rows, labels)}
    if labels is not None:
        columns |= _labels(labels, rows)
    columns |= {name: dictionary.column(name)[rows] for name in SCALARS if name in dictionary}
    if "neighbourhood" in dictionary:
        groups = np.array(group_names(dictionary), object)
        columns["group"] = groups[
            np.minimum(dictionary.column("neighbourhood")[rows], len(groups) - 1)
        ]
    words = _Words(dictionary)
    for name, counted in (("token", "counts"), ("next", "counts")):
        columns |= _tokens(
            dictionary, words, rows, name, counted, "tokens" if name == "token" else "next_tokens"
        )
    for lens in STORED:
        columns |= _tokens(dictionary, words, rows, f"lens_{lens}", "values", f"lens_{lens}")
    for name, value in (("nearest", "distances"), *((name, "counts") for name in _LISTS)):
        if f"{name}_ids" in dictionary:
            ids_, values = (
                dictionary.column(f"{name}_ids")[rows],
                dictionary.column(f"{name}_{value}")[rows],
            )
            columns |= {
                f"{name}_ids": _lists(ids_, ids_ >= 0),
                f"{name}_{value}": _lists(values, ids_ >= 0),
            }
    return table(columns)


def excerpts(dictionary: Dictionary, region: int) -> pa.Table:
    """One row per excerpt of a region, its founder first.

    Columns: region, band, distance, passage, position, token, tokens, text.
    """
    whole = dictionary.region(region)
    rows = [*([whole.founder] if whole.founder else []), *whole.excerpts]
    return pa.table(
        {
            "region": pa.array([whole.id] * len(rows), pa.int64()),
            "band": pa.array([e.band for e in rows], pa.string()),
            "distance": pa.array([e.distance for e in rows], pa.float64()),
            "passage": pa.array([e.passage for e in rows], pa.int64()),
            "position": pa.array([e.position for e in rows], pa.int64()),
            "token": pa.array([e.token for e in rows], pa.string()),
            "tokens": pa.array([list(e.pieces) for e in rows], pa.list_(pa.string())),
            "text": pa.array(["".join(e.pieces) for e in rows], pa.string()),
        }
    )


def nearest(dictionary: Dictionary, region: int) -> pa.Table:
    """One row per nearest region of a region.

    Columns: region, neighbour, name, distance (cosine), the member counts and the first
    lens tokens.
    """
    near = dictionary.region(region).nearest
    ids = np.array([k for k, _ in near], np.int64)
    columns: dict[str, object] = {"region": np.full(len(ids), region), "neighbour": ids}
    columns["name"] = names(dictionary, ids)
    columns["distance"] = np.array([d for _, d in near], np.float64)
    for name in ("count_arrival", "count_voronoi"):
        if name in dictionary:
            columns[name] = dictionary.column(name)[ids]
    columns["lens"] = pa.array(
        [[s.token for s in dictionary.lens(int(k))] for k in ids], pa.list_(pa.string())
    )
    return table(columns)


def lens(dictionary: Dictionary, region: int) -> pa.Table:
    """One row per token in the token lists of a region.

    Columns: region, list ("lens_…", "tokens" or "next_tokens"), rank from 1, token, value.
    """
    whole = dictionary.region(region)
    lists = {f"lens_{name}": scores for name, scores in whole.lens.items()}
    lists |= {"tokens": whole.tokens, "next_tokens": whole.next_tokens}
    rows = [
        (name, rank, s.token, s.value)
        for name, scores in lists.items()
        for rank, s in enumerate(scores, 1)
    ]
    names, ranks, texts, values = (
        (list(column) for column in zip(*rows, strict=True)) if rows else ([], [], [], [])
    )
    return pa.table(
        {
            "region": pa.array([whole.id] * len(rows), pa.int64()),
            "list": pa.array(names, pa.string()),
            "rank": pa.array(ranks, pa.int64()),
            "token": pa.array(texts, pa.string()),
            "value": pa.array(values, pa.float64()),
        }
    )


def tokens(dictionary: Dictionary, reading: Reading) -> pa.Table:
    """One row per token of a prompt: its region, its nearest regions and the read-out counts.

    region, distance and within (whether the distance is at most θ) are null where the dictionary
    does not apply, which is at the beginning-of-sequence token. near_ids and near_distances list
    the nearest regions, regions_within and regions_otsu count those of two read-outs.
    """
    outside = reading.outside
    return table(
        {
            "position": np.arange(len(reading)),
            "token": list(reading.tokens),
            "template": reading.template,
            "region": pa.array(reading.region, pa.int64(), mask=outside),
            "distance": pa.array(reading.distance, pa.float32(), mask=outside),
            "within": pa.array(reading.distance <= dictionary.threshold, pa.bool_(), mask=outside),
            "near_ids": pa.array(list(reading.near_ids.astype(np.int64)), pa.list_(pa.int64())),
            "near_distances": pa.array(list(reading.near_distances), pa.list_(pa.float32())),
            "regions_within": reading.within,
            "regions_otsu": reading.otsu,
            "norm": reading.norm,
        }
    )


class _Words:
    """The vocabulary's texts as one arrow array, looked up by token id."""

    def __init__(self, dictionary: Dictionary) -> None:
        self.ids = (
            dictionary.column("vocabulary_ids")
            if "vocabulary_ids" in dictionary
            else np.zeros(0, np.int32)
        )
        self.text = pa.array([dictionary.piece(int(i)) for i in self.ids], pa.string())

    def of(self, ids: np.ndarray) -> pa.Array:
        """The text of each id (n,); "<id>" for an id that is not in the file's vocabulary."""
        rows = np.searchsorted(self.ids, ids)
        is_known = (
            (rows < len(self.ids)) & (self.ids[np.minimum(rows, len(self.ids) - 1)] == ids)
            if len(self.ids)
            else rows < 0
        )
        if is_known.all():
            return self.text.take(pa.array(rows))
        return pa.array(
            [
                self.text[int(row)].as_py() if has_text else f"<{token}>"
                for row, has_text, token in zip(rows, is_known, ids, strict=True)
            ]
        )


def _tokens(
    dictionary: Dictionary, words: _Words, rows: np.ndarray, stored: str, value: str, shown: str
) -> Mapping[str, pa.Array]:
    """Columns of one list of tokens and of their values; empty if the file does not have the list.

    rows: ids of the regions.
    stored: the list's name in the file, before "_ids".
    value: what the values are, "counts" or "values".
    shown: the name of the column of tokens.
    """
    if f"{stored}_ids" not in dictionary:
        return {}
    ids, values = (
        dictionary.column(f"{stored}_ids")[rows],
        dictionary.column(f"{stored}_{value}")[rows],
    )
    mask = ids >= 0
    name = f"{shown}_{value}"
    return {
        shown: pa.ListArray.from_arrays(_offsets(mask), words.of(ids[mask])),
        name: _lists(values, mask),
    }


def _lists(values: np.ndarray, mask: np.ndarray) -> pa.Array:
    """A column of lists: of each row of values (n, m) those where mask (n, m) is true."""
    return pa.ListArray.from_arrays(_offsets(mask), pa.array(values[mask]))


def _offsets(mask: np.ndarray) -> pa.Array:
    return pa.array(np.concatenate([[0], np.cumsum(mask.sum(1))]), pa.int32())


def _labels(labels: Labels, rows: np.ndarray) -> Mapping[str, pa.Array]:
    texts, sources = labels.texts(), labels.sources()
    best_of = {k: best[0] for k in texts if (best := labels.stored(k))}
    ids = rows.tolist()
    return {
        "label": pa.array([texts.get(k) for k in ids], pa.string()),
        "label_source": pa.array([sources.get(k) for k in ids], pa.string()),
        "label_score": pa.array(
            [best_of[k].score if k in best_of else None for k in ids], pa.float64()
        ),
        "note": pa.array([labels.notes.get(k) for k in ids], pa.string()),
    }
