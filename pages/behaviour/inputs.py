"""The inputs of a behaviour run: its prompts, its judge and its settings, and their common digest.

Loads no model.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b

import streamlit as st

from ep.studies.held_out import HeldOut
from ep.studies.judging import Judge
from pages.behaviour.prompts import PromptFiles, chosen_prompts, has_lost_own
from pages.behaviour.settings import (
    BASIS_CHOICES,
    LEAST_PERCENTILE,
    LEAST_SHARE,
    LEAST_TOKENS,
    MOST_PERCENTILE,
    MOST_SEEDS,
    MOST_SHARE,
    MOST_TOKENS,
    Settings,
)
from pages.shared import messages, state
from pages.shared.judge import JudgeChoice, chosen_judge


@dataclass(frozen=True)
class Inputs:
    """Everything that a run needs besides dictionary and model.

    digest: of everything that decides which prompts show the behaviour.
    """

    prompts: PromptFiles
    judge_choice: JudgeChoice
    settings: Settings
    digest: str

    @property
    def held(self) -> HeldOut:
        """The prompts, split into those that choose the region and those held out."""
        return self.prompts.held

    @property
    def judge(self) -> Judge:
        """The judge of whether an answer shows the behaviour."""
        return self.judge_choice.judge

    @property
    def reading_judge(self) -> Judge | None:
        """The judge of answers to the prompts that choose; None where their labels decide."""
        return None if self.judge_choice.by_labels else self.judge


def current_inputs(key: str) -> Inputs:
    """Return the present inputs.

    key: of the open dictionary.

    Raises EPError, in one line, where a part of them cannot be used.
    """
    prompts, judge_choice, settings = chosen_prompts(key), chosen_judge(), state.settings(Settings)
    held, digest = prompts.held, blake2b(digest_size=9)
    prompt_parts = (held.choice.texts, held.choice.labels, held.target, held.benign)
    for part in (*prompt_parts, judge_choice.stamp, judge_choice.by_labels, settings.tokens):
        digest.update(repr(part).encode("utf-8", "replace"))
    return Inputs(prompts, judge_choice, settings, digest.hexdigest())


def settings_popover() -> None:
    """Draw the settings: how long answers are, and how the streams are made."""
    settings = state.settings(Settings)
    with (
        st.popover("Settings", icon=":material/tune:", key="behaviour_settings", width="content"),
        st.form("behaviour_numbers", border=False),
        st.container(width=360, gap="small"),
    ):
        tokens = st.number_input(
            "Tokens of an answer, at most",
            LEAST_TOKENS,
            MOST_TOKENS,
            settings.tokens,
            placeholder="from a trial of the model",
            help="Empty: a few of the prompts are answered first, and most of those answers fit",
        )
        basis = st.segmented_control(
            "Direction taken out", BASIS_CHOICES, default=settings.basis, format_func=str.capitalize
        )
        swap = st.toggle("Also swap: put the mean of a quiet region back", settings.swap)
        wider = st.toggle(
            "Also take out a set of regions, and the difference of means", settings.wider
        )
        seeds = st.number_input("Orders of the stream (seeds)", 1, MOST_SEEDS, settings.seeds)
        percentile = st.number_input(
            "Their percentile p", LEAST_PERCENTILE, MOST_PERCENTILE, settings.percentile, step=0.5
        )
        share = st.number_input(
            "Share of behaving prompts their centre is taken from",
            LEAST_SHARE,
            MOST_SHARE,
            settings.share,
            step=0.01,
        )
        if st.form_submit_button("Set"):
            state.update_settings(
                Settings,
                tokens=tokens,
                basis=basis or BASIS_CHOICES[0],
                swap=swap,
                wider=wider,
                seeds=seeds,
                percentile=percentile,
                share=share,
            )
            state.rerun()


def draw_link_notice() -> None:
    """Draw one line where a link refers to prompts that only another visitor's session has."""
    if has_lost_own():
        messages.quiet(
            "This link was made with prompts from a file, which it cannot hold: give that file "
            "again, under Prompts."
        )
