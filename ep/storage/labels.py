"""`NAME.ep.labels.json`: labels, notes and lists of a dictionary's regions, stored beside it.

The file is a list of edits (`ep.storage.edits`), and this module computes what they amount to.
Several programs may write at the same time: each adds its edits to those in the file at that
moment. The bytes of the file are handled in `ep.storage.labelfile`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from ep.errors import DictionaryFileError
from ep.method.dictionary import Dictionary
from ep.storage import labelfile
from ep.storage.edits import (
    AUTOMATIC,
    HAND,
    LONGEST,
    LONGEST_NAME,
    PUBLISHED,
    RULES,
    Edit,
    check,
    clean,
)
from ep.storage.file import open as open_dictionary
from ep.storage.sidecar import LABELS, beside

NOBODY = "someone"
"""The author recorded for an edit when no name is given."""


@dataclass(frozen=True)
class Label:
    """One label of a region.

    text: the label.
    source: "hand", "model:NAME@HOST", "published" (from the dictionary's own file, which nobody
        edits) or "automatic" (computed from tokens).
    score: balanced accuracy, in [0, 1]; None if it was not measured.
    n: number of excerpts the score rests on; 0 if it was not measured.
    by: who gave the label.
    at: when, in UTC, as ISO 8601.
    locked: whether it stays the best label and cannot be replaced or removed.
    id: id of the edit that gave it; 0 for published and computed labels, which no label file
        contains.
    interval: 95 % interval around the score.
    control: score of another region's label on the same excerpts.
    """

    text: str
    source: str = HAND
    score: float | None = None
    n: int = 0
    by: str = NOBODY
    at: str = ""
    locked: bool = False
    id: int = 0
    interval: tuple[float, float] | None = None
    control: float | None = None


@dataclass(frozen=True)
class List:
    """A named list of regions.

    regions: the regions, in the order people gave them.
    note: the note of the list.
    """

    regions: tuple[int, ...] = ()
    note: str = ""


@dataclass(frozen=True)
class Labels:
    """All labels, notes and lists of one dictionary at one moment.

    A `Labels` is never changed; `save` and `after` return new ones.

    path: the file of the dictionary.
    size: K.
    about: the description of the dictionary that the label file contains.
    edits: all edits, oldest first, each with `id`, `at`, `by` and the fields of `ep.storage.edits`.
    problem: a sentence if there is a label file that cannot be used; then there are no labels and
        nothing can be saved.
    published: the labels in the dictionary's own file, by region; those of people and models take
        precedence.
    automatic_texts: returns the (K,) computed labels, which are used for regions without any other
        label; by default there are none.
    """

    path: Path
    size: int
    about: Mapping[str, Any]
    edits: tuple[Edit, ...] = ()
    problem: str = ""
    published: Mapping[int, str] = field(default_factory=dict, repr=False, compare=False)
    automatic_texts: Callable[[], Sequence[str]] = field(default=tuple, repr=False, compare=False)

    @classmethod
    def open(cls, path: str | os.PathLike[str], dictionary: Dictionary | None = None) -> Labels:
        """Return the labels beside a dictionary's file.

        There are none if there is no label file; `problem` is set if it cannot be used.

        path: the file of the dictionary.
        dictionary: the dictionary in that file, if it is already open.

        Raises DictionaryFileError if the dictionary cannot be read.
        """
        dictionary = open_dictionary(path) if dictionary is None else dictionary
        published = published_in(dictionary.info.get("published_labels"), len(dictionary))
        empty = cls(Path(path), len(dictionary), labelfile.about(dictionary), published=published)
        try:
            return replace(empty, edits=labelfile.read(beside(path, LABELS), empty.about))
        except DictionaryFileError as error:
            return replace(empty, problem=str(error))

    # -- reading -----------------------------------------------------------------------------------

    @cached_property
    def _state(self) -> _State:
        """What the edits amount to, computed when first needed."""
        return _State(self.edits)

    @property
    def revision(self) -> int:
        """The id of the newest edit; 0 if there is none."""
        return self.edits[-1]["id"] if self.edits else 0

    @property
    def notes(self) -> Mapping[int, str]:
        """The notes, by region."""
        return self._state.notes

    @property
    def lists(self) -> Mapping[str, List]:
        """The lists by name, oldest first."""
        return self._state.lists

    def stored(self, region: int) -> tuple[Label, ...]:
        """Return the labels of a region except the automatic one, best first.

        A locked label comes first, then those by hand, then those by models in order of score;
        newer ones come first among equals. The published label follows, unless one of the others
        has the same text.
        """
        labels, text = self._state.ordered(region), self.published.get(region, "")
        if not text or any(label.text == text for label in labels):
            return labels
        return (*labels, Label(text, PUBLISHED, by=PUBLISHED))

    def of(self, region: int) -> tuple[Label, ...]:
        """Return all labels of a region, best first: those of `stored`, then the automatic one."""
        text = self.automatic(region)
        return (*self.stored(region), *((Label(text, AUTOMATIC),) if text else ()))

    def best(self, region: int) -> str:
        """Return a region's best label; empty if it has none."""
        labels = self.stored(region)
        return labels[0].text if labels else self.automatic(region)

    def automatic(self, region: int) -> str:
        """Return the computed label of a region; empty if there is none."""
        texts = self.automatic_texts()
        return texts[region] if 0 <= region < len(texts) else ""

    def texts(self, automatic: bool = True) -> dict[int, str]:
        """Return the best label of every region that has one.

        automatic: include computed labels.
        """
        computed = self.automatic_texts() if automatic else ()
        texts = {k: text for k, text in enumerate(computed) if text}
        return texts | {k: self.stored(k)[0].text for k in self._labelled_regions()}

    def sources(self) -> dict[int, str]:
        """Return the source of each label in `texts`, by region."""
        sources = {k: self.stored(k)[0].source for k in self._labelled_regions()}
        return {k: sources.get(k, AUTOMATIC) for k in self.texts()}

    def _labelled_regions(self) -> list[int]:
        """Return the regions with a label by people, by models or published, in rising order."""
        return sorted(self._state.labels.keys() | self.published.keys())

    @property
    def standing(self) -> Sequence[Edit]:
        """The edits in effect, oldest first, without those undone and without the undos."""
        return self._state.standing

    def last(self, region: int | None = None, name: str | None = None) -> Edit | None:
        """Return the newest edit in effect, which an undo would undo; None if there is none.

        region: consider edits of this region only.
        name: consider edits of the list with this name only.
        """
        for edit in reversed(self.standing):
            required, _ = RULES[edit["do"]]  # a field that its kind does not have means nothing
            matches = (region is None or ("region" in required and edit["region"] == region)) and (
                name is None or ("list" in required and edit["list"] == name)
            )
            if matches:
                return edit
        return None

    # -- editing -----------------------------------------------------------------------------------

    def after(self, *edits: Edit, by: str = NOBODY) -> Labels:
        """Return the labels with further edits applied, in memory only.

        by: the author of the edits.

        Raises RequestError if an edit cannot be applied, and DictionaryFileError if there is a
        `problem`.
        """
        if self.problem:
            raise DictionaryFileError(self.problem)
        number, at = self.revision, datetime.now(UTC).isoformat(timespec="seconds")
        by = " ".join(clean(by).split())[:LONGEST_NAME] or NOBODY
        added = [
            {"id": number + i, "at": at, "by": by} | check(edit, self.size)
            for i, edit in enumerate(edits, start=1)
        ]
        return replace(self, edits=(*self.edits, *added))

    def save(self, *edits: Edit, by: str = NOBODY) -> Labels:
        """Add edits to the file and return its labels.

        Edits that others have added to the file since it was read are kept.

        by: the author of the edits.

        Nothing is changed by an error: RequestError if an edit cannot be applied,
        DictionaryFileError if the label file cannot be used, StorageError if the folder is
        read-only, the disk is full or another program keeps writing to the file.
        """
        path = beside(self.path, LABELS)
        with labelfile.locked(path):
            current = replace(self, edits=labelfile.read(path, self.about), problem="")
            updated = current.after(*edits, by=by)
            labelfile.write(path, updated.about, updated.edits)
        return updated


def published_in(given: Any, size: int) -> dict[int, str]:
    """Return the labels in a dictionary's provenance, by region.

    given: the entry `published_labels`, [[region, text], …]; whatever has another form is left out.
    size: K.
    """
    pairs = (
        [pair for pair in given if isinstance(pair, list) and len(pair) == 2]
        if isinstance(given, list)
        else []
    )
    valid = [
        (k, text) for k, text in pairs if type(k) is int and 0 <= k < size and isinstance(text, str)
    ]
    return {k: label for k, text in valid if (label := clean(text).strip()[:LONGEST])}


class _State:
    """The labels, notes and lists that result from a sequence of edits, without those undone.

    Each method with the name of a kind of edit applies one edit of that kind.
    """

    def __init__(self, edits: Sequence[Edit]) -> None:
        # from the newest edit backwards: an undo that is itself undone has no effect
        undone: set[int] = set()
        for edit in reversed(edits):
            if edit["do"] == "undo" and edit["id"] not in undone and edit["edit"] < edit["id"]:
                undone.add(edit["edit"])
        self.standing = [
            edit for edit in edits if edit["id"] not in undone and edit["do"] in _APPLY
        ]
        self.labels: dict[int, dict[int, Label]] = {}
        self.notes: dict[int, str] = {}
        self.lists: dict[str, List] = {}
        for edit in self.standing:
            _APPLY[edit["do"]](self, edit)
        self.labels = {region: labels for region, labels in self.labels.items() if labels}

    def ordered(self, region: int) -> tuple[Label, ...]:
        """Return a region's labels, best first."""
        return tuple(sorted(self.labels.get(region, {}).values(), key=_rank))

    def label(self, edit: Edit) -> None:
        labels = self.labels.setdefault(edit["region"], {})
        self._discard(labels, edit.get("replaces"))
        interval = tuple(edit["interval"]) if "interval" in edit else None
        labels[edit["id"]] = Label(
            edit["text"],
            edit["source"],
            edit.get("score"),
            edit.get("n", 0),
            edit["by"],
            edit["at"],
            edit.get("locked", False),
            id=edit["id"],
            interval=interval,
            control=edit.get("control"),
        )

    def remove(self, edit: Edit) -> None:
        self._discard(self.labels.get(edit["region"], {}), edit["label"])

    @staticmethod
    def _discard(labels: dict[int, Label], label: int | None) -> None:
        """Remove a label, unless it is locked."""
        if label in labels and not labels[label].locked:
            del labels[label]

    def lock(self, edit: Edit) -> None:
        labels = self.labels.get(edit["region"], {})
        if edit["label"] in labels:
            labels[edit["label"]] = replace(labels[edit["label"]], locked=edit["on"])

    def note(self, edit: Edit) -> None:
        self.notes.pop(edit["region"], None)
        if edit["text"]:
            self.notes[edit["region"]] = edit["text"]

    def put(self, edit: Edit) -> None:
        content = self._list(edit)
        self.lists[edit["list"]] = replace(
            content, regions=tuple(dict.fromkeys((*content.regions, *edit["regions"])))
        )

    def take(self, edit: Edit) -> None:
        if edit["list"] in self.lists:
            content, removed = self._list(edit), set(edit["regions"])
            self.lists[edit["list"]] = replace(
                content, regions=tuple(k for k in content.regions if k not in removed)
            )

    def order(self, edit: Edit) -> None:
        if edit["list"] in self.lists:
            content = self._list(edit)
            members = set(content.regions)
            first = tuple(k for k in dict.fromkeys(edit["regions"]) if k in members)
            self.lists[edit["list"]] = replace(
                content, regions=tuple(dict.fromkeys((*first, *content.regions)))
            )

    def describe(self, edit: Edit) -> None:
        self.lists[edit["list"]] = replace(self._list(edit), note=edit["text"])

    def drop(self, edit: Edit) -> None:
        self.lists.pop(edit["list"], None)

    def _list(self, edit: Edit) -> List:
        """Return the list that an edit refers to; an empty one if there is none."""
        return self.lists.get(edit["list"], List())


_APPLY: Mapping[str, Callable[[_State, Edit], None]] = {
    "label": _State.label,
    "remove": _State.remove,
    "lock": _State.lock,
    "note": _State.note,
    "put": _State.put,
    "take": _State.take,
    "order": _State.order,
    "describe": _State.describe,
    "drop": _State.drop,
}
"""The method for each kind of edit; edits of other kinds, undos included, have no effect."""


def _rank(label: Label) -> tuple[Any, ...]:
    """Return a sort key: locked, then by hand, then models by score, newest first."""
    kind = 0 if label.source == HAND else 2 if label.source == AUTOMATIC else 1
    return not label.locked, kind, -(label.score or 0.0) if kind == 1 else 0.0, -label.id
