"""`NAME.ep.labels.json`: what people and models said of a dictionary's regions, beside it and never
in it.

The file is a list of edits (`ep.storage.edits`) and this room says what they come to. Several may
write at once: each adds its edits to what the file holds at that moment. It knows no model and no
screen; the bytes are `labelfile`'s.
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
from ep.storage.edits import AUTOMATIC, HAND, LONGEST, LONGEST_NAME, PUBLISHED, Edit, check, clean
from ep.storage.file import open as open_dictionary
from ep.storage.sidecar import LABELS, beside

NOBODY = "someone"


@dataclass(frozen=True)
class Label:
    """One label of a region.

    source: "hand", "model:NAME@HOST", "published" (came in the dictionary's own file, which nobody
    edits), or "automatic" (made from tokens).
    score, n: balanced accuracy in [0, 1] and the excerpts it rests on; None and 0 where nobody
    measured it.
    by, at: who, and when (UTC, ISO 8601). id: of the edit that made it; 0 for a computed one, which
    no file holds.
    interval: 95 %, around the score. control: the score of another region's label on the same
    excerpts.
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
    """A named list of regions, in the order people gave it, and its note."""

    regions: tuple[int, ...] = ()
    note: str = ""


@dataclass(frozen=True)
class Labels:
    """All labels, notes and lists of one dictionary at one moment; never changed, `save` and
    `after` make new ones.

    path: the dictionary's. size: its K. about: what the file says of the dictionary it belongs to.
    edits: everything done so far, oldest first, each with `id`, `at`, `by` and what
    `ep.storage.edits` made.
    problem: a sentence when there is a file that cannot be used; then all is empty and nothing can
    be saved.
    published: the labels in the dictionary's own file, by region; below those of people and models
    here.
    automatic: gives the (K,) computed labels that stand in where nobody said anything; by default
    there are none.
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
        """The labels beside a dictionary's file; none when there is no side-car, `problem` when it
        cannot be used.

        dictionary: the one in that file when it is open already. DictionaryFileError when that
        cannot be read.
        """
        dictionary = open_dictionary(path) if dictionary is None else dictionary
        published = published_in(dictionary.info.get("published_labels"), len(dictionary))
        empty = cls(Path(path), len(dictionary), labelfile.about(dictionary), published=published)
        try:
            return replace(empty, edits=labelfile.read(beside(path, LABELS), empty.about))
        except DictionaryFileError as error:
            return replace(empty, problem=str(error))

    # -- what there is -----------------------------------------------------------------------------

    @cached_property
    def _state(self) -> _State:
        return _State(self.edits)

    @property
    def revision(self) -> int:
        """The id of the newest edit; 0 when there is none."""
        return self.edits[-1]["id"] if self.edits else 0

    @property
    def notes(self) -> Mapping[int, str]:
        """The notes by region."""
        return self._state.notes

    @property
    def lists(self) -> Mapping[str, List]:
        """The lists by name, oldest first."""
        return self._state.lists

    def stored(self, region: int) -> tuple[Label, ...]:
        """The labels people and models gave a region, best first: locked, then by hand, then by
        score, newest first.

        Behind them the published one, unless somebody took it over.
        """
        given, text = self._state.ordered(region), self.published.get(region, "")
        if not text or any(label.text == text for label in given):
            return given
        return (*given, Label(text, PUBLISHED, by=PUBLISHED))

    def of(self, region: int) -> tuple[Label, ...]:
        """The same, and the automatic one behind them."""
        text = self.automatic(region)
        return (*self.stored(region), *((Label(text, AUTOMATIC),) if text else ()))

    def best(self, region: int) -> str:
        """What to call a region: its best label; empty when nothing is known."""
        given = self.stored(region)
        return given[0].text if given else self.automatic(region)

    def automatic(self, region: int) -> str:
        """The computed label of a region; empty when there are none."""
        texts = self.automatic_texts()
        return texts[region] if 0 <= region < len(texts) else ""

    def texts(self, automatic: bool = True) -> dict[int, str]:
        """The best label of every region that has one; `automatic=False` leaves out the computed
        ones.
        """
        computed = self.automatic_texts() if automatic else ()
        texts = {k: text for k, text in enumerate(computed) if text}
        return texts | {k: self.stored(k)[0].text for k in self._named()}

    def sources(self) -> dict[int, str]:
        """Where each text of `texts` comes from."""
        given = {k: self.stored(k)[0].source for k in self._named()}
        return {k: given.get(k, AUTOMATIC) for k in self.texts()}

    def _named(self) -> list[int]:
        """The regions somebody named, in rising order."""
        return sorted(self._state.labels.keys() | self.published.keys())

    @property
    def standing(self) -> Sequence[Edit]:
        """The edits that count, oldest first: those taken back left out, and the undos
        themselves.
        """
        return self._state.standing

    def last(self, region: int | None = None, name: str | None = None) -> Edit | None:
        """The newest edit that still counts, of a region, of a list, or of all: what an undo takes
        back.
        """
        for edit in reversed(self.standing):
            about = (region is None or edit.get("region") == region) and (
                name is None or edit.get("list") == name
            )
            if about:
                return edit
        return None

    # -- what is done ------------------------------------------------------------------------------

    def after(self, *edits: Edit, by: str = NOBODY) -> Labels:
        """The labels with these edits applied, in memory only.

        RequestError when an edit does not fit.
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
        """Adds the edits to the file as it is now, whoever else wrote to it, and returns what it
        then says.

        RequestError when an edit does not fit, DictionaryFileError when the file there cannot be
        used, StorageError when the folder is read-only, full, or someone else keeps writing; then
        nothing was changed.
        """
        path = beside(self.path, LABELS)
        with labelfile.alone(path):
            now = replace(self, edits=labelfile.read(path, self.about), problem="")
            new = now.after(*edits, by=by)
            labelfile.write(path, new.about, new.edits)
        return new


def published_in(given: Any, size: int) -> dict[int, str]:
    """The labels that came in a dictionary's file, [[region, text], …]; what has another form is
    left out.
    """
    pairs = (
        [pair for pair in given if isinstance(pair, list) and len(pair) == 2]
        if isinstance(given, list)
        else []
    )
    fits = [
        (k, text) for k, text in pairs if type(k) is int and 0 <= k < size and isinstance(text, str)
    ]
    return {k: cut for k, text in fits if (cut := clean(text).strip()[:LONGEST])}


class _State:
    """Everything the edits come to, those taken back left out."""

    def __init__(self, edits: Sequence[Edit]) -> None:
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
        self.labels = {region: given for region, given in self.labels.items() if given}

    def ordered(self, region: int) -> tuple[Label, ...]:
        return tuple(sorted(self.labels.get(region, {}).values(), key=_rank))

    def label(self, edit: Edit) -> None:
        given = self.labels.setdefault(edit["region"], {})
        self._discard(given, edit.get("replaces"))
        interval = tuple(edit["interval"]) if "interval" in edit else None
        given[edit["id"]] = Label(
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
    def _discard(given: dict[int, Label], label: int | None) -> None:
        if label in given and not given[label].locked:
            del given[label]

    def lock(self, edit: Edit) -> None:
        given = self.labels.get(edit["region"], {})
        if edit["label"] in given:
            given[edit["label"]] = replace(given[edit["label"]], locked=edit["on"])

    def note(self, edit: Edit) -> None:
        self.notes.pop(edit["region"], None)
        if edit["text"]:
            self.notes[edit["region"]] = edit["text"]

    def put(self, edit: Edit) -> None:
        held = self._list(edit)
        self.lists[edit["list"]] = replace(
            held, regions=tuple(dict.fromkeys((*held.regions, *edit["regions"])))
        )

    def take(self, edit: Edit) -> None:
        if edit["list"] in self.lists:
            held, gone = self._list(edit), set(edit["regions"])
            self.lists[edit["list"]] = replace(
                held, regions=tuple(k for k in held.regions if k not in gone)
            )

    def order(self, edit: Edit) -> None:
        if edit["list"] in self.lists:
            held = self._list(edit)
            there = set(held.regions)
            first = tuple(k for k in dict.fromkeys(edit["regions"]) if k in there)
            self.lists[edit["list"]] = replace(
                held, regions=tuple(dict.fromkeys((*first, *held.regions)))
            )

    def describe(self, edit: Edit) -> None:
        self.lists[edit["list"]] = replace(self._list(edit), note=edit["text"])

    def drop(self, edit: Edit) -> None:
        self.lists.pop(edit["list"], None)

    def _list(self, edit: Edit) -> List:
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


def _rank(label: Label) -> tuple[Any, ...]:
    kind = 0 if label.source == HAND else 2 if label.source == AUTOMATIC else 1
    return not label.locked, kind, -(label.score or 0.0) if kind == 1 else 0.0, -label.id
