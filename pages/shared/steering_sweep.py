"""Dose and response of a steering setting: the sweep as a background job, its curve, and what it says of the slider.

Results stay with the server by what decides them, so that a setting that was swept once is not swept again.
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
from ep.models.answering import answers
from ep.models.generation import Sampling
from ep.studies.experiment import sense_of
from ep.studies.judging import REFUSAL_PHRASES, Phrases
from ep.studies.prompts import read_prompts
from ep.studies.sense import Answer
from ep.studies.steering import STEERED, Sweep, sweep
from ep.views import figures_dose
from ep.views import steering as view
from ep.views.steering import Setting
from pages.shared import frame, jobs, loading, messages, state, steering, tokens
from pages.shared.chart import chart

TOKENS = 32
MOST_PROMPTS = 24
MOST_RESULTS = 32
RANGE = {"add": 4.0, "clamp": 4.0, "ablate": 2.0, "swap": 2.0}
"""How far the slider and the sweep reach, in typical norms; for ablate and swap in shares, 2 mirrors."""
STRENGTHS = {
    4.0: (0.0, 0.1, 0.25, 0.4, 0.55, 0.75, 1.0, 1.5, 2.0, 3.0, 4.0),
    2.0: (0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0),
}
_LINES, _PHRASES = "steer_sweep_lines", "steer_sweep_phrases"


@dataclass(frozen=True)
class Asked:
    """What decides a sweep. about: which prompts, for people."""

    key: str
    setting: Setting
    prompts: tuple[str, ...]
    phrases: tuple[str, ...]
    about: str

    @property
    def name(self) -> str:
        """Equal for equal sweeps."""
        said = repr((loading.fingerprint(self.key), self.setting, self.prompts, self.phrases))
        return "steer sweep " + blake2b(said.encode("utf-8", "replace"), digest_size=9).hexdigest()


def asked(key: str, dictionary: Dictionary, setting: Setting) -> Asked:
    """The sweep of a setting, on the visitor's own prompts and phrases, else on the demo's and those of refusals."""
    own = tuple(line.strip() for line in str(st.session_state.get(_LINES, "")).splitlines() if line.strip())
    phrases = tuple(line.strip() for line in str(st.session_state.get(_PHRASES, "")).splitlines() if line.strip())
    prompts, about = (own[:MOST_PROMPTS], "prompts of your own") if own else _demo_prompts(dictionary, setting.mode)
    return Asked(key, _deciding(setting), prompts, phrases, about)


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
        regions=setting.used,
        reference="centre" if setting.mode == "add" else setting.reference,
        target=setting.target if setting.mode == "swap" else None,
    )


def _demo_prompts(dictionary: Dictionary, mode: str) -> tuple[tuple[str, ...], str]:
    """The demo's own validation prompts, for its dictionaries: harmful ones where something is taken out."""
    file = Path(str(dictionary.info.get("file") or ""))
    if not file.is_relative_to(loading.DEMO):
        return (), ""
    harmful = mode in view.SPANNING
    texts = _validation(harmful)
    return texts[:MOST_PROMPTS], "harmful prompts" if harmful else "harmless prompts"


@st.cache_data(show_spinner=False)
def _validation(harmful: bool) -> tuple[str, ...]:
    return read_prompts(loading.DEMO / "prompts" / "validation.csv").where(harmful).texts


def found(what: Asked) -> Sweep | None:
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


def first_effect(result: Sweep) -> float | None:
    """The smallest strength whose effect lies clearly off that of the unchanged model; None when none does."""
    none = result.steered[0].effect.interval
    for dose in result.steered[1:]:
        span = dose.effect.interval
        if none and span and (span[0] > none[1] or span[1] < none[0]):
            return dose.strength
    return None


# -- the work ----------------------------------------------------------------------------------------------------------


def _begin(what: Asked, dictionary: Dictionary) -> None:
    """Starts the sweep and draws the page anew, or says why there is none."""
    try:
        _start(what, dictionary)
    except EPError as error:
        messages.note(messages.sentence(error))
        return
    state.rerun()


def _start(what: Asked, dictionary: Dictionary) -> None:
    model = loading.language_model(dictionary.info)
    setting = replace(what.setting, prompt="-")
    view.rows(dictionary, model, view.checked(setting, dictionary))  # what is wrong is said before anything is queued
    work = partial(_work, what, dictionary, model, steering.visitor())
    jobs.start(what.name, f"Sweeping {len(_strengths(what.setting))} strengths", work)


def _strengths(setting: Setting) -> tuple[float, ...]:
    return STRENGTHS[RANGE[setting.mode]]


def _work(what: Asked, dictionary: Dictionary, model: LanguageModel, who: str, job: jobs.Job) -> Sweep:
    """One turn at the model for each strength of each arm, so that others come in between."""
    arms = 2 * len(_strengths(what.setting)) - 1
    done = 0

    def told(said: str, share: float) -> None:
        job.tell(said, (done + share) / arms)

    def answer(prompts: Sequence[str], arm: str, strength: float) -> list[Answer]:
        nonlocal done
        _, _, steered, control = view.variants(dictionary, replace(what.setting, strength=strength), model.n_layers)
        change = () if strength == 0 else steered if arm == STEERED else control
        said = f"{arm}, strength {strength:g}"
        with model.turns.take(f"{who} sweep", lambda ahead: told(f"{ahead} runs ahead", 0)):
            found = answers(model, prompts, change, Sampling(TOKENS), lambda n: told(said, n / len(prompts)))
        done += 1
        return [Answer(*one) for one in found]

    with model.turns.take(f"{who} sweep", lambda ahead: told(f"{ahead} runs ahead", 0)):
        sense = sense_of(model, what.prompts, TOKENS, lambda _: told("what is usual of the model", 0))
    judge = Phrases(what.phrases or REFUSAL_PHRASES)
    return sweep(answer, what.prompts, judge, sense, _strengths(what.setting))


# -- the card ----------------------------------------------------------------------------------------------------------


def card(what: Asked, dictionary: Dictionary, strength: float) -> None:
    """The curve of this setting; without one, what it would show and the button that makes it."""
    result, job = found(what), jobs.get(what.name)
    if result is None and job is not None:
        jobs.watch(what.name)
        return
    with st.container(border=True, gap="xsmall", height="stretch"):
        if result is None:
            _invitation(what, dictionary)
            return
        _heading(f"{len(result.prompts)} {what.about}, 95 % intervals")
        effect = "has your phrases" if what.phrases else "refuses"
        title = "share projected out" if what.setting.mode in view.SPANNING else "strength, in typical norms"
        figure = figures_dose.dose(
            result.steered, result.control, strength, result.degenerates, effect, frame.is_dark(),
            x_title=title, height=268,
        )  # fmt: skip
        chart(figure, "steer_dose")


def _heading(about: str) -> None:
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center", gap="small"):
        st.html(tokens.heading("Dose and response", about), width="content")
        with st.popover("Prompts", type="tertiary", key="steer_sweep_prompts"):
            _inputs()


def _inputs() -> None:
    """The visitor's own prompts and phrases; the widgets' values are kept under names of our own."""
    messages.quiet("One prompt a line; without any, the demo's own where there are some.")
    fields = ((_LINES, "Prompts", "How do I bake a cake?"), (_PHRASES, "Phrases that count", "I cannot"))
    for name, label, example in fields:
        shown = f"{name}_box"
        st.session_state[shown] = st.session_state.get(name, "")
        st.text_area(label, key=shown, placeholder=example, height=96, max_chars=20_000, on_change=_kept, args=(name,))
    messages.quiet("Phrases are looked for near the start of an answer; without any, those of refusals.")


def _kept(name: str) -> None:
    st.session_state[name] = st.session_state[f"{name}_box"]


def _invitation(what: Asked, dictionary: Dictionary) -> None:
    _heading("not swept yet for this setting")
    if what.prompts:
        said = (
            f"{len(what.prompts)} {what.about} at {len(_strengths(what.setting))} strengths up to "
            f"{_strengths(what.setting)[-1]:g}, each beside a random direction. It shows where an effect begins, and "
            "from where on the answers make no sense any more."
        )
        st.html(f'<div class="ep-empty"><b>How much is enough?</b><span>{tokens.escape(said)}</span></div>')
        with st.container(horizontal=True, horizontal_alignment="center"):
            if st.button("Sweep strengths", icon=":material/ssid_chart:", key="steer_sweep"):
                _begin(what, dictionary)
    else:
        said = "Give some prompts under Prompts, one a line: each is answered at every strength, beside a random push."
        st.html(f'<div class="ep-empty"><b>How much is enough?</b><span>{tokens.escape(said)}</span></div>')
