"""Stored activations on the disk now: which there are, and the removal of those not in use.

They are in the cache folder where a build was to keep them, and in the output folder of a build
that runs, was stopped, or was killed and never continued. Without them nothing is lost: whoever
needs them runs the model again.
"""

from __future__ import annotations

import json
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ep.caching import HIDDEN, NOTE, kept_folder
from ep.errors import StorageError
from ep.storage.lock import NAME as LOCK
from ep.storage.lock import FolderLock


@dataclass(frozen=True)
class Kept:
    """Stored activations of one model and text.

    model, text: their names; text is the first digits of its digest. layers: which there are.
    build: the output folder of the build that they are of; None for those kept on request.
    """

    folder: Path
    model: str
    text: str
    layers: tuple[int, ...]
    build: Path | None = None

    @property
    def size(self) -> int:
        """Bytes on the disk."""
        return sum(path.stat().st_size for path in self.folder.iterdir())


def kept(library: Path | None = None) -> tuple[Kept, ...]:
    """Return all kept activations, by folder, then those of the builds below a folder."""
    places = sorted(path.parent for path in kept_folder({}).parent.glob(f"*/{NOTE}"))
    builds = sorted(library.rglob(HIDDEN)) if library is not None else []
    return (
        *(_kept(place) for place in places),
        *(_kept(place, place.parent) for place in builds if place.is_dir()),
    )


def _kept(place: Path, build: Path | None = None) -> Kept:
    try:
        about = json.loads((place / NOTE).read_text(encoding="utf-8"))
        model, text = str(about["model"]), str(about["text"])[:8]
    except (OSError, ValueError, LookupError, TypeError):
        model = text = ""
    found = (path.stem.removeprefix("layer-") for path in place.glob("layer-*.rows"))
    layers = tuple(sorted(int(number) for number in found if number.isdigit()))
    return Kept(place, model, text, layers, build)


def forget(library: Path | None = None) -> tuple[Kept, ...]:
    """Remove what `kept` returns and return what was removed; what is in use stays.

    Saved states stay, so that `--resume` goes on from them. Locks that killed builds left in the
    library go, which block nobody.
    """
    removed = []
    for one in kept(library):
        with suppress(StorageError):
            lock = FolderLock(one.build or one.folder)
            if lock.take():
                shutil.rmtree(one.folder, ignore_errors=True)
                lock.release()
                removed.append(one)
    for path in library.rglob(LOCK) if library is not None else ():
        with suppress(StorageError):
            lock = FolderLock(path.parent)
            if lock.take():
                lock.release()
    return tuple(removed)
