"""A lock on a folder, so that two programs do not write the same files in it.

The lock is the system's (flock) on a file in the folder, which holds the number of the process and
is deleted afterwards. It ends with the process, so a crash blocks nobody.
"""

from __future__ import annotations

import os
from pathlib import Path

from ep.errors import ConfigError, StorageError
from ep.storage.output import discard

NAME = ".ep-build.lock"


class FolderLock:
    """The lock of one folder, which exists."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / NAME
        self._handle: int | None = None

    def take(self) -> bool:
        """Take the lock and return True; return False where another program has it.

        Raises StorageError where the folder cannot be written.
        """
        import fcntl  # not available on every system; only what writes to the folder needs it

        while True:
            try:
                handle = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
            except OSError as error:
                raise StorageError(
                    f"{self.path.parent} cannot be written ({error.strerror}): choose another one"
                ) from error
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                os.close(handle)
                return False
            if self._is_there(handle):
                break
            os.close(handle)  # its last holder deleted the file in the meantime
        os.ftruncate(handle, 0)
        os.pwrite(handle, str(os.getpid()).encode(), 0)
        self._handle = handle
        return True

    def _is_there(self, handle: int) -> bool:
        """Return whether an open file is still the one at the path."""
        try:
            return os.path.samestat(os.fstat(handle), self.path.stat())
        except FileNotFoundError:
            return False

    def claim(self) -> None:
        """Take the lock; raise ConfigError, with the number of the process, where it is taken."""
        if not self.take():
            raise ConfigError(
                f"{self.path.parent} is in use by another build{self._holder()}: wait until it "
                "ends, or choose another --out"
            )

    def release(self) -> None:
        """Give the lock back, if it was taken."""
        if self._handle is not None:
            discard(self.path)
            os.close(self._handle)
            self._handle = None

    def _holder(self) -> str:
        try:
            number = self.path.read_text(encoding="ascii", errors="replace").strip()
        except OSError:
            return ""
        return f" (process {number})" if number.isdigit() else ""
