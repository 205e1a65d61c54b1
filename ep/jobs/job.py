"""The folder of a job, and what it says.

    job.json       what to build, for whom, called what; written once
    process.json   the process that runs it, and since when it waits for its turn
    status.json    how it stands, see `ep.watching.status`
    picture.json   its exemplars on three axes, see `ep.watching.picture`
    log.txt        what the command printed

The folders lie in `jobs` of the cache folder ($EP_CACHE, by default ~/.cache/ep-explorer), because
a process and a device belong to a machine, and dictionaries to a library that may be shared.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from time import time
from typing import Any

from ep.config import BuildConfig
from ep.errors import ConfigError, RequestError
from ep.jobs.process import Process
from ep.models import conversions
from ep.storage.checkpoint import NAME as STATE
from ep.text import one_line
from ep.watching import status
from ep.watching.status import FINAL, PICTURE, Status, read_json

JOB, PROCESS, LOG = "job.json", "process.json", "log.txt"
DIED = (
    "the process ended without a word: it was killed, the machine was restarted, or the disk of "
    "the jobs is full"
)
STARTING_S = 10.0
"""Seconds within which a job that was just made has a process."""
TAIL_BYTES = 4096
"""Bytes of the log that are searched for its last line."""


def place() -> Path:
    """Return the folder of all jobs, which need not exist."""
    return conversions.folder() / "jobs"


@dataclass(frozen=True)
class Job:
    """One build, as its folder described it when it was read.

    folder: of the job. config: what it builds. owner: the name of the visitor who started it.
    created: seconds since 1970. process: the one that runs it, or ran it last; None where it was
    never started. queued: since when that process waits for its turn. status: how it stands.
    """

    folder: Path
    config: BuildConfig
    owner: str
    created: float
    process: Process | None
    queued: float
    status: Status

    @property
    def id(self) -> str:
        """The name of the folder, which identifies the job."""
        return self.folder.name

    @property
    def is_active(self) -> bool:
        """Whether it runs, or waits for its turn."""
        return self.status.state in ("queued", "running")

    @property
    def has_state(self) -> bool:
        """Whether its output folder holds the state of an unfinished build."""
        return (self.config.folder / STATE).is_file()

    @property
    def picture(self) -> Mapping[str, Any] | None:
        """Its exemplars so far on three axes; None before there are any."""
        return read_json(self.folder / PICTURE)

    def log(self) -> str:
        """Return the end of its log."""
        return _tail(self.folder / LOG)


def opened(id: str) -> Job:
    """Return the job of this id; RequestError where its folder is gone or damaged."""
    folder = place() / id
    job = _read(folder) if folder.parent == place() else None
    if job is None:
        raise RequestError(f"the job {one_line(id, 40)!r} is gone: its folder was deleted")
    return job


def listed() -> list[Job]:
    """Return all jobs, the newest first; folders that hold none are left out."""
    return sorted(_all(), key=lambda job: (job.created, job.id), reverse=True)


def active() -> list[Job]:
    """Return the jobs that run or wait, those that run first, then in the order of their turns."""
    found = [job for job in _all() if job.is_active]
    return sorted(found, key=lambda job: (job.status.state != "running", job.queued, job.id))


def _all() -> Iterator[Job]:
    try:
        folders = sorted(place().iterdir())
    except OSError:
        return
    for folder in folders:
        if (job := _read(folder)) is not None:
            yield job


def _read(folder: Path) -> Job | None:
    settings = _json(folder / JOB)
    if settings is None:
        return None
    try:
        config = BuildConfig(**settings["config"])
        owner, created = str(settings["owner"]), float(settings["created"])
        found = _json(folder / PROCESS)
        queued = 0.0 if found is None else float(found["queued"])
        process = None if found is None else _process(found)
    except (KeyError, TypeError, ValueError, ConfigError):
        return None
    standing = _standing(folder, _status(folder / status.NAME), process)
    return Job(folder, config, owner, created, process, queued, standing)


def _process(found: Mapping[str, Any]) -> Process:
    return Process(int(found["pid"]), str(found["started"]), str(found["host"]))


def _standing(folder: Path, written: Status | None, process: Process | None) -> Status:
    """Return how a job stands: what its file says, unless its process has died meanwhile."""
    stands = written or Status("queued")
    is_new = process is None and time() - stands.updated < STARTING_S
    if stands.state in FINAL or is_new or (process is not None and process.is_alive):
        return stands
    # the process may have ended after its file was read
    stands = status.read(folder / status.NAME) or stands
    if stands.state in FINAL:
        return stands
    return Status(**{**vars(stands), "state": "stopped", "error": DIED, "seconds_left": None})


def _tail(path: Path) -> str:
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - TAIL_BYTES))
            return file.read().decode("utf-8", "replace")
    except OSError:
        return ""


def _json(path: Path) -> dict[str, Any] | None:
    return _cached(read_json, path)  # type: ignore[no-any-return]


def _status(path: Path) -> Status | None:
    return _cached(status.read, path)  # type: ignore[no-any-return]


def _cached(read: Any, path: Path) -> Any:
    """Return what a file holds, which is read again only after it was replaced."""
    try:
        found = path.stat()
    except OSError:
        return None
    return _content(read, path, found.st_mtime_ns, found.st_size, found.st_ino)


@lru_cache(maxsize=512)
def _content(read: Any, path: Path, *_stamp: int) -> Any:
    return read(path)
