"""What the values of a dictionary must satisfy, checked in bounded blocks: before writing, and in a
file.

What steers reading (offsets, ids, counts) is checked in full every time. What is only shown
(distances, logits) is checked in small files and on request; of vectors and of the places excerpts
point to, a spread of rows is checked when a large file opens, and all of them otherwise. This room
knows neither HDF5 nor models.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from ep.errors import DictionaryFileError
from ep.storage.content import Content, spans
from ep.storage.schema import ARRAYS, NEEDS, REQUIRED, TOGETHER, Array

UNIT_TOLERANCE = 1e-3
"""How far a norm may be from 1; the same bound the exact search allows for."""

SPREAD_BLOCKS, SPREAD_ROWS = 8, 32
"""A large array is sampled in this many places, this many rows each, first and last rows
included.
"""

STEERING = ("region", "elsewhere", "count", "rising", "offsets", "band")
"""Rules of arrays that are followed as indices or counts."""


def verify(content: Content, thorough: bool = True) -> None:
    """DictionaryFileError, naming array and row, at the first value that cannot be; silence when
    all is well.

    thorough: every value; otherwise steering arrays in full and a spread of rows of the vectors.
    """
    complete(content.names)
    if content.sizes["K"] < 1 or content.sizes["d"] < 1:
        raise DictionaryFileError("the dictionary has no regions")
    for name in content.names:
        array = ARRAYS[name]
        if thorough or array.is_vectors or name == "center" or array.rule.split(":")[0] in STEERING:
            _values(content, array, thorough)
    _references(content, thorough)


def complete(names: tuple[str, ...]) -> None:
    """DictionaryFileError when a required array is missing, or one of several that need each
    other.
    """
    for name in REQUIRED:
        if name not in names:
            raise DictionaryFileError(f"the array {name} is missing")
    for group in TOGETHER:
        lacking = [name for name in group if name not in names]
        if 0 < len(lacking) < len(group):
            raise DictionaryFileError(
                f"the array {lacking[0]} is missing, which others need ({', '.join(group)})"
            )
    for name, targets in NEEDS.items():
        there = [target for target in targets if target in names]
        if name in names and not there:
            raise DictionaryFileError(
                f"the array {' or '.join(targets)} is missing, which {name} points into"
            )
        if name in names and len(there) > 1:
            raise DictionaryFileError(
                f"{name} may point into {' or '.join(there)}: expected only one of them"
            )


def _values(content: Content, array: Array, thorough: bool) -> None:
    rule, _, target = array.rule.partition(":")
    content.ends(array)
    if rule in ("offsets", "rising"):
        _monotone(content, array, target)
    else:
        for start, stop in _ranges(content, array, thorough or not array.is_vectors):
            rows = content.rows(array, start, stop)
            bad = RULES[rule](rows, content)
            if bad.any():
                at = start + int(np.argmax(bad.reshape(len(rows), -1).any(axis=1)))
                raise DictionaryFileError(f"{array.name}, row {at}: {MEANING[rule]} expected")


def _ranges(content: Content, array: Array, thorough: bool) -> Iterator[tuple[int, int]]:
    """Row ranges: all of them, or a few evenly spread, the first and the last among them."""
    shape = content.shape(array)
    if thorough:
        yield from spans(shape, array.dtype.itemsize)
        return
    for start in np.unique(
        np.linspace(0, max(0, shape[0] - SPREAD_ROWS), SPREAD_BLOCKS).astype(int)
    ):
        yield int(start), min(shape[0], int(start) + SPREAD_ROWS)


def _monotone(content: Content, array: Array, target: str) -> None:
    """Ids that rise strictly, or offsets that start at 0, never fall and end at the length of what
    they point into.
    """
    last = -1 if not target else 0
    for start, rows in content.blocks(array):
        steps = np.diff(rows, prepend=np.array([last], rows.dtype))
        bad = steps < 0 if target else steps <= 0
        if target and start == 0:
            bad[0] = rows[0] != 0
        if bad.any():
            rule = "offsets that start at 0 and never fall" if target else "ids in rising order"
            raise DictionaryFileError(
                f"{array.name}, row {start + int(np.argmax(bad))}: {rule} expected"
            )
        last = rows[-1]
    if target and last != content.sizes[target]:
        raise DictionaryFileError(f"{array.name} ends at {last}, expected {content.sizes[target]}")


def _references(content: Content, thorough: bool) -> None:
    """Excerpts and founders must lie inside passages the dictionary stores."""
    if "plain_ids" in content and "excerpt_passage" in content:
        _plain_references(content, thorough)
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
            at = np.minimum(np.searchsorted(ids, passage), max(0, len(ids) - 1))
            bad = (
                (ids[at] != passage) | (position < 0) | (position >= lengths[at])
                if len(ids)
                else passage == passage
            )
            if bad.any():
                row = int(np.argmax(bad))
                where = f"token {position[row]} of passage {passage[row]}"
                raise DictionaryFileError(
                    f"{kind}_passage, row {start + row}: {where} is not stored in the dictionary"
                )


def _plain_references(content: Content, thorough: bool) -> None:
    """Excerpts of passages without tokens: the passage must be there; which token it is cannot be
    checked.
    """
    ids, passages = content.read("plain_ids"), ARRAYS["excerpt_passage"]
    for start, stop in _ranges(content, passages, thorough):
        passage = content.rows(passages, start, stop)
        bad = ~np.isin(passage, ids)
        if bad.any():
            row = int(np.argmax(bad))
            raise DictionaryFileError(
                f"excerpt_passage, row {start + row}: passage {passage[row]} is not stored in the "
                "dictionary"
            )


def _outside(
    low: float, high: float, undefined: bool = False
) -> Callable[[np.ndarray, Content], np.ndarray]:
    """A rule: True where a value is not in [low, high]; `undefined` lets NaN pass (a region without
    members).
    """

    def rule(rows: np.ndarray, content: Content) -> np.ndarray:
        bad = ~((rows >= low) & (rows <= high))
        return bad & ~np.isnan(rows) if undefined else bad

    return rule


def _not_unit(rows: np.ndarray, content: Content) -> np.ndarray:
    norms = np.sqrt(np.einsum("ij,ij->i", rows, rows, dtype=np.float64))
    return ~(np.abs(norms - 1) <= UNIT_TOLERANCE)


RULES: dict[str, Callable[[np.ndarray, Content], np.ndarray]] = {
    "finite": lambda rows, content: ~np.isfinite(rows),
    "unit": _not_unit,
    "cosine": _outside(-1 - UNIT_TOLERANCE, 1 + UNIT_TOLERANCE),
    "distance": _outside(0, 2 + UNIT_TOLERANCE),
    "distance?": _outside(0, 2 + UNIT_TOLERANCE, undefined=True),
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
MEANING = {
    "finite": "finite numbers",
    "unit": "a finite vector of length 1",
    "cosine": "a cosine between -1 and 1",
    "distance": "a distance between 0 and 2",
    "distance?": "a distance between 0 and 2",
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
