"""Dose and response of a steering setting: what a sweep is asked for, and the job that makes it.

A sweep serves everyone by what decides it, so that a setting that was swept once is not swept
again.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial
from hashlib import blake2b
from typing import TYPE_CHECKING

import streamlit as st

from ep.method.dictionary import Dictionary
from ep.models.answering import OWN, OWN_AT_ONCE
from ep.models.interventions import PUSHING, Mode
from ep.studies.judging import REFUSAL_PHRASES, Phrases
from ep.studies.llm_judge import REFUSAL, LLMJudge
from ep.studies.prompts import read_prompts
from ep.studies.steering import Setting, Sweep, checked, default_strengths, sweep
from ep.studies.steering.sweep import TOKENS
from pages.shared import estimates, jobs, loading, models
from pages.shared.judge import Chosen

if TYPE_CHECKING:
    from ep.models import LanguageModel

PROMPTS, MOST_PROMPTS = 24, 200
LINES, COUNT = "steer_sweep_lines", "steer_sweep_count"


@dataclass(frozen=True)
class Plan:
    """What decides a sweep. about: which prompts, for people. chosen: the judge."""

    key: str
    setting: Setting
    strengths: tuple[float, ...]
    prompts: tuple[str, ...]
    about: str
    chosen: Chosen | None

    @property
    def name(self) -> str:
        """Equal for equal sweeps."""
        judge = self.chosen and self.chosen.stamp
        parts = (loading.fingerprint(self.key), self.setting, self.strengths, self.prompts, judge)
        digest = blake2b(repr(parts).encode("utf-8", "replace"), digest_size=9).hexdigest()
        return f"steer sweep {digest}"

    @property
    def answers(self) -> int:
        """How many answers it takes: each prompt at each strength of both arms, 0 counted once."""
        return len(self.prompts) * (2 * len(self.strengths) - 1)

    @property
    def effect(self) -> str:
        """What the judge counts, in a word or two."""
        judge = self.chosen.judge if self.chosen else None
        if isinstance(judge, LLMJudge):
            return "refuses" if judge.what == REFUSAL else "shows it"
        if isinstance(judge, Phrases):
            return "refuses" if judge.phrases == REFUSAL_PHRASES else "has the phrases"
        return "matches"


def plan(key: str, dictionary: Dictionary, setting: Setting, chosen: Chosen | None) -> Plan:
    """The sweep of a setting, on the visitor's own prompts, else on the demo's."""
    lines = str(st.session_state.get(LINES, "")).splitlines()
    own = tuple(line.strip() for line in lines if line.strip())
    prompts, about = (
        (own, "prompts of your own") if own else _demo_prompts(dictionary, setting.mode)
    )
    most = int(st.session_state.get(COUNT, PROMPTS))
    strengths = strengths_of(key, setting)
    return Plan(key, _deciding(setting), strengths, prompts[:most], about, chosen)


def strengths_of(key: str, setting: Setting) -> tuple[float, ...]:
    """The strengths a sweep of this setting tries; the slider reaches as far as the last."""
    regions = tuple(sorted(setting.regions))
    return _strengths(loading.fingerprint(key), key, replace(_deciding(setting), regions=regions))


@st.cache_data(show_spinner=False, max_entries=500)
def _strengths(fingerprint: str, key: str, setting: Setting) -> tuple[float, ...]:
    """`fingerprint` is part of the cache's key."""
    return default_strengths(loading.dictionary(key), setting)


def _deciding(setting: Setting) -> Setting:
    """The setting without what a sweep does not depend on."""
    return Setting(
        prompt="",
        mode=setting.mode,
        regions=tuple(sorted(setting.regions)),
        basis=setting.basis,
        reference="centre" if setting.mode == "add" else setting.reference,
        target=setting.target if setting.mode == "swap" else None,
        scope=setting.scope,
        layers=setting.layers,
        seed=setting.seed,
    )


def _demo_prompts(dictionary: Dictionary, mode: Mode) -> tuple[tuple[str, ...], str]:
    """The demo's own validation prompts, for its dictionaries: harmful ones where something is
    taken out.
    """
    if not loading.is_demo(dictionary):
        return (), ""
    harmful = mode not in PUSHING
    return _validation(harmful), "harmful prompts" if harmful else "harmless prompts"


@st.cache_data(show_spinner=False)
def _validation(harmful: bool) -> tuple[str, ...]:
    return read_prompts(loading.DEMO / "prompts" / "validation.csv").where(harmful).texts


def result(plan: Plan) -> Sweep | None:
    """The sweep, if anybody has made it."""
    found: Sweep | None = jobs.result(plan.name)
    return found


def seconds(plan: Plan, dictionary: Dictionary) -> float:
    """How long it will take."""
    load = 0.0 if models.is_ready(dictionary) else estimates.loading_model(dictionary)
    answers = estimates.writing(dictionary, plan.answers, TOKENS, len(plan.prompts))
    return load + answers + estimates.writing(dictionary, OWN, TOKENS, OWN_AT_ONCE)


def begin(plan: Plan, dictionary: Dictionary) -> None:
    """Starts the sweep. EPError for what is known to be wrong before the model is asked."""
    checked(plan.setting, dictionary)
    if plan.chosen is not None:
        work = partial(_sweep, plan, dictionary)
        jobs.start(plan.name, f"Sweeping {len(plan.strengths)} strengths", work)


def _sweep(plan: Plan, dictionary: Dictionary, job: jobs.Job) -> Sweep:
    """The work: one turn at the model for each strength of each arm, so that others come in
    between.
    """
    assert plan.chosen is not None
    model = models.load_for(dictionary, job.report)
    return sweep(
        dictionary,
        model,
        plan.setting,
        plan.prompts,
        plan.chosen.judge,
        plan.strengths,
        job.report,
        _turn(job, model),
    )


def _turn(job: jobs.Job, model: LanguageModel) -> Callable[[], AbstractContextManager[None]]:
    return lambda: jobs.turn(job, model)
