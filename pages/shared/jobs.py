"""Long work beside the pages: one thread per job, its progress on screen, cancel, and an outcome
that waits to be seen.

Jobs belong to the server, not to a visitor: two who ask for the same thing share one, and closing
the browser ends nothing. The work itself never calls Streamlit; it tells its `Job` how far it is.
"""

from __future__ import annotations

import atexit
import logging
from collections.abc import Callable
from functools import partial
from threading import Event, Lock, Thread
from time import monotonic
from typing import Any, Literal
from weakref import WeakKeyDictionary

import streamlit as st

from ep.errors import EPError
from pages.shared import messages
from pages.shared.tokens import escape

log = logging.getLogger("ep.app")
LOOK_EVERY_S = 0.7
LAST_S = 10.0
"""How long the end of the server waits for its jobs to stop."""
_BEGUN = "jobs_page_begun"
State = Literal["running", "done", "failed", "cancelled"]


class Cancelled(Exception):
    """Raised inside the work when the job was asked to stop."""


class Job:
    """One piece of work and how it goes. title: a few words for the screen."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.state: State = "running"
        self.said = ""
        self.share: float | None = None
        self.result: Any = None
        self.error = ""
        self.started, self.ended = monotonic(), float("inf")
        self._stop = Event()

    def report(self, said: str, share: float | None = None) -> None:
        """How far the work is: a few words, and a share in [0, 1] where known.

        Raises Cancelled when asked to stop.
        """
        self.said, self.share = said, None if share is None else min(1.0, max(0.0, share))
        if self._stop.is_set():
            raise Cancelled

    def cancel(self) -> None:
        """Asks the work to stop at its next `report`."""
        self._stop.set()

    @property
    def cancelling(self) -> bool:
        return self._stop.is_set() and self.state == "running"

    def run(self, work: Callable[[Job], Any]) -> None:
        """Does the work in the calling thread and keeps what came of it; raises nothing."""
        state: State = "failed"
        try:
            self.result = work(self)
            state = "done"
        except Cancelled:
            state = "cancelled"
        except EPError as error:
            self.error = messages.sentence(error)
        except Exception:
            log.exception("a job failed: %s", self.title)
            self.error = "Something went wrong; the server's log says what."
        self.ended = monotonic()
        self.state = state  # last: whoever sees it finds the rest there


_at_work: WeakKeyDictionary[Job, Thread] = WeakKeyDictionary()


def _end() -> None:
    """Stops all jobs as the interpreter ends: one frozen inside torch or HDF5 can hang the exit, or
    abort it.
    """
    until, threads = monotonic() + LAST_S, list(_at_work.items())
    for job, _ in threads:
        job.cancel()
    for _, thread in threads:
        thread.join(max(0.0, until - monotonic()))


class Board:
    """The server's jobs by key."""

    def __init__(self) -> None:
        self._jobs: dict[str, Job] = {}
        self._lock = Lock()

    def get(self, key: str) -> Job | None:
        return self._jobs.get(key)

    def start(self, key: str, title: str, work: Callable[[Job], Any]) -> Job:
        """Starts the work, or returns the job of this key that is running already."""
        with self._lock:
            running = self._jobs.get(key)
            if running is not None and running.state == "running":
                return running
            job = self._jobs[key] = Job(title)
        thread = _at_work[job] = Thread(
            target=job.run, args=(work,), name=f"job {key[:40]}", daemon=True
        )
        atexit.unregister(_end)
        atexit.register(_end)  # last to come, first to go: before the libraries the work is in
        thread.start()
        return job

    def forget(self, key: str) -> None:
        """Drops a job that has ended."""
        with self._lock:
            if (job := self._jobs.get(key)) is not None and job.state != "running":
                del self._jobs[key]


@st.cache_resource(show_spinner=False)
def board() -> Board:
    """The one board of this server."""
    return Board()


def get(key: str) -> Job | None:
    """The job of this key, running or ended; None when there was none or it was forgotten."""
    return board().get(key)


def start(key: str, title: str, work: Callable[[Job], Any]) -> Job:
    """Starts `work(job)` in the background, once per key; call `watch(key)` where its progress
    belongs.
    """
    return board().start(key, title, work)


def forget(key: str) -> None:
    """Drops an ended job, so that its panel goes and it can be started anew."""
    board().forget(key)


def page_begins() -> None:
    """Says that a page is drawn anew from here on, with whatever jobs have made by now."""
    st.session_state[_BEGUN] = monotonic()


def watch(key: str, framed: bool = True) -> None:
    """Draws a job: a bar with cancel while it runs, its error with a way on when it failed; nothing
    when there is none.

    The page is drawn again once the work is done, so that what it made can be shown; nothing is
    drawn then.
    framed: in a box of its own under its title; False inside a card below the line of what it is
    about.
    """
    job = get(key)
    if job is None:
        return
    if job.state == "done":
        if job.ended > st.session_state.get(_BEGUN, job.ended):
            st.rerun()  # it was done after the page had looked for what it makes
    elif job.state == "running":
        _running(key, framed)
    else:
        _ended(key, job, framed)


@st.fragment(run_every=LOOK_EVERY_S)
def _running(key: str, framed: bool) -> None:
    job = get(key)
    if job is None or job.state != "running":
        st.rerun()
        return
    said = "stopping…" if job.cancelling else job.said
    about = " · ".join(part for part in (said, f"{monotonic() - job.started:.0f} s") if part)
    with st.container(border=framed, gap="xsmall"):
        if framed:
            head = f'<b>{escape(job.title)}</b><span class="ep-k ep-num">{escape(about)}</span>'
            st.html(f'<div class="ep-split">{head}</div>')
        st.progress(job.share or 0.0)
        _beside("" if framed else about, "Cancel", f"job_cancel {key}", job.cancel, job.cancelling)


def _beside(
    said: str, button: str, key: str, action: Callable[[], None], disabled: bool = False
) -> None:
    """A button; where something is said beside it, quiet and at the end of that line."""
    if not said:
        st.button(button, key=key, on_click=action, disabled=disabled)
        return
    with st.container(
        horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"
    ):
        st.html(f'<span class="ep-k ep-num">{escape(said)}</span>')
        st.button(button, key=key, on_click=action, disabled=disabled, type="tertiary")


def _ended(key: str, job: Job, framed: bool) -> None:
    with st.container(border=framed, gap="xsmall"):
        about = job.error if job.state == "failed" else "It was cancelled; nothing was changed."
        if framed:
            st.html(
                f'<div><b>{escape(job.title)}</b> <span class="ep-k">{escape(about)}</span></div>'
            )
        _beside("" if framed else about, "Close", f"job_close {key}", partial(forget, key))
