"""The results of a trial: every arm with its intervals, and the texts beside the default ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import streamlit as st

from ep.studies.arms import ABLATED, DEFAULT, MEANS, SET, SWAPPED
from ep.views import behaviour_html as markup
from ep.views import behaviour_words as words
from ep.views.behaviour import Plain
from pages.behaviour import durations, work
from pages.behaviour.runs import Plan, Run
from pages.behaviour.settings import Settings
from pages.shared import loading, messages, state, tokens

MOST_PROMPTS = 40
"""Prompts that are listed; more are in the export."""
TARGET, BENIGN, CHOICE = "Should show it", "Benign", "Chosen on"
"""Kinds of prompts: held-out ones of two kinds, and those that the region is chosen on."""


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
        messages.quiet(" ".join(words.sentences(trial, run.choice["held"])))


def _nothing(run: Run) -> None:
    st.html(tokens.heading("Taken out, on held-out prompts"))
    if run.trial is not None:
        messages.quiet(words.nothing(run.choice, run.trial))
        return
    messages.quiet(
        words.alike(run.choice)
        or "Not tried yet on this dictionary with these settings: “Take it out” above does."
    )


def texts_card(run: Run, height: int) -> None:
    """Draw the answers prompt by prompt: default and changed ones, and those that chose the region.

    Answers that show the behaviour have a blue edge.
    """
    texts = run.trial["texts"] if run.trial is not None else []
    with st.container(border=True, gap="xsmall"):
        if not texts and not run.answers:
            st.html(tokens.heading("Texts to read", "after a trial"))
            return
        kind, right = _choices(texts, bool(run.answers))
        if kind == CHOICE:
            rows = list(run.answers)
            drawn = markup.replies(rows[:MOST_PROMPTS], height)
        else:
            wanted = "benign" if kind == BENIGN else "target"
            rows = [one for one in texts if one["kind"] == wanted]
            drawn = markup.reading(rows[:MOST_PROMPTS], right=right, height=height)
        more = f", the first {MOST_PROMPTS} of {len(rows):,}" if len(rows) > MOST_PROMPTS else ""
        st.html(drawn)
        messages.quiet(f"A blue edge: shows the behaviour{more}.{_cut(rows)}")


def _cut(rows: Sequence[Plain]) -> str:
    """Return a sentence on the unchanged answers cut at the length limit; empty without any."""
    cut = sum(one["cut"] if "answer" in one else DEFAULT in one.get("cut", ()) for one in rows)
    return (
        f" {cut:,} of {len(rows):,} unchanged answers are cut at the length limit." if cut else ""
    )


def _choices(texts: Sequence[Plain], has_answers: bool) -> tuple[str, str]:
    """Draw the choice of prompts and of the arm, and return both, the arm on the right."""
    kinds = [*((TARGET, BENIGN) if texts else ()), *((CHOICE,) if has_answers else ())]
    arms = [name for name in (ABLATED, SWAPPED, SET, MEANS) if texts and name in texts[0]["said"]]
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.html(tokens.heading("Texts to read"), width="content")
        # the kinds are part of the key, since a stored choice must be one of them
        kind = st.segmented_control(
            "Prompts",
            kinds,
            default=kinds[0],
            key=f"behaviour_kind_read {len(kinds)}",
            label_visibility="collapsed",
        )
        if len(arms) < 2 or kind == CHOICE:
            return kind or kinds[0], next(iter(arms), ABLATED)
        arm = st.segmented_control(
            "Answers",
            arms,
            default=arms[0],
            key="behaviour_arm_read",
            label_visibility="collapsed",
            format_func=str.capitalize,
        )
        return kind or kinds[0], arm or arms[0]


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
