"""Behaviour runs: what is known already, by what was asked, and the jobs that find out more.

What a model answers and what a trial gave belongs to the server: two visitors who ask the same
share it. The newest are kept. The work itself waits for its turn at the model and never calls
Streamlit.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from threading import Lock
from typing import Any
from uuid import uuid4

import streamlit as st

from ep.demo.behaviour import FILE
from ep.method.dictionary import Dictionary
from ep.models import LanguageModel
from ep.studies import experiment
from ep.studies.experiment import Bench, Observed
from ep.views import behaviour as plain
from ep.views.behaviour import Plain
from pages.behaviour.inputs import Inputs
from pages.shared import jobs, loading

KEPT = 24
HALF = 0.5
READING = 0.3
"""Share of a run's bar that goes to the prompts of the choice."""


class Kept:
    """The newest outcomes by name, for all visitors."""

    def __init__(self) -> None:
        self._things: OrderedDict[str, Any] = OrderedDict()
        self._lock = Lock()

    def get(self, name: str) -> Any:
        with self._lock:
            if name in self._things:
                self._things.move_to_end(name)
            return self._things.get(name)

    def put(self, name: str, thing: Any) -> Any:
        with self._lock:
            self._things[name] = thing
            while len(self._things) > KEPT:
                self._things.popitem(last=False)
        return thing


@st.cache_resource(show_spinner=False)
def kept() -> Kept:
    """This server's."""
    return Kept()


@dataclass(frozen=True)
class Names:
    """What the parts of a run are kept by: each changes with everything its outcome depends on, and
    with no more.
    """

    observed: str
    trial: str
    streams: dict[float, str]


def names(key: str, dictionary: Dictionary, inputs: Inputs, region: int | None) -> Names:
    """The names for an open dictionary, the inputs and the region tried (None: the best)."""
    where = f"{loading.model_path(dictionary.info)}|{dictionary.info.get('layer')}"
    observed = _digest("observed", where, inputs.digest)
    trial = _digest(
        "trial",
        observed,
        loading.fingerprint(key),
        region,
        inputs.numbers.swap,
        inputs.numbers.basis,
    )
    now = inputs.numbers
    shares = dict.fromkeys((now.share, HALF))
    streams = {
        share: _digest("streams", observed, now.seeds, now.percentile, now.basis, share)
        for share in shares
    }
    return Names(observed, trial, streams)


def _digest(*parts: object) -> str:
    return blake2b(repr(parts).encode("utf-8", "replace"), digest_size=9).hexdigest()


@dataclass(frozen=True, eq=False)
class Run:
    """What is shown. key: of the dictionary it was made on. stored: the date of a stored run, empty
    for one of now.

    streams: the attempts by share of behaving prompts. others: short trials on other dictionaries
    (stored run only).
    """

    key: str
    choice: Plain
    trial: Plain | None
    streams: dict[float, list[Plain]]
    stored: str = ""
    others: tuple[Plain, ...] = ()


def known(key: str, dictionary: Dictionary, inputs: Inputs, at: Names) -> Run | None:
    """What has been found out about this dictionary with these inputs; None before the prompts were
    answered.
    """
    store = kept()
    seen: Observed | None = store.get(at.observed)
    if seen is None:
        return None
    name = _digest("choice", at.observed, loading.fingerprint(key))
    choice = store.get(name) or store.put(
        name,
        plain.choice(
            seen,
            inputs.held,
            experiment.find(dictionary, seen),
            inputs.chosen.by_labels,
            inputs.chosen.name,
        ),
    )
    streams = {
        share: found for share, name in at.streams.items() if (found := store.get(name)) is not None
    }
    return Run(key, choice, store.get(at.trial), streams)


def stored() -> Run | None:
    """The demo's stored run, when it is there and its dictionary too."""
    path = loading.DEMO / FILE
    try:
        data = _read(str(path), path.stat().st_mtime_ns)
    except OSError:
        return None
    wanted = data["trial"]["dictionary"]["file"]
    entry = next(
        (entry for entry in loading.entries() if entry.path.name == Path(wanted).name), None
    )
    if entry is None:
        return None
    streams = {several[0]["share"]: several for several in data["streams"] if several}
    return Run(
        entry.key, data["choice"], data["trial"], streams, data["made"], tuple(data["others"])
    )


@st.cache_resource(show_spinner=False, max_entries=2)
def _read(path: str, modified: int) -> Plain:
    return json.loads(Path(path).read_text(encoding="utf-8"))


# -- the work --------------------------------------------------------------------------------------


def start_trial(
    key: str, dictionary: Dictionary, inputs: Inputs, at: Names, region: int | None
) -> None:
    """Starts what is missing of: the prompts' answers, and the trial of a region (None: the best)
    with its controls.
    """
    model, layer, store = *_model(dictionary), kept()

    def work(job: jobs.Job) -> None:
        with job_turn(job, model, who):
            seen = _seen(job, model, inputs, layer, at, store)
            found = experiment.find(dictionary, seen)
            mode = (
                "swap"
                if inputs.numbers.swap and experiment.quiet_region(found.scored) is not None
                else "ablate"
            )
            bench = _bench(model, inputs)
            done = bench.attempt(found, region, mode, report=_later(job, READING))
            store.put(at.trial, plain.trial(done, inputs.held, inputs.judge))

    who = visitor()
    jobs.start(job_name(at.trial), "Taking it out, on held-out prompts", work)


def start_streams(dictionary: Dictionary, inputs: Inputs, at: Names, share: float) -> None:
    """Starts the attempts on the prompts' own dictionaries, with the centre from `share` behaving
    prompts.
    """
    model, layer, store, now = *_model(dictionary), kept(), inputs.numbers

    def work(job: jobs.Job) -> None:
        with job_turn(job, model, who):
            seen = _seen(job, model, inputs, layer, at, store)
            bench = _bench(model, inputs)
            report = _later(job, READING)
            done = [
                plain.trial(one, inputs.held, inputs.judge, 0)
                for one in experiment.repeat(
                    bench, seen, now.seeds, now.percentile, share, report=report
                )
            ]
            store.put(at.streams[share], done)

    who = visitor()
    jobs.start(
        job_name(at.streams[share]), f"{now.seeds} orders of the stream, {share:.0%} behaving", work
    )


def _bench(model: LanguageModel, inputs: Inputs) -> Bench:
    return Bench(model, inputs.held, inputs.judge, inputs.numbers.tokens, inputs.numbers.basis)


def job_name(name: str) -> str:
    """The key of the job that makes the outcome called `name`."""
    return f"behaviour {name}"


def job_turn(job: jobs.Job, model: LanguageModel, who: str) -> Any:
    """The turn at the model, for the length of a job; waiting is told, and cancel ends it."""
    return model.turns.take(
        who, lambda ahead: job.report(f"waiting, {ahead} run{'s' if ahead != 1 else ''} before it")
    )


def visitor() -> str:
    """What this visitor is called in the queue."""
    return st.session_state.setdefault("behaviour_visitor", uuid4().hex)


def _model(dictionary: Dictionary) -> tuple[LanguageModel, int]:
    model = loading.language_model(dictionary.info)
    return model, experiment.check_model(model, dictionary)


def _seen(
    job: jobs.Job, model: LanguageModel, inputs: Inputs, layer: int, at: Names, store: Kept
) -> Observed:
    """What the model does with the prompts of the choice, found out unless it is known."""
    seen = store.get(at.observed)
    if seen is None:
        judge = None if inputs.chosen.by_labels else inputs.judge
        report = _later(job, 0.0, READING)
        seen = experiment.observe(
            model, inputs.held.choice, layer, judge, inputs.numbers.tokens, report
        )
        store.put(at.observed, seen)
    return seen


def _later(job: jobs.Job, start: float, end: float = 1.0) -> Callable[[str, float | None], None]:
    """A part of a job's bar."""
    return lambda said, share: job.report(said, start + (end - start) * (share or 0.0))
