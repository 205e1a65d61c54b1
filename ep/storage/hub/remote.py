"""Lists dataset repositories on the Hub and downloads their files.

huggingface_hub provides addresses, tokens, offline mode and proxies. Its own downloader starts an
interrupted file from the beginning; these files have gigabytes, so here a partial download is
continued. A file is compared with the Hub's hash before it is used.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from ep.errors import RequestError, ServiceError, StorageError
from ep.progress import Report, silent
from ep.storage.hub.partials import clear, locked
from ep.storage.hub.refusals import refusals

ANSWER_S = 8.0
"""Timeout in seconds of a request for metadata."""
SILENCE_S = 20.0
"""Timeout in seconds of a download that receives no data."""
CHUNK_BYTES = 2**18
ATTEMPTS = 5
"""Number of connections in a row that may break without having received anything."""


@dataclass(frozen=True)
class RemoteFile:
    """A file in a repository.

    path: its path in the repository.
    size: in bytes; None where the Hub does not state it.
    sha256: its hash; None where the Hub does not state it, as for small files.
    """

    path: str
    size: int | None
    sha256: str | None


@dataclass(frozen=True)
class Listing:
    """The files of a dataset repository.

    repository: OWNER/REPO.
    revision: the full commit hash.
    private: whether access to the repository is restricted.
    """

    repository: str
    revision: str
    files: tuple[RemoteFile, ...]
    private: bool = False

    def find(self, path: str) -> RemoteFile | None:
        """Return the file at a path; None when there is none."""
        return next((file for file in self.files if file.path == path), None)


@dataclass(frozen=True)
class Head:
    """The metadata of a file on the Hub.

    url: where to download it.
    size: in bytes.
    etag: the SHA-256 of a large file, git's hash of a small one.
    """

    url: str
    size: int
    etag: str


class Hub:
    """A client of a Hub.

    endpoint: its address; by default HF_ENDPOINT, else huggingface.co.
    token: the access token; by default the one stored on this machine.

    Every method raises RequestError when something does not exist or access is denied, ServiceError
    when the Hub or the connection fails, and StorageError for errors of the disk.
    """

    def __init__(self, endpoint: str | None = None, token: str | None = None) -> None:
        self.endpoint, self.token = endpoint, token

    def listing(self, repository: str, revision: str | None = None) -> Listing:
        """Return the files of a dataset repository with sizes and hashes, in one request."""
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

    def pinned(self, repository: str, prefix: str) -> Listing:
        """Return the listing at the revision whose hash begins with `prefix`.

        If there is no such revision in the history, the newest listing is returned: compare its
        `revision`.
        """
        from huggingface_hub import HfApi

        newest = self.listing(repository)
        if newest.revision.startswith(prefix):
            return newest
        with refusals(repository):
            commits = HfApi(endpoint=self.endpoint, token=self.token).list_repo_commits(
                repository, repo_type="dataset"
            )
            older = next((c.commit_id for c in commits if c.commit_id.startswith(prefix)), None)
        return newest if older is None else self.listing(repository, older)

    def head(self, repository: str, path: str, revision: str) -> Head:
        """Return address, size and hash of one file."""
        from huggingface_hub import get_hf_file_metadata, hf_hub_url

        with refusals(f"{repository}/{path}"):
            url = hf_hub_url(
                repository, path, repo_type="dataset", revision=revision, endpoint=self.endpoint
            )
            metadata = get_hf_file_metadata(
                url, token=self.token, timeout=ANSWER_S, endpoint=self.endpoint
            )
            if metadata.commit_hash is None or metadata.size is None or metadata.etag is None:
                raise ValueError("no Hub")
        return Head(url, metadata.size, metadata.etag)

    def download(
        self,
        repository: str,
        path: str,
        revision: str,
        folder: Path,
        progress: Report = silent,
        extra_bytes: int = 0,
    ) -> tuple[Path, str]:
        """Download one file into `folder`; returns its path there and its SHA-256.

        A partial download by an earlier attempt, even of another process, is continued; others in
        `folder` that have not changed for a day are removed.

        extra_bytes: space that must stay free on the disk beside the file.

        Raises StorageError when the disk has too little space, and ServiceError when the file does
        not have the Hub's hash; it is then deleted.
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
            clear(folder, keep=(partial, target))
            if target.is_file() and not partial.exists():
                target.replace(partial)  # downloaded before: it is only checked again
            with locked(partial, name) as file:
                _check_space(head.size - file.tell() + extra_bytes, folder, name)
                self._stream(head, file, _byte_report(head.size, progress))
                sha256 = _verify(partial, head, name, progress)
                partial.replace(target)
            return target, sha256

    def _stream(self, head: Head, file: BinaryIO, report: Callable[[int], None]) -> None:
        """Append to `file` until it is complete, over as many connections as that takes."""
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
                    f"{head.url}: the connection breaks off repeatedly; try again later"
                )
            report(file.tell())
            if file.tell() < head.size:
                time.sleep(min(8.0, 0.25 * 2**failures))
        file.flush()

    def _connection(self, head: Head, file: BinaryIO, report: Callable[[int], None]) -> None:
        """Append to `file` what one request for the missing part gives."""
        from huggingface_hub import get_session, hf_raise_for_status
        from huggingface_hub.utils import build_hf_headers

        have = file.tell()
        headers = build_hf_headers(token=self.token) | {"Accept-Encoding": "identity"}
        if have:
            headers["Range"] = f"bytes={have}-"
        with get_session().stream("GET", head.url, headers=headers, timeout=SILENCE_S) as response:
            hf_raise_for_status(response)
            if have and response.status_code != 206:  # the server ignores the range
                file.seek(0)
                file.truncate()
            for chunk in response.iter_bytes(CHUNK_BYTES):
                file.write(chunk)
                report(file.tell())
                if file.tell() > head.size:
                    raise ServiceError(
                        f"{head.url}: the Hub sent more bytes than announced; try again later"
                    )


def _check_space(needed: int, folder: Path, name: str) -> None:
    """Raise StorageError unless the disk of `folder` has `needed` free bytes."""
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise StorageError(
            f"{name} needs {in_bytes(needed)} on the disk of {folder} and {in_bytes(free)} are "
            "free: free some space first"
        )


def _byte_report(size: int, progress: Report) -> Callable[[int], None]:
    """A function that reports a number of downloaded bytes, with a share that never decreases."""
    most = 0

    def report(have: int) -> None:
        nonlocal most
        most = max(most, have)
        progress(f"{in_bytes(most)} of {in_bytes(size)}", most / max(size, 1))

    return report


def _verify(partial: Path, head: Head, name: str, progress: Report) -> str:
    """Return the SHA-256 of a downloaded file; delete it if it does not have the Hub's hash."""
    progress(f"checking {in_bytes(head.size)}", 1.0)
    sha256, git = (
        hashlib.sha256(),
        hashlib.sha1(f"blob {head.size}\0".encode(), usedforsecurity=False),
    )
    is_sha256 = len(head.etag) == 64
    with partial.open("rb") as file:
        while block := file.read(2**20):
            sha256.update(block)
            if not is_sha256:
                git.update(block)
    digest = sha256.hexdigest() if is_sha256 else git.hexdigest()
    if digest != head.etag:
        partial.unlink()
        raise ServiceError(
            f"{name} has another hash than the Hub states and was deleted: try again"
        )
    return sha256.hexdigest()


def owner_and_name(text: str) -> str:
    """Return OWNER/REPO for the name of a repository as typed or pasted, such as its address.

    Raises RequestError for any other text.
    """
    plain = re.sub(r"^(hub:|https?://[^/]+/)?(datasets/)?", "", text.strip()).strip("/")
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]*/[\w.-]+", plain) or len(plain) > 96 or ".." in plain:
        raise RequestError(
            f"{text.strip()[:80]!r} is not the name of a repository: expected OWNER/REPO"
        )
    return plain


def in_bytes(n: float) -> str:
    """Return a number of bytes as text, such as 1.77 GB, 57 MB or 812 B."""
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if n >= 0.9995 * size:
            return f"{n / size:.3g} {unit}"
    return f"{n:.0f} B"
