"""The layout of published dictionaries (protocol 4.4): their classes and fields, and the checks.

The classes have two names each, old and new, in two packages. The vectors stay in the file until
everything else has been checked. A region's reservoir of members and the list of all activations
that joined it are not stored.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from ep.errors import DictionaryFileError
from ep.storage.published.machine import Field, Machine, State
from ep.storage.published.numbers import text, vector
from ep.storage.published.tape import Tape
from ep.storage.published.values import Array, First, Record, Text

# (module, name) in the pickle: the kind of record.
CLASSES = {
    (f"{package}.discovery.dictionary", name): kind
    for package in ("ep", "cas")
    for kind, names in (
        ("dictionary", ("Dictionary", "ConceptLibrary")),
        ("region", ("Partition", "Concept")),
    )
    for name in names
}
# The fields that are read, and the form of each; see `machine.Field`.
FIELDS: dict[str, Field] = {
    "center": "value",
    "threshold": "value",
    "merge_close": "value",
    "partitions": "list",
    "member_count": "value",
    "exemplar_direction": "value",
    "mean_member_direction": "value",
    "member_coherence": "value",
    "sum_dist_to_exemplar": "value",
    "sum_sq_dist_to_exemplar": "value",
    "constituent_sample_indices": "first",
    "sample_prompts": "list",
    "boundary_prompts": "list",
    "label": "value",
}
MAX_REGIONS = 200_000
MAX_WIDTH = 2**16
MAX_EXCERPTS = 1_000
"""Excerpts of one band in one region; the reference code stores 10."""

MAX_PASSAGE, MAX_LABEL = 2**20, 1_000
"""The longest passage in bytes, and the longest label in characters."""

UNIT_ROUNDING = 2e-2
"""Directions whose length differs more from 1 are refused; half precision differs much less."""

UNIT_EXACT = 5e-4
"""Directions whose length differs less from 1 are not normalised, and so not changed at all."""

NOISE = 1e-3
"""How far rounding may move a distance or a coherence out of its range."""


class Event(NamedTuple):
    """One published excerpt.

    distance: cosine distance to the exemplar. text: the passage. position: index of the marked
    token in the model's input, where BOS is 0.
    """

    distance: float
    text: str | Text
    position: int


class PublishedRegion(NamedTuple):
    """A region as stored in the file; None where the file is older than the field."""

    exemplar: Array
    mean: Array
    members: int | None
    coherence: float | None
    distance_sum: float | None
    distance_square_sum: float | None
    founded_at: int | None
    near: tuple[Event, ...]
    far: tuple[Event, ...]
    label: str | None


class Published(NamedTuple):
    """The checked contents of a file.

    center: (d,) float32. threshold: θ. exemplars, means: (K, d) float32 unit rows.
    """

    center: np.ndarray
    threshold: float
    exemplars: np.ndarray
    means: np.ndarray
    regions: tuple[PublishedRegion, ...]


def read(tape: Tape, before_vectors: Callable[[int], object] = lambda size: None) -> Published:
    """Read and check a published file.

    before_vectors: called before the vectors are read with the number of bytes they will take,
        which has been compared with the size of the file.

    Raises DictionaryFileError, which names the first thing that is not as expected.
    """
    reader = _Reader(tape, before_vectors)
    root = Machine(tape, CLASSES, FIELDS, reader.check_object).run()
    if type(root) is not Record or root.kind != "dictionary" or root.content is None:
        raise DictionaryFileError(
            "this is not a published dictionary: the file contains something else"
        )
    return reader.dictionary(root.content)


class _Reader:
    """Checks the states of objects, and reads the vectors."""

    def __init__(self, tape: Tape, before_vectors: Callable[[int], object]) -> None:
        self._tape = tape
        self._before_vectors = before_vectors

    def check_object(self, record: Record, state: State) -> None:
        """Set the content of a record: a region is checked, a dictionary keeps its state."""
        record.content = state if record.kind == "dictionary" else self._region(state)

    def dictionary(self, state: State) -> Published:
        """Check the state of the dictionary, then read its vectors."""
        center = vector(self._tape, state.get("center"), None, "center")
        threshold = _number(state, "threshold", "the dictionary")
        if threshold is None or not 0 < threshold < 2:
            raise DictionaryFileError(
                f"the threshold is {threshold}, expected a cosine distance between 0 and 2"
            )
        records = state.get("partitions")
        if type(records) is not list or not records:
            raise DictionaryFileError("the dictionary has no regions")
        if len(records) > MAX_REGIONS or len(center) > MAX_WIDTH:
            raise DictionaryFileError(
                f"{len(records):,} regions of width {len(center):,}: more than can be read"
            )
        if not all(
            type(r) is Record and r.kind == "region" and r.content is not None for r in records
        ):
            raise DictionaryFileError("the list of regions contains something else")
        if len({id(record) for record in records}) < len(records):
            raise DictionaryFileError("a region is listed twice")
        # Two vectors of a region, of at least two bytes per value.
        if 2 * len(records) * 2 * len(center) > self._tape.size:
            raise DictionaryFileError(
                f"{len(records):,} regions of width {len(center):,} do not fit the file's size"
            )
        self._before_vectors(2 * len(records) * 4 * len(center))  # as float32
        regions = tuple(record.content for record in records)
        exemplars = self._directions(
            [r.exemplar for r in regions], len(center), "exemplar_direction"
        )
        means = self._directions([r.mean for r in regions], len(center), "mean_member_direction")
        return Published(center, threshold, exemplars, means, regions)

    def _directions(self, stored: list[Array], width: int, name: str) -> np.ndarray:
        """Read one direction of each region as unit rows (K, d)."""
        out = np.empty((len(stored), width), np.float32)
        for k, array in enumerate(stored):
            row = vector(self._tape, array, width, f"region {k}: {name}")
            length = float(np.linalg.norm(row.astype(np.float64)))
            if not abs(length - 1) <= UNIT_ROUNDING:
                raise DictionaryFileError(
                    f"region {k}: {name} has length {length:.4g}, expected a direction of length 1"
                )
            out[k] = row if abs(length - 1) <= UNIT_EXACT else (row / length).astype(np.float32)
        return out

    def _region(self, state: State) -> PublishedRegion:
        """Check the state of a region; its vectors are not read yet."""
        owner = "a region"
        for name in ("exemplar_direction", "mean_member_direction"):
            if type(state.get(name)) is not Array:
                raise DictionaryFileError(f"a region has no {name}")
        return PublishedRegion(
            exemplar=state["exemplar_direction"],
            mean=state["mean_member_direction"],
            members=_whole(state, "member_count", owner),
            coherence=_within(_number(state, "member_coherence", owner), "member_coherence", 1.0),
            distance_sum=_within(
                _number(state, "sum_dist_to_exemplar", owner), "sum_dist_to_exemplar"
            ),
            distance_square_sum=_within(
                _number(state, "sum_sq_dist_to_exemplar", owner), "sum_sq_dist_to_exemplar"
            ),
            founded_at=_founded(state.get("constituent_sample_indices")),
            near=_events(state.get("sample_prompts"), "sample_prompts", -1.0),
            far=_events(state.get("boundary_prompts"), "boundary_prompts", 1.0),
            label=self._label(state.get("label")),
        )

    def _label(self, stored: Any) -> str | None:
        if stored is None:
            return None
        if type(stored) not in (str, Text):
            raise DictionaryFileError("a label is not a string")
        if type(stored) is Text and stored.length > 4 * MAX_LABEL:
            raise DictionaryFileError(
                f"a label of {stored.length:,} bytes, expected at most {MAX_LABEL:,} characters"
            )
        return text(self._tape, stored)[:MAX_LABEL] or None


def _number(state: Mapping[str, Any], name: str, owner: str) -> float | None:
    value = state.get(name)
    if value is None:
        return None
    if type(value) not in (int, float) or abs(value) > 1e300 or not math.isfinite(value):
        raise DictionaryFileError(
            f"{owner} has {name} = {ascii(value)[:40]}, expected a finite number"
        )
    return float(value)


def _whole(state: Mapping[str, Any], name: str, owner: str) -> int | None:
    value = state.get(name)
    if value is None:
        return None
    if type(value) is not int or not 0 <= value < 2**62:
        raise DictionaryFileError(f"{owner} has {name} = {ascii(value)[:40]}, expected a count")
    return value


def _within(value: float | None, name: str, most: float = math.inf) -> float | None:
    """Clip a value to [0, most]; raise DictionaryFileError if rounding cannot be the reason."""
    if value is None:
        return None
    if not -NOISE <= value <= most + NOISE:
        raise DictionaryFileError(f"a region has {name} = {value:.6g}, expected 0 to {most:g}")
    return min(max(value, 0.0), most)


def _founded(stored: Any) -> int | None:
    """The index of the founding activation, which is the first in the list of its members."""
    value = stored.value if type(stored) is First else None
    return value if type(value) is int and 0 <= value < 2**62 else None


def _events(stored: Any, name: str, sign: float) -> tuple[Event, ...]:
    """The excerpts of one band: near ones with the nearest first, far ones with the farthest first.

    sign: -1 for near excerpts, whose distances are stored negated, 1 for far ones.
    """
    if stored is None:
        return ()
    if type(stored) is not list or len(stored) > MAX_EXCERPTS:
        raise DictionaryFileError(f"{name} is not a list of at most {MAX_EXCERPTS:,} excerpts")
    events = [_event(item, name, sign) for item in stored]
    return tuple(sorted(events, key=lambda event: -sign * event.distance))


def _event(item: Any, name: str, sign: float) -> Event:
    if type(item) is not tuple or len(item) != 3:
        raise DictionaryFileError(
            f"{name} contains something other than (distance, text, position)"
        )
    distance, passage, position = item
    if (
        type(distance) not in (int, float)
        or not math.isfinite(distance)
        or abs(distance) > 2 + NOISE
    ):
        raise DictionaryFileError(
            f"{name} contains a distance of {ascii(distance)[:40]}, expected 0 to 2"
        )
    if type(passage) not in (str, Text) or (type(passage) is Text and passage.length > MAX_PASSAGE):
        raise DictionaryFileError(
            f"{name} contains a text that is not a string, or has more than {MAX_PASSAGE:,} bytes"
        )
    if type(position) is not int or not 0 <= position < 2**31:
        raise DictionaryFileError(
            f"{name} contains a position of {ascii(position)[:40]}, expected a count"
        )
    return Event(min(max(sign * distance, 0.0), 2.0), passage, position)
