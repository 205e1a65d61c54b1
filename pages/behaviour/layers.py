"""The card of a sweep over layers: where taking the behaviour out works best."""

from __future__ import annotations

import streamlit as st

from ep.views import behaviour_html as markup
from ep.views import behaviour_words as words
from pages.behaviour import durations, work
from pages.behaviour.runs import Plan, Run
from pages.shared import messages, tokens


def card(run: Run, plan: Plan | None) -> None:
    """Draw one row per layer, or the button that starts the sweep.

    plan: the present request; None where the inputs cannot be used.
    """
    if run.stored_on and not run.layers:
        return
    with st.container(border=True, gap="small"):
        st.html(
            tokens.heading(
                "Layer by layer: what is left of the behaviour",
                "on a dictionary of the prompts' last tokens at each layer, same held-out prompts",
            )
        )
        if run.layers:
            st.html(markup.layers(run.layers))
            messages.quiet(words.swept(run.layers))
        elif plan is not None and not words.alike(run.choice):
            _button(plan)


def _button(plan: Plan) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.button(
            "Try several layers",
            key="behaviour_layers",
            icon=":material/layers:",
            on_click=work.start_layers,
            args=(plan,),
        )
        if takes := durations.sentence(plan, plan.layers, durations.layers_seconds(plan)):
            messages.quiet(takes)
