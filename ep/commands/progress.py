"""The progress of long commands on stderr: one line that is redrawn, or plain lines in a log.

A terminal gets one line, redrawn a few times a second and cleared at the end. A file or pipe gets
a plain line when a stage has lasted `PATIENCE_S` and one every `EVERY_S` after that, so that it can
be read as a log. Quick commands print nothing. A thread draws, so that a stage which reports
nothing, such as loading a model, still shows for how long it has been running.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import Event, RLock, Thread
from time import monotonic
from typing import Protocol, runtime_checkable

from ep.text import plain

PATIENCE_S = 3.0
"""Seconds after which a stage is worth a line."""
EVERY_S = 10.0
"""Seconds between two lines of one stage where stderr is no terminal."""
REDRAW_S = 0.2
"""Seconds between two drawings on a terminal."""
CLEAR_LINE = "\r\x1b[K"
"""Moves a terminal's cursor to the start of the line and clears it."""
SHORTEST_ESTIMATE_S = 10.0
"""Seconds of a stage before the rest of it is estimated."""


@runtime_checkable
class Stream(Protocol):
    """What a printer needs of stderr."""

    def write(self, text: str, /) -> int: ...

    def flush(self) -> None: ...

    def isatty(self) -> bool: ...


class Printer:
    """Prints what a command is doing and how far it is; it is called as an `ep.progress.Report`.

    stream: where to print; by default stderr.
    patience: seconds after which a stage is worth a line.
    clock: returns the time in seconds.
    """

    def __init__(
        self,
        stream: Stream | None = None,
        patience: float | None = None,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self.stream = stream or sys.stderr
        self.patience = PATIENCE_S if patience is None else patience
        self.clock = clock
        self.is_terminal = self.stream.isatty()
        self._lock = RLock()
        self._stage = self._message = ""
        self._share: float | None = None
        self._first = (0.0, 0.0)  # time and share from which the rest of a stage is estimated
        self._began = self._printed = 0.0
        self._announced = self._is_drawn = False

    def stage(self, name: str, message: str = "", share: float | None = None) -> None:
        """Begin a stage, such as "loading the model"; an empty name ends the last one.

        message, share: how far it is, as in a call of the printer.
        """
        with self._lock:
            self._stage, self._share = _one_line(name), None
            self._began = self.clock()
            self._announced = False
            self(message, share)
            self.draw()

    def __call__(self, message: str, share: float | None = None) -> None:
        """Say how far the stage is: a message, and the share done in [0, 1] if it is known."""
        with self._lock:
            if self._share is None or share is None or share < self._share:
                self._first = self.clock(), share or 0.0
            self._message, self._share = _one_line(message), share

    def to_share(self, share: float) -> None:
        """Say how far the stage is by the share done alone."""
        self("", share)

    def say(self, text: str) -> None:
        """Print a line of its own, which stays."""
        with self._lock:
            self._write(f"{CLEAR_LINE if self.is_terminal else ''}ep: {_one_line(text)}\n")
            self._is_drawn = False

    def draw(self) -> None:
        """Print the present state if it is time to."""
        with self._lock:
            now = self.clock()
            if self.is_terminal:
                shown = self._line(now) if self._stage and self._is_due(now) else ""
                if shown or self._is_drawn:
                    width = shutil.get_terminal_size().columns - 1
                    self._write(f"{CLEAR_LINE}{shown[:width]}")
                self._is_drawn = bool(shown)
            elif self._stage and self._is_due(now):
                self._announced, self._printed = True, now
                self._write(f"{self._line(now)}\n")

    def _is_due(self, now: float) -> bool:
        if self.is_terminal or not self._announced:
            return now - self._began >= self.patience
        return now - self._printed >= EVERY_S

    def _line(self, now: float) -> str:
        parts = [self._message, "" if self._share is None else f"{self._share:.0%}"]
        seconds = now - self._began
        if seconds >= 1:
            parts.append(f"{duration(seconds)}{self._estimate(now)}")
        facts = ", ".join(filter(None, parts))
        return f"ep: {self._stage}{': ' if facts else ''}{facts}"

    def _estimate(self, now: float) -> str:
        since, first = self._first
        if self._share is None or self._share <= first or now - since < SHORTEST_ESTIMATE_S:
            return ""
        rest = (now - since) * (1 - self._share) / (self._share - first)
        return f", about {duration(rest)} left"

    def _write(self, text: str) -> None:
        with suppress(OSError, ValueError):  # nobody reads stderr any more
            self.stream.write(text)
            self.stream.flush()


@contextmanager
def on_stderr(patience: float | None = None) -> Iterator[Printer]:
    """Yield a printer whose line is redrawn until the block ends; print results after the block.

    patience: seconds after which a stage is worth a line; by default `PATIENCE_S`.
    """
    printer, ended = Printer(patience=patience), Event()

    def redraw() -> None:
        while not ended.wait(REDRAW_S):
            printer.draw()

    thread = Thread(target=redraw, daemon=True)
    thread.start()
    try:
        yield printer
    finally:
        ended.set()
        thread.join()
        printer.stage("")


def _one_line(text: str) -> str:
    return plain(" ".join(text.split()))


def duration(seconds: float) -> str:
    """Return a duration in words, such as 45 s, 3 min or 2.5 h."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
