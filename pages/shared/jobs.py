"""Long-running work in the background: one thread per job, with progress, cancel, and results.

A result belongs to the server and is available to every visitor. A running job belongs to the
visitors who requested it: they see its progress, a cancel button and its error, and it stops when
the last of them leaves it. The work itself never calls Streamlit; it reports its progress to its
`Job`.
"""

from __future__ import annotations

import atexit
import logging
from collections import OrderedDict
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from threading import Event, Lock, Thread
from time import monotonic
from typing import TYPE_CHECKING, Any, Literal
from weakref import WeakKeyDictionary

import streamlit as st

from ep.errors import EPError
from ep.public import is_public
from pages.shared import estimates, messages, state
from pages.shared.store import Store
from pages.shared.tokens import escape
from pages.shared.visitors import visitor

if TYPE_CHECKING:
    from ep.models import LanguageModel

log = logging.getLogger("ep.app")
REFRESH_S = 0.7
MOST_PUBLIC = 2
"""Jobs of one visitor that run at the same time on a public server."""
SHUTDOWN_TIMEOUT_S = 10.0
"""How long the server waits, when it ends, for its jobs to stop."""
MAX_RESULTS, MAX_ENDED = 96, 64
"""How many results, and how many jobs that have ended, are stored; the oldest are dropped first."""
AT_ONCE_S = 1.0
"""Work that is estimated to take no longer is done while the page is drawn, without a job."""
RUNNING_FOR_ANOTHER = "It is at work already, for somebody else."
State = Literal["running", "done", "failed", "cancelled"]
Work = Callable[["Job"], Any]
Callback = Callable[[Any], None]


class Cancelled(Exception):
    """Raised inside the work after the job was cancelled."""


class Job:
    """One piece of work and its state.

    title: a few words for the screen. visitor: the one who started it, by the name that the
    model's queue uses. activity: what the work is doing now. share: the share that is done, in
    [0, 1], where it is known. error: a sentence, if the job failed. waiting: the visitors who
    requested the job, each with the callback for its result, if any. seen: the visitors whose
    page has started again since the job was done.
    """

    def __init__(self, title: str, visitor: str) -> None:
        self.title, self.visitor = title, visitor
        self.state: State = "running"
        self.activity = ""
        self.share: float | None = None
        self.result: Any = None
        self.error = ""
        self.started = monotonic()
        self.waiting: dict[str, Callback | None] = {}
        self.seen: set[str] = set()
        self._stop = Event()

    def report(self, activity: str, share: float | None = None) -> None:
        """Store what the work is doing and the share done. Raises Cancelled after `cancel`."""
        self.activity, self.share = activity, None if share is None else min(1.0, max(0.0, share))
        if self._stop.is_set():
            raise Cancelled

    def cancel(self) -> None:
        """Make the work stop at its next report."""
        self._stop.set()

    @property
    def cancelling(self) -> bool:
        """Whether the job was cancelled and its work has not stopped yet."""
        return self._stop.is_set() and self.state == "running"

    def run(self, work: Work) -> None:
        """Do the work in the calling thread, and store its result or its error; raise nothing."""
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
        self.state = state  # last: a thread that sees the state must also see result and error


_threads: WeakKeyDictionary[Job, Thread] = WeakKeyDictionary()


def _stop_all() -> None:
    """Stop all jobs when the interpreter exits.

    A thread that is still inside torch or HDF5 at that time can make the exit hang or crash.
    """
    deadline, threads = monotonic() + SHUTDOWN_TIMEOUT_S, list(_threads.items())
    for job, _ in threads:
        job.cancel()
    for _, thread in threads:
        thread.join(max(0.0, deadline - monotonic()))


class Board:
    """The server's jobs and results, by key."""

    def __init__(self) -> None:
        self._jobs: OrderedDict[str, Job] = OrderedDict()
        self.results = Store(MAX_RESULTS)
        self._lock = Lock()

    def get(self, key: str) -> Job | None:
        """Return the job of this key, running or ended, or None."""
        with self._lock:
            return self._jobs.get(key)

    def jobs(self) -> list[Job]:
        """Return all jobs, running or ended."""
        with self._lock:
            return list(self._jobs.values())

    def keys(self, who: str) -> list[str]:
        """Return the keys of a visitor's jobs, running or ended, the oldest first."""
        with self._lock:
            return [key for key, job in self._jobs.items() if who in job.waiting]

    def start(
        self, key: str, title: str, work: Work, who: str, callback: Callback | None = None
    ) -> Job:
        """Start the work for a visitor; if a job of this key is running, add the visitor to it.

        who: the visitor. callback: see the function `start`.
        """
        with self._lock:
            job = self._jobs.get(key)
            if job is not None and job.state == "running":
                job.waiting[who] = callback
                return job
            if is_public() and self._running(who) >= MOST_PUBLIC:
                return self._refuse(key, title, who)
            job = self._jobs[key] = Job(title, who)
            self._jobs.move_to_end(key)
            job.waiting[who] = callback
            ended = [name for name, one in self._jobs.items() if one.state != "running"]
            for name in ended[: max(0, len(ended) - MAX_ENDED)]:
                del self._jobs[name]
        thread = Thread(target=job.run, args=(partial(self._work, key, work),), daemon=True)
        _threads[job] = thread
        # registered again for every job: handlers run in reverse order, so jobs are stopped
        # before the libraries that their work has imported by then shut down
        atexit.unregister(_stop_all)
        atexit.register(_stop_all)
        thread.start()
        return job

    def _running(self, who: str) -> int:
        """Return how many of the running jobs this visitor waits for."""
        return sum(job.state == "running" and who in job.waiting for job in self._jobs.values())

    def _refuse(self, key: str, title: str, who: str) -> Job:
        """Store and return a job that failed at once, because the visitor has enough of them."""
        job = self._jobs[key] = Job(title, who)
        job.state, job.waiting[who] = "failed", None
        job.error = (
            f"On this public server one visitor has {MOST_PUBLIC} pieces of work at a time: wait "
            "for one, or cancel it."
        )
        return job

    def _work(self, key: str, work: Work, job: Job) -> Any:
        return self.results.put(key, work(job))

    def leave(self, key: str, who: str) -> None:
        """Withdraw a visitor from a job.

        A running job is cancelled when its last visitor leaves. A job that has ended is removed
        once no visitor is left.
        """
        with self._lock:
            job = self._jobs.get(key)
            if job is None or who not in job.waiting:
                return
            if job.state == "running" and len(job.waiting) == 1:
                job.cancel()  # the visitor stays listed, so that their page shows the outcome
                return
            del job.waiting[who]
            if job.state != "running" and not job.waiting:
                del self._jobs[key]


@st.cache_resource(show_spinner=False)
def board() -> Board:
    """Return the board of this server."""
    return Board()


# -- for pages, on behalf of the current visitor ---------------------------------------------------


def result(key: str) -> Any:
    """Return the result of the work with this key, whoever requested it; None if there is none."""
    return board().results.get(key)


def put_result(key: str, value: Any) -> Any:
    """Store a result that was computed without a job, and return it."""
    return board().results.put(key, value)


def own_job(key: str) -> Job | None:
    """Return the job of this key, running or ended, if this visitor requested it."""
    job = board().get(key)
    return job if job is not None and visitor() in job.waiting else None


def own_keys(prefix: str) -> list[str]:
    """Return the keys with this prefix of this visitor's jobs, running or ended, the oldest
    first.
    """
    return [key for key in board().keys(visitor()) if key.startswith(prefix)]


def is_own_running(key: str) -> bool:
    """Return whether the job of this key is running and this visitor requested it."""
    job = own_job(key)
    return job is not None and job.state == "running"


def is_running(key: str) -> bool:
    """Return whether a job of this key is running, whoever requested it."""
    job = board().get(key)
    return job is not None and job.state == "running"


def start(key: str, title: str, work: Work, callback: Callback | None = None) -> Job:
    """Start `work(job)` in the background, unless it is running; its result is stored by the key.

    callback: called with the result when this visitor's page is next drawn after the work is done.
    `watch` draws the progress.
    """
    return board().start(key, title, work, visitor(), callback)


def leave(key: str) -> None:
    """Withdraw this visitor from a running job, or dismiss a job that has ended."""
    board().leave(key, visitor())


def run_callbacks() -> None:
    """Call the callbacks of this visitor's jobs that are done; called at the head of a page."""
    who = visitor()
    for job in board().jobs():
        if job.state == "done" and who in job.waiting and who not in job.seen:
            job.seen.add(who)
            if (callback := job.waiting[who]) is not None:
                callback(job.result)


def result_or_offer(
    key: str,
    title: str,
    work: Work,
    *,
    seconds: float,
    button: str = "",
    about: str = "",
    framed: bool = True,
) -> Any:
    """Return the result of `work(job)`, or None while there is none.

    Without a result, the progress of the job is drawn, or else a button that starts it beside an
    estimate of the time. Work of at most `AT_ONCE_S` is done immediately, and its errors are
    raised.

    seconds: the estimated duration. button: the text on the button; the title by default. about: a
    sentence beside the button. framed: whether to draw a border.
    """
    job = own_job(key)  # before the result: a job that is done at this point has stored its result
    stored = result(key)
    if stored is not None:
        return stored
    if job is not None and job.state != "done":
        watch(key, framed)
    elif seconds <= AT_ONCE_S:
        return put_result(key, work(Job(title, visitor())))
    else:
        offer(key, title, work, seconds=seconds, button=button, about=about, framed=framed)
    return None


def offer(
    key: str,
    title: str,
    work: Work,
    *,
    seconds: float,
    button: str = "",
    about: str = "",
    framed: bool = True,
) -> None:
    """Draw a button that starts the work, beside an estimate; see `result_or_offer`."""
    time = f"It takes {estimates.duration_text(seconds)}."
    if is_running(key):
        time = RUNNING_FOR_ANOTHER
    with st.container(border=framed, horizontal=True, vertical_alignment="center", gap="small"):
        messages.quiet(f"{about} {time}".strip())
        st.button(
            button or title,
            icon=":material/play_arrow:",
            key=f"job_start {key}",
            on_click=partial(_start, key, title, work),
        )


def _start(key: str, title: str, work: Work) -> None:
    start(key, title, work)


def model_turn(job: Job, model: LanguageModel) -> AbstractContextManager[None]:
    """Return a context in which the job has the model to itself.

    Entering it waits for the job's turn in the model's queue. The wait is reported to the job, and
    cancelling the job ends the wait.
    """
    return model.turns.take(
        job.visitor,
        lambda ahead: job.report(f"waiting, {ahead} run{'s' if ahead != 1 else ''} before it"),
    )


def watch(key: str, framed: bool = True) -> None:
    """Draw this visitor's job: a progress bar with a cancel button while it runs, its error or
    cancellation with a close button when it has ended, and nothing when there is no job.

    The page reruns when the work is done, so that it can show the result. framed: whether to draw
    a border and the title; False where a card around it already has both.
    """
    job = own_job(key)
    if job is None:
        return
    if job.state == "running":
        _progress(key, framed)
    elif job.state == "done":
        if visitor() not in job.seen:
            state.rerun()  # the work finished after this run had started
    else:
        _failure(key, job, framed)


@st.fragment(run_every=REFRESH_S)
def _progress(key: str, framed: bool) -> None:
    """Draw the progress of a running job; rerun the page when it ends."""
    job = own_job(key)
    if job is None or job.state != "running":
        state.rerun()
    activity = "stopping…" if job.cancelling else job.activity
    about = " · ".join(part for part in (activity, f"{monotonic() - job.started:.0f} s") if part)
    with st.container(border=framed, gap="xsmall"):
        if framed:
            head = f'<b>{escape(job.title)}</b><span class="ep-k ep-num">{escape(about)}</span>'
            st.html(f'<div class="ep-split">{head}</div>')
        st.progress(job.share or 0.0)
        _button(
            "" if framed else about,
            "Cancel",
            f"job_cancel {key}",
            partial(leave, key),
            job.cancelling,
        )


def _button(
    text: str, button: str, key: str, action: Callable[[], None], disabled: bool = False
) -> None:
    """Draw a button; with a text, draw the text and a tertiary button at the end of its line."""
    if not text:
        st.button(button, key=key, on_click=action, disabled=disabled)
        return
    with st.container(
        horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"
    ):
        st.html(f'<span class="ep-k ep-num">{escape(text)}</span>')
        st.button(button, key=key, on_click=action, disabled=disabled, type="tertiary")


def _failure(key: str, job: Job, framed: bool) -> None:
    """Draw why a job ended without a result, with a button that dismisses it."""
    close = partial(leave, key)
    if job.state == "failed":
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            messages.problem(job.title, job.error)
            _button("", "Close", f"job_close {key}", close)
        return
    about = "It was cancelled; nothing was changed."
    with st.container(border=framed, gap="xsmall"):
        if framed:
            st.html(
                f'<div><b>{escape(job.title)}</b> <span class="ep-k">{escape(about)}</span></div>'
            )
        _button("" if framed else about, "Close", f"job_close {key}", close)
