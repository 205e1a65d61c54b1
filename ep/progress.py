"""How long work says how far it is, whoever does it."""

from __future__ import annotations

from collections.abc import Callable

Report = Callable[[str, float | None], None]
"""(what is being done, share done in [0, 1] where known); what it raises ends the work."""


def silent(_what: str, _share: float | None) -> None:
    """Reports to nobody."""
