"""Behaviour runs: what a visitor asks of a dictionary, and what is known of it.

What a model answered and what a trial gave belongs to the server: two visitors who ask the same
share it, by names that change with everything an outcome depends on, and with no more.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import streamlit as st

from ep.demo.behaviour import FILE
from ep.errors import ModelError
from ep.method.dictionary import Dictionary
from ep.models import model_of
from ep.studies import experiment
from ep.studies.experiment import Observed, Placement
from ep.views import behaviour as plain
from ep.views.behaviour import Plain
from pages.behaviour.inputs import Inputs
from pages.shared import estimates, jobs, loading


@dataclass(frozen=True, eq=False)
class Plan:
    """What is asked. key, fingerprint: of the open dictionary and of its file. region: the one
    tried, None for the best.
    """

    key: str
    fingerprint: str
    dictionary: Dictionary
    inputs: Inputs
    region: int | None

    @property
    def model(self) -> str:
        """What the dictionary's model is loaded by; empty where it is gone."""
        try:
            return model_of(self.dictionary)
        except ModelError:
            return ""

    @property
    def observed(self) -> str:
        """The name of what the model does with the prompts of the choice."""
        of = self.dictionary
        return _name("observed", self.model, of.layer, of.width, self.inputs.digest)

    @property
    def choice(self) -> str:
        """The name of where those prompts fall in the dictionary."""
        return _name("choice", self.observed, self.fingerprint)

    @property
    def trial(self) -> str:
        """The name of the trial of the region, and of the job that makes it."""
        now = self.inputs.settings
        parts = (self.fingerprint, self.region, now.swap, now.basis)
        return _name("trial", self.observed, *parts)

    @property
    def streams(self) -> dict[float, str]:
        """The names of the attempts by share of behaving prompts, and of their jobs."""
        now = self.inputs.settings
        parts = (self.observed, now.seeds, now.percentile, now.basis)
        return {share: _name("streams", *parts, share) for share in now.shares}


def _name(kind: str, *parts: object) -> str:
    digest = blake2b(repr(parts).encode("utf-8", "replace"), digest_size=9).hexdigest()
    return f"behaviour {kind} {digest}"


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


def known(plan: Plan) -> Run | None:
    """What has been found out about this dictionary with these inputs; None before the prompts were
    answered.
    """
    choice: Plain | None = jobs.result(plan.choice) or _choice_at_once(plan)
    if choice is None:
        return None
    streams = {share: jobs.result(name) for share, name in plan.streams.items()}
    tried = {share: several for share, several in streams.items() if several is not None}
    return Run(plan.key, choice, jobs.result(plan.trial), tried)


def _choice_at_once(plan: Plan) -> Plain | None:
    """Where the prompts fall, when the model has answered them and finding it out takes no longer
    than a moment.
    """
    observed: Observed | None = jobs.result(plan.observed)
    if observed is None:
        return None
    of = plan.dictionary
    if estimates.products(float(len(observed.x)) * len(of) * of.width) > jobs.AT_ONCE_S:
        return None
    return keep_choice(plan, observed, experiment.place(of, observed))


def keep_choice(plan: Plan, observed: Observed, found: Placement) -> Plain:
    """Keeps where the prompts fall, for everyone."""
    chosen, held = plan.inputs.chosen, plan.inputs.held
    choice = plain.choice(observed, held, found, chosen.by_labels, chosen.name)
    jobs.keep(plan.choice, choice)
    return choice


def stored() -> Run | None:
    """The demo's stored run, when it is there and its dictionary too."""
    path = loading.DEMO / FILE
    try:
        data = _read(str(path), path.stat().st_mtime_ns)
    except OSError:
        return None
    wanted = Path(data["trial"]["dictionary"]["file"]).name
    entry = next((entry for entry in loading.entries() if entry.path.name == wanted), None)
    if entry is None:
        return None
    streams = {several[0]["share"]: several for several in data["streams"] if several}
    return Run(
        entry.key, data["choice"], data["trial"], streams, data["made"], tuple(data["others"])
    )


@st.cache_resource(show_spinner=False, max_entries=2)
def _read(path: str, modified: int) -> Plain:
    """`modified` is part of the cache's key."""
    data: Plain = json.loads(Path(path).read_text(encoding="utf-8"))
    return data
