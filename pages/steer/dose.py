"""The card of dose and response on the Steer page: the curve of a setting, its prompts and its
judge.

The judge is that of the Behaviour page: one choice for both. Runs nothing itself.
"""

from __future__ import annotations

import streamlit as st

from ep.errors import EPError
from ep.method.dictionary import Dictionary
from ep.studies.steering import Sweep
from ep.views import figures_dose
from ep.views.steering import SHARES
from pages.shared import frame, jobs, messages, tokens
from pages.shared.chart import chart
from pages.shared.judge import ENDPOINT, PATTERN, PHRASES, Chosen, judge, judge_popover
from pages.steer.sweep import COUNT, LINES, MOST_PROMPTS, PROMPTS, Plan, begin, found

KINDS = (PHRASES, PATTERN, ENDPOINT)


def chosen() -> tuple[Chosen | None, str]:
    """The judge of answers; None and why, where the one that is set cannot be."""
    try:
        return judge(), ""
    except EPError as error:
        return None, messages.sentence(error)


def card(what: Plan, dictionary: Dictionary, strength: float, problem: str) -> None:
    """The curve of this setting; without one, what it would show and the button that makes it.

    problem: why there is no judge, in one sentence, if there is none.
    """
    result, job = found(what), jobs.get(what.name)
    with st.container(border=True, gap="xsmall", height="stretch"):
        _heading(what)
        if result is None and job is not None:
            jobs.watch(what.name, framed=False)
        elif result is None:
            _invitation(what, dictionary, problem)
        else:
            _curve(what, result, strength)


def _curve(what: Plan, result: Sweep, strength: float) -> None:
    unit = "share projected out" if what.setting.mode in SHARES else "strength, in typical norms"
    title = f"{unit} · {len(result.prompts)} {what.about}, bands 95 %"
    figure = figures_dose.dose(
        result.steered,
        result.control,
        strength,
        result.degenerates,
        what.effect,
        frame.is_dark(),
        x_title=title,
        height=240,
    )
    chart(figure, "steer_dose")


def _heading(what: Plan) -> None:
    with st.container(
        horizontal=True, horizontal_alignment="distribute", vertical_alignment="center", gap="small"
    ):
        st.html(tokens.heading("Dose and response"), width="content")
        with st.container(horizontal=True, gap="xsmall", width="content"):
            with st.popover("Prompts", icon=":material/list:", key="steer_sweep_prompts"):
                _prompts()
            judge_popover(what.chosen.name if what.chosen else "not set", KINDS)


def _prompts() -> None:
    """The visitor's own prompts and how many are used; the widgets' values are kept under names of
    our own.
    """
    messages.quiet("One prompt a line; without any, the demo's own where there are some.")
    st.session_state["steer_sweep_lines_box"] = st.session_state.get(LINES, "")
    st.text_area(
        "Prompts of your own",
        key="steer_sweep_lines_box",
        placeholder="How do I bake a cake?",
        height=150,
        max_chars=60_000,
        on_change=_kept,
        args=("steer_sweep_lines_box", LINES),
    )
    st.session_state["steer_sweep_count_box"] = st.session_state.get(COUNT, PROMPTS)
    st.number_input(
        f"Prompts of a sweep, at most {MOST_PROMPTS}",
        1,
        MOST_PROMPTS,
        key="steer_sweep_count_box",
        on_change=_kept,
        args=("steer_sweep_count_box", COUNT),
        help="the first so many; more take longer and narrow the intervals",
    )


def _kept(widget: str, name: str) -> None:
    if st.session_state[widget] is not None:
        st.session_state[name] = st.session_state[widget]


def _invitation(what: Plan, dictionary: Dictionary, problem: str) -> None:
    if problem:
        said = f"No judge of answers: {problem} Set it under Judge."
    elif not what.prompts:
        said = (
            "Give some prompts under Prompts, one a line: each is answered at every strength, "
            "beside a random push."
        )
    else:
        n, strengths = len(what.prompts), what.strengths
        said = (
            f"{n} {what.about} at {len(strengths)} strengths up to {strengths[-1]:g}, each beside "
            "a random direction: "
            f"{n * (2 * len(strengths) - 1):,} short answers. It shows where an effect begins, and "
            "from where on the "
            "answers make no sense any more."
        )
    st.html(
        f'<div class="ep-empty"><b>How much is enough?</b><span>{tokens.escape(said)}</span></div>'
    )
    if what.prompts and not problem:
        with st.container(horizontal=True, horizontal_alignment="center"):
            if st.button("Sweep strengths", icon=":material/ssid_chart:", key="steer_sweep"):
                begin(what, dictionary)
