"""Downloads the dictionary of a "hub:" name, checks or converts it, and puts it into a folder.

`hub:gemma-2-2b/12/10` is a published dictionary (model, layer, percentile), whose pickle is read by
the restricted reader. `hub:OWNER/REPO/path/to/file.ep.h5` is a file in any dataset repository, and
`hub:OWNER/REPO` the only one there; `OWNER/REPO@REVISION` pins the revision.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from ep.errors import EPError, RequestError, StorageError
from ep.progress import Report, silent
from ep.storage.file import check
from ep.storage.hub.catalogue import KNOWN_REVISION, LICENCE, REPOSITORY, Published, lookup
from ep.storage.hub.remote import Hub, Listing, RemoteFile, owner_and_name
from ep.storage.output import discard
from ep.storage.replacing import comes_from, refuse_other
from ep.storage.schema import SUFFIX

DOWNLOADS = ".downloads"
"""Hidden folder beside the dictionaries for partial downloads and pickles; shelves skip it."""
_BY_REPOSITORY = re.compile(
    r"hub:(?P<repository>[^/@\s]+/[^/@\s]+)(?:@(?P<revision>[^/\s]+))?(?:/(?P<path>\S.*))?"
)


def import_published(
    name: str,
    out: str | os.PathLike[str],
    progress: Report | None = None,
    *,
    hub: Hub | None = None,
    keep: bool = False,
    replace: bool = False,
) -> Path:
    """Download the dictionary of a "hub:" name, convert it if need be, and return its path.

    out: a folder, or a path that ends in `.ep.h5`.
    progress: called with a message, which counts bytes while downloading, and a share. An exception
        it raises stops the work; the download is continued the next time.
    hub: the Hub to use; by default the one of the environment.
    keep: whether to keep the pickle of a published dictionary once it has been converted.
    replace: whether to replace another file that is there; without it, ConfigError is raised before
        the download.

    Raises RequestError, ServiceError and StorageError as `Hub`, and DictionaryFileError when the
    file is not a dictionary.
    """
    hub, report = hub or Hub(), progress or silent
    if (published := lookup(name)) is not None:
        return _convert(published, _target(out, published.file_name), report, hub, keep, replace)
    repository, revision, path = parse(name)
    listing = hub.listing(repository, revision)
    path = path or _only(listing)
    return get(listing, path, _target(out, local_name(repository, path)), report, hub, replace)


def parse(name: str) -> tuple[str, str | None, str | None]:
    """Return (repository, revision, path) of "hub:OWNER/REPO[@REVISION][/path]".

    Raises RequestError for any other text.
    """
    match = _BY_REPOSITORY.fullmatch(name.strip())
    if match is None:
        raise RequestError(
            f"{name[:80]!r} is not the name of a dictionary on the Hub: expected "
            "hub:MODEL/LAYER/PERCENTILE such as hub:gemma-2-2b/12/10, or hub:OWNER/REPO/file.ep.h5"
        )
    return owner_and_name(match["repository"]), match["revision"], match["path"]


def dictionaries(listing: Listing) -> tuple[str, ...]:
    """Return the paths of the `.ep.h5` files of a repository, sorted."""
    return tuple(sorted(file.path for file in listing.files if file.path.endswith(SUFFIX)))


def local_name(repository: str, path: str) -> str:
    """Return the path in the library of a repository's file: OWNER--REPO/NAME.ep.h5."""
    stem = re.sub(r"[^A-Za-z0-9._-]+", "-", path.removesuffix(SUFFIX).replace("/", "--")).strip(
        "-."
    )[:120]
    return f"{repository.replace('/', '--')}/{stem or 'dictionary'}{SUFFIX}"


def get(
    listing: Listing,
    path: str,
    target: Path,
    progress: Report = silent,
    hub: Hub | None = None,
    replace: bool = False,
) -> Path:
    """Download one `.ep.h5` file of a listed repository, check every value, move it to `target`.

    Raises ConfigError, before the download, if another file is there and `replace` is not given.
    """
    if listing.find(path) is None or not path.endswith(SUFFIX):
        raise RequestError(
            f"{listing.repository} has no {path[:120]} at {listing.revision[:8]}: "
            f"{_choices(listing)}"
        )
    refuse_other(target, replace, lambda _info: _has_hash(target, listing.find(path)))
    folder = _folder(target)
    downloaded, _ = (hub or Hub()).download(
        listing.repository, path, listing.revision, folder, progress
    )
    try:
        progress("checking every value", 1.0)
        with _errors_name(downloaded, f"{listing.repository}/{path}"):
            check(downloaded)
        _move(downloaded, target)
    finally:
        discard(downloaded)
        _remove_if_empty(folder)
    return target


# -- a published pickle ----------------------------------------------------------------------------


@dataclass(frozen=True)
class _Steps:
    """Reports for a download and the conversion after it, as shares of both together.

    The download counts for four fifths.
    """

    report: Report

    def download(self, message: str, share: float | None = None) -> None:
        """Report the share of the download that is done."""
        self.report(message, None if share is None else 0.8 * share)

    def convert(self, message: str, share: float | None = None) -> None:
        """Report the share of the conversion that is done."""
        self.report(message, 0.8 if share is None else 0.8 + 0.19 * share)


def _has_hash(path: Path, file: RemoteFile | None) -> bool:
    """Return whether a file here has the bytes of one on the Hub, as far as the Hub states them."""
    if file is None or file.sha256 is None:
        return False
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest() == file.sha256


def _convert(
    published: Published, target: Path, report: Report, hub: Hub, keep: bool, replace: bool
) -> Path:
    """Download and convert a published dictionary; returns `target`."""
    from ep.storage.published import convert

    steps = _Steps(report)
    report("asking the Hub", None)
    listing = hub.pinned(REPOSITORY, KNOWN_REVISION)
    file = listing.find(published.path)
    if file is None:
        raise RequestError(
            f"{REPOSITORY} has no {published.path} at {listing.revision[:8]}: it has been removed"
        )
    source = {
        "repository": listing.repository,
        "revision": listing.revision,
        "file": published.path,
    }
    refuse_other(target, replace, lambda info: comes_from(info, source))
    folder = _folder(target)
    extra_bytes = (file.size or 0) // 5  # for the converted file
    at = (listing.repository, listing.revision)
    # The metadata is optional: model, layer and percentile are also in the names of the files.
    has_metadata = listing.find(published.metadata) is not None
    metadata = hub.download(at[0], published.metadata, at[1], folder)[0] if has_metadata else None
    pickle, _ = hub.download(at[0], published.path, at[1], folder, steps.download, extra_bytes)
    origin = source | {"licence": LICENCE, "card_regions": published.regions}
    with _errors_name(pickle, f"{listing.repository}/{published.path}"):
        convert(
            pickle, target, metadata=metadata, progress=steps.convert, origin=origin, replace=True
        )
    for path in (metadata, None if keep else pickle):
        if path is not None:
            discard(path)
    _remove_if_empty(folder)
    return target


# -- paths -----------------------------------------------------------------------------------------


def _target(out: str | os.PathLike[str], name: str) -> Path:
    """`out` if it is the path of a dictionary, else the file `name` in the folder `out`."""
    path = Path(out)
    return path if path.name.endswith(SUFFIX) and not path.is_dir() else path / name


def _folder(target: Path) -> Path:
    """The hidden folder for downloads beside the target; both folders are created if need be."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        folder = target.parent / DOWNLOADS
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise StorageError(
            f"{target.parent} cannot be written: {error.strerror or error}"
        ) from error
    return folder


def _remove_if_empty(folder: Path) -> None:
    with suppress(OSError):  # it has files
        folder.rmdir()


def _move(path: Path, target: Path) -> None:
    try:
        path.replace(target)
    except OSError as error:
        raise StorageError(f"{target} cannot be written: {error.strerror or error}") from error


@contextmanager
def _errors_name(path: Path, name: str) -> Iterator[None]:
    """Replace the path of a downloaded file in the messages of errors by its name on the Hub."""
    try:
        yield
    except EPError as error:
        raise type(error)(str(error).replace(str(path), name)) from error


def _only(listing: Listing) -> str:
    """The path of the only dictionary of a repository; RequestError if there is none or several."""
    paths = dictionaries(listing)
    if len(paths) != 1:
        raise RequestError(
            f"{listing.repository} has {len(paths)} dictionaries: {_choices(listing)}"
        )
    return paths[0]


def _choices(listing: Listing) -> str:
    """The end of a message: the dictionaries of a repository, and how to name one."""
    paths = dictionaries(listing)
    if not paths:
        return f"expected files that end in {SUFFIX}"
    examples = ", ".join(paths[:8]) + (", …" if len(paths) > 8 else "")
    return f"name one, hub:{listing.repository}/FILE, of {examples}"
