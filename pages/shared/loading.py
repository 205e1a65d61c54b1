"""The shelf of dictionaries, each opened once for all visitors, with its labels and search index.

Objects returned here are shared by all sessions and must not be changed. Nothing here depends on
the selection, and only `prepare` draws anything.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from hashlib import blake2b
from math import log
from pathlib import Path

import numpy as np
import streamlit as st

from ep.errors import DictionaryFileError, EPError, RequestError
from ep.method.dictionary import Dictionary
from ep.method.metrics import name_of
from ep.storage import Entry, Shelf
from ep.storage.labels import Labels
from ep.storage.sidecar import LABELS, beside
from ep.studies import names
from ep.studies.naming import automatic, is_named
from ep.text import segments
from ep.views import tables
from ep.views.search import Index
from ep.views.tables import model_name

ROOT = Path(__file__).resolve().parents[2]
REAL = ROOT / "data" / "real"
DEMO = ROOT / "data" / "demo"
LIBRARY = ROOT / "data" / "library"
EN_SPACE = "\N{EN SPACE}"
RESCAN_S = 5.0
"""How long a listing of the folders is cached."""
QUICK_TO_NAME = 5000
"""Regions with tokens that are named in less than a second."""
PREFERRED_SIZE = 1200
"""Regions of the dictionary that is opened by default: enough for a map that is easy to read."""


def folders() -> tuple[Path, ...]:
    """Return the folders that are searched for dictionaries: those of the real demo and of the tiny
    one, the library, and the one in the environment variable EP_LIBRARY.

    With EP_DEMO=tiny in the environment the real demo is left out.
    """
    bundled = (DEMO,) if os.environ.get("EP_DEMO") == "tiny" else (REAL, DEMO)
    extra = os.environ.get("EP_LIBRARY")
    return (*bundled, LIBRARY, Path(extra)) if extra else (*bundled, LIBRARY)


def library_folder() -> Path:
    """Return the folder for new dictionaries: the one in EP_LIBRARY, or else the library."""
    return folders()[-1]


@st.cache_resource(show_spinner=False, ttl=RESCAN_S)
def _shelf(folders: tuple[Path, ...]) -> Shelf:
    return Shelf(folders)


def shelf() -> Shelf:
    """Return the contents of the folders, which are scanned again every few seconds."""
    return _shelf(folders())


def refresh() -> None:
    """Make the next call of `shelf` scan the folders, after a file was added or removed."""
    _shelf.clear()
    _titles.clear()


def entries() -> tuple[Entry, ...]:
    """Return all readable dictionaries on the shelf, those of the real demo first."""
    return shelf().entries


def find(key: str | None) -> Entry | None:
    """Return the readable entry with this key, or None."""
    return next((entry for entry in entries() if entry.key == key), None)


def find_linked(key: str) -> Entry | None:
    """Return the readable entry that a link names, even of a file newer than the last scan."""
    if find(key) is None:
        refresh()
    return find(key)


def families() -> dict[str, tuple[Entry, ...]]:
    """Return the entries by family; a family is the files of one build."""
    return {family.id: family.entries for family in shelf().families}


def title(family: str) -> str:
    """Return the name of a family for a list of choices: one line of plain text, not escaped.

    Families with the same title are distinguished by their models, by their metrics, or else by
    their ids, since a visitor could not tell equal options apart.
    """
    return _titles(folders()).get(family) or _one_line(family)


@st.cache_resource(show_spinner=False, ttl=RESCAN_S)
def _titles(folders: tuple[Path, ...]) -> dict[str, str]:
    """Return the shortest unique title of each family, by its id."""
    families = _shelf(folders).families
    plain = {family.id: _one_line(family.title) for family in families}
    by_model = {
        family.id: f"{plain[family.id]} · {_one_line(model_name(family.entries[0].info))}"
        for family in families
    }
    by_metric = {
        family.id: f"{plain[family.id]} · {name_of(family.entries[0].info)}" for family in families
    }
    titles = {id_: f"{text} · {_one_line(id_)}" for id_, text in plain.items()}
    for shorter in (by_metric, by_model, plain):
        counts = Counter(shorter.values())
        titles |= {id_: text for id_, text in shorter.items() if counts[text] == 1}
    return titles


def _one_line(text: object) -> str:
    """Return any text on one line, with its control characters made visible."""
    return "".join(segment.text for segment in segments(str(text), spaces=False))


def closest(family: str, layer: int | None, percentile: float | None) -> Entry:
    """Return the entry of a family nearest to a layer, and among those nearest to a percentile."""
    return next(f for f in shelf().families if f.id == family).pick(layer, percentile)


def default_entry() -> Entry | None:
    """Return the entry that is opened by default: the preferred one of the first family."""
    return preferred(shelf().families[0].entries) if shelf().families else None


def preferred(entries: Sequence[Entry]) -> Entry:
    """Return the entry of a family whose map is easiest to read: one with about a thousand
    regions, from the deepest layer that has one.
    """
    return min(
        entries,
        key=lambda e: (round(abs(log(max(e.size, 1) / PREFERRED_SIZE))), -(e.layer or 0)),
    )


def dictionary(key: str) -> Dictionary:
    """Return the dictionary with this key on the shelf, which is opened once and read lazily.

    Raises RequestError when no file has that key, and DictionaryFileError when the file is damaged
    or not a dictionary.
    """
    entry = _entry(key)
    return _open(entry, str(entry.path), _modified(entry.path))


def _entry(key: str) -> Entry:
    if (entry := find(key)) is None:
        raise RequestError(
            f"no dictionary called {key[:80]!r} is on the shelf: choose one in the Library"
        )
    return entry


def _modified(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError as error:
        raise DictionaryFileError(
            f"{path.name} cannot be read any more: {error.strerror or error}"
        ) from error


@st.cache_resource(show_spinner=False, max_entries=24)
def _open(_entry: Entry, path: str, modified: int) -> Dictionary:
    """Open a dictionary. `modified` is part of the cache's key, so that a file that was rebuilt is
    opened again.
    """
    return _entry.open()


def ladder(key: str) -> dict[str, Dictionary]:
    """Return the dictionaries of this one's family and layer by key, one per percentile, from the
    coarsest to the finest. Damaged files and those of another width are left out.
    """
    own = find(key)
    if own is None or own.percentile is None:
        return {key: dictionary(key)}
    by_percentile: dict[float, tuple[str, Dictionary]] = {own.percentile: (key, dictionary(key))}
    for entry in families().get(own.family, ()):
        p, fits = entry.percentile, (entry.layer, entry.width) == (own.layer, own.width)
        if p is not None and p not in by_percentile and fits:
            with suppress(EPError):
                by_percentile[p] = (entry.key, dictionary(entry.key))
    return dict(by_percentile[p] for p in sorted(by_percentile, reverse=True))


def is_demo(dictionary: Dictionary) -> bool:
    """Return whether a dictionary belongs to the bundled demo of the tiny models."""
    return dictionary.path is not None and dictionary.path.is_relative_to(DEMO)


def is_bundled(dictionary: Dictionary) -> bool:
    """Return whether a dictionary came with the explorer, of a real model or of a tiny one."""
    path = dictionary.path
    return path is not None and (path.is_relative_to(REAL) or path.is_relative_to(DEMO))


def fingerprint(key: str) -> str:
    """Return a short hash of a file's path and modification time.

    Used as a key of caches, here and in the browser; it changes when the file is rebuilt.
    """
    path = _entry(key).path
    return blake2b(f"{path}|{_modified(path)}".encode(), digest_size=9).hexdigest()


def search_index(key: str) -> Index:
    """Return the search index of a dictionary, which is built on the first search."""
    return _index(fingerprint(key), key)


@st.cache_resource(show_spinner=False, max_entries=8)
def _index(fingerprint: str, _key: str) -> Index:
    return Index(dictionary(_key))


def labels(key: str) -> Labels:
    """Return the labels of a dictionary's regions as they are on disk now, with automatic ones for
    regions without a label.

    A damaged labels file raises nothing: the returned labels are then empty, and their `problem`
    states the error.
    """
    path = _entry(key).path
    try:
        status = beside(path, LABELS).stat()
        stamp = (status.st_mtime_ns, status.st_size, status.st_ino)
    except OSError:
        stamp = (0, 0, 0)
    return _labels(fingerprint(key), stamp, key)


@st.cache_resource(show_spinner=False, max_entries=24)
def _labels(fingerprint: str, stamp: tuple[int, ...], _key: str) -> Labels:
    """Read the labels. `stamp` is part of the cache's key, so that the file is read again after
    another visitor or process has changed it.
    """
    stored = Labels.open(_entry(_key).path, dictionary(_key))
    return replace(stored, automatic_texts=lambda: _automatic(fingerprint, _key))


@st.cache_resource(show_spinner=False, max_entries=24)
def _automatic(fingerprint: str, _key: str) -> list[str]:
    return automatic(dictionary(_key))


def is_ready(key: str) -> bool:
    """Return whether the names of a dictionary's regions are available without delay.

    A file without stored names has them computed, which takes seconds for 20,000 regions; `prepare`
    does that.
    """
    opened = dictionary(key)
    is_quick = len(opened) <= QUICK_TO_NAME and "token_ids" in opened
    return is_quick or is_named(opened)


def prepare(key: str) -> None:
    """Name the regions of a dictionary, with a spinner on the page, unless `is_ready`."""
    if not is_ready(key):
        with st.spinner(
            f"Naming {len(dictionary(key)):,} regions by what sets their texts apart, once…",
            show_time=True,
        ):
            automatic(dictionary(key))


def region_name(key: str, region: int) -> str:
    """Return the short name of a region, for a chip.

    Its spaces are en spaces, because a chip shows an ordinary space of a token as a visible mark.
    """
    return names.short(whole_name(key, region)).replace(" ", EN_SPACE)


def whole_name(key: str, region: int) -> str:
    """Return the name of a region on one line, for a tooltip."""
    return names.one_line(names.name(dictionary(key), region, labels(key)))


def cells(opened: Dictionary, regions: Sequence[int] | np.ndarray | None = None) -> list[str]:
    """Return the names of regions, of all by default, for the cells of a table."""
    return tables.cells(opened, regions, labels_of(opened))


def labels_of(opened: Dictionary) -> Labels | None:
    """Return the labels of an open dictionary; None for one that is not on the shelf."""
    key = next((entry.key for entry in entries() if entry.path == opened.path), None)
    return None if key is None else labels(key)
