"""Checks of the values of a dictionary, in blocks of bounded size, before writing and in a file.

Arrays that are followed as indices or counts (offsets, ids, counts) are always checked in full.
Arrays that are only displayed (distances, logits) are checked in small files and on request. Of the
vectors and of the places that excerpts refer to, some evenly spread rows are checked when a large
file is opened, and all rows otherwise. HDF5 and models are not involved.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from ep.errors import DictionaryFileError
from ep.method.laws import LENGTHS
from ep.method.metrics import DEFAULT, STORED, is_cosine, name_of
from ep.storage.content import Content, spans
from ep.storage.schema import ARRAYS, NEEDS, REQUIRED, TOGETHER, Array

UNIT_TOLERANCE = 1e-3
"""How far a norm may be from 1; the exact search allows for the same bound."""

SPREAD_BLOCKS, SPREAD_ROWS = 8, 32
"""A large array is sampled in this many places, with this many rows each.

The first and the last rows are included.
"""

INDEXING = ("region", "elsewhere", "count", "rising", "offsets", "band")
"""Rules of arrays that are followed as indices or counts."""


def verify(content: Content, thorough: bool = True) -> None:
    """Raise DictionaryFileError for the first invalid value, with its array and row.

    content: the dictionary.
    thorough: check every value; otherwise the arrays followed as indices or counts in full, and
        some rows of the vectors.
    """
    check_presence(content.names)
    if content.sizes["K"] < 1 or content.sizes["d"] < 1:
        raise DictionaryFileError("the dictionary has no regions")
    for name in content.names:
        array = ARRAYS[name]
        is_space = name in ("center", "metric_scale", "metric_matrix", *LENGTHS.values())
        if thorough or array.is_vectors or is_space or array.rule.split(":")[0] in INDEXING:
            _check_values(content, array, thorough)
    _check_references(content, thorough)


def metric_version(info: Mapping[str, Any], names: tuple[str, ...]) -> int:
    """Return the version of the format that a dictionary's metric needs.

    Programs from before there was a choice read every file as centred, and those from before the
    Euclidean metric compare directions alone, so they must refuse the others.

    Raises DictionaryFileError for an unknown metric, where the arrays of the metric are missing or
    those of another are present, and for a θ that no distance of the metric reaches.
    """
    metric = name_of(info)
    lengths = () if is_cosine(metric) else tuple(LENGTHS.values())
    for name in ("metric_scale", "metric_matrix", *LENGTHS.values()):
        if (name in names) != (name in (*STORED[metric], *lengths)):
            raise DictionaryFileError(
                f"the array {name} is {'there' if name in names else 'missing'}, but the "
                f"metric is {metric}"
            )
    if lengths and not float(info.get("typical_norm") or 0) > 0:
        raise DictionaryFileError(
            f"the provenance lacks typical_norm, in which the {metric} metric measures"
        )
    if lengths:
        return 3
    return 1 if metric == DEFAULT else 2


def check_presence(names: tuple[str, ...]) -> None:
    """Check that the arrays required, alone or by each other, are present.

    Raises DictionaryFileError if one is missing.
    """
    for name in REQUIRED:
        if name not in names:
            raise DictionaryFileError(f"the array {name} is missing")
    for group in TOGETHER:
        missing = [name for name in group if name not in names]
        if 0 < len(missing) < len(group):
            raise DictionaryFileError(
                f"the array {missing[0]} is missing, which others need ({', '.join(group)})"
            )
    for name, targets in NEEDS.items():
        present = [target for target in targets if target in names]
        if name in names and not present:
            raise DictionaryFileError(
                f"the array {' or '.join(targets)} is missing, which {name} points into"
            )
        if name in names and len(present) > 1:
            raise DictionaryFileError(
                f"{name} may point into {' or '.join(present)}: expected only one of them"
            )


def _check_values(content: Content, array: Array, thorough: bool) -> None:
    """Check the values of one array against its rule."""
    rule, _, target = array.rule.partition(":")
    content.check_length(array)
    if rule in ("offsets", "rising"):
        _check_order(content, array, target)
    else:
        for start, stop in _ranges(content, array, thorough or not array.is_vectors):
            rows = content.rows(array, start, stop)
            is_invalid = RULES[rule](rows, content)
            if is_invalid.any():
                row = start + int(np.argmax(is_invalid.reshape(len(rows), -1).any(axis=1)))
                raise DictionaryFileError(f"{array.name}, row {row}: {MEANING[rule]} expected")


def _ranges(content: Content, array: Array, thorough: bool) -> Iterator[tuple[int, int]]:
    """Yield row ranges: all rows, or a few evenly spread blocks with the first and last rows."""
    shape = content.shape(array)
    if thorough:
        yield from spans(shape, array.dtype.itemsize)
        return
    for start in np.unique(
        np.linspace(0, max(0, shape[0] - SPREAD_ROWS), SPREAD_BLOCKS).astype(int)
    ):
        yield int(start), min(shape[0], int(start) + SPREAD_ROWS)


def _check_order(content: Content, array: Array, target: str) -> None:
    """Check ids or offsets.

    Ids must rise strictly. Offsets must start at 0, never fall, and end at the size named by
    `target`, that of the array they refer to.
    """
    last = -1 if not target else 0
    for start, rows in content.blocks(array):
        # the difference to the last value of the previous block comes first
        steps = np.diff(rows, prepend=np.array([last], rows.dtype))
        is_invalid = steps < 0 if target else steps <= 0
        if target and start == 0:
            is_invalid[0] = rows[0] != 0
        if is_invalid.any():
            rule = "offsets that start at 0 and never fall" if target else "ids in rising order"
            raise DictionaryFileError(
                f"{array.name}, row {start + int(np.argmax(is_invalid))}: {rule} expected"
            )
        last = rows[-1]
    if target and last != content.sizes[target]:
        raise DictionaryFileError(f"{array.name} ends at {last}, expected {content.sizes[target]}")


def _check_references(content: Content, thorough: bool) -> None:
    """Check that excerpts and founders lie inside passages that the dictionary stores."""
    if "plain_ids" in content and "excerpt_passage" in content:
        _check_plain_references(content, thorough)
    if "passage_ids" not in content:
        return
    ids, lengths = content.read("passage_ids"), np.diff(content.read("passage_offsets"))
    for kind in ("excerpt", "founder"):
        if f"{kind}_passage" not in content:
            continue
        passages, positions = ARRAYS[f"{kind}_passage"], ARRAYS[f"{kind}_position"]
        for start, stop in _ranges(content, passages, thorough):
            passage, position = (
                content.rows(passages, start, stop),
                content.rows(positions, start, stop),
            )
            index = np.minimum(np.searchsorted(ids, passage), max(0, len(ids) - 1))
            is_invalid = (
                (ids[index] != passage) | (position < 0) | (position >= lengths[index])
                if len(ids)
                else passage == passage
            )
            if is_invalid.any():
                row = int(np.argmax(is_invalid))
                where = f"token {position[row]} of passage {passage[row]}"
                raise DictionaryFileError(
                    f"{kind}_passage, row {start + row}: {where} is not stored in the dictionary"
                )


def _check_plain_references(content: Content, thorough: bool) -> None:
    """Check that the excerpts of passages without tokens refer to stored passages.

    Which token is marked cannot be checked.
    """
    ids, passages = content.read("plain_ids"), ARRAYS["excerpt_passage"]
    for start, stop in _ranges(content, passages, thorough):
        passage = content.rows(passages, start, stop)
        is_invalid = ~np.isin(passage, ids)
        if is_invalid.any():
            row = int(np.argmax(is_invalid))
            raise DictionaryFileError(
                f"excerpt_passage, row {start + row}: passage {passage[row]} is not stored in the "
                "dictionary"
            )


def _outside(
    low: float, high: float, undefined: bool = False
) -> Callable[[np.ndarray, Content], np.ndarray]:
    """Return a rule that is True where a value does not lie in [low, high].

    undefined: accept NaN, which stands for a region without members.
    """

    def rule(rows: np.ndarray, content: Content) -> np.ndarray:
        is_invalid = ~((rows >= low) & (rows <= high))
        return is_invalid & ~np.isnan(rows) if undefined else is_invalid

    return rule


def _no_distance(undefined: bool = False) -> Callable[[np.ndarray, Content], np.ndarray]:
    """Return a rule that is True where a value is no distance of the dictionary's metric.

    undefined: as for `_outside`.
    """
    within = _outside(0, 2 + UNIT_TOLERANCE, undefined)
    positive = _outside(0, float(np.finfo(np.float32).max), undefined)

    def rule(rows: np.ndarray, content: Content) -> np.ndarray:
        has_lengths = LENGTHS["exemplars"] in content
        return (positive if has_lengths else within)(rows, content)

    return rule


def _not_unit(rows: np.ndarray, content: Content) -> np.ndarray:
    """A rule that is True where a row does not have length 1."""
    norms = np.sqrt(np.einsum("ij,ij->i", rows, rows, dtype=np.float64))
    return ~(np.abs(norms - 1) <= UNIT_TOLERANCE)


RULES: dict[str, Callable[[np.ndarray, Content], np.ndarray]] = {
    "finite": lambda rows, content: ~np.isfinite(rows),
    "unit": _not_unit,
    "cosine": _outside(-1 - UNIT_TOLERANCE, 1 + UNIT_TOLERANCE),
    "distance": _no_distance(),
    "distance?": _no_distance(undefined=True),
    "share": _outside(0, 1 + UNIT_TOLERANCE),
    "share?": _outside(0, 1 + UNIT_TOLERANCE, undefined=True),
    "amount": _outside(0, np.finfo(np.float64).max),
    "count": lambda rows, content: rows < 0,
    "band": lambda rows, content: rows > 2,
    "flag": lambda rows, content: rows > 1,
    "token": lambda rows, content: rows < -1,
    "free": lambda rows, content: np.zeros(len(rows), bool),
    "elsewhere": lambda rows, content: rows < -1,
    "region": lambda rows, content: (rows < -1) | (rows >= content.sizes["K"]),
}
"""The rules by name; each takes rows and the content and returns where values are invalid."""
MEANING = {
    "finite": "finite numbers",
    "unit": "a finite vector of length 1",
    "cosine": "a cosine between -1 and 1",
    "distance": "a distance between 0 and 2, or from 0 in a Euclidean metric,",
    "distance?": "a distance between 0 and 2, or from 0 in a Euclidean metric,",
    "share": "a number between 0 and 1",
    "share?": "a number between 0 and 1",
    "amount": "a finite number that is not negative",
    "count": "a number that is not negative",
    "band": "0, 1 or 2",
    "flag": "0 or 1",
    "token": "token ids, or -1 for none,",
    "elsewhere": "region ids of another dictionary, or -1 for none,",
    "region": "region ids of this dictionary, or -1 for none,",
}
"""What each rule expects, for messages."""
