"""Turns at one model: many visitors, one run at a time, in a fair order.

A visitor's second waiting run comes after everybody else's first, whoever asked earlier; so a burst
of runs delays nobody else by more than one. A run that fails or is given up frees its place. Knows
no model: whoever holds the turn does what it likes with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Condition

from ep.errors import RequestError

LOOK_EVERY_S = 0.2
MOST_OF_ONE, MOST_WAITING = 4, 200


@dataclass(eq=False)
class _Ticket:
    visitor: str
    round: int
    number: int


class Turns:
    """The queue of one model."""

    def __init__(self) -> None:
        self._changed = Condition()
        self._waiting: list[_Ticket] = []
        self._running: _Ticket | None = None
        self._round = 0
        self._given = 0

    @property
    def length(self) -> int:
        """Runs under way and waiting."""
        with self._changed:
            return len(self._waiting) + (self._running is not None)

    @contextmanager
    def take(
        self, visitor: str, report: Callable[[int], None] = lambda ahead: None
    ) -> Iterator[None]:
        """Waits for a turn and holds it for the block.

        report(ahead) hears, a few times a second while waiting, how many runs come first; what it
        raises gives the place up and is passed on. RequestError when the visitor has 4 runs in the
        queue already, or the queue is full.
        """
        ticket = self._join(visitor)
        try:
            self._wait(ticket, report)
            yield
        finally:
            with self._changed:
                if self._running is ticket:
                    self._running = None
                else:
                    self._waiting.remove(ticket)
                self._changed.notify_all()

    def _join(self, visitor: str) -> _Ticket:
        with self._changed:
            running = [] if self._running is None else [self._running]
            own = [ticket for ticket in [*running, *self._waiting] if ticket.visitor == visitor]
            if len(own) >= MOST_OF_ONE:
                raise RequestError(
                    f"you have {len(own)} runs in the queue already: wait for one, or cancel one"
                )
            if len(self._waiting) >= MOST_WAITING:
                raise RequestError(
                    f"{len(self._waiting)} runs are waiting for this model: try again in a while"
                )
            self._given += 1
            round_ = max([self._round, *(ticket.round + 1 for ticket in own)])
            ticket = _Ticket(visitor, round_, self._given)
            self._waiting.append(ticket)
            self._waiting.sort(key=lambda t: (t.round, t.number))
            return ticket

    def _wait(self, ticket: _Ticket, report: Callable[[int], None]) -> None:
        while True:
            with self._changed:
                if self._running is None and self._waiting[0] is ticket:
                    self._waiting.pop(0)
                    self._running, self._round = ticket, ticket.round
                    return
                ahead = self._waiting.index(ticket) + (self._running is not None)
            report(ahead)
            with self._changed:
                self._changed.wait(LOOK_EVERY_S)
