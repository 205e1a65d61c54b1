"""The turns of builds on one device: one at a time, the one that waited longest first.

A build holds the lock of its device for as long as its process lives, so the system frees it
however the process ends. Those that wait look at the folders of the others to know their place.
"""

from __future__ import annotations

import fcntl
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import sleep

from ep.errors import StorageError
from ep.jobs.job import Job, active, place

LOOK_EVERY_S = 0.5
"""Seconds between two looks at the lock."""


def device_of(job: Job) -> str:
    """Return the device that a job needs, as a name under which its jobs take turns.

    "auto" is the first GPU where there is one: two builds would share its memory otherwise.
    """
    device = job.config.device
    if device == "auto":
        device = "cuda" if Path("/proc/driver/nvidia/gpus").is_dir() else "cpu"
    return "cuda:0" if device == "cuda" else device


def before(job: Job) -> list[Job]:
    """Return the jobs of the same device that come before this one, the first one first."""
    device = device_of(job)
    others = [one for one in active() if one.id != job.id and device_of(one) == device]
    return [
        one
        for one in others
        if one.status.state == "running" or (one.queued, one.id) < (job.queued, job.id)
    ]


@contextmanager
def turn(job: Job, report: Callable[[int], None]) -> Iterator[None]:
    """Wait for the job's turn on its device, and hold the device for the block.

    report: called at every look, with the number of jobs that come first.

    Raises StorageError where the lock cannot be made.
    """
    path = place() / f".lock-{re.sub(r'[^a-z0-9]+', '-', device_of(job))}"
    try:
        lock = path.open("a")
    except OSError as error:
        raise StorageError(f"{path} cannot be written ({error.strerror})") from error
    with lock:
        while True:
            ahead = before(job)
            if not ahead and _taken(lock.fileno()):
                break
            report(max(1, len(ahead)))
            sleep(LOOK_EVERY_S)
        yield


def _taken(handle: int) -> bool:
    """Take the lock; return False while another process holds it."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
