"""From a name that begins with "hub:" to a dictionary in a folder: downloaded, checked, converted,
and only then there.

`hub:gemma-2-2b/12/10` is a published dictionary (model, layer, percentile): its pickle goes through
the restricted reader. `hub:OWNER/REPO/path/to/file.ep.h5` is a file of any dataset repository,
`hub:OWNER/REPO` its only one; `OWNER/REPO@REVISION` pins it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from ep.errors import EPError, RequestError, StorageError
from ep.storage.file import check
from ep.storage.hub.catalogue import KNOWN_REVISION, LICENCE, REPOSITORY, Published, lookup
from ep.storage.hub.remote import Hub, Listing, Progress, owner_and_name, silent
from ep.storage.schema import SUFFIX

DOWNLOADS = ".downloads"
"""Parts and pickles lie in this hidden folder beside the dictionaries; no shelf looks into it."""
_BY_REPOSITORY = re.compile(
    r"hub:(?P<repository>[^/@\s]+/[^/@\s]+)(?:@(?P<revision>[^/\s]+))?(?:/(?P<path>\S.*))?"
)


def import_published(
    name: str,
    out: str | os.PathLike[str],
    progress: Progress | None = None,
    *,
    hub: Hub | None = None,
    keep: bool = False,
) -> Path:
    """Brings the dictionary a "hub:" name means to `out`, a folder or a path that ends in `.ep.h5`;
    returns its path.

    progress(said, share): in bytes while downloading. Whatever it raises stops the work; the part
    that was downloaded is continued next time. keep: whether the pickle of a published dictionary
    stays after it was read. RequestError, ServiceError, StorageError as `Hub`; DictionaryFileError
    when the file is not a dictionary.
    """
    hub, told = hub or Hub(), progress or silent
    if (published := lookup(name)) is not None:
        return _published(published, _target(out, published.file_name), told, hub, keep)
    repository, revision, path = parse(name)
    listing = hub.listing(repository, revision)
    path = path or _only(listing)
    return get(listing, path, _target(out, local_name(repository, path)), told, hub)


def parse(name: str) -> tuple[str, str | None, str | None]:
    """(repository, revision, path) of "hub:OWNER/REPO[@REVISION][/path]".

    RequestError when it is no such name.
    """
    found = _BY_REPOSITORY.fullmatch(name.strip())
    if found is None:
        raise RequestError(
            f"{name[:80]!r} is no name of a dictionary on the Hub: expected "
            "hub:MODEL/LAYER/PERCENTILE such as "
            "hub:gemma-2-2b/12/10, or hub:OWNER/REPO/file.ep.h5"
        )
    return owner_and_name(found["repository"]), found["revision"], found["path"]


def dictionaries(listing: Listing) -> tuple[str, ...]:
    """The `.ep.h5` files of a repository, by path."""
    return tuple(sorted(file.path for file in listing.files if file.path.endswith(SUFFIX)))


def local_name(repository: str, path: str) -> str:
    """Where a repository's file lies in the library: a folder for the repository, one plain name
    for the path.
    """
    stem = re.sub(r"[^A-Za-z0-9._-]+", "-", path.removesuffix(SUFFIX).replace("/", "--")).strip(
        "-."
    )[:120]
    return f"{repository.replace('/', '--')}/{stem or 'dictionary'}{SUFFIX}"


def get(
    listing: Listing, path: str, target: Path, progress: Progress = silent, hub: Hub | None = None
) -> Path:
    """Brings one `.ep.h5` of a listed repository to `target` after reading and checking every
    number in it.
    """
    if listing.find(path) is None or not path.endswith(SUFFIX):
        raise RequestError(
            f"{listing.repository} has no {path[:120]} at {listing.revision[:8]}: "
            f"{_choices(listing)}"
        )
    folder = _folder(target)
    found, _ = (hub or Hub()).download(listing.repository, path, listing.revision, folder, progress)
    try:
        progress("checking every number", 1.0)
        with _named(found, f"{listing.repository}/{path}"):
            check(found)
        _move(found, target)
    finally:
        found.unlink(missing_ok=True)
        _tidy(folder)
    return target


# -- a published pickle ----------------------------------------------------------------------------


@dataclass(frozen=True)
class _Steps:
    """Progress of a download followed by a conversion, as one share: the bytes count for four
    fifths.
    """

    progress: Progress

    def download(self, said: str, share: float | None = None) -> None:
        self.progress(said, None if share is None else 0.8 * share)

    def convert(self, said: str, share: float | None = None) -> None:
        self.progress(said, 0.8 if share is None else 0.8 + 0.19 * share)


def _published(
    published: Published, target: Path, progress: Progress, hub: Hub, keep: bool
) -> Path:
    from ep.storage.published import convert

    steps = _Steps(progress)
    progress("asking the Hub", None)
    listing = hub.pinned(REPOSITORY, KNOWN_REVISION)
    file = listing.find(published.path)
    if file is None:
        raise RequestError(
            f"{REPOSITORY} has no {published.path} at {listing.revision[:8]}: it was published once"
        )
    folder = _folder(target)
    room = (file.size or 0) // 5  # the converted file
    at = (listing.repository, listing.revision)
    told = listing.find(published.metadata)  # model, layer and percentile also stand in the names
    metadata = hub.download(at[0], published.metadata, at[1], folder)[0] if told else None
    pickle, sha256 = hub.download(at[0], published.path, at[1], folder, steps.download, room)
    origin = {
        "repository": listing.repository,
        "revision": listing.revision,
        "file": published.path,
        "licence": LICENCE,
        "card_regions": published.regions,
    }
    with _named(pickle, f"{listing.repository}/{published.path}"):
        convert(pickle, target, metadata=metadata, progress=steps.convert, origin=origin)
    for used in (metadata, None if keep else pickle):
        if used is not None:
            used.unlink(missing_ok=True)
    _tidy(folder)
    return target


# -- places ----------------------------------------------------------------------------------------


def _target(out: str | os.PathLike[str], name: str) -> Path:
    path = Path(out)
    return path if path.name.endswith(SUFFIX) and not path.is_dir() else path / name


def _folder(target: Path) -> Path:
    """The hidden folder for parts, beside the target, which is made where it is missing."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        folder = target.parent / DOWNLOADS
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise StorageError(
            f"{target.parent} cannot be written: {error.strerror or error}"
        ) from error
    return folder


def _tidy(folder: Path) -> None:
    """Removes the hidden folder once it is empty."""
    with suppress(OSError):
        folder.rmdir()


def _move(found: Path, target: Path) -> None:
    try:
        found.replace(target)
    except OSError as error:
        raise StorageError(f"{target} cannot be written: {error.strerror or error}") from error


@contextmanager
def _named(path: Path, name: str) -> Iterator[None]:
    """What is wrong with a downloaded file is said of its name on the Hub, not of a temporary
    path.
    """
    try:
        yield
    except EPError as error:
        raise type(error)(str(error).replace(str(path), name)) from error


def _only(listing: Listing) -> str:
    """The one dictionary of a repository. RequestError, with what there is, for none or several."""
    found = dictionaries(listing)
    if len(found) != 1:
        raise RequestError(
            f"{listing.repository} holds {len(found)} dictionaries: {_choices(listing)}"
        )
    return found[0]


def _choices(listing: Listing) -> str:
    found = dictionaries(listing)
    if not found:
        return f"expected files that end in {SUFFIX}"
    shown = ", ".join(found[:8]) + (", …" if len(found) > 8 else "")
    return f"name one, hub:{listing.repository}/FILE, of {shown}"
