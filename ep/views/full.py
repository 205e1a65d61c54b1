"""The whole of what a dictionary stores, as tables to take away: regions, excerpts, neighbours,
tokens of a prompt.

Columns keep the names of `docs/format.md`, so both membership counts are told apart:
`count_arrival`, `count_voronoi`. Token text is as it is, not made visible. Knows no screen and no
file; `ep.views.export` writes them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa

from ep.method.dictionary import LENSES, SCALARS, Dictionary
from ep.storage.labels import Labels
from ep.views.export import table
from ep.views.prompt import Reading
from ep.views.tables import group_names

_LISTS = ("rival", "coarser")


def regions(
    dictionary: Dictionary,
    ids: Sequence[int] | np.ndarray | None = None,
    labels: Labels | None = None,
) -> pa.Table:
    """One row a region, in the order of `ids` (None: all): every stored column, tokens and lens
    with their values.

    labels: adds label, label_source, label_score (None where nobody measured it) and note.
    """
    rows = np.arange(len(dictionary)) if ids is None else np.asarray(ids, np.int64)
    columns: dict[str, object] = {"region": rows}
    if labels is not None:
        columns |= _labels(labels, rows)
    columns |= {name: dictionary.column(name)[rows] for name in SCALARS if name in dictionary}
    if "neighbourhood" in dictionary:
        names = np.array(group_names(dictionary), object)
        columns["group"] = names[
            np.minimum(dictionary.column("neighbourhood")[rows], len(names) - 1)
        ]
    words = _Words(dictionary)
    for name, counted in (("token", "counts"), ("next", "counts")):
        columns |= _tokens(
            dictionary, words, rows, name, counted, "tokens" if name == "token" else "next_tokens"
        )
    for lens in LENSES:
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
    """The founder and the excerpts of one region: band, distance, passage, position, token, left,
    right, text.
    """
    whole = dictionary.region(region)
    found = [*([whole.founder] if whole.founder else []), *whole.excerpts]
    return pa.table(
        {
            "region": pa.array([whole.id] * len(found), pa.int64()),
            "band": pa.array([e.band for e in found], pa.string()),
            "distance": pa.array([e.distance for e in found], pa.float64()),
            "passage": pa.array([e.passage for e in found], pa.int64()),
            "position": pa.array([e.position for e in found], pa.int64()),
            "token": pa.array([e.token for e in found], pa.string()),
            "tokens": pa.array([list(e.pieces) for e in found], pa.list_(pa.string())),
            "text": pa.array(["".join(e.pieces) for e in found], pa.string()),
        }
    )


def nearest(dictionary: Dictionary, region: int) -> pa.Table:
    """The nearest regions of one: neighbour, its cosine distance, its first lens tokens and both
    member counts.
    """
    near = dictionary.region(region).nearest
    ids = np.array([k for k, _ in near], np.int64)
    columns: dict[str, object] = {"region": np.full(len(ids), region), "neighbour": ids}
    columns["distance"] = np.array([d for _, d in near], np.float64)
    for name in ("count_arrival", "count_voronoi"):
        if name in dictionary:
            columns[name] = dictionary.column(name)[ids]
    columns["lens"] = pa.array(
        [[s.token for s in dictionary.lens(int(k))] for k in ids], pa.list_(pa.string())
    )
    return table(columns)


def lens(dictionary: Dictionary, region: int) -> pa.Table:
    """The lists of tokens of one region, a row a token: list (a lens, "tokens", "next_tokens"),
    rank, token, value.
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
    """The tokens of a prompt: nearest region and distance, within θ or not, the next nearest, both
    read-out counts.

    region and distance are null where the dictionary does not apply (the token that begins every
    text).
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
    """The vocabulary as one array of text, to be taken from by token id."""

    def __init__(self, dictionary: Dictionary) -> None:
        self.ids = (
            dictionary.column("vocabulary_ids")
            if "vocabulary_ids" in dictionary
            else np.zeros(0, np.int32)
        )
        self.text = pa.array([dictionary.piece(int(i)) for i in self.ids], pa.string())

    def of(self, ids: np.ndarray) -> pa.Array:
        """The text of each id; one the file does not know is "<id>"."""
        at = np.searchsorted(self.ids, ids)
        known = (
            (at < len(self.ids)) & (self.ids[np.minimum(at, len(self.ids) - 1)] == ids)
            if len(self.ids)
            else at < 0
        )
        if known.all():
            return self.text.take(pa.array(at))
        return pa.array(
            [
                self.text[int(a)].as_py() if k else f"<{i}>"
                for a, k, i in zip(at, known, ids, strict=True)
            ]
        )


def _tokens(
    dictionary: Dictionary, words: _Words, rows: np.ndarray, stored: str, value: str, shown: str
) -> Mapping[str, pa.Array]:
    if f"{stored}_ids" not in dictionary:
        return {}
    ids, values = (
        dictionary.column(f"{stored}_ids")[rows],
        dictionary.column(f"{stored}_{value}")[rows],
    )
    there = ids >= 0
    name = f"{shown}_{value}"
    return {
        shown: pa.ListArray.from_arrays(_offsets(there), words.of(ids[there])),
        name: _lists(values, there),
    }


def _lists(values: np.ndarray, there: np.ndarray) -> pa.Array:
    return pa.ListArray.from_arrays(_offsets(there), pa.array(values[there]))


def _offsets(there: np.ndarray) -> pa.Array:
    return pa.array(np.concatenate([[0], np.cumsum(there.sum(1))]), pa.int32())


def _labels(labels: Labels, rows: np.ndarray) -> Mapping[str, pa.Array]:
    texts, sources = labels.texts(), labels.sources()
    given = {k: best[0] for k in texts if (best := labels.stored(k))}
    ids = rows.tolist()
    return {
        "label": pa.array([texts.get(k) for k in ids], pa.string()),
        "label_source": pa.array([sources.get(k) for k in ids], pa.string()),
        "label_score": pa.array(
            [given[k].score if k in given else None for k in ids], pa.float64()
        ),
        "note": pa.array([labels.notes.get(k) for k in ids], pa.string()),
    }
