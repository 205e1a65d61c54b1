"""The dictionaries in folders: which files there are, and which belong together.

Only headers are read, so hundreds of files are listed quickly. A file that cannot be read is listed
with the reason. Titles, families and paths are text from elsewhere: they are passed on and never
interpreted.
"""

from __future__ import annotations

import hashlib
import math
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from ep.errors import DictionaryFileError
from ep.method.dictionary import Dictionary
from ep.storage import titles
from ep.storage.file import header
from ep.storage.file import open as open_dictionary
from ep.storage.schema import SUFFIX
from ep.storage.sidecar import TITLE, beside

MAX_DEPTH = 4
"""How many levels deep folders are searched."""
MAX_FILES = 2000
"""The largest number of files listed."""


@dataclass(frozen=True)
class Entry:
    """One file on the shelf.

    path: the file.
    key: a short name for links, unique on its shelf, of letters, digits and "-._/" only. It
        consists of family, layer and percentile ("demo-tuned/4/2") as far as they are recorded,
        with the file name for a missing family; for a file that cannot be read, of the file name
        and a hash. It stays the same as long as neither the file nor its path changes.
    info: the provenance; empty in a file with an `error`.
    size: K; 0 in a file with an `error`.
    width: d; 0 in a file with an `error`.
    error: the line to show for a file that cannot be read, else None.
    bytes: size of the file.
    modified_ns: when the file was last written, in nanoseconds since 1970.
    renamed: the title that a person gave it, else None; see `ep.storage.titles`.
    """

    path: Path
    key: str
    info: dict[str, Any] = field(hash=False)
    size: int
    width: int
    error: str | None = None
    bytes: int = 0
    modified_ns: int = 0
    renamed: str | None = None

    @property
    def family(self) -> str:
        """The id shared by the files of one build, or the file's name where it has none."""
        return self.info.get("family") or self.path.name.removesuffix(SUFFIX)

    @property
    def title(self) -> str:
        """What to call the build on screen."""
        return self.renamed or self.info.get("title") or self.family

    @property
    def layer(self) -> int | None:
        """The 0-based block; None where it is not recorded."""
        return self.info.get("layer")

    @property
    def percentile(self) -> float | None:
        """p; None where it is not recorded."""
        return self.info.get("percentile")

    def open(self) -> Dictionary:
        """Open the dictionary; raise DictionaryFileError as `ep.open` does."""
        return open_dictionary(self.path)


@dataclass(frozen=True)
class Family:
    """The dictionaries of one build: the same model and corpus, at several layers and percentiles.

    id: the id shared by the files.
    title: what to call the build on screen.
    entries: its files, ordered by layer, then percentile.
    """

    id: str
    title: str
    entries: tuple[Entry, ...]

    @property
    def layers(self) -> tuple[int, ...]:
        """The layers in the family, in rising order."""
        return tuple(sorted({entry.layer for entry in self.entries if entry.layer is not None}))

    @property
    def percentiles(self) -> tuple[float, ...]:
        """The percentiles in the family, in rising order."""
        return tuple(
            sorted({entry.percentile for entry in self.entries if entry.percentile is not None})
        )

    def pick(self, layer: int | None = None, percentile: float | None = None) -> Entry:
        """Return the entry that comes nearest to a layer and percentile.

        layer: compared first, by difference; None for any.
        percentile: compared next, by ratio; None for any.
        """

        def distance(entry: Entry) -> tuple[float, float]:
            return _gap(entry.layer, layer, lambda v: v), _gap(entry.percentile, percentile, _log)

        return min(self.entries, key=distance)


def _log(value: float) -> float:
    return math.log(max(value, 1e-9))


def _gap(value: float | None, wanted: float | None, scale: Any) -> float:
    """Return the distance between a value and a wanted one; 0 if none is wanted."""
    if wanted is None:
        return 0.0
    return math.inf if value is None else abs(scale(value) - scale(wanted))


class Shelf:
    """The dictionaries in some folders, as they were when the shelf was created.

    folders: searched in order, four levels deep, without hidden folders and links to folders. A
        missing folder counts as empty.

    Attributes: entries, the readable files; broken, the others, with an `error`; families, the
        readable files by build; truncated, whether there were more than the 2,000 files that are
        listed.
    """

    def __init__(self, folders: Iterable[str | os.PathLike[str]]) -> None:
        paths: dict[Path, Path] = {}
        self.truncated = False
        for folder in map(Path, folders):
            for path in _files(folder, MAX_DEPTH):
                if len(paths) == MAX_FILES:
                    self.truncated = True
                    break
                paths.setdefault(path.resolve(), path)
        entries = _unique([_entry(path) for path in paths.values()])
        self.entries = tuple(entry for entry in entries if entry.error is None)
        self.broken = tuple(entry for entry in entries if entry.error is not None)
        self.families = tuple(_families(self.entries))

    def find(self, key: str) -> Entry | None:
        """Return the entry with a key, readable or broken; None if there is none."""
        return next((entry for entry in (*self.entries, *self.broken) if entry.key == key), None)

    def family(self, entry: Entry) -> Family | None:
        """Return the family of an entry; None for a broken one."""
        return next((family for family in self.families if entry in family.entries), None)


def _files(folder: Path, depth: int) -> Iterator[Path]:
    """Yield every `.ep.h5` file in a folder and below, by name, the folder's own files first."""
    try:
        with os.scandir(folder) as listing:
            items = sorted(listing, key=lambda item: item.name)
    except OSError:
        return
    yield from (Path(item.path) for item in items if item.name.endswith(SUFFIX) and item.is_file())
    if depth > 1:
        for item in items:
            if not item.name.startswith(".") and item.is_dir(follow_symlinks=False):
                yield from _files(Path(item.path), depth - 1)


def _entry(path: Path) -> Entry:
    """Return the entry of a file, readable or not."""
    try:
        status = path.stat()
    except OSError as error:
        return Entry(path, _slug(str(path)), {}, 0, 0, str(error.strerror))
    entry = _read(path, status.st_mtime_ns, status.st_size, status.st_ino)
    try:
        given = beside(path, TITLE).stat()
    except OSError:
        return entry
    return replace(entry, renamed=_title(path, given.st_mtime_ns, given.st_size, given.st_ino))


@lru_cache(maxsize=2 * MAX_FILES)
def _title(path: Path, *_stamp: int) -> str | None:
    """Read the title beside a file; it is cached until it changes."""
    return titles.read(path)


@lru_cache(maxsize=2 * MAX_FILES)
def _read(path: Path, modified_ns: int, size_bytes: int, _inode: int) -> Entry:
    """Read the entry of a file; it is cached until the file changes."""
    try:
        info, size, width = header(path)
    except DictionaryFileError as error:
        key = f"{_slug(path.name.removesuffix(SUFFIX))}-{_short_hash(str(path))}"
        return Entry(path, key, {}, 0, 0, str(error), size_bytes, modified_ns)
    entry = Entry(path, "", info, size, width, None, size_bytes, modified_ns)
    parts = [_slug(entry.family)] + [
        f"{v:g}" for v in (entry.layer, entry.percentile) if v is not None
    ]
    return replace(entry, key="/".join(parts))


def _slug(text: str) -> str:
    """Return a text as letters, digits and "-._" only.

    A text that loses something by this gets a hash, so that different texts stay different.
    """
    plain = re.sub(r"[^a-z0-9._-]+", "-", text.lower()).strip("-.")[:48]
    return plain if plain == text else f"{plain or 'dictionary'}-{_short_hash(text)}"


def _short_hash(text: str) -> str:
    """Return eight hexadecimal digits that identify a text."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]


def _unique(entries: list[Entry]) -> list[Entry]:
    """Return the entries with unique keys.

    Of entries with the same key (copies of one file, for example) the first keeps it, and the
    others get a hash of their path.
    """
    taken: set[str] = set()
    result = []
    for entry in entries:
        if entry.key in taken:
            entry = replace(entry, key=f"{entry.key}-{_short_hash(str(entry.path))}")
        taken.add(entry.key)
        result.append(entry)
    return result


def _families(entries: tuple[Entry, ...]) -> Iterator[Family]:
    """Yield the families of the entries, in the order of their first entries."""
    groups: dict[str, list[Entry]] = {}
    for entry in entries:
        groups.setdefault(entry.family, []).append(entry)
    for name, members in groups.items():
        members.sort(
            key=lambda e: (_gap(e.layer, 0, float), e.percentile is None, e.percentile or 0.0)
        )
        given = next((e.renamed for e in members if e.renamed), None)
        yield Family(name, given or members[0].title, tuple(members))
