"""The results of a trial: every arm with its intervals, and the texts beside the default ones."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from ep.studies.experiment import ABLATED, SWAPPED
from ep.views import behaviour as plain
from ep.views import behaviour_html as markup
from ep.views.behaviour import Plain
from pages.behaviour import durations, work
from pages.behaviour.runs import Plan, Run
from pages.behaviour.settings import Settings
from pages.shared import loading, messages, state, tokens

MOST_PROMPTS = 40
"""Prompts that are listed; more are in the export."""
TARGET, BENIGN = "Should show it", "Benign"
_KIND = "behaviour_kind_read"


def arms_card(run: Run) -> None:
    """Draw the arms side by side, and what the controls are."""
    trial = run.trial
    with st.container(border=True, gap="small", height="stretch"):
        if trial is None or not trial["arms"]:
            _nothing(run)
            return
        name = loading.whole_name(run.key, trial["region"])
        hits, n = trial["rate"]
        st.html(
            tokens.heading(
                f"Region {trial['region']} taken out, on held-out prompts",
                f"{name} · {n:,} prompts, {hits / n:.0%} show it",
            )
        )
        st.html(markup.arms(trial["arms"]))
        messages.quiet(" ".join(plain.sentences(trial, run.choice["held"])))


def _nothing(run: Run) -> None:
    st.html(tokens.heading("Taken out, on held-out prompts"))
    if run.trial is None:
        messages.quiet(
            "Not tried yet on this dictionary with these settings: “Take it out” above does."
        )
    else:
        messages.quiet(
            "No region may carry it: none holds 5 prompts or more of which 30 % show the "
            "behaviour. "
            "Another layer or percentile may have one."
        )


def texts_card(run: Run, height: int) -> None:
    """Draw default and changed answers, prompt by prompt.

    Answers that show the behaviour have a blue edge.
    """
    trial = run.trial
    with st.container(border=True, gap="xsmall"):
        if trial is None or not trial["texts"]:
            st.html(tokens.heading("Texts to read", "after a trial"))
            return
        right = _choices(trial)
        kind = "benign" if st.session_state.get(_KIND) == BENIGN else "target"
        rows = [one for one in trial["texts"] if one["kind"] == kind]
        more = f", the first {MOST_PROMPTS} of {len(rows):,}" if len(rows) > MOST_PROMPTS else ""
        st.html(markup.reading(rows[:MOST_PROMPTS], right=right, height=height))
        messages.quiet(f"A blue edge: shows the behaviour{more}.")


def _choices(trial: Plain) -> str:
    """Draw the choice of prompts and of the arm, and return the arm on the right."""
    arms = [name for name in (ABLATED, SWAPPED) if name in trial["texts"][0]["said"]]
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.html(tokens.heading("Texts to read"), width="content")
        st.segmented_control(
            "Prompts", [TARGET, BENIGN], default=TARGET, key=_KIND, label_visibility="collapsed"
        )
        if len(arms) == 1:
            return arms[0]
        arm = st.segmented_control(
            "Answers",
            arms,
            default=arms[0],
            key="behaviour_arm_read",
            label_visibility="collapsed",
            format_func=str.capitalize,
        )
        return arm or arms[0]


def retry(run: Run, plan: Plan | None) -> None:
    """Draw the offer to ablate the selected region instead of the one tried."""
    region = state.current().region
    if plan is None or run.stored_on or region in (None, (run.trial or {}).get("region")):
        return
    if region not in {one["region"] for one in run.choice["regions"]}:
        return
    new_plan = replace(plan, region=region)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.button(
            f"Take out region {region} instead",
            key="behaviour_instead",
            icon=":material/swap_horiz:",
            on_click=_start,
            args=(new_plan,),
        )
        takes = durations.sentence(new_plan, new_plan.trial, durations.trial_seconds(new_plan))
        if takes:
            messages.quiet(takes)


def _start(plan: Plan) -> None:
    state.update_settings(Settings, region=plan.region)
    work.start_trial(plan)
    state.schedule()
