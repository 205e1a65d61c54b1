"""The callback with which long work reports its progress."""

from __future__ import annotations

from collections.abc import Callable

Report = Callable[[str, float | None], None]
"""Called with a message and the share of the work done in [0, 1], or None where it is not known.

An exception raised by the callback stops the work and is passed on to the caller.
"""


def silent(_message: str, _share: float | None = None) -> None:
    """Report nothing."""
