"""What can be done with a job: start it, interrupt and resume it, end it, remove it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from threading import Thread
from time import strftime, time
from uuid import uuid4

from ep.caching import HIDDEN as ACTIVATIONS
from ep.config import BuildConfig
from ep.errors import RequestError, StorageError
from ep.jobs.job import JOB, LOG, PROCESS, Job, opened, place
from ep.jobs.process import Process
from ep.public import is_public
from ep.serving import ROOT
from ep.storage.checkpoint import NAME as STATE
from ep.watching import status
from ep.watching.status import PICTURE, Status, replace_json

CANCELLED = "cancelled: what was not saved is lost"


def start(config: BuildConfig, owner: str) -> Job:
    """Start a build in a process of its own, and return its job.

    owner: who may stop and remove it. Raises RequestError on a public server, and StorageError
    where the folder of jobs cannot be written.
    """
    _refuse_public()
    folder = place() / f"{strftime('%Y%m%d-%H%M%S')}-{uuid4().hex[:6]}"
    try:
        folder.mkdir(parents=True)
        replace_json(folder / JOB, {"config": config.as_dict(), "owner": owner, "created": time()})
    except OSError as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise _not_written(error) from error
    return _run(folder)


def resume(job: Job) -> Job:
    """Continue a job that has ended early, from its state if it has one, else from its start."""
    _refuse_public()
    if job.is_active:
        raise RequestError("this build runs already: wait for it, or stop it")
    return _run(job.folder, "--resume" if job.has_state else "")


def pause(job: Job) -> None:
    """Interrupt a job as Ctrl-C does: it saves its state and writes what it has.

    A job that waits gives up its place. Raises RequestError for one that does not run.
    """
    os.kill(_running(job), signal.SIGINT)


def cancel(job: Job) -> None:
    """End a job at once; what it has not saved is lost, an earlier state stays.

    Raises RequestError for a job that does not run.
    """
    pid = _running(job)
    with suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)  # each job leads a group of its own
    with suppress(OSError):
        ended = replace(job.status, state="stopped", error=CANCELLED, seconds_left=None)
        status.write(job.folder / status.NAME, ended)


def delete(job: Job, with_state: bool = False) -> None:
    """Remove a job's folder; its dictionaries stay.

    with_state: whether to remove the state in its output folder too, and the activations stored
        there, so that it cannot be resumed.

    Raises RequestError for a job that runs, and StorageError where something cannot be removed.
    """
    if job.is_active:
        raise RequestError("this build still runs: stop it before you delete it")
    try:
        if with_state:
            (job.config.folder / STATE).unlink(missing_ok=True)
            shutil.rmtree(job.config.folder / ACTIVATIONS, ignore_errors=True)
        shutil.rmtree(job.folder)
    except FileNotFoundError:
        return
    except OSError as error:
        raise StorageError(f"{job.folder} cannot be removed ({error.strerror})") from error


def _run(folder: Path, *options: str) -> Job:
    """Start the process of a job, which waits for its turn by itself."""
    now = time()
    environment = dict(os.environ)
    known = environment.get("PYTHONPATH")
    environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), *([known] if known else [])])
    try:
        (folder / PICTURE).unlink(missing_ok=True)
        status.write(folder / status.NAME, Status("queued", started=now, updated=now))
        with (folder / LOG).open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "ep.jobs", str(folder), *filter(None, options)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment,
                start_new_session=True,  # Ctrl-C in the server's terminal does not reach it
            )
        Thread(target=process.wait, daemon=True).start()  # else it would stay as a zombie
        sign(folder, process.pid, now)
    except OSError as error:
        raise _not_written(error) from error
    return opened(folder.name)


def sign(folder: Path, pid: int, queued: float) -> None:
    """Write which process runs a job: its starter does, and the process itself in case that dies.

    queued: since when it waits for its turn.
    """
    if (found := Process.of(pid)) is not None:
        replace_json(folder / PROCESS, {**asdict(found), "queued": queued})


def _running(job: Job) -> int:
    """Return the number of a job's process; RequestError where it does not run on this machine."""
    process = job.process
    if process is None or not job.is_active or not process.is_alive:
        raise RequestError("this build does not run any more")
    if not process.is_here:
        raise RequestError(f"this build runs on {process.host}: stop it there")
    return process.pid


def _refuse_public() -> None:
    if is_public():
        raise RequestError("this server is public, and builds nothing: build on your own machine")


def _not_written(error: OSError) -> StorageError:
    return StorageError(
        f"the build cannot be started: {place()} cannot be written ({error.strerror or error}); "
        "make room there, or set EP_CACHE to another folder"
    )
