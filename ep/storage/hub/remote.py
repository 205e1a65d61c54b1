"""The Hub itself: what a dataset repository holds at which revision, and its files, byte for byte
as they are there.

Everything goes through huggingface_hub (addresses, tokens, offline mode, proxies). Its own
downloader starts an interrupted file from nothing; these files weigh gigabytes, so here a part
stays and is continued, and what arrived is compared with the Hub's hash before it counts as a file.
Knows nothing of dictionaries.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from ep.errors import RequestError, ServiceError, StorageError
from ep.storage.hub.refusals import refusals

Progress = Callable[[str, float | None], None]
"""Told a few words and a share in [0, 1] where known; may raise to stop the work."""
ANSWER_S = 8.0
"""How long a question may take; a download may be silent for `SILENCE_S`."""
SILENCE_S = 20.0
CHUNK_BYTES = 2**18
ATTEMPTS = 5
"""A connection that breaks is taken up again this often in a row without a new byte."""


def silent(said: str, share: float | None = None) -> None:
    """The progress nobody looks at."""


@dataclass(frozen=True)
class RemoteFile:
    """A file in a repository: its size in bytes and, for large files, its SHA-256; None where the
    Hub does not say.
    """

    path: str
    size: int | None
    sha256: str | None


@dataclass(frozen=True)
class Listing:
    """What a dataset repository holds. revision: the full commit; private: not everybody may see
    it.
    """

    repository: str
    revision: str
    files: tuple[RemoteFile, ...]
    private: bool = False

    def find(self, path: str) -> RemoteFile | None:
        return next((file for file in self.files if file.path == path), None)


@dataclass(frozen=True)
class Head:
    """What the Hub says of a file before it is downloaded. etag: SHA-256 of a large file, git's
    hash of a small one.
    """

    url: str
    size: int
    etag: str


class Hub:
    """A Hub, by default the one of HF_ENDPOINT (huggingface.co), seen with the token kept on this
    machine.

    Every method raises RequestError, ServiceError or StorageError, in one line.
    """

    def __init__(self, endpoint: str | None = None, token: str | None = None) -> None:
        self.endpoint, self.token = endpoint, token

    def listing(self, repository: str, revision: str | None = None) -> Listing:
        """The files of a dataset repository with sizes and hashes, in one question."""
        from huggingface_hub import HfApi

        at = f" at {revision}" if revision else ""
        with refusals(f"{repository}{at}"):
            api = HfApi(endpoint=self.endpoint, token=self.token)
            info = api.dataset_info(
                repository, revision=revision, files_metadata=True, timeout=ANSWER_S
            )
            files = tuple(
                RemoteFile(s.rfilename, s.size, s.lfs.sha256 if s.lfs else None)
                for s in info.siblings or ()
            )
            if not re.fullmatch(r"[0-9a-f]{40}", info.sha or ""):
                raise ValueError("no commit")
            return Listing(repository, str(info.sha), files, bool(info.private))

    def pinned(self, repository: str, known: str) -> Listing:
        """The listing at the revision that begins with `known`: the newest if that is it, else
        found in the history.

        When no revision begins so, the newest is returned: compare its `revision`.
        """
        from huggingface_hub import HfApi

        newest = self.listing(repository)
        if newest.revision.startswith(known):
            return newest
        with refusals(repository):
            commits = HfApi(endpoint=self.endpoint, token=self.token).list_repo_commits(
                repository, repo_type="dataset"
            )
            older = next((c.commit_id for c in commits if c.commit_id.startswith(known)), None)
        return newest if older is None else self.listing(repository, older)

    def head(self, repository: str, path: str, revision: str) -> Head:
        """Size and hash of one file."""
        from huggingface_hub import get_hf_file_metadata, hf_hub_url

        with refusals(f"{repository}/{path}"):
            url = hf_hub_url(
                repository, path, repo_type="dataset", revision=revision, endpoint=self.endpoint
            )
            found = get_hf_file_metadata(
                url, token=self.token, timeout=ANSWER_S, endpoint=self.endpoint
            )
            if found.commit_hash is None or found.size is None or found.etag is None:
                raise ValueError("no Hub")
        return Head(url, found.size, found.etag)

    def download(
        self,
        repository: str,
        path: str,
        revision: str,
        folder: Path,
        progress: Progress = silent,
        extra_bytes: int = 0,
    ) -> tuple[Path, str]:
        """Brings one file into `folder`; returns where it is and its SHA-256.

        A part left by an earlier attempt, even of another process, is continued. `extra_bytes` must
        stay free on the disk besides. What does not have the Hub's hash is deleted: ServiceError.
        """
        head = self.head(repository, path, revision)
        name = path.rsplit("/", 1)[-1]
        with refusals(f"{repository}/{path}"):
            folder.mkdir(parents=True, exist_ok=True)
            partial = folder / f"{hashlib.sha256(head.etag.encode()).hexdigest()[:16]}.partial"
            target = (
                folder
                / f"{partial.stem}-{re.sub(r'[^A-Za-z0-9._-]', '-', name)[-80:].lstrip('-.')}"
            )
            if target.is_file() and not partial.exists():
                target.replace(partial)  # kept from before: checked again, not downloaded again
            with _alone(partial, name) as file:
                _room(head.size - file.tell() + extra_bytes, folder, name)
                self._stream(head, file, _bytes_told(name, head.size, progress))
                sha256 = _verified(partial, head, name, progress)
                partial.replace(target)
            return target, sha256

    def _stream(self, head: Head, file: BinaryIO, report: Callable[[int], None]) -> None:
        """Appends to `file` until it has the size it should, over as many connections as it
        takes.
        """
        from httpx2 import NetworkError, RemoteProtocolError, TimeoutException

        if file.tell() > head.size:
            file.truncate(0)
        failures = 0
        while (have := file.tell()) < head.size:
            try:
                self._connection(head, file, report)
            except (NetworkError, RemoteProtocolError, TimeoutException):
                if file.tell() == have and failures + 1 >= ATTEMPTS:
                    raise
            failures = 0 if file.tell() > have else failures + 1
            if failures >= ATTEMPTS:
                raise ServiceError(
                    f"{head.url}: the connection breaks off again and again; try again later"
                )
            report(file.tell())
            if file.tell() < head.size:
                time.sleep(min(8.0, 0.25 * 2**failures))
        file.flush()

    def _connection(self, head: Head, file: BinaryIO, report: Callable[[int], None]) -> None:
        """One request for what is missing."""
        from huggingface_hub import get_session, hf_raise_for_status
        from huggingface_hub.utils import build_hf_headers

        have = file.tell()
        headers = build_hf_headers(token=self.token) | {"Accept-Encoding": "identity"}
        if have:
            headers["Range"] = f"bytes={have}-"
        with get_session().stream("GET", head.url, headers=headers, timeout=SILENCE_S) as response:
            hf_raise_for_status(response)
            if have and response.status_code != 206:  # the server sends it from the start
                file.seek(0)
                file.truncate()
            for chunk in response.iter_bytes(CHUNK_BYTES):
                file.write(chunk)
                report(file.tell())
                if file.tell() > head.size:
                    raise ServiceError(
                        f"{head.url}: the Hub sent more bytes than it had announced; try again "
                        "later"
                    )


@contextmanager
def _alone(partial: Path, name: str) -> Iterator[BinaryIO]:
    """The partial file, at its end, for one download at a time; what was written stays whatever
    happens.
    """
    with partial.open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ServiceError(f"{name} is being downloaded already: wait for it") from error
        file.seek(0, os.SEEK_END)
        yield file


def _room(needed: int, folder: Path, name: str) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise StorageError(
            f"{name} needs {in_bytes(needed)} on the disk of {folder} and {in_bytes(free)} are "
            "free: make room first"
        )


def _bytes_told(name: str, size: int, progress: Progress) -> Callable[[int], None]:
    """Progress in bytes of one file; a share that never goes back."""
    most = 0

    def report(have: int) -> None:
        nonlocal most
        most = max(most, have)
        progress(f"{in_bytes(most)} of {in_bytes(size)}", most / max(size, 1))

    return report


def _verified(partial: Path, head: Head, name: str, progress: Progress) -> str:
    """The SHA-256 of what arrived, once it has the hash the Hub gave for it."""
    progress(f"checking {in_bytes(head.size)}", 1.0)
    sha256, git = (
        hashlib.sha256(),
        hashlib.sha1(f"blob {head.size}\0".encode(), usedforsecurity=False),
    )
    large = len(head.etag) == 64
    with partial.open("rb") as file:
        while block := file.read(2**20):
            sha256.update(block)
            if not large:
                git.update(block)
    found = sha256.hexdigest() if large else git.hexdigest()
    if found != head.etag:
        partial.unlink()
        raise ServiceError(
            f"{name} arrived with another hash than the Hub gave for it, so it was deleted: try "
            "again"
        )
    return sha256.hexdigest()


def owner_and_name(text: str) -> str:
    """A repository's name as typed or pasted, an address of the Hub included: OWNER/REPO.
    RequestError otherwise.
    """
    plain = re.sub(r"^(hub:|https?://[^/]+/)?(datasets/)?", "", text.strip()).strip("/")
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]*/[\w.-]+", plain) or len(plain) > 96 or ".." in plain:
        raise RequestError(f"{text.strip()[:80]!r} is not a repository's name: expected OWNER/REPO")
    return plain


def in_bytes(n: float) -> str:
    """A size for people: 1.77 GB, 57 MB, 812 B."""
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if n >= 0.9995 * size:
            return f"{n / size:.3g} {unit}"
    return f"{n:.0f} B"
