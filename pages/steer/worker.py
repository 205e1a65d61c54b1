"""Steering runs: one worker each that writes and measures while the page looks on.

A run belongs to one visitor. It waits for its turn at the model, stops when it is asked to, and
ends by itself when it is abandoned: nobody has looked at it for a while and the visitor's browser
is gone. A run that was written to its end serves everyone. Workers never call Streamlit.
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
_LIVE, _WANTED = "steer_live", "steer_wanted"


class Live:
    """One run as its worker writes it and its page reads it.

    key: of the dictionary. ahead: runs that come first; None once it has its turn. progress: the
    texts so far. run: the finished run, None until it is measured. stopping: whether it was asked
    to end where it is; it is measured as far as it came.
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
        """Says that somebody is looking."""
        self.seen = monotonic()

    @property
    def abandoned(self) -> bool:
        """Whether nobody has looked for a while and the browser is gone."""
        return monotonic() - self.seen > GONE_AFTER_S and not is_connected(self.session)


def current() -> Live | None:
    """This visitor's last run, running or ended."""
    return st.session_state.get(_LIVE)


def running() -> bool:
    """Whether this visitor's run is waiting or being written."""
    return (job := _job()) is not None and job.state == "running"


def _job() -> jobs.Job | None:
    live = current()
    return None if live is None else jobs.mine(live.job_key)


def stop() -> None:
    """Asks this visitor's run to end where it is and be measured; asked twice, it ends without."""
    live, job = current(), _job()
    if live is not None and job is not None:
        if live.stopping:
            job.cancel()
        live.stopping = True


def drop() -> None:
    """Ends this visitor's run, if there is one, and lets it go."""
    if (live := current()) is not None:
        jobs.leave(live.job_key)
    st.session_state[_LIVE] = None


def outcome() -> tuple[str, str]:
    """How this visitor's run ended: ("running" | "done" | "failed" | "cancelled" | "", a sentence
    where it failed).
    """
    job = _job()
    return ("", "") if job is None else (job.state, job.error)


def want(run: bool = True) -> None:
    """Notes that this visitor wants a run; `begin` takes the note away."""
    st.session_state[_WANTED] = run


def is_wanted() -> bool:
    """Whether a run is wanted that has not begun."""
    return bool(st.session_state.get(_WANTED))


def known(key: str, setting: Setting) -> Run | None:
    """The run of this setting that somebody has made to its end, if it is still kept."""
    run: Run | None = jobs.result(_name(key, setting))
    return run


def _name(key: str, setting: Setting) -> str:
    text = repr((loading.fingerprint(key), setting)).encode("utf-8", "replace")
    return f"steering run {blake2b(text, digest_size=12).hexdigest()}"


def begin(key: str, dictionary: Dictionary, model: LanguageModel, setting: Setting) -> None:
    """Starts a run of the dictionary with this key, after dropping the one before.

    What is wrong raises its error here, before anything is queued.
    """
    live = Live(key, setting, session())
    steps = steer(dictionary, model, setting, stopped=lambda: live.stopping)
    want(False)
    drop()
    st.session_state[_LIVE] = live
    work = partial(_write, live, steps, model, _name(key, setting), visitor())
    jobs.start(live.job_key, "Steering", work)


def _write(
    live: Live,
    steps: Iterator[Progress | Run],
    model: LanguageModel,
    name: str,
    who: str,
    job: jobs.Job,
) -> None:
    """The worker: waits for the turn, writes, measures what was written."""

    def ahead(n: int) -> None:
        live.ahead = n
        if live.stopping:
            job.cancel()
        _check(live, job, "waiting")

    with model.turns.take(who, ahead), closing(steps):  # type: ignore[type-var]
        live.ahead = None
        for step in steps:
            if isinstance(step, Run):
                live.run = step
            else:
                live.progress = step
                _check(live, job, "writing")
    if live.run is not None and not live.stopping:
        jobs.keep(name, live.run)


def _check(live: Live, job: jobs.Job, doing: str) -> None:
    """Reports how far the work is; raises when it was stopped or abandoned."""
    if live.abandoned:
        job.cancel()
    job.report(doing, len(live.progress.continuations[0].ids) / MOST_TOKENS)
