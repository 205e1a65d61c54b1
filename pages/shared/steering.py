"""Steering runs: their setting in the URL, and one worker each that writes while the page looks on.

A run belongs to one visitor. It waits for its turn at the model, stops when it is asked to, and ends by itself when
nobody has looked at it for a while and the visitor's browser is gone. Workers never call Streamlit.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from threading import Lock
from time import monotonic, time
from typing import TYPE_CHECKING
from uuid import uuid4

import streamlit as st
from streamlit.runtime import get_instance
from streamlit.runtime.scriptrunner import get_script_run_ctx

from ep.method.dictionary import Dictionary
from ep.models.generation import MOST_TOKENS, Step, Written, generate
from ep.models.interventions import SCOPES, STRONGEST
from ep.views import steering as view
from ep.views.steering import Column, Setting
from pages.shared import jobs, state

if TYPE_CHECKING:
    from ep.models import LanguageModel

TEXT, CHAT = "text", "chat"
GONE_AFTER_S = 10.0
MOST_KEPT = 12
MOST_SYSTEM = 4000
MOST_SEED = 2**31 - 1
_VISITOR, _LIVE, _KEPT, _SHOWN, _WANTED = "steer_visitor", "steer_live", "steer_kept", "steer_shown", "steer_wanted"


# -- the setting and the URL -------------------------------------------------------------------------------------------


def from_link(dictionary: Dictionary, region: int, prompt: str, chat: bool) -> Setting:
    """The setting of the session and the URL; what is missing or makes no sense there takes its default.

    region: the selected one, always first. prompt, chat: what is used where the URL says nothing.
    """
    size = len(dictionary)
    more = [k for part in state.setting("sregs").split(",") if (k := _region(part, size)) is not None and k != region]
    reference = state.setting("sref", "centre")
    about = reference if reference in ("centre", "origin") else _region(reference, size)
    return Setting(
        prompt=state.current().prompt or prompt,
        chat=state.setting("schat", CHAT if chat else TEXT, (TEXT, CHAT)) == CHAT,
        system=state.setting("ssys")[:MOST_SYSTEM],
        mode=state.setting("smode", "add", view.MODES),
        regions=tuple(dict.fromkeys([region, *more]))[: view.MOST_REGIONS],
        strength=_number("sstr", 1.0, -STRONGEST, STRONGEST),
        basis=state.setting("sbasis", "exemplar", ("exemplar", "mean")),
        reference="centre" if about is None else about,
        target=_region(state.setting("starget"), size),
        scope=state.setting("sscope", "all", SCOPES),
        layers=state.setting("slayers")[:60],
        tokens=int(_number("stoks", 64, 1, view.LONGEST)),
        temperature=_number("stemp", 0.0, 0.0, 100.0),
        seed=int(_number("sseed", 0, 0, MOST_SEED)),
    )


def keep(setting: Setting, ran: bool = False) -> None:
    """Puts a setting into the session and the URL; its first region becomes the selected one.

    ran: whether a link should run it at once, so that it shows the same text again.
    """
    chosen = {
        "schat": CHAT if setting.chat else TEXT,
        "ssys": setting.system,
        "smode": setting.mode,
        "sregs": ",".join(map(str, setting.regions[1:])),
        "sstr": f"{setting.strength:.6g}",
        "sbasis": setting.basis,
        "sref": str(setting.reference),
        "starget": "" if setting.target is None else str(setting.target),
        "sscope": setting.scope,
        "slayers": setting.layers,
        "stoks": str(setting.tokens),
        "stemp": f"{setting.temperature:.6g}",
        "sseed": str(setting.seed),
    }
    state.keep(**chosen, **({"srun": "1"} if ran else {}))
    state.change(prompt=setting.prompt, region=setting.regions[0])


def _region(text: str, size: int) -> int | None:
    plain = text.strip()
    good = plain.isascii() and plain.isdigit() and len(plain) < 12 and int(plain) < size
    return int(plain) if good else None


def _number(name: str, default: float, low: float, high: float) -> float:
    try:
        value = float(state.setting(name, str(default)))
    except ValueError:
        return default
    return min(high, max(low, value)) if math.isfinite(value) else default


# -- a run under way ---------------------------------------------------------------------------------------------------


class Live:
    """One run as its worker writes it and its page reads it. ahead: runs that come first; None once it has its turn."""

    def __init__(self, name: str, key: str, setting: Setting, session: str) -> None:
        self.name, self.key, self.setting, self.session = name, key, setting, session
        self.ahead: int | None = 0
        self.columns: tuple[Column, ...] = tuple(Column(name) for name in view.COLUMNS)
        self.measured = False
        self.seen = monotonic()
        self.ids: list[list[int]] = [[] for _ in view.COLUMNS]
        self.logprob: list[list[float]] = [[] for _ in view.COLUMNS]
        self.ended = [False] * len(view.COLUMNS)

    def look(self) -> None:
        """Says that somebody is looking."""
        self.seen = monotonic()

    @property
    def forsaken(self) -> bool:
        """Whether nobody has looked for a while and the browser is gone."""
        return monotonic() - self.seen > GONE_AFTER_S and not _is_connected(self.session)

    def take(self, step: Step) -> None:
        """Adds one step's tokens."""
        for number, (token, value) in enumerate(zip(step.tokens.tolist(), step.logprob.tolist(), strict=True)):
            if token >= 0:
                self.ids[number].append(token)
                self.logprob[number].append(value)
            else:
                self.ended[number] = True


def _is_connected(session: str) -> bool:
    """Whether a browser is connected to this session; False where no server runs, as in tests of a script."""
    try:
        return get_instance().is_active_session(session)
    except RuntimeError:
        return False


@dataclass
class _Runs:
    """The server's runs that somebody may still look at, so that those of closed browsers can be dropped."""

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
    """Asks this visitor's run to stop; what is written stays."""
    if (job := _job()) is not None:
        job.cancel()


def outcome() -> tuple[str, str]:
    """How this visitor's run ended: ("running" | "done" | "failed" | "cancelled" | "", a sentence where it failed)."""
    job = _job()
    return ("", "") if job is None else (job.state, job.error)


def want(run: bool = True) -> None:
    """Notes that this visitor wants a run; `begin` takes the note away."""
    st.session_state[_WANTED] = run


def is_wanted() -> bool:
    """Whether a run is wanted that has not begun."""
    return bool(st.session_state.get(_WANTED))


def begin(key: str, dictionary: Dictionary, model: LanguageModel, setting: Setting) -> None:
    """Starts a run of the dictionary with this key, after stopping the one before. What is wrong raises its error here,
    before anything is queued."""
    batch = view.rows(dictionary, model, view.checked(setting, dictionary))
    want(False)
    stop()
    forget()
    context = get_script_run_ctx()
    live = Live(key, f"steer {visitor()} {uuid4().hex[:8]}", setting, context.session_id if context else "")
    st.session_state[_LIVE] = live
    st.session_state[_SHOWN] = None
    _runs().add(live)
    jobs.start(live.key, "Steering", partial(_write, live, visitor(), dictionary, model, batch))


def forget() -> None:
    """Lets the last run's job go."""
    if (live := current()) is not None:
        jobs.forget(live.key)


def _write(live: Live, who: str, dictionary: Dictionary, model: LanguageModel, batch: Sequence, job: jobs.Job) -> None:
    """The worker: waits for the turn, writes, measures."""

    def ahead(n: int) -> None:
        live.ahead = n
        _look_up(live, job, "waiting")

    with model.turns.take(who, ahead):
        live.ahead = None
        written: list[Written] = []
        with closing(generate(model, batch, live.setting.sampling())) as steps:  # type: ignore[type-var]
            for step in steps:
                if isinstance(step, Step):
                    live.take(step)
                    live.columns = tuple(view.begun(model, live.ids, live.logprob))
                    _look_up(live, job, "writing")
                else:
                    written = step
        live.columns = tuple(view.measured(dictionary, model, batch, written))
        live.measured = True


def _look_up(live: Live, job: jobs.Job, said: str) -> None:
    """Notes how far the work is; raises when it was stopped or nobody is there any more."""
    if live.forsaken:
        job.cancel()
    job.tell(said, len(live.ids[0]) / MOST_TOKENS)


# -- runs that are kept ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Kept:
    """A finished run. name: its dictionary's key. at: seconds since the epoch."""

    name: str
    setting: Setting
    columns: tuple[Column, ...]
    at: float = field(default_factory=time)


def kept() -> list[Kept]:
    """The last runs of this session, newest first."""
    return st.session_state.setdefault(_KEPT, [])


def settle() -> None:
    """Keeps this visitor's run once it is finished; call it when the page is drawn."""
    live = current()
    if live is None or not live.measured or any(one.columns is live.columns for one in kept()):
        return
    st.session_state[_KEPT] = [Kept(live.name, live.setting, live.columns), *kept()][:MOST_KEPT]


def restore(run: Kept) -> None:
    """Shows a kept run again, with its setting."""
    stop()
    forget()
    st.session_state[_LIVE] = None
    st.session_state[_SHOWN] = run
    if run.name != state.current().dictionary:
        state.open_dictionary(run.name, run.setting.regions[0])
    keep(run.setting, ran=True)


def shown(name: str) -> tuple[Setting, tuple[Column, ...], bool] | None:
    """What the columns show of the dictionary with this key: (setting, columns, whether they are finished)."""
    live: Live | None = current()
    if live is not None and live.name == name:
        return live.setting, live.columns, live.measured
    run: Kept | None = st.session_state.get(_SHOWN)
    return None if run is None or run.name != name else (run.setting, run.columns, True)
