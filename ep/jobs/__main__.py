"""The process of one job: waits for its turn, then runs `ep build`. See `ep.jobs.acting`."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from time import time

from ep import cli
from ep.errors import EPError
from ep.jobs.acting import sign
from ep.jobs.command import arguments
from ep.jobs.job import opened
from ep.jobs.turn import turn
from ep.text import one_line
from ep.watching import status
from ep.watching.status import FINAL, Status


def run(folder: Path, *options: str) -> int:
    """Run the job in a folder, and return the exit code of the build.

    options: further ones of `ep build`, such as --resume.
    """
    file = folder / status.NAME
    written = status.read(file)
    began = written.started if written else time()

    def wait(ahead: int) -> None:
        status.write(file, Status("queued", before=ahead, started=began, updated=time()))

    try:
        sign(folder, os.getpid(), began)
        job = opened(folder.name)
        with turn(job, wait):
            command = ["build", "--status", str(file), *options, *arguments(job.config)]
            code = cli.main(command)
    except KeyboardInterrupt:
        return _end(file, "stopped", "stopped before its turn came")
    except EPError as error:
        return _end(file, "failed", str(error))
    except OSError as error:  # the folder was deleted, or the disk is full
        return _end(file, "failed", str(error.strerror or error))
    written = status.read(file)
    if written is None or written.state not in FINAL:  # it failed before the build began
        _end(file, "failed" if code else "done", _last_line(job.log()) if code else "")
    return code


def _end(file: Path, state: status.State, error: str) -> int:
    """Write how the job ended, and return an exit code."""
    if file.parent.is_dir():
        status.write(file, Status(state, updated=time(), error=one_line(error, 500)))
    return 1


def _last_line(log: str) -> str:
    """Return the last line of a log without the name of the program."""
    lines = [line for line in log.splitlines() if line.strip()]
    return lines[-1].removeprefix("ep: ") if lines else "it ended without a word"


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have it ignored
    sys.exit(run(Path(sys.argv[1]), *sys.argv[2:]))
