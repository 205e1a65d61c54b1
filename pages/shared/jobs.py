"""Long work beside the pages: one thread per job, its progress on screen, cancel, and a bounded
store of results.

A result belongs to the server and serves everyone. A running job belongs to the visitors who asked
for it: they see its progress, its cancel and its failure, and it ends when the last of them gives
it up. The work itself never calls Streamlit; it reports to its `Job` how far it is.
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
from pages.shared import estimates, messages, state
from pages.shared.store import Store
from pages.shared.tokens import escape
from pages.shared.visitors import visitor

if TYPE_CHECKING:
    from ep.models import LanguageModel

log = logging.getLogger("ep.app")
LOOK_EVERY_S = 0.7
LAST_S = 10.0
"""How long the end of the server waits for its jobs to stop."""
MOST_RESULTS, MOST_ENDED = 96, 64
"""Results that are kept, and jobs that have ended; the oldest go first."""
AT_ONCE_S = 1.0
"""Work that takes no longer is done while the page is drawn."""
FOR_SOMEBODY_ELSE = "It is at work already, for somebody else."
State = Literal["running", "done", "failed", "cancelled"]
Work = Callable[["Job"], Any]
Then = Callable[[Any], None]


class Cancelled(Exception):
    """Raised inside the work when the job was asked to stop."""


class Job:
    """One piece of work and how it goes.

    title: a few words for the screen. visitor: who started it, as the model's queue knows them.
    doing, share: what is being done, and the share done in [0, 1] where known. error: a sentence
    where it failed. waiting: the visitors who asked for it, and what is to follow for each. seen:
    those whose page has begun since it was done.
    """

    def __init__(self, title: str, visitor: str) -> None:
        self.title, self.visitor = title, visitor
        self.state: State = "running"
        self.doing = ""
        self.share: float | None = None
        self.result: Any = None
        self.error = ""
        self.started = monotonic()
        self.waiting: dict[str, Then | None] = {}
        self.seen: set[str] = set()
        self._stop = Event()

    def report(self, doing: str, share: float | None = None) -> None:
        """How far the work is. Raises Cancelled when the job was asked to stop."""
        self.doing, self.share = doing, None if share is None else min(1.0, max(0.0, share))
        if self._stop.is_set():
            raise Cancelled

    def cancel(self) -> None:
        """Asks the work to stop at its next report."""
        self._stop.set()

    @property
    def cancelling(self) -> bool:
        """Whether it was asked to stop and has not yet."""
        return self._stop.is_set() and self.state == "running"

    def run(self, work: Work) -> None:
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
    """The server's jobs and results, by key."""

    def __init__(self) -> None:
        self._jobs: OrderedDict[str, Job] = OrderedDict()
        self.results = Store(MOST_RESULTS)
        self._lock = Lock()

    def get(self, key: str) -> Job | None:
        """The job of this key, running or ended."""
        with self._lock:
            return self._jobs.get(key)

    def jobs(self) -> list[Job]:
        """Every job there is."""
        with self._lock:
            return list(self._jobs.values())

    def keys(self, who: str) -> list[str]:
        """The keys of the jobs, running or ended, that a visitor asked for; the oldest first."""
        with self._lock:
            return [key for key, job in self._jobs.items() if who in job.waiting]

    def start(self, key: str, title: str, work: Work, who: str, then: Then | None = None) -> Job:
        """Starts the work for a visitor, or has them join the job of this key that is running."""
        with self._lock:
            job = self._jobs.get(key)
            if job is not None and job.state == "running":
                job.waiting[who] = then
                return job
            job = self._jobs[key] = Job(title, who)
            self._jobs.move_to_end(key)
            job.waiting[who] = then
            ended = [name for name, one in self._jobs.items() if one.state != "running"]
            for name in ended[: max(0, len(ended) - MOST_ENDED)]:
                del self._jobs[name]
        thread = Thread(target=job.run, args=(partial(self._work, key, work),), daemon=True)
        _at_work[job] = thread
        atexit.unregister(_end)
        atexit.register(_end)  # last to come, first to go: before the libraries the work is in
        thread.start()
        return job

    def _work(self, key: str, work: Work, job: Job) -> Any:
        return self.results.put(key, work(job))

    def leave(self, key: str, who: str) -> None:
        """A visitor gives the job up: it stops when it was the last, and is dropped if it has
        ended.
        """
        with self._lock:
            job = self._jobs.get(key)
            if job is None or who not in job.waiting:
                return
            if job.state == "running" and len(job.waiting) == 1:
                job.cancel()  # they stay, to see that it stopped
                return
            del job.waiting[who]
            if job.state != "running" and not job.waiting:
                del self._jobs[key]


@st.cache_resource(show_spinner=False)
def board() -> Board:
    """The one board of this server."""
    return Board()


# -- for pages -------------------------------------------------------------------------------------


def result(key: str) -> Any:
    """What came of the work with this key, whoever asked for it; None when it is not known."""
    return board().results.get(key)


def keep(key: str, value: Any) -> Any:
    """Keeps a result found by other means, and returns it."""
    return board().results.put(key, value)


def mine(key: str) -> Job | None:
    """The job of this key, running or ended, if this visitor asked for it."""
    job = board().get(key)
    return job if job is not None and visitor() in job.waiting else None


def all_mine(prefix: str) -> list[str]:
    """The keys of this visitor's jobs, running or ended, that begin so; the oldest first."""
    return [key for key in board().keys(visitor()) if key.startswith(prefix)]


def is_mine_running(key: str) -> bool:
    """Whether this visitor asked for the job of this key and it is at work."""
    job = mine(key)
    return job is not None and job.state == "running"


def is_running(key: str) -> bool:
    """Whether anybody's job of this key is at work."""
    job = board().get(key)
    return job is not None and job.state == "running"


def start(key: str, title: str, work: Work, then: Then | None = None) -> Job:
    """Starts `work(job)` in the background, once per key; what it returns is kept under the key.

    then: called with it once it is done, when this visitor's page is drawn next. `watch` draws the
    progress.
    """
    return board().start(key, title, work, visitor(), then)


def leave(key: str) -> None:
    """This visitor gives up a running job, or has seen how one ended."""
    board().leave(key, visitor())


def settle() -> None:
    """Does what was to follow this visitor's jobs that are done by now; at the head of a page."""
    who = visitor()
    for job in board().jobs():
        if job.state == "done" and who in job.waiting and who not in job.seen:
            job.seen.add(who)
            if (then := job.waiting[who]) is not None:
                then(job.result)


def outcome(
    key: str,
    title: str,
    work: Work,
    *,
    seconds: float,
    button: str = "",
    about: str = "",
    framed: bool = True,
) -> Any:
    """The result of `work(job)`, or None while there is none: then its place shows its progress, or
    a button that starts it and how long it will take.

    Work of at most `AT_ONCE_S` is done right here; its errors are raised. about: a sentence on what
    it would show. button: what starting it is called.
    """
    job = mine(key)  # before the result: one that is done by now has left it
    found = result(key)
    if found is not None:
        return found
    if job is not None and job.state != "done":
        watch(key, framed)
    elif seconds <= AT_ONCE_S:
        return keep(key, work(Job(title, visitor())))
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
    """A button that starts the work, beside how long it takes; see `outcome`."""
    takes = f"It takes {estimates.spoken(seconds)}."
    if is_running(key):
        takes = FOR_SOMEBODY_ELSE
    with st.container(border=framed, horizontal=True, vertical_alignment="center", gap="small"):
        messages.quiet(f"{about} {takes}".strip())
        st.button(
            button or title,
            icon=":material/play_arrow:",
            key=f"job_start {key}",
            on_click=partial(_start, key, title, work),
        )


def _start(key: str, title: str, work: Work) -> None:
    start(key, title, work)


def turn(job: Job, model: LanguageModel) -> AbstractContextManager[None]:
    """The turn at the model, for the length of a job; waiting is reported, and cancel ends it."""
    return model.turns.take(
        job.visitor,
        lambda ahead: job.report(f"waiting, {ahead} run{'s' if ahead != 1 else ''} before it"),
    )


def watch(key: str, framed: bool = True) -> None:
    """Draws this visitor's job: a bar with cancel while it runs, its error with a way on when it
    failed; nothing when there is none.

    The page is drawn again once the work is done, so that what it made can be shown. framed: in a
    box of its own under its title; False inside a card below the line of what it is about.
    """
    job = mine(key)
    if job is None:
        return
    if job.state == "running":
        _running(key, framed)
    elif job.state == "done":
        if visitor() not in job.seen:
            state.rerun()  # it was done after the page had begun
    else:
        _ended(key, job, framed)


@st.fragment(run_every=LOOK_EVERY_S)
def _running(key: str, framed: bool) -> None:
    job = mine(key)
    if job is None or job.state != "running":
        state.rerun()
    doing = "stopping…" if job.cancelling else job.doing
    about = " · ".join(part for part in (doing, f"{monotonic() - job.started:.0f} s") if part)
    with st.container(border=framed, gap="xsmall"):
        if framed:
            head = f'<b>{escape(job.title)}</b><span class="ep-k ep-num">{escape(about)}</span>'
            st.html(f'<div class="ep-split">{head}</div>')
        st.progress(job.share or 0.0)
        _beside(
            "" if framed else about,
            "Cancel",
            f"job_cancel {key}",
            partial(leave, key),
            job.cancelling,
        )


def _beside(
    text: str, button: str, key: str, action: Callable[[], None], disabled: bool = False
) -> None:
    """A button; where there is a text beside it, quiet and at the end of that line."""
    if not text:
        st.button(button, key=key, on_click=action, disabled=disabled)
        return
    with st.container(
        horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"
    ):
        st.html(f'<span class="ep-k ep-num">{escape(text)}</span>')
        st.button(button, key=key, on_click=action, disabled=disabled, type="tertiary")


def _ended(key: str, job: Job, framed: bool) -> None:
    with st.container(border=framed, gap="xsmall"):
        about = job.error if job.state == "failed" else "It was cancelled; nothing was changed."
        if framed:
            st.html(
                f'<div><b>{escape(job.title)}</b> <span class="ep-k">{escape(about)}</span></div>'
            )
        _beside("" if framed else about, "Close", f"job_close {key}", partial(leave, key))
