"""The queue of one model: many visitors, one run at a time, in a fair order.

A visitor's second waiting run comes after the first run of everybody else, even of those who came
later, so a burst of runs delays each other visitor by at most one run. A run that fails or is
cancelled frees its place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Condition

from ep.errors import RequestError

LOOK_EVERY_S = 0.2
"""Seconds between two reports to a waiting run."""
MOST_OF_ONE, MOST_WAITING = 4, 200
"""Most runs of one visitor in the queue, and most waiting runs in all."""


@dataclass(eq=False)
class _Ticket:
    """The place of one run in the queue, ordered by (round, number).

    round: the turn of the fair order in which the run goes; each visitor has at most one per round.
    number: order of arrival.
    """

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
        self._issued = 0

    @property
    def length(self) -> int:
        """Number of runs in the queue, the one under way included."""
        with self._changed:
            return len(self._waiting) + (self._running is not None)

    @contextmanager
    def take(
        self, visitor: str, report: Callable[[int], None] = lambda ahead: None
    ) -> Iterator[None]:
        """Wait for a turn and hold it for the duration of the block.

        visitor: whose run it is.
        report: called several times a second while waiting, with the number of runs ahead; an
            exception it raises gives up the place and is passed on.

        Raises RequestError when the visitor already has four runs in the queue, or when the queue
        is full.
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
        """Add a ticket to the queue; RequestError when there is no room for it."""
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
            self._issued += 1
            # after the visitor's own runs, but not before the round that is under way
            round_ = max([self._round, *(ticket.round + 1 for ticket in own)])
            ticket = _Ticket(visitor, round_, self._issued)
            self._waiting.append(ticket)
            self._waiting.sort(key=lambda t: (t.round, t.number))
            return ticket

    def _wait(self, ticket: _Ticket, report: Callable[[int], None]) -> None:
        """Block until it is the turn of a ticket, and mark it as running."""
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
