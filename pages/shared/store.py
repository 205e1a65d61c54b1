"""A bounded, thread-safe store that drops the least recently used values."""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock
from typing import Any


class Store:
    """Values by key, at most `max_size` of them. None is not stored."""

    def __init__(self, max_size: int) -> None:
        self._max_size = max_size
        self._values: OrderedDict[str, Any] = OrderedDict()
        self._lock = Lock()

    def get(self, key: str) -> Any:
        """Return the value of a key, or None."""
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
            return self._values.get(key)

    def put(self, key: str, value: Any) -> Any:
        """Store a value, and return it."""
        with self._lock:
            if value is not None:
                self._values[key] = value
                self._values.move_to_end(key)
            while len(self._values) > self._max_size:
                self._values.popitem(last=False)
        return value

    def __len__(self) -> int:
        with self._lock:
            return len(self._values)
