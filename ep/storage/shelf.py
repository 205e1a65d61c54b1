"""Folders of dictionaries: what is there, and which files belong together.

Only headers are read, so hundreds of files are listed at once; a file that cannot be read is listed
with the reason. Titles, families and paths are text from elsewhere: they are carried, never
interpreted.
"""

from __future__ import annotations

import hashlib
import math
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from ep.errors import DictionaryFileError
from ep.method.dictionary import Dictionary
from ep.storage.file import header
from ep.storage.file import open as open_dictionary
from ep.storage.schema import SUFFIX

MAX_DEPTH = 4
MAX_FILES = 2000


@dataclass(frozen=True)
class Entry:
    """One file on the shelf.

    key: a short name for links, unique on its shelf and made of letters, digits and "-._/" only:
    the family, layer and percentile ("demo-tuned/4/2"), or of the path for a file that says nothing
    of itself. It does not change while the file stays what and where it is.
    size, width: K and d; 0 in a file with an `error`, which is the line to show instead.
    """

    path: Path
    key: str
    info: dict[str, Any] = field(hash=False)
    size: int
    width: int
    error: str | None = None

    @property
    def family(self) -> str:
        """The id shared by the files of one build; the file's own name when there is none."""
        return self.info.get("family") or self.path.name.removesuffix(SUFFIX)

    @property
    def title(self) -> str:
        return self.info.get("title") or self.family

    @property
    def layer(self) -> int | None:
        return self.info.get("layer")

    @property
    def percentile(self) -> float | None:
        return self.info.get("percentile")

    def open(self) -> Dictionary:
        """The dictionary itself. DictionaryFileError as `ep.open`."""
        return open_dictionary(self.path)


@dataclass(frozen=True)
class Family:
    """The dictionaries of one build: the same model and corpus at several layers and percentiles.

    entries: ordered by layer, then percentile.
    """

    id: str
    title: str
    entries: tuple[Entry, ...]

    @property
    def layers(self) -> tuple[int, ...]:
        return tuple(sorted({entry.layer for entry in self.entries if entry.layer is not None}))

    @property
    def percentiles(self) -> tuple[float, ...]:
        return tuple(
            sorted({entry.percentile for entry in self.entries if entry.percentile is not None})
        )

    def pick(self, layer: int | None = None, percentile: float | None = None) -> Entry:
        """The entry nearest to what is asked for: the layer first, then the percentile by ratio;
        None asks nothing.
        """

        def far(entry: Entry) -> tuple[float, float]:
            return _gap(entry.layer, layer, lambda v: v), _gap(entry.percentile, percentile, _log)

        return min(self.entries, key=far)


def _log(value: float) -> float:
    return math.log(max(value, 1e-9))


def _gap(have: float | None, want: float | None, scale: Any) -> float:
    if want is None:
        return 0.0
    return math.inf if have is None else abs(scale(have) - scale(want))


class Shelf:
    """The dictionaries in some folders, as they were when the shelf was made; make another to look
    again.

    folders: searched in order, four levels deep, hidden folders and links to folders left out; a
    missing one is empty. At most 2,000 files are listed; `truncated` says whether there were more.
    entries: the readable files; broken: those that are not, with `error`; families: the readable
    ones by build.
    """

    def __init__(self, folders: Iterable[str | os.PathLike[str]]) -> None:
        found: dict[Path, Path] = {}
        self.truncated = False
        for folder in map(Path, folders):
            for path in _files(folder, MAX_DEPTH):
                if len(found) == MAX_FILES:
                    self.truncated = True
                    break
                found.setdefault(path.resolve(), path)
        entries = _unique([_entry(path) for path in found.values()])
        self.entries = tuple(entry for entry in entries if entry.error is None)
        self.broken = tuple(entry for entry in entries if entry.error is not None)
        self.families = tuple(_families(self.entries))

    def find(self, key: str) -> Entry | None:
        """The entry of this key, readable or broken; None when the shelf has none."""
        return next((entry for entry in (*self.entries, *self.broken) if entry.key == key), None)

    def family(self, entry: Entry) -> Family | None:
        """The family an entry belongs to; None for a broken one."""
        return next((family for family in self.families if entry in family.entries), None)


def _files(folder: Path, depth: int) -> Iterator[Path]:
    """Every `.ep.h5` below a folder, by name, what lies in the folder itself first."""
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
    try:
        status = path.stat()
    except OSError as error:
        return Entry(path, _slug(str(path)), {}, 0, 0, str(error.strerror))
    return _read(path, status.st_mtime_ns, status.st_size, status.st_ino)


@lru_cache(maxsize=2 * MAX_FILES)
def _read(path: Path, *_stamp: int) -> Entry:
    """The entry of a file; remembered until the file changes."""
    try:
        info, size, width = header(path)
    except DictionaryFileError as error:
        return Entry(
            path,
            f"{_slug(path.name.removesuffix(SUFFIX))}-{_short_hash(str(path))}",
            {},
            0,
            0,
            str(error),
        )
    entry = Entry(path, "", info, size, width)
    parts = [_slug(entry.family)] + [
        f"{v:g}" for v in (entry.layer, entry.percentile) if v is not None
    ]
    return Entry(path, "/".join(parts), info, size, width)


def _slug(text: str) -> str:
    """Letters, digits and "-._" only; text that loses something by that carries a hash, so that no
    two meet.
    """
    plain = re.sub(r"[^a-z0-9._-]+", "-", text.lower()).strip("-.")[:48]
    return plain if plain == text else f"{plain or 'dictionary'}-{_short_hash(text)}"


def _short_hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]


def _unique(entries: list[Entry]) -> list[Entry]:
    """Entries of equal key (copies of one file, say) get a hash of their path; the first keeps the
    plain key.
    """
    taken: set[str] = set()
    out = []
    for entry in entries:
        if entry.key in taken:
            key = f"{entry.key}-{_short_hash(str(entry.path))}"
            entry = Entry(entry.path, key, entry.info, entry.size, entry.width, entry.error)
        taken.add(entry.key)
        out.append(entry)
    return out


def _families(entries: tuple[Entry, ...]) -> Iterator[Family]:
    groups: dict[str, list[Entry]] = {}
    for entry in entries:
        groups.setdefault(entry.family, []).append(entry)
    for name, members in groups.items():
        members.sort(
            key=lambda e: (_gap(e.layer, 0, float), e.percentile is None, e.percentile or 0.0)
        )
        yield Family(name, members[0].title, tuple(members))
