"""Dose and response of a steering setting: what a sweep is asked for, and the background job that
makes it.

Results stay with the server by what decides them, so that a setting that was swept once is not
swept again.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from hashlib import blake2b
from pathlib import Path

import streamlit as st

from ep.errors import EPError
from ep.method.dictionary import Dictionary
from ep.models import LanguageModel
from ep.models.answering import OWN, answers
from ep.models.generation import Sampling
from ep.studies.experiment import learn, quality_of
from ep.studies.judging import REFUSAL_PHRASES, Phrases
from ep.studies.llm_judge import REFUSAL, LLMJudge
from ep.studies.prompts import read_prompts
from ep.studies.quality import Answer
from ep.studies.steering import STEERED, Sweep, sweep
from ep.views import steering as view
from ep.views.steering import SHARES, Setting
from pages.shared import jobs, loading, messages, state
from pages.shared.judge import Chosen
from pages.steer import settings, worker

TOKENS = 32
PROMPTS, MOST_PROMPTS = 24, 200
MOST_RESULTS = 32
STEPS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 2.5, 3.0, 4.0)
"""Strengths of a sweep that pushes, in units of the strength to begin with; the last is as far as
the slider goes.
"""
SHARE_STEPS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0)
"""Shares that are taken out; 2 mirrors."""
LINES, COUNT = "steer_sweep_lines", "steer_sweep_count"


@dataclass(frozen=True)
class Plan:
    """What decides a sweep. usual: the strength to begin with. about: which prompts, for people.
    chosen: the judge.
    """

    key: str
    setting: Setting
    usual: float
    prompts: tuple[str, ...]
    about: str
    chosen: Chosen | None

    @property
    def name(self) -> str:
        """Equal for equal sweeps."""
        said = repr(
            (
                loading.fingerprint(self.key),
                self.setting,
                self.usual,
                self.prompts,
                self.chosen and self.chosen.stamp,
            )
        )
        return "steer sweep " + blake2b(said.encode("utf-8", "replace"), digest_size=9).hexdigest()

    @property
    def strengths(self) -> tuple[float, ...]:
        """The strengths that are tried."""
        shares = self.setting.mode in SHARES
        return SHARE_STEPS if shares else tuple(round(step * self.usual, 4) for step in STEPS)

    @property
    def effect(self) -> str:
        """What the judge counts, in a word or two."""
        judge = self.chosen.judge if self.chosen else None
        if isinstance(judge, LLMJudge):
            return "refuses" if judge.what == REFUSAL else "shows it"
        if isinstance(judge, Phrases):
            return "refuses" if judge.phrases == REFUSAL_PHRASES else "has the phrases"
        return "matches"


def reach(mode: str, usual: float) -> float:
    """How far slider and sweep go: twice all of it, or four times the strength to begin with."""
    return SHARE_STEPS[-1] if mode in SHARES else round(STEPS[-1] * usual, 4)


def plan(key: str, dictionary: Dictionary, setting: Setting, chosen: Chosen | None) -> Plan:
    """The sweep of a setting, on the visitor's own prompts, else on the demo's."""
    own = tuple(
        line.strip() for line in str(st.session_state.get(LINES, "")).splitlines() if line.strip()
    )
    prompts, about = (
        (own, "prompts of your own") if own else _demo_prompts(dictionary, setting.mode)
    )
    most = int(st.session_state.get(COUNT, PROMPTS))
    usual = settings.standard(setting)
    return Plan(key, _deciding(setting), usual, prompts[:most], about, chosen)


def _deciding(setting: Setting) -> Setting:
    """The setting without what a sweep does not depend on."""
    return replace(
        setting,
        prompt="",
        chat=False,
        system="",
        strength=1.0,
        tokens=TOKENS,
        temperature=0.0,
        regions=tuple(sorted(setting.regions)),
        reference="centre" if setting.mode == "add" else setting.reference,
        target=setting.target if setting.mode == "swap" else None,
    )


def _demo_prompts(dictionary: Dictionary, mode: str) -> tuple[tuple[str, ...], str]:
    """The demo's own validation prompts, for its dictionaries: harmful ones where something is
    taken out.
    """
    file = Path(str(dictionary.info.get("file") or ""))
    if not file.is_relative_to(loading.DEMO):
        return (), ""
    harmful = mode in SHARES
    texts = _validation(harmful)
    return texts, "harmful prompts" if harmful else "harmless prompts"


@st.cache_data(show_spinner=False)
def _validation(harmful: bool) -> tuple[str, ...]:
    return read_prompts(loading.DEMO / "prompts" / "validation.csv").where(harmful).texts


def found(what: Plan) -> Sweep | None:
    """The result of a sweep that was made before, by anybody."""
    job = jobs.get(what.name)
    if job is not None and job.state == "done":
        _results()[what.name] = job.result
        jobs.forget(what.name)
        while len(_results()) > MOST_RESULTS:
            _results().popitem(last=False)
    return _results().get(what.name)


@st.cache_resource(show_spinner=False)
def _results() -> OrderedDict[str, Sweep]:
    return OrderedDict()


# -- the work --------------------------------------------------------------------------------------


def begin(what: Plan, dictionary: Dictionary) -> None:
    """Starts the sweep and draws the page anew, or says why there is none."""
    try:
        _start(what, dictionary)
    except EPError as error:
        messages.note(messages.sentence(error))
        return
    state.rerun()


def _start(what: Plan, dictionary: Dictionary) -> None:
    model = loading.language_model(dictionary.info)
    setting = replace(what.setting, prompt="-")
    # what is wrong is said before anything is queued
    view.rows(dictionary, model, view.checked(setting, dictionary))
    work = partial(_work, what, dictionary, model, worker.visitor())
    jobs.start(what.name, f"Sweeping {len(what.strengths)} strengths", work)


def _work(
    what: Plan, dictionary: Dictionary, model: LanguageModel, who: str, job: jobs.Job
) -> Sweep:
    """One turn at the model for each strength of each arm, so that others come in between."""
    # what is usual of the model, the default, and both arms at the other strengths
    parts = 2 * len(what.strengths)
    done = 0

    def told(said: str, share: float) -> None:
        job.report(said, (done + share) / parts)

    def answer(prompts: Sequence[str], arm: str, strength: float) -> list[Answer]:
        nonlocal done
        _, _, steered, control = view.variants(
            dictionary, replace(what.setting, strength=strength), model.n_layers
        )
        change = () if strength == 0 else steered if arm == STEERED else control
        said = f"{arm}, strength {strength:g}"
        with model.turns.take(f"{who} sweep", lambda ahead: told(f"{ahead} runs ahead", 0)):
            found = answers(
                model, prompts, change, Sampling(TOKENS), lambda n: told(said, n / len(prompts))
            )
        said_all = [Answer(*one) for one in found]
        learn(what.chosen.judge, said_all, lambda said, share: told(said, share or 0.0))
        done += 1
        return said_all

    with model.turns.take(f"{who} sweep", lambda ahead: told(f"{ahead} runs ahead", 0)):
        sense = quality_of(
            model, what.prompts, TOKENS, lambda n: told("what is usual of the model", n / OWN)
        )
    done += 1
    return sweep(answer, what.prompts, what.chosen.judge, sense, what.strengths)
