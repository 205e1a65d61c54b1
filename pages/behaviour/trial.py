"""What a trial gave: every arm with its intervals, and the texts to read, the unchanged model's
beside the others.
"""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from ep.studies.experiment import ABLATED, SWAPPED
from ep.views import behaviour as plain
from ep.views import behaviour_html as markup
from ep.views.behaviour import Plain
from pages.behaviour.work import Run
from pages.shared import messages, state, tokens

SHOWN = 40
"""Prompts to read at once: more are in the export."""
TARGET, BENIGN = "Should show it", "Benign"


def arms_card(run: Run) -> None:
    """The arms side by side, and what the controls are."""
    tried, held = run.trial, run.choice["held"]
    with st.container(border=True, gap="small", height="stretch"):
        if tried is None or not tried["arms"]:
            _nothing(run)
            return
        chip = " ".join(_lens(run, tried["region"]))
        st.html(
            tokens.heading(
                f"Region {tried['region']} taken out, on held-out prompts",
                f"{chip} · {tried['rate'][1]:,} prompts, {tried['rate'][0] / tried['rate'][1]:.0%} "
                "show it",
            )
        )
        st.html(markup.arms(tried["arms"]))
        messages.quiet(" ".join(plain.sentences(tried, held)))


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


def _lens(run: Run, region: int) -> list[str]:
    return next((one["lens"] for one in run.choice["regions"] if one["region"] == region), [])


def texts_card(run: Run, height: int) -> None:
    """Default and changed answers, prompt by prompt; those that show the behaviour have a blue
    edge.
    """
    tried = run.trial
    with st.container(border=True, gap="xsmall"):
        if tried is None or not tried["texts"]:
            st.html(tokens.heading("Texts to read", "after a trial"))
            return
        right = _choices(tried)
        kind = "benign" if st.session_state.get("behaviour_kind_read") == BENIGN else "target"
        rows = [one for one in tried["texts"] if one["kind"] == kind]
        more = f", the first {SHOWN} of {len(rows):,}" if len(rows) > SHOWN else ""
        with st.container(height=height, border=False):
            st.html(markup.reading(rows[:SHOWN], right=right))
        messages.quiet(f"A blue edge: shows the behaviour{more}.")


def _choices(tried: Plain) -> str:
    """Which prompts and which arm; returns the arm on the right."""
    there = [name for name in (ABLATED, SWAPPED) if name in tried["texts"][0]["said"]]
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.html(tokens.heading("Texts to read"), width="content")
        st.segmented_control(
            "Prompts",
            [TARGET, BENIGN],
            default=TARGET,
            key="behaviour_kind_read",
            label_visibility="collapsed",
        )
        if len(there) > 1:
            return (
                st.segmented_control(
                    "Answers",
                    there,
                    default=there[0],
                    key="behaviour_arm_read",
                    label_visibility="collapsed",
                    format_func=str.capitalize,
                )
                or there[0]
            )
    return there[0]


def retry(run: Run, on_try: Callable[[int], None]) -> None:
    """The offer to take out the selected region instead of the one tried."""
    now = state.current()
    tried = (run.trial or {}).get("region")
    holds = {one["region"] for one in run.choice["regions"]}
    if (
        run.stored
        or now.dictionary != run.key
        or now.region in (None, tried)
        or now.region not in holds
    ):
        return
    st.button(
        f"Take out region {now.region} instead",
        key="behaviour_instead",
        icon=":material/swap_horiz:",
        on_click=on_try,
        args=(now.region,),
    )
