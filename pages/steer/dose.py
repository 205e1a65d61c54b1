"""The card of dose and response on the Steer page: the curve of a setting, its prompts, its judge.

The judge is the one of the Behaviour page, so there is one choice for both. Runs nothing itself.
"""

from __future__ import annotations

import streamlit as st

from ep.errors import EPError
from ep.method.dictionary import Dictionary
from ep.models.interventions import PUSHING
from ep.studies.steering import Sweep
from ep.views import figures_dose
from pages.shared import estimates, frame, jobs, messages, state, tokens
from pages.shared.chart import chart
from pages.shared.controls import value_widget
from pages.shared.judge import ENDPOINT, PATTERN, PHRASES, JudgeChoice, chosen_judge, judge_popover
from pages.steer import sweep
from pages.steer.sweep import COUNT, LINES, MOST_PROMPTS, PROMPTS, Plan

KINDS = (PHRASES, PATTERN, ENDPOINT)


def current_judge() -> tuple[JudgeChoice | None, str]:
    """Return the judge of answers; where the chosen one cannot be used, None and the reason."""
    try:
        return chosen_judge(), ""
    except EPError as error:
        return None, messages.sentence(error)


def card(plan: Plan, dictionary: Dictionary, strength: float, problem: str) -> None:
    """Draw the curve of this setting; without one, what it would show and the button that computes
    it.

    problem: the reason, in one sentence, if there is no judge.
    """
    job, result = jobs.own_job(plan.name), sweep.result(plan)
    with st.container(border=True, gap="xsmall", height="stretch"):
        _heading(plan)
        if result is not None:
            _curve(plan, result, strength)
        elif job is not None and job.state != "done":
            jobs.watch(plan.name, framed=False)
        else:
            _offer(plan, dictionary, problem)


def _curve(plan: Plan, result: Sweep, strength: float) -> None:
    pushes = plan.setting.mode in PUSHING
    unit = "strength, in typical norms" if pushes else "share projected out"
    figure = figures_dose.dose(
        result.steered,
        result.control,
        strength,
        result.degenerates,
        plan.effect,
        frame.is_dark(),
        x_title=f"{unit} · {len(result.prompts)} {plan.about}, bands 95 %",
        height=240,
    )
    chart(figure, "steer_dose")


def _heading(plan: Plan) -> None:
    with st.container(
        horizontal=True, horizontal_alignment="distribute", vertical_alignment="center", gap="small"
    ):
        st.html(tokens.heading("Dose and response"), width="content")
        with st.container(horizontal=True, gap="xsmall", width="content"):
            with st.popover("Prompts", icon=":material/list:", key="steer_sweep_prompts"):
                _prompts()
            judge_popover(plan.judge.name if plan.judge else "not set", KINDS)


def _prompts() -> None:
    """Draw the boxes for a visitor's own prompts and their number; only the session keeps them."""
    messages.quiet("One prompt a line; without any, the demo's own where there are some.")
    value_widget(
        st.text_area,
        "steer_sweep_lines_box",
        "Prompts of your own",
        st.session_state.get(LINES, ""),
        lambda lines: st.session_state.update({LINES: lines}),
        placeholder="How do I bake a cake?",
        height=150,
        max_chars=60_000,
    )
    value_widget(
        st.number_input,
        "steer_sweep_count_box",
        f"Prompts of a sweep, at most {MOST_PROMPTS}",
        st.session_state.get(COUNT, PROMPTS),
        lambda count: st.session_state.update({COUNT: count}),
        1,
        MOST_PROMPTS,
        help="the first so many; more take longer and narrow the intervals",
    )


def _offer(plan: Plan, dictionary: Dictionary, problem: str) -> None:
    ready = bool(plan.prompts) and not problem
    if problem:
        text = f"No judge of answers: {problem} Set it under Judge."
    elif not plan.prompts:
        text = (
            "Give some prompts under Prompts, one a line: each is answered at every strength, "
            "beside a random push."
        )
    else:
        takes = estimates.duration_text(sweep.seconds(plan, dictionary))
        text = (
            f"{len(plan.prompts)} {plan.about} at {len(plan.strengths)} strengths up to "
            f"{plan.strengths[-1]:g}, each beside a random direction: {plan.answers:,} short "
            "answers. It shows where an effect begins, and from where on the answers are no longer "
            f"coherent. It takes {takes}."
        )
    st.html(
        f'<div class="ep-empty"><b>How much is enough?</b><span>{tokens.escape(text)}</span></div>'
    )
    if ready:
        with st.container(horizontal=True, horizontal_alignment="center"):
            st.button(
                "Sweep strengths",
                icon=":material/ssid_chart:",
                key="steer_sweep",
                on_click=_start,
                args=(plan, dictionary),
            )


def _start(plan: Plan, dictionary: Dictionary) -> None:
    try:
        sweep.start(plan, dictionary)
    except EPError as error:
        state.note(messages.sentence(error))
