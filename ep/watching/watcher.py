"""Writes the state of a build while it runs.

The state is described in the build's own thread, where nothing changes under it, and written by
another, so that the newest is on the disk at most `EVERY_S` later, however long the next batch
takes. Whatever cannot be written is left out: a build does not fail because nobody can watch it.
"""

from __future__ import annotations

import os
import signal
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from threading import Event, Thread
from time import monotonic, time
from typing import Any

from ep.errors import EPError, StorageError
from ep.method.saturation import recent_rate
from ep.reporting import Key, Progress
from ep.text import one_line
from ep.watching.newest import Newest
from ep.watching.picture import Picture
from ep.watching.status import PICTURE, Status, replace_json, write

EVERY_S = 0.5
"""Least number of seconds between two states."""
RATE_SECONDS = 20.0
"""Seconds of the stage over which its speed is measured."""
MOST_GROWTH = 128
"""Points of a growth curve."""
INTERRUPTED = 130
"""The exit code of an error that says a build was interrupted."""


@contextmanager
def watching(path: str | Path | None, window: int) -> Iterator[Callable[[Progress], None]]:
    """Yield a function to call with each progress; write the state of the build to `path`.

    path: the file, in a folder that exists; None writes nothing.
    window: activations over which the rate of new regions is measured.

    The last state says how the block ended. Raises StorageError where the file cannot be written
    at all. A folder that is deleted later interrupts the build as Ctrl-C does: nobody could see or
    stop it any more.
    """
    if path is None:
        yield lambda progress: None
        return
    watcher = Watcher(Path(path), window)
    watcher.begin()
    try:
        yield watcher.see
    except EPError as error:
        state = "stopped" if error.exit_code == INTERRUPTED else "failed"
        watcher.end(state=state, error=one_line(str(error), 500))
        raise
    except KeyboardInterrupt:
        watcher.end(state="stopped", error="interrupted at once: what was not saved is lost")
        raise
    except BaseException as error:
        text = getattr(error, "strerror", None) or str(error)
        watcher.end(state="failed", error=one_line(f"{type(error).__name__}: {text}", 500))
        raise
    else:
        watcher.end(state="done", error="")


class Watcher:
    """Describes a build and writes what it finds; see `watching`."""

    def __init__(self, path: Path, window: int) -> None:
        self.path = path
        self.window = window
        now = time()
        self.status = Status("running", stage="open", started=now, updated=now)
        self._newest, self._picture = Newest(), Picture()
        self._measured: deque[tuple[float, int]] = deque()
        self._described = 0.0
        self._pending: dict[str, Any] = {}
        self._changed, self._ended = Event(), Event()
        self._thread = Thread(target=self._write_on, daemon=True)

    def begin(self) -> None:
        """Write the first state, and start to write further ones."""
        try:
            write(self.path, self.status)
        except OSError as error:
            raise StorageError(
                f"the state of the build cannot be written to {self.path} ({error.strerror}): give "
                "a file in a folder that exists"
            ) from error
        self._thread.start()

    def see(self, progress: Progress) -> None:
        """Take in a progress; called after every batch, so it is cheap when nothing is due."""
        self._newest.look(progress)
        now, is_new_stage = monotonic(), progress.stage != self.status.stage
        if is_new_stage:
            self._measured.clear()
        self._measured.append((now, progress.done))
        while now - self._measured[0][0] > RATE_SECONDS and len(self._measured) > 2:
            self._measured.popleft()
        if is_new_stage or now - self._described >= EVERY_S:
            self._described = now
            self.status = self._status(progress)
            if progress.stage in ("stream", "assign"):
                self._pending = self._picture.draw(progress.drafts) or self._pending
            self._changed.set()

    def end(self, **changes: Any) -> None:
        """Write the last state, with these fields changed."""
        self._ended.set()
        self._changed.set()
        self._thread.join()
        last = {"updated": time(), "seconds_left": None, **changes}
        with suppress(OSError):
            write(self.path, replace(self.status, **last))
            if self._pending:
                replace_json(self.path.with_name(PICTURE), self._pending)

    def _status(self, progress: Progress) -> Status:
        speed = self._speed()
        left = None
        if speed and progress.total:
            left = max(0, progress.total - progress.done) / speed
        return replace(
            self.status,
            stage=progress.stage,
            done=progress.done,
            total=progress.total,
            per_second=speed,
            seconds_left=left,
            updated=time(),
            dictionaries=tuple(self._dictionary(progress, key) for key in sorted(progress.drafts)),
            newest=self._newest.rows(),
            files=tuple(map(str, progress.files)),
        )

    def _speed(self) -> float | None:
        """Units of the stage per second of late; None where it is not known."""
        (start, first), (stop, last) = self._measured[0], self._measured[-1]
        return (last - first) / (stop - start) if stop > start and last > first else None

    def _dictionary(self, progress: Progress, key: Key) -> dict[str, Any]:
        draft = progress.drafts[key]
        rate = bound = None
        if draft.n_seen:
            founded = draft.leaders.founded_at
            rate, bound = recent_rate(draft.n_seen, founded, self.window)
        growth = [*draft.growth[:: 1 + len(draft.growth) // MOST_GROWTH]]
        if draft.growth and growth[-1] != draft.growth[-1]:
            growth.append(draft.growth[-1])
        return {
            "layer": key[0],
            "percentile": key[1],
            "regions": len(draft),
            "seen": draft.n_seen,
            "growth": [[n for n, _ in growth], [k for _, k in growth]],
            "rate": rate,
            "bound": bound,
            "window": min(self.window, draft.n_seen),
            "stopped": draft.stop_reason,
        }

    def _write_on(self) -> None:
        """Write each state that was described, at most one in EVERY_S, until the build ends."""
        while not self._ended.wait(EVERY_S):
            if not self._changed.is_set():
                continue
            self._changed.clear()
            picture, self._pending = self._pending, {}
            try:
                write(self.path, self.status)
                if picture:
                    replace_json(self.path.with_name(PICTURE), picture)
            except OSError:
                if not self.path.parent.is_dir():
                    os.kill(os.getpid(), signal.SIGINT)
                    return
