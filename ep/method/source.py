"""Where the arrays of a dictionary come from: memory while it is built, a file afterwards."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

import numpy as np


@runtime_checkable
class Source(Protocol):
    """The arrays of a dictionary: in memory while it is built, in a file afterwards."""

    def __contains__(self, name: str) -> bool: ...

    def read(self, name: str, start: int | None = None, stop: int | None = None) -> np.ndarray:
        """Return the array called `name`, or its rows start to stop."""
        ...


class MemorySource:
    """Arrays in memory, of which it gives read-only views.

    arrays: the arrays by name.
    """

    def __init__(self, arrays: Mapping[str, np.ndarray]) -> None:
        self._arrays = {name: np.asarray(array).view() for name, array in arrays.items()}
        for array in self._arrays.values():
            array.setflags(write=False)

    def __contains__(self, name: str) -> bool:
        return name in self._arrays

    def read(self, name: str, start: int | None = None, stop: int | None = None) -> np.ndarray:
        """Return the array called `name`, or its rows start to stop, as a read-only view."""
        return self._arrays[name][start:stop]


class AddedSource:
    """A source with further arrays, which take the place of its own of the same name.

    source: where all other arrays come from.
    arrays: the further arrays by name.
    """

    def __init__(self, source: Source, arrays: Mapping[str, np.ndarray]) -> None:
        self._source, self._added = source, MemorySource(arrays)

    def __contains__(self, name: str) -> bool:
        return name in self._added or name in self._source

    def read(self, name: str, start: int | None = None, stop: int | None = None) -> np.ndarray:
        """Return the array called `name`, or its rows start to stop."""
        source = self._added if name in self._added else self._source
        return source.read(name, start, stop)
