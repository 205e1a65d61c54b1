"""What is on the shelf, opened once for all visitors: dictionaries, and lists about them.

Objects handed out here are shared by every session: nobody writes to them. Knows no selection, and
draws nothing but the spinner of what is being named.
"""

from __future__ import annotations

import os
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from hashlib import blake2b
from math import log
from pathlib import Path

import streamlit as st

from ep.errors import DictionaryFileError, EPError, RequestError
from ep.method.dictionary import Dictionary
from ep.storage import Entry, Shelf
from ep.storage.labels import Labels
from ep.storage.sidecar import LABELS, beside
from ep.studies.naming import automatic, is_named
from ep.text import segments
from ep.views.search import Index
from ep.views.tables import brief, model_name, name, token_ids

ROOT = Path(__file__).resolve().parents[2]
DEMO = ROOT / "data" / "demo"
LIBRARY = ROOT / "data" / "library"
LOOK_AGAIN_S = 5.0
GOOD_MAP = 1200


def folders() -> tuple[Path, ...]:
    """Where dictionaries are looked for: the demo, the library, and the folder named by
    EP_LIBRARY.
    """
    extra = os.environ.get("EP_LIBRARY")
    return (DEMO, LIBRARY, Path(extra)) if extra else (DEMO, LIBRARY)


def kept_in() -> Path:
    """The folder new dictionaries go to: the one named by EP_LIBRARY, else the library's own."""
    return folders()[-1]


@st.cache_resource(show_spinner=False, ttl=LOOK_AGAIN_S)
def _shelf(places: tuple[Path, ...]) -> Shelf:
    return Shelf(places)


def shelf() -> Shelf:
    """What lies in those folders, looked at again every few seconds."""
    return _shelf(folders())


def refresh() -> None:
    """Looks at the folders again at once, after a file was added or removed."""
    _shelf.clear()
    _titles.clear()


def entries() -> tuple[Entry, ...]:
    """Every readable dictionary on the shelf, those of the demo first."""
    return shelf().entries


def find(key: str | None) -> Entry | None:
    """The readable entry with this key, or None."""
    return next((entry for entry in entries() if entry.key == key), None)


def families() -> dict[str, tuple[Entry, ...]]:
    """The entries by family: the files of one build, by layer and percentile."""
    return {family.id: family.entries for family in shelf().families}


def title(family: str) -> str:
    """What a family is called in a list: plain text from its files, on one line, never markup.

    Families of one title are told apart by their models, or else by their names: a box of equal
    options confuses the reader, and picks the wrong one.
    """
    return _titles(folders()).get(family) or _line(family)


@st.cache_resource(show_spinner=False, ttl=LOOK_AGAIN_S)
def _titles(places: tuple[Path, ...]) -> dict[str, str]:
    found = _shelf(places).families
    plain = {family.id: _line(family.title) for family in found}
    by_model = {f.id: f"{plain[f.id]} · {_line(model_name(f.entries[0].info))}" for f in found}
    titles = {i: f"{text} · {_line(i)}" for i, text in plain.items()}
    for better in (by_model, plain):
        seen = Counter(better.values())
        titles |= {i: text for i, text in better.items() if seen[text] == 1}
    return titles


def _line(text: object) -> str:
    return "".join(segment.text for segment in segments(str(text), spaces=False))


def closest(family: str, layer: int | None, percentile: float | None) -> Entry:
    """The entry of a family nearest to a layer, then to a percentile."""
    return next(f for f in shelf().families if f.id == family).pick(layer, percentile)


def opening() -> Entry | None:
    """What a visitor sees first: of the first family, the deepest with about a thousand cells."""
    if not shelf().families:
        return None
    family = shelf().families[0].entries
    return min(family, key=lambda e: (round(abs(log(max(e.size, 1) / GOOD_MAP))), -(e.layer or 0)))


def dictionary(key: str) -> Dictionary:
    """The dictionary with this key on the shelf, opened lazily and once.

    RequestError when no file has that key, DictionaryFileError when the file is damaged or foreign.
    """
    entry = _entry(key)
    return _opened(entry, str(entry.path), _modified(entry.path))


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
def _opened(_entry: Entry, path: str, modified: int) -> Dictionary:
    """`modified` is part of the cache's key: a file that was rebuilt is opened again."""
    return _entry.open()


def ladder(key: str) -> dict[str, Dictionary]:
    """The dictionaries of this one's family and layer by key, from the coarsest percentile to the
    finest, one a percentile; damaged ones and those of another width are left out.
    """
    here = find(key)
    if here is None or here.percentile is None:
        return {key: dictionary(key)}
    found: dict[float, tuple[str, Dictionary]] = {here.percentile: (key, dictionary(key))}
    for entry in families().get(here.family, ()):
        p, fits = entry.percentile, (entry.layer, entry.width) == (here.layer, here.width)
        if p is not None and p not in found and fits:
            with suppress(EPError):
                found[p] = (entry.key, dictionary(entry.key))
    return dict(found[p] for p in sorted(found, reverse=True))


def is_demo(dictionary: Dictionary) -> bool:
    """Whether it is one of the bundled demo's."""
    return dictionary.path is not None and dictionary.path.is_relative_to(DEMO)


def fingerprint(key: str) -> str:
    """A short name for the file as it is now: another after a rebuild.

    For caches, here and in the browser.
    """
    path = _entry(key).path
    return blake2b(f"{path}|{_modified(path)}".encode(), digest_size=9).hexdigest()


def search_index(key: str) -> Index:
    """The search box's index of a dictionary, built on the first search."""
    return _index(fingerprint(key), key)


@st.cache_resource(show_spinner=False, max_entries=8)
def _index(fingerprint: str, _key: str) -> Index:
    return Index(dictionary(_key))


def labels(key: str) -> Labels:
    """What people and models said of a dictionary's regions, as it is on disk now; automatic labels
    stand in.

    Nothing is raised for a damaged side-car: `problem` says what is wrong with it, and it holds
    nothing then.
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
    """`stamp` is part of the cache's key: what somebody else saved is read at the next look."""
    found = Labels.open(_entry(_key).path, dictionary(_key))
    return replace(found, automatic_texts=lambda: _automatic(fingerprint, _key))


@st.cache_resource(show_spinner=False, max_entries=24)
def _automatic(fingerprint: str, _key: str) -> list[str]:
    return automatic(dictionary(_key))


def is_ready(key: str) -> bool:
    """Whether what every page says of this dictionary is there at once: a file without tokens is
    named from its texts.

    That takes seconds for 20,000 regions; `prepare` does it.
    """
    found = dictionary(key)
    return token_ids(found) is not None or is_named(found)


def prepare(key: str) -> None:
    """Makes `is_ready` true, with a sentence on screen while it takes; nothing shows where it is
    quick.
    """
    if not is_ready(key):
        with st.spinner(
            f"Naming {len(dictionary(key)):,} regions by the words of their texts, once…",
            show_time=True,
        ):
            automatic(dictionary(key))


def region_name(key: str, region: int) -> str:
    """What stands for a region in a chip: its one token; where the file knows none, the beginning
    of its best label.
    """
    return name(dictionary(key), region) or brief(labels(key).best(region))
