"""Whether a process still runs, told by its id and the time it started.

A number alone would not do: after a while the system gives it to another process.
"""

from __future__ import annotations

import os
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Process:
    """One process on one machine.

    pid: its number. started: when it started, as the system writes it. host: the machine's name.
    """

    pid: int
    started: str
    host: str

    @classmethod
    def of(cls, pid: int) -> Process | None:
        """Return the process with this number on this machine; None if there is none."""
        started = _started(pid)
        return cls(pid, started, socket.gethostname()) if started else None

    @property
    def is_here(self) -> bool:
        """Whether it belongs to this machine, so that it can be seen and stopped."""
        return self.host == socket.gethostname()

    @property
    def is_alive(self) -> bool:
        """Whether it runs; True for a process of another machine, of which nothing is known."""
        return not self.is_here or _started(self.pid) == self.started


def _started(pid: int) -> str:
    """Return when a process started; empty where there is none, or it has ended."""
    if Path("/proc/self/stat").exists():
        try:
            text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""
        # the name in parentheses may hold spaces: the state is the first field after it, and the
        # start the twentieth (proc(5): fields 3 and 22)
        after = text.rpartition(")")[2].split()
        return "" if after[0] in "ZX" else after[19]
    found = subprocess.run(
        ["ps", "-o", "stat=,lstart=", "-p", str(pid)],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"LC_ALL": "C"},
    ).stdout.split(maxsplit=1)
    return "" if len(found) < 2 or found[0].startswith("Z") else found[1].strip()
