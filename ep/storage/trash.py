"""The trash of a folder of dictionaries: what was deleted lies there for a day and can come back.

It is the hidden folder `.trash` in the folder of the shelf, on the same disk, so that deleting and
restoring are renames. Each deletion has a folder of its own: the moved files, numbered, and
`note.json`, which says where each came from. The note is written before the first file is moved,
so that an interruption loses nothing. What a note says is not trusted: files only come back inside
the shelf's folder, under names of dictionaries and their side-car files.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ep.errors import RequestError, StorageError
from ep.storage.file import printable
from ep.storage.output import writing
from ep.storage.schema import SUFFIX
from ep.storage.sidecar import write_bytes

FOLDER = ".trash"
KEPT_S = 24 * 3600.0
"""How long deleted files are kept."""
FORMAT, VERSION = "ep-trash", 1
NOTE = "note.json"
MOST_BYTES = 4 * 2**20
"""Larger notes are not read."""


@dataclass(frozen=True)
class Trashed:
    """One deletion.

    root: the folder of the shelf.
    place: the folder of this deletion in the trash.
    title: what was deleted, for people.
    when: the time of the deletion, in seconds since 1970.
    files: where each moved file came from, relative to `root`; the i-th lies at `place`/i.
    """

    root: Path
    place: Path
    title: str
    when: float
    files: tuple[str, ...]

    @property
    def dictionaries(self) -> int:
        """How many dictionaries were deleted."""
        return sum(name.endswith(SUFFIX) for name in self.files)

    @property
    def bytes(self) -> int:
        """Bytes on the disk."""
        return sum(_size(self.place / str(i)) for i in range(len(self.files)))


def belongings(path: Path) -> list[Path]:
    """Return a dictionary's file and everything beside it that is named after it.

    Those are its labels, also those set aside, its maps and its title.
    """
    stem = f"{path.name.removesuffix(SUFFIX)}.ep."
    with writing(path), os.scandir(path.parent) as items:
        names = sorted(item.name for item in items if item.name.startswith(stem))
    # "a.ep.b.ep.h5" is another dictionary than "a.ep.h5"
    found = [name for name in names if ".ep." not in name[len(stem) - 1 :]]
    return [path.with_name(name) for name in found]


def discard(paths: Iterable[Path], root: Path, title: str) -> Trashed:
    """Move dictionaries and their side-car files into the trash of the folder they lie in.

    paths: files of dictionaries below `root`; of a link, the link is moved and not the file.
    root: the folder of the shelf.
    title: what is deleted, for people.

    Raises RequestError for a file outside `root`, and StorageError where one cannot be moved; then
    every file is where it was.
    """
    files = [file for path in paths for file in belongings(path)]
    try:
        names = tuple(file.relative_to(root).as_posix() for file in files)
    except ValueError as error:
        raise RequestError(
            f"{printable(root)} does not hold all of these files: delete each in its own folder"
        ) from error
    when = time.time()
    place = root / FOLDER / f"{int(when * 1000)}-{os.urandom(3).hex()}"
    trashed = Trashed(root, place, title, when, names)
    note = {"format": FORMAT, "version": VERSION, "title": title, "when": when, "files": names}
    try:
        with writing(root / FOLDER):
            place.mkdir(parents=True)
        write_bytes(place / NOTE, json.dumps(note).encode())
        _move_all([(file, place / str(i)) for i, file in enumerate(files)])
    except BaseException:
        shutil.rmtree(place, ignore_errors=True)
        raise
    return trashed


def restore(trashed: Trashed) -> list[Path]:
    """Put the files of a deletion back, and return their paths.

    Raises RequestError where it is no longer in the trash, or where one of the places is taken, and
    StorageError where a file cannot be moved; then everything stays in the trash.
    """
    moves = [
        (trashed.place / str(i), _target(trashed.root, name))
        for i, name in enumerate(trashed.files)
        if os.path.lexists(trashed.place / str(i))
    ]
    if not moves:
        raise RequestError(
            "this is no longer in the trash: it was put back or removed for good, see Tidy up"
        )
    for _, target in moves:
        if os.path.lexists(target):
            raise RequestError(
                f"{printable(target.name)} exists again: move that file away, then put the deleted "
                "one back"
            )
    with writing(trashed.root):
        for _, target in moves:
            target.parent.mkdir(parents=True, exist_ok=True)
    _move_all(moves)
    shutil.rmtree(trashed.place, ignore_errors=True)
    with suppress(OSError):  # other deletions are still in it
        trashed.place.parent.rmdir()
    return [target for _, target in moves]


def listed(root: Path) -> list[Trashed]:
    """Return what lies in the trash of a folder, the newest deletion first."""
    try:
        places = [Path(item.path) for item in os.scandir(root / FOLDER) if item.is_dir()]
    except OSError:
        return []
    found = [trashed for place in places if (trashed := _read(root, place)) is not None]
    return sorted(found, key=lambda trashed: -trashed.when)


def empty(root: Path, older_than_s: float = 0.0) -> int:
    """Remove deletions of at least this age for good, and return how many bytes that freed.

    root: the folder of the shelf. older_than_s: age in seconds.
    """
    now, freed = time.time(), 0
    for trashed in listed(root):
        if now - trashed.when >= older_than_s:
            freed += trashed.bytes
            shutil.rmtree(trashed.place, ignore_errors=True)
    with suppress(OSError):  # missing, or not empty
        (root / FOLDER).rmdir()
    return freed


def _read(root: Path, place: Path) -> Trashed | None:
    """Return the deletion in a folder; None where its note is missing or cannot be used."""
    try:
        note = place / NOTE
        if note.stat().st_size > MOST_BYTES:
            return None
        stored = json.loads(note.read_bytes())
        if (stored["format"], stored["version"]) != (FORMAT, VERSION):
            return None
        files = tuple(str(name) for name in stored["files"])
        for name in files:
            _target(root, name)
        return Trashed(root, place, str(stored["title"]), float(stored["when"]), files)
    except (OSError, ValueError, LookupError, TypeError, RecursionError, RequestError):
        return None


def _target(root: Path, name: str) -> Path:
    """Return the place of a file in the shelf's folder; RequestError for one outside."""
    parts = PurePosixPath(name).parts
    inside = parts and not PurePosixPath(name).is_absolute() and ".." not in parts
    target = root.joinpath(*parts)
    if not inside or ".ep." not in target.name or not _is_below(target.parent, root):
        raise RequestError(
            f"{printable(name)[:200]} is not a file of this shelf: it stays where it is"
        )
    return target


def _is_below(folder: Path, root: Path) -> bool:
    """Return whether a folder, which need not exist, is `root` or below it, links followed."""
    return folder.resolve().is_relative_to(root.resolve())


def _move_all(moves: list[tuple[Path, Path]]) -> None:
    """Rename every file, or none: StorageError says which one could not be moved."""
    done: list[tuple[Path, Path]] = []
    for source, target in moves:
        try:
            source.rename(target)
        except OSError as error:
            for was, now in reversed(done):
                with suppress(OSError):
                    now.rename(was)
            raise StorageError(
                f"{printable(source.name)} cannot be moved ({error.strerror or error}): nothing "
                "was moved; check that the folder can be written"
            ) from error
        done.append((source, target))


def _size(path: Path) -> int:
    try:
        return path.lstat().st_size
    except OSError:
        return 0
