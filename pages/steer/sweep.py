"""Dose and response of a steering setting: the plan of a sweep, and the job that runs it.

A result serves all visitors whose plan is equal, so that no setting is swept twice.
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
from pages.shared.judge import JudgeChoice

if TYPE_CHECKING:
    from ep.models import LanguageModel

PROMPTS, MOST_PROMPTS = 24, 200
LINES, COUNT = "steer_sweep_lines", "steer_sweep_count"


@dataclass(frozen=True)
class Plan:
    """Everything that decides the result of a sweep.

    key: of the dictionary.
    about: which prompts, for people.
    judge: None where the chosen one cannot be used.
    """

    key: str
    setting: Setting
    strengths: tuple[float, ...]
    prompts: tuple[str, ...]
    about: str
    judge: JudgeChoice | None

    @property
    def name(self) -> str:
        """Name of the job and its result; equal for equal sweeps."""
        stamp = self.judge and self.judge.stamp
        parts = (loading.fingerprint(self.key), self.setting, self.strengths, self.prompts, stamp)
        digest = blake2b(repr(parts).encode("utf-8", "replace"), digest_size=9).hexdigest()
        return f"steer sweep {digest}"

    @property
    def answers(self) -> int:
        """Number of answers: each prompt at each strength of both arms, strength 0 counted once."""
        return len(self.prompts) * (2 * len(self.strengths) - 1)

    @property
    def effect(self) -> str:
        """What the judge counts, in a word or two."""
        judge = self.judge.judge if self.judge else None
        if isinstance(judge, LLMJudge):
            return "refuses" if judge.what == REFUSAL else "shows it"
        if isinstance(judge, Phrases):
            return "refuses" if judge.phrases == REFUSAL_PHRASES else "has the phrases"
        return "matches"


def plan(key: str, dictionary: Dictionary, setting: Setting, judge: JudgeChoice | None) -> Plan:
    """Return the plan of a sweep of a setting, on the visitor's own prompts or else the demo's."""
    lines = str(st.session_state.get(LINES, "")).splitlines()
    own = tuple(line.strip() for line in lines if line.strip())
    prompts, about = (
        (own, "prompts of your own") if own else _demo_prompts(dictionary, setting.mode)
    )
    most = int(st.session_state.get(COUNT, PROMPTS))
    strengths = strengths_of(key, setting)
    return Plan(key, _relevant(setting), strengths, prompts[:most], about, judge)


def strengths_of(key: str, setting: Setting) -> tuple[float, ...]:
    """Return the strengths that a sweep of this setting tries; the slider ends at the last."""
    regions = tuple(sorted(setting.regions))
    return _strengths(loading.fingerprint(key), key, replace(_relevant(setting), regions=regions))


@st.cache_data(show_spinner=False, max_entries=500)
def _strengths(fingerprint: str, key: str, setting: Setting) -> tuple[float, ...]:
    """Return the strengths.

    fingerprint: part of the key of the cache.
    """
    return default_strengths(loading.dictionary(key), setting)


def _relevant(setting: Setting) -> Setting:
    """Return the setting without the parts on which a sweep does not depend."""
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
    """Return the demo's own validation prompts, and what they are, for its dictionaries.

    They are harmful for modes that ablate, harmless for modes that push.
    """
    if not loading.is_demo(dictionary):
        return (), ""
    harmful = mode not in PUSHING
    return _validation_prompts(harmful), "harmful prompts" if harmful else "harmless prompts"


@st.cache_data(show_spinner=False)
def _validation_prompts(harmful: bool) -> tuple[str, ...]:
    return read_prompts(loading.DEMO / "prompts" / "validation.csv").where(harmful).texts


def result(plan: Plan) -> Sweep | None:
    """Return the result of a plan, if any visitor has run it."""
    stored: Sweep | None = jobs.result(plan.name)
    return stored


def seconds(plan: Plan, dictionary: Dictionary) -> float:
    """Estimate how long the sweep takes, in seconds."""
    load = 0.0 if models.is_ready(dictionary) else estimates.loading_model(dictionary)
    answers = estimates.writing(dictionary, plan.answers, TOKENS, len(plan.prompts))
    return load + answers + estimates.writing(dictionary, OWN, TOKENS, OWN_AT_ONCE)


def start(plan: Plan, dictionary: Dictionary) -> None:
    """Start the sweep.

    Raises EPError for what is known to be wrong before the model is loaded.
    """
    checked(plan.setting, dictionary)
    if plan.judge is not None:
        work = partial(_sweep, plan, dictionary)
        jobs.start(plan.name, f"Sweeping {len(plan.strengths)} strengths", work)


def _sweep(plan: Plan, dictionary: Dictionary, job: jobs.Job) -> Sweep:
    """Run the sweep in a job.

    It takes one turn at the model for each strength of each arm, so that other visitors get turns
    in between.
    """
    assert plan.judge is not None
    model = models.load_for(dictionary, job.report)
    return sweep(
        dictionary,
        model,
        plan.setting,
        plan.prompts,
        plan.judge.judge,
        plan.strengths,
        job.report,
        _turn(job, model),
        warn=False,
    )


def _turn(job: jobs.Job, model: LanguageModel) -> Callable[[], AbstractContextManager[None]]:
    return lambda: jobs.model_turn(job, model)
