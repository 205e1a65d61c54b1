"""Behaviour runs: what a visitor requests of a dictionary, and the stored results.

Results belong to the server: two visitors with the same request share them. Their keys change with
everything that a result depends on, and with nothing else.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Literal

import streamlit as st

from ep.demo.behaviour import FILE
from ep.errors import ModelError
from ep.method.dictionary import Basis, Dictionary
from ep.models import model_of
from ep.models.adapters import Named
from ep.models.answering import Length
from ep.studies import experiment
from ep.studies.experiment import Observed, Placement
from ep.views import behaviour as plain
from ep.views.behaviour import Plain
from pages.behaviour.inputs import Inputs
from pages.shared import estimates, jobs, loading


@dataclass(frozen=True, eq=False)
class Plan:
    """A request.

    key, fingerprint: of the open dictionary and of its file.
    region: the one to try; None for the best.
    """

    key: str
    fingerprint: str
    dictionary: Dictionary
    inputs: Inputs
    region: int | None

    @property
    def model(self) -> Named:
        """What the dictionary's model is loaded by; empty where the model is gone."""
        try:
            return model_of(self.dictionary)
        except ModelError:
            return ""

    @property
    def length(self) -> str:
        """The key of the trial that sets the length of the answers."""
        return _result_key("length", self.model, self.inputs.held.choice.texts)

    @property
    def tokens(self) -> int | None:
        """Most tokens of an answer; None where a trial of the model is still to set it."""
        if self.inputs.settings.tokens is not None:
            return self.inputs.settings.tokens
        tried: Length | None = jobs.result(self.length)
        return None if tried is None else tried.tokens

    @property
    def observed(self) -> str:
        """The key of the model's behaviour on the prompts that choose the region."""
        dictionary = self.dictionary
        return _result_key(
            "observed", self.model, dictionary.layer, dictionary.width, self.inputs.digest
        )

    @property
    def choice(self) -> str:
        """The key of where those prompts fall in the dictionary."""
        return _result_key("choice", self.observed, self.fingerprint)

    @property
    def answers(self) -> str:
        """The key of the model's answers to those prompts."""
        return _result_key("answers", self.observed)

    @property
    def trial(self) -> str:
        """The key of the trial of the region, and of the job that runs it."""
        settings = self.inputs.settings
        parts = (self.fingerprint, self.region, settings.swap, settings.wider, settings.basis)
        return _result_key("trial", self.observed, *parts)

    @property
    def streams(self) -> dict[float, str]:
        """The keys of the attempts, and of their jobs, by share of behaving prompts."""
        settings = self.inputs.settings
        parts = (self.observed, settings.seeds, settings.percentile, settings.basis)
        return {share: _result_key("streams", *parts, share) for share in settings.shares}

    @property
    def layers(self) -> str:
        """The key of the sweep over layers, and of its job."""
        settings = self.inputs.settings
        parts = (self.dictionary.layer, settings.percentile, settings.basis)
        return _result_key("layers", self.observed, *parts)


def _result_key(kind: str, *parts: object) -> str:
    digest = blake2b(repr(parts).encode("utf-8", "replace"), digest_size=9).hexdigest()
    return f"behaviour {kind} {digest}"


@dataclass(frozen=True, eq=False)
class Run:
    """The results that are shown.

    key: of the dictionary on which the run was made.
    streams: the attempts by share of behaving prompts.
    stored_on: the date of a stored run; empty for one of this server.
    others: short trials on other dictionaries, in a stored run only.
    answers: to the prompts that the region is chosen on, see `ep.views.behaviour.answers`.
    layers: trials on the prompts' last tokens at several layers; None before they are made.
    demo: the demo whose stored run it is; empty for one of this server.
    basis: the direction taken out in a stored run.
    """

    key: str
    choice: Plain
    trial: Plain | None
    streams: dict[float, list[Plain]]
    stored_on: str = ""
    others: tuple[Plain, ...] = ()
    answers: tuple[Plain, ...] = ()
    layers: tuple[Plain, ...] | None = None
    demo: Literal["", "demo", "real"] = ""
    basis: Basis = "exemplar"


def run_of(plan: Plan) -> Run | None:
    """Return the results of a plan so far; None before its prompts were answered."""
    choice: Plain | None = jobs.result(plan.choice) or _quick_choice(plan)
    if choice is None:
        return None
    streams = {share: jobs.result(name) for share, name in plan.streams.items()}
    attempts = {share: trials for share, trials in streams.items() if trials is not None}
    answers = tuple(jobs.result(plan.answers) or ())
    return Run(
        plan.key,
        choice,
        jobs.result(plan.trial),
        attempts,
        answers=answers,
        layers=jobs.result(plan.layers),
    )


def _quick_choice(plan: Plan) -> Plain | None:
    """Return where the prompts fall, if they are answered and placing them is quick; else None."""
    observed: Observed | None = jobs.result(plan.observed)
    if observed is None:
        return None
    dictionary = plan.dictionary
    if (
        estimates.matrix_products(float(len(observed.x)) * len(dictionary) * dictionary.width)
        > jobs.AT_ONCE_S
    ):
        return None
    return store_choice(plan, observed, experiment.place(dictionary, observed))


def store_choice(plan: Plan, observed: Observed, placement: Placement) -> Plain:
    """Store the prompts' answers and where they fall, for all visitors; return the latter."""
    judge_choice, held = plan.inputs.judge_choice, plan.inputs.held
    choice = plain.choice(observed, held, placement, judge_choice.by_labels, judge_choice.name)
    jobs.put_result(plan.answers, plain.answers(observed))
    jobs.put_result(plan.choice, choice)
    return choice


def demo_run(demo: Literal["demo", "real"]) -> Run | None:
    """Return the stored run of a demo, if both it and its dictionary are installed."""
    path = (loading.REAL if demo == "real" else loading.DEMO) / FILE
    try:
        data = _read(str(path), path.stat().st_mtime_ns)
    except OSError:
        return None
    file_name = Path(data["trial"]["dictionary"]["file"]).name
    entry = next((entry for entry in loading.entries() if entry.path.name == file_name), None)
    if entry is None:
        return None
    return Run(
        entry.key,
        data["choice"],
        data["trial"],
        {trials[0]["share"]: trials for trials in data["streams"] if trials},
        data["made"],
        tuple(data["others"]),
        layers=tuple(data["layers"]),
        demo=demo,
        basis=data["basis"],
    )


@st.cache_resource(show_spinner=False, max_entries=2)
def _read(path: str, modified: int) -> Plain:
    """Read the file of a stored run.

    modified: part of the key of the cache.
    """
    data: Plain = json.loads(Path(path).read_text(encoding="utf-8"))
    return data
