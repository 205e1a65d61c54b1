"""Names of files and folders in progress, and the removal of what no process will finish.

A process that is killed leaves what it was writing. The name of such a file says whose it is:

    .NAME.MACHINE-PROCESS-START.RANDOM.tmp

the machine as a hash (of its boot and its process numbers), the number of the process, and when it
started. Whoever writes in the same folder next removes what processes of this machine left that
have ended. What another machine writes in a shared folder cannot be known: it is removed once it
has not changed for a day. What a running process writes is never removed.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from hashlib import sha256
from pathlib import Path

KEPT_S = 24 * 3600.0
"""Age in seconds from which a file of unknown owner counts as left."""
_NAME = re.compile(r"\..+\.(?P<machine>[0-9a-f]{8})-(?P<process>\d+)-(?P<start>\d+)\.\w{8}\.tmp")
_EARLIER = re.compile(
    r".+\.ep\.h5\.[0-9a-f]{8}\.partial|\..+\.\d+(\.[0-9a-f]{8})?\.tmp|\.importing-\w{8}"
    r"|\.upload-\w{8}(\.partial)?|\.reading-\w{8}|\.ep-conversion-.+-\d+"
)
"""Names that earlier versions gave, which do not say whose a file is."""
_LONGEST = 150
"""Most bytes of a target's name in the name of its temporary file; names end at 255."""


def unfinished(path: Path) -> Path:
    """Return an unused name beside a path for a file or folder that is renamed to it when whole.

    What ended processes left in the folder is removed first, see `clear`.
    """
    clear(path.parent)
    owner = f"{_machine()}-{os.getpid()}-{_start(os.getpid())}"
    name = os.fsencode(path.name)[:_LONGEST].decode(errors="ignore").lstrip(".") or "file"
    return path.with_name(f".{name}.{owner}.{os.urandom(4).hex()}.tmp")


@contextmanager
def scratch(path: Path) -> Iterator[Path]:
    """Make a folder beside a path for files in progress, and remove it afterwards.

    Raises OSError where it cannot be made. Only its owner can read it.
    """
    folder = unfinished(path)
    folder.mkdir(mode=0o700)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def system_scratch(name: str) -> Path:
    """Return a path in the system's folder for temporary files, for `scratch` and `unfinished`."""
    return Path(tempfile.gettempdir()) / name


def clear(folder: Path) -> None:
    """Remove what ended processes left unfinished in a folder, as far as the system allows."""
    with suppress(OSError), os.scandir(folder) as entries:
        for path in [Path(entry.path) for entry in entries if is_left(Path(entry.path))]:
            remove(path)


def remove(path: Path) -> None:
    """Remove a file or folder; where that fails, it stays."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink(missing_ok=True)


def is_left(path: Path) -> bool:
    """Return whether a file or folder is in progress by its name, and nobody is writing it."""
    match = _NAME.fullmatch(path.name)
    if match is None:
        return _EARLIER.fullmatch(path.name) is not None and is_old(path)
    if match["machine"] != _machine() or os.name != "posix":
        return is_old(path)
    return not _is_running(int(match["process"]), int(match["start"]))


def is_in_progress(path: Path) -> bool:
    """Return whether the name says that a running process, or another machine, is writing it."""
    return _NAME.fullmatch(path.name) is not None and not is_left(path)


def is_old(path: Path) -> bool:
    """Return whether a file, or a folder and all in it, has not changed for a day."""
    try:
        times = [path.lstat().st_mtime]
        if path.is_dir() and not path.is_symlink():
            times += [inner.lstat().st_mtime for inner in path.rglob("*")]
    except OSError:  # it is changing now, or cannot be looked into
        return False
    return time.time() - max(times) > KEPT_S


def _is_running(process: int, start: int) -> bool:
    """Return whether a process of this number runs that started at this time."""
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # it is another user's
        pass
    return _start(process) == start


def _start(process: int) -> int:
    """Return when a process started, in ticks since the machine did; 0 where that is not told."""
    try:
        state = Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace")
        return int(state.rpartition(")")[2].split()[19])
    except (OSError, ValueError, IndexError):
        return 0


@lru_cache
def _machine() -> str:
    """Return a hash of the boot of this machine and of the space of its process numbers."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii")
        known = boot + str(Path("/proc/self/ns/pid").readlink())
    except OSError:  # not Linux
        known = platform.node()
    return sha256(known.encode()).hexdigest()[:8]
