"""Steering runs: a worker for each, which writes and measures while the page shows the progress.

A run belongs to one visitor. It waits for its turn at the model, stops on request, and ends by
itself when it is abandoned: nobody has looked at it for a while and the visitor's browser is gone.
A run that was written to its end serves all visitors. Workers never call Streamlit.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from functools import partial
from hashlib import blake2b
from time import monotonic
from typing import TYPE_CHECKING
from uuid import uuid4

import streamlit as st

from ep.method.dictionary import Dictionary
from ep.models.generation import MOST_TOKENS
from ep.studies.steering import UNWRITTEN, Progress, Run, Setting, steer
from pages.shared import jobs, loading
from pages.shared.visitors import is_connected, session, visitor

if TYPE_CHECKING:
    from ep.models import LanguageModel

GONE_AFTER_S = 10.0
_LIVE, _REQUESTED = "steer_live", "steer_wanted"


class LiveRun:
    """One run, written by its worker and read by its page.

    key: of the dictionary.
    session: of the visitor's browser.
    ahead: number of runs before it in the queue; None once it has its turn.
    progress: the texts so far.
    run: the finished run; None until it is measured.
    stopping: whether it was asked to stop; it is then measured as far as it got.
    seen: when the page last looked at it, on the monotonic clock.
    """

    def __init__(self, key: str, setting: Setting, session: str) -> None:
        self.key, self.setting, self.session = key, setting, session
        self.job_key = f"steer {uuid4().hex}"
        self.ahead: int | None = 0
        self.progress = Progress(UNWRITTEN, (False,) * len(UNWRITTEN))
        self.run: Run | None = None
        self.stopping = False
        self.seen = monotonic()

    def look(self) -> None:
        """Note that the page looks at this run."""
        self.seen = monotonic()

    @property
    def abandoned(self) -> bool:
        """Whether nobody has looked for a while and the browser is gone."""
        return monotonic() - self.seen > GONE_AFTER_S and not is_connected(self.session)


def current() -> LiveRun | None:
    """Return this visitor's last run, running or ended."""
    return st.session_state.get(_LIVE)


def running() -> bool:
    """Return whether this visitor's run is waiting or being written."""
    return (job := _job()) is not None and job.state == "running"


def _job() -> jobs.Job | None:
    live = current()
    return None if live is None else jobs.own_job(live.job_key)


def stop() -> None:
    """Ask this visitor's run to stop and be measured; a second call ends it without measuring."""
    live, job = current(), _job()
    if live is not None and job is not None:
        if live.stopping:
            job.cancel()
        live.stopping = True


def drop() -> None:
    """End this visitor's run, if there is one, and forget it."""
    if (live := current()) is not None:
        jobs.leave(live.job_key)
    st.session_state[_LIVE] = None


def outcome() -> tuple[str, str]:
    """Return the state of this visitor's run, and a sentence where it failed.

    The state is "running", "done", "failed" or "cancelled", or empty without a run.
    """
    job = _job()
    return ("", "") if job is None else (job.state, job.error)


def request(run: bool = True) -> None:
    """Note that this visitor requests a run; `start` clears the note."""
    st.session_state[_REQUESTED] = run


def is_requested() -> bool:
    """Return whether a run is requested that has not started."""
    return bool(st.session_state.get(_REQUESTED))


def finished(key: str, setting: Setting) -> Run | None:
    """Return a run of this setting that any visitor has made to its end, if it is still stored."""
    run: Run | None = jobs.result(_result_key(key, setting))
    return run


def _result_key(key: str, setting: Setting) -> str:
    text = repr((loading.fingerprint(key), setting)).encode("utf-8", "replace")
    return f"steering run {blake2b(text, digest_size=12).hexdigest()}"


def start(key: str, dictionary: Dictionary, model: LanguageModel, setting: Setting) -> None:
    """Start a run of the dictionary with this key, after dropping the one before.

    A setting that cannot be run raises its error here, before anything is queued.
    """
    live = LiveRun(key, setting, session())
    steps = steer(dictionary, model, setting, stopped=lambda: live.stopping, warn=False)
    request(False)
    drop()
    st.session_state[_LIVE] = live
    work = partial(_write, live, steps, model, _result_key(key, setting), visitor())
    jobs.start(live.job_key, "Steering", work)


def _write(
    live: LiveRun,
    steps: Iterator[Progress | Run],
    model: LanguageModel,
    result_key: str,
    visitor_id: str,
    job: jobs.Job,
) -> None:
    """Do the work of the job: wait for the turn, write, and measure what was written."""

    def report_ahead(n: int) -> None:
        live.ahead = n
        if live.stopping:
            job.cancel()
        _check(live, job, "waiting")

    with model.turns.take(visitor_id, report_ahead), closing(steps):  # type: ignore[type-var]
        live.ahead = None
        for step in steps:
            if isinstance(step, Run):
                live.run = step
            else:
                live.progress = step
                _check(live, job, "writing")
    if live.run is not None and not live.stopping:
        jobs.put_result(result_key, live.run)


def _check(live: LiveRun, job: jobs.Job, doing: str) -> None:
    """Report how far the work is.

    Raises Cancelled when it was stopped or abandoned.
    """
    if live.abandoned:
        job.cancel()
    job.report(doing, len(live.progress.continuations[0].ids) / MOST_TOKENS)
