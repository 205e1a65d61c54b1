"""Steering runs: one worker each that writes and measures while the page looks on.

A run belongs to one visitor. It waits for its turn at the model, stops when it is asked to, and
ends by itself when nobody has looked at it for a while and the visitor's browser is gone. Workers
never call Streamlit.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from threading import Lock
from time import monotonic
from typing import TYPE_CHECKING
from uuid import uuid4

import streamlit as st
from streamlit.runtime import get_instance
from streamlit.runtime.scriptrunner import get_script_run_ctx

from ep.method.dictionary import Dictionary
from ep.models.generation import MOST_TOKENS, Row, Step, Written, generate
from ep.views import continuations
from ep.views import steering as view
from ep.views.continuations import COLUMNS, Column
from ep.views.steering import Setting
from pages.shared import jobs

if TYPE_CHECKING:
    from ep.models import LanguageModel

GONE_AFTER_S = 10.0
_VISITOR, _LIVE, _WANTED = "steer_visitor", "steer_live", "steer_wanted"


class Live:
    """One run as its worker writes it and its page reads it.

    ahead: runs that come first; None once it has its turn. stopping: whether it was asked to end
    where it is; it is measured as far as it came. measured: whether its columns are final.
    """

    def __init__(self, name: str, key: str, setting: Setting, session: str) -> None:
        self.name, self.key, self.setting, self.session = name, key, setting, session
        self.ahead: int | None = 0
        self.columns: tuple[Column, ...] = tuple(Column(name) for name in COLUMNS)
        self.stopping = False
        self.measured = False
        self.seen = monotonic()
        self.ids: list[list[int]] = [[] for _ in COLUMNS]
        self.logprob: list[list[float]] = [[] for _ in COLUMNS]
        self.ended = [False] * len(COLUMNS)

    def look(self) -> None:
        """Says that somebody is looking."""
        self.seen = monotonic()

    @property
    def forsaken(self) -> bool:
        """Whether nobody has looked for a while and the browser is gone."""
        return monotonic() - self.seen > GONE_AFTER_S and not _is_connected(self.session)

    def take(self, step: Step) -> None:
        """Adds one step's tokens."""
        for number, (token, value) in enumerate(
            zip(step.tokens.tolist(), step.logprob.tolist(), strict=True)
        ):
            if token >= 0:
                self.ids[number].append(token)
                self.logprob[number].append(value)
            else:
                self.ended[number] = True


def _is_connected(session: str) -> bool:
    """Whether a browser is connected to this session; False where no server runs, as in tests of a
    script.
    """
    try:
        return get_instance().is_active_session(session)
    except RuntimeError:
        return False


@dataclass
class _Runs:
    """The server's runs that somebody may still look at, so that those of closed browsers can be
    dropped.
    """

    live: list[Live] = field(default_factory=list)
    lock: Lock = field(default_factory=Lock)

    def add(self, new: Live) -> None:
        with self.lock:
            for old in [one for one in self.live if one.forsaken]:
                self.live.remove(old)
                jobs.forget(old.key)
            self.live.append(new)


@st.cache_resource(show_spinner=False)
def _runs() -> _Runs:
    return _Runs()


def visitor() -> str:
    """A name for this session in the model's queue."""
    return st.session_state.setdefault(_VISITOR, uuid4().hex)


def current() -> Live | None:
    """This visitor's last run, running or ended."""
    return st.session_state.get(_LIVE)


def running() -> bool:
    """Whether this visitor's run is waiting or being written."""
    return (job := _job()) is not None and job.state == "running"


def _job() -> jobs.Job | None:
    live = current()
    return None if live is None else jobs.get(live.key)


def stop() -> None:
    """Asks this visitor's run to end where it is and be measured; asked twice, it ends without."""
    live, job = current(), _job()
    if live is not None and job is not None:
        if live.stopping:
            job.cancel()
        live.stopping = True


def drop() -> None:
    """Ends this visitor's run, if there is one, and lets it go."""
    if (job := _job()) is not None:
        job.cancel()
        jobs.forget(st.session_state[_LIVE].key)
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


def begin(key: str, dictionary: Dictionary, model: LanguageModel, setting: Setting) -> None:
    """Starts a run of the dictionary with this key, after dropping the one before. What is wrong
    raises its error here, before anything is queued.
    """
    batch = view.rows(dictionary, model, view.checked(setting, dictionary))
    want(False)
    drop()
    context = get_script_run_ctx()
    live = Live(
        key, f"steer {visitor()} {uuid4().hex[:8]}", setting, context.session_id if context else ""
    )
    st.session_state[_LIVE] = live
    _runs().add(live)
    jobs.start(live.key, "Steering", partial(_write, live, visitor(), dictionary, model, batch))


def _write(
    live: Live,
    who: str,
    dictionary: Dictionary,
    model: LanguageModel,
    batch: Sequence[Row],
    job: jobs.Job,
) -> None:
    """The worker: waits for the turn, writes, measures what was written."""

    def ahead(n: int) -> None:
        live.ahead = n
        if live.stopping:
            job.cancel()
        _look_up(live, job, "waiting")

    with model.turns.take(who, ahead):
        live.ahead = None
        written: list[Written] = []
        steps = generate(model, batch, live.setting.sampling(), lambda: live.stopping)
        with closing(steps):  # type: ignore[type-var]
            for step in steps:
                if isinstance(step, Step):
                    live.take(step)
                    live.columns = tuple(continuations.begun(model, live.ids, live.logprob))
                    _look_up(live, job, "writing")
                else:
                    written = step
        _look_up(live, job, "measuring")
        live.columns = tuple(continuations.measured(dictionary, model, batch, written))
        live.measured = True


def _look_up(live: Live, job: jobs.Job, said: str) -> None:
    """Notes how far the work is; raises when it was stopped or nobody is there any more."""
    if live.forsaken:
        job.cancel()
    job.report(said, len(live.ids[0]) / MOST_TOKENS)
