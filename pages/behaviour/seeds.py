"""The card of several orders of one stream, which shows whether a result is due to a lucky order.

It also shows the effect of a half-behaving centre.
"""

from __future__ import annotations

import streamlit as st

from ep.views import behaviour_html as markup
from ep.views.behaviour import Plain, verdict
from ep.views.behaviour_words import alike
from pages.behaviour import durations, work
from pages.behaviour.runs import Plan, Run
from pages.behaviour.settings import HALF, Settings
from pages.shared import messages, state, tokens
from pages.shared.controls import value_widget

PUBLISHED = (
    "Published for Gemma-2-2B-it, layer 20 (appendix table 3 as quoted by EPDashboard): at every p "
    "where ablating the "
    "exemplar works at all, about half of the four seeds do nothing."
)


def card(run: Run, plan: Plan | None) -> None:
    """Draw one row per seed, for one share of behaving prompts at a time.

    plan: the present request; None where the inputs cannot be used.
    """
    shares = list(run.streams) if run.stored_on else []
    with st.container(border=True, gap="small"):
        share = _head(shares or list(state.settings(Settings).shares))
        left, right = st.columns([15, 8], gap="medium")
        attempts = run.streams.get(share)
        with left:
            if attempts is None:
                messages.quiet(
                    f"Not tried yet with {share:.0%} behaving prompts in the centre's stream."
                )
            else:
                st.html(markup.seeds(attempts))
        with right:
            for text in explanation(run.streams):
                st.html(f'<div class="ep-k" style="opacity:.8">{tokens.escape(text)}</div>')
            # where all prompts behave alike, no order of the stream has two kinds of them
            if plan is not None and not run.stored_on and not alike(run.choice):
                _button(plan, share, is_tried=attempts is not None)


def _button(plan: Plan, share: float, is_tried: bool) -> None:
    name = f"Try {plan.inputs.settings.seeds} orders at {share:.0%}"
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.button(
            f"Tried at {share:.0%}" if is_tried else name,
            key="behaviour_streams",
            icon=":material/shuffle:",
            disabled=is_tried,
            on_click=work.start_streams,
            args=(plan, share),
        )
        takes = durations.sentence(plan, plan.streams[share], durations.streams_seconds(plan))
        if takes and not is_tried:
            messages.quiet(takes)


def _head(shares: list[float]) -> float:
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.html(
            tokens.heading(
                "Other orders of the stream",
                "dictionaries of these prompts alone; behaving prompts in the centre's stream:",
            ),
            width="content",
        )
        is_half = state.settings(Settings).half and HALF in shares
        share = HALF if is_half else shares[0]
        value_widget(
            st.segmented_control,
            "behaviour_share",
            "Share of behaving prompts",
            share,
            lambda new: state.update_settings(Settings, half=new == HALF),
            shares,
            format_func=lambda share: f"{share:.0%}",
            required=True,
            label_visibility="collapsed",
        )
    return share


def explanation(streams: dict[float, list[Plain]]) -> list[str]:
    """Return what the two centres show and what was published, in sentences.

    The counts are those of this run.
    """
    sentences = [
        "Ablating projects the stream onto the centre along one direction: it parks the model "
        "there. A centre taken "
        "from a half-behaving stream lies half-way to the behaviour, and a parked model keeps "
        "showing it."
    ]
    counts = []
    for share, attempts in sorted(streams.items()):
        n = sum(verdict(attempt) == "works" for attempt in attempts)
        counts.append(
            f"with {share:.0%} behaving prompts {n} of {len(attempts)} seeds lower it by half or "
            "more and comply"
        )
    if counts:
        sentences.append(f"Here {'; '.join(counts)}.{_sizes(streams)}")
    return [*sentences, PUBLISHED]


def _sizes(streams: dict[float, list[Plain]]) -> str:
    """Return a sentence on how many prompts the found regions hold, where two shares were tried.

    A smaller θ splits the prompts among more regions.
    """
    held = {
        share: [attempt["rate"][1] for attempt in attempts if attempt["rate"]]
        for share, attempts in sorted(streams.items())
    }
    if len(held) < 2 or not all(held.values()):
        return ""
    parts = [f"{min(n):,} to {max(n):,} prompts at {share:.0%}" for share, n in held.items()]
    return f" The regions found hold {', '.join(parts)}."
