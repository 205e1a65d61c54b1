"""What a behaviour run starts from: its prompts, its judge and its numbers, and what they are
called together.

Settings live in the URL under names of their own. Reads no model.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b

import streamlit as st

from ep.studies.behaviour import BEHAVING_SHARE
from ep.studies.experiment import TOKENS
from ep.studies.holding import Held
from ep.studies.judging import Judge
from pages.behaviour.prompts import DEMO, OWN, OWN_FILES, Given, held, prompts_popover
from pages.shared import state
from pages.shared.judge import Chosen, judge, judge_popover
from pages.shared.tokens import escape

__all__ = [
    "DEMO",
    "Inputs",
    "Numbers",
    "about_link",
    "gathered",
    "held",
    "judge_popover",
    "numbers",
]
__all__ += ["prompts_popover", "settings_popover"]


BASES = ("exemplar", "mean")


@dataclass(frozen=True)
class Numbers:
    """tokens: of an answer. basis: the direction taken out, "exemplar" or "mean"; swap: whether the
    trial has one too.

    seeds, percentile, share: of the streams.
    """

    tokens: int
    seeds: int
    percentile: float
    share: float
    swap: bool
    basis: str


@dataclass(frozen=True)
class Inputs:
    """All a run needs beside dictionary and model. digest: of everything that decides who shows the
    behaviour.
    """

    prompts: Given
    chosen: Chosen
    numbers: Numbers
    digest: str

    @property
    def held(self) -> Held:
        """The prompts, parted."""
        return self.prompts.held

    @property
    def judge(self) -> Judge:
        """What shows the behaviour."""
        return self.chosen.judge


def numbers() -> Numbers:
    """The settings; what a link has wrong counts as the default."""
    return Numbers(
        int(_number("btok", TOKENS, 4, 400)),
        int(_number("bseeds", 4, 1, 16)),
        _number("bpct", 4.0, 0.5, 60.0),
        _number("bshare", BEHAVING_SHARE, 0.01, 0.9),
        state.setting("bswap", "on", ("on", "off")) == "on",
        state.setting("bbasis", BASES[0], BASES),
    )


def _number(name: str, default: float, low: float, high: float) -> float:
    try:
        value = float(state.setting(name, str(default)))
    except ValueError:
        return default
    return value if low <= value <= high else default


def settings_popover(now: Numbers) -> None:
    """How long answers are, and how the streams are made."""
    with (
        st.popover("Settings", icon=":material/tune:", key="behaviour_settings", width="content"),
        st.form("behaviour_numbers", border=False),
        st.container(width=360, gap="small"),
    ):
        tokens = st.number_input("Tokens of an answer, at most", 4, 400, now.tokens)
        basis = st.segmented_control(
            "Direction taken out", BASES, default=now.basis, format_func=str.capitalize
        )
        swap = st.toggle("Also swap: put the mean of a quiet region back", now.swap)
        seeds = st.number_input("Orders of the stream (seeds)", 1, 16, now.seeds)
        percentile = st.number_input("Their percentile p", 0.5, 60.0, now.percentile, step=0.5)
        share = st.number_input(
            "Share of behaving prompts their centre is taken from", 0.01, 0.9, now.share, step=0.01
        )
        if st.form_submit_button("Set"):
            state.keep(
                btok=None if tokens == TOKENS else str(tokens),
                bswap=None if swap else "off",
                bbasis=None if basis in (None, BASES[0]) else basis,
                bseeds=None if seeds == 4 else str(seeds),
                bpct=None if percentile == 4 else f"{percentile:g}",
                bshare=None if share == BEHAVING_SHARE else f"{share:g}",
            )
            state.rerun()


def gathered() -> Inputs:
    """What is set now. EPError in one line when a part of it cannot be."""
    prompts, chosen, now = held(), judge(), numbers()
    parted, whole = prompts.held, blake2b(digest_size=9)
    decides = (parted.choice.texts, parted.choice.labels, parted.target, parted.benign)
    for part in (*decides, chosen.stamp, chosen.by_labels, now.tokens):
        whole.update(repr(part).encode("utf-8", "replace"))
    return Inputs(prompts, chosen, now, whole.hexdigest())


def about_link() -> None:
    """One line when a link asks for prompts that only the session of somebody else has."""
    if state.setting("bset", DEMO, (DEMO, OWN)) == OWN and st.session_state.get(OWN_FILES) is None:
        st.html(
            '<div class="ep-k">'
            + escape(
                "This link was made with prompts from a file, which it cannot hold: the demo's own "
                "are shown."
            )
            + "</div>"
        )
