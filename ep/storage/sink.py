"""A file for HDF5 to write to that never fails: it remembers the first error of the system.

HDF5 does not survive a disk that fills up: what it could not write it tries again when the file is
closed and when the process ends, where it crashes. So it is told that all went well, and the caller
asks afterwards whether it did.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from io import SEEK_END, SEEK_SET, FileIO, RawIOBase
from pathlib import Path
from typing import Any


class Sink(RawIOBase):
    """A new file at a path; OSError where there is one, or it cannot be made."""

    def __init__(self, path: Path) -> None:
        self._file = FileIO(path, "x+")
        self._place = self._end = 0
        self.error: OSError | None = None

    def check(self) -> None:
        """Raise the first error that writing met, if there was one."""
        if self.error is not None:
            raise self.error

    def seek(self, offset: int, whence: int = SEEK_SET) -> int:
        """Go to a place in the file, from its start or its end."""
        self._place = offset + (self._end if whence == SEEK_END else 0)
        return self._place

    def tell(self) -> int:
        """Return the present place."""
        return self._place

    def readinto(self, buffer: Any) -> int:
        """Read what was written; zeros where it could not be."""
        view = memoryview(buffer).cast("B")
        self._file.seek(self._place)
        count = self._file.readinto(view) or 0
        view[count:] = bytes(len(view) - count)
        self._place += len(view)
        return len(view)

    def write(self, data: Any) -> int:
        """Write, and say that it went well."""
        view = memoryview(data).cast("B")
        self._try(lambda: self._write(view))
        self._place += len(view)
        self._end = max(self._end, self._place)
        return len(view)

    def truncate(self, size: int | None = None) -> int:
        """Set the length of the file, and say that it went well."""
        self._end = self._place if size is None else size
        self._try(lambda: self._file.truncate(self._end))
        return self._end

    def flush(self) -> None:
        """Do nothing: nothing waits."""

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        super().close()

    def _write(self, view: memoryview) -> None:
        self._file.seek(self._place)
        while len(view):
            count = self._file.write(view)
            if not count:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            view = view[count:]

    def _try(self, change: Callable[[], object]) -> None:
        try:
            if self.error is None:
                change()
        except OSError as error:
            self.error = error
