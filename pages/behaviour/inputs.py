"""What a behaviour run starts from: its prompts, its judge and its settings, and what they are
called together. Reads no model.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b

import streamlit as st

from ep.studies.held_out import HeldOut
from ep.studies.judging import Judge
from pages.behaviour.prompts import PromptFiles, chosen_prompts, own_prompts
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
from pages.shared.judge import Chosen, judge


@dataclass(frozen=True)
class Inputs:
    """All a run needs beside dictionary and model. digest: of everything that decides who shows the
    behaviour.
    """

    prompts: PromptFiles
    chosen: Chosen
    settings: Settings
    digest: str

    @property
    def held(self) -> HeldOut:
        """The prompts, parted."""
        return self.prompts.held

    @property
    def judge(self) -> Judge:
        """What shows the behaviour."""
        return self.chosen.judge

    @property
    def reading_judge(self) -> Judge | None:
        """What reads the answers to the prompts of the choice; None where their labels decide."""
        return None if self.chosen.by_labels else self.judge


def gathered() -> Inputs:
    """What is set now. EPError in one line when a part of it cannot be."""
    prompts, chosen, now = chosen_prompts(), judge(), state.settings(Settings)
    held, digest = prompts.held, blake2b(digest_size=9)
    decides = (held.choice.texts, held.choice.labels, held.target, held.benign)
    for part in (*decides, chosen.stamp, chosen.by_labels, now.tokens):
        digest.update(repr(part).encode("utf-8", "replace"))
    return Inputs(prompts, chosen, now, digest.hexdigest())


def settings_popover() -> None:
    """How long answers are, and how the streams are made."""
    now = state.settings(Settings)
    with (
        st.popover("Settings", icon=":material/tune:", key="behaviour_settings", width="content"),
        st.form("behaviour_numbers", border=False),
        st.container(width=360, gap="small"),
    ):
        tokens = st.number_input(
            "Tokens of an answer, at most", LEAST_TOKENS, MOST_TOKENS, now.tokens
        )
        basis = st.segmented_control(
            "Direction taken out", BASIS_CHOICES, default=now.basis, format_func=str.capitalize
        )
        swap = st.toggle("Also swap: put the mean of a quiet region back", now.swap)
        seeds = st.number_input("Orders of the stream (seeds)", 1, MOST_SEEDS, now.seeds)
        percentile = st.number_input(
            "Their percentile p", LEAST_PERCENTILE, MOST_PERCENTILE, now.percentile, step=0.5
        )
        share = st.number_input(
            "Share of behaving prompts their centre is taken from",
            LEAST_SHARE,
            MOST_SHARE,
            now.share,
            step=0.01,
        )
        if st.form_submit_button("Set"):
            state.keep(
                Settings,
                tokens=tokens,
                basis=basis or BASIS_CHOICES[0],
                swap=swap,
                seeds=seeds,
                percentile=percentile,
                share=share,
            )
            state.rerun()


def about_link() -> None:
    """One line when a link asks for prompts that only the session of somebody else has."""
    if state.settings(Settings).prompts == "own" and own_prompts() is None:
        messages.quiet(
            "This link was made with prompts from a file, which it cannot hold: the demo's own "
            "are shown."
        )
