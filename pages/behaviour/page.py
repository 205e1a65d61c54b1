"""Behaviour: which region carries a behaviour, and what the model does on other prompts once it is
taken out.
"""

from __future__ import annotations

from functools import partial

import streamlit as st

from ep.demo.behaviour import FILES
from ep.errors import EPError
from ep.method.dictionary import Dictionary
from ep.views import behaviour as plain
from ep.views import behaviour_html as markup
from ep.views import snippets_behaviour as snippets
from pages.behaviour import durations, regions, seeds, trial, work
from pages.behaviour.inputs import Inputs, about_link, gathered, settings_popover
from pages.behaviour.prompts import prompts_popover
from pages.behaviour.runs import Plan, Run, known, stored
from pages.shared import frame, jobs, loading, maps, messages, sharing, state, tokens
from pages.shared.judge import judge_popover
from pages.shared.state import Opened

SENTENCE = (
    "Which region carries a behaviour, and what the model does on other prompts once it is "
    "taken out."
)
LOW = 318
"""px of the table and the texts."""


def show() -> None:
    frame.page("Behaviour", SENTENCE)
    opened = state.opened()
    st.html(f"<style>{markup.CSS}</style>")
    inputs, problem = _inputs()
    plan = None if inputs is None else _plan(opened, inputs)
    run = (known(plan) if plan else None) or stored()
    _tools(plan, problem, run, opened.key)
    for name in (plan.trial, *plan.streams.values()) if plan else ():
        jobs.watch(name)
    if run is None:
        messages.box(
            "Nothing has been tried yet",
            "“Take it out” answers the prompts, finds the region and tries it.",
        )
        return
    of = loading.dictionary(run.key)
    _origin(run, of, opened.key)
    body, foot = st.container(), st.container()
    with foot:
        drawn = regions.carried(run, of)
    with body:
        _body(run, of, drawn, plan)
        seeds.card(run, plan)
        _others(run)
        _share(run, of, plan)


def _inputs() -> tuple[Inputs | None, str]:
    """What is set, or None and why that cannot be."""
    try:
        return gathered(), ""
    except EPError as error:
        return None, messages.sentence(error)


def _plan(opened: Opened, inputs: Inputs) -> Plan:
    """The region a link or a click wants tried is one that the dictionary has, else the best."""
    key, dictionary, *_ = opened
    asked = inputs.settings.region
    region = asked if asked is not None and asked < len(dictionary) else None
    return Plan(key, loading.fingerprint(key), dictionary, inputs, region)


def _tools(plan: Plan | None, problem: str, run: Run | None, key: str) -> None:
    """The row of inputs and the one button. key: of the open dictionary."""
    about_link()
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        prompts_popover()
        judge_popover(plan.inputs.chosen.name if plan else "not set")
        settings_popover()
        again = run is not None and run.stored and run.key == key
        done = run is not None and not run.stored and run.trial is not None
        st.button(
            "Run it again"
            if again
            else "Taken out"
            if done
            else "Take it out, on held-out prompts",
            type="primary",
            icon=":material/check:" if done else ":material/play_arrow:",
            key="behaviour_go",
            disabled=plan is None or done,
            on_click=work.start_trial,
            args=(plan,),
        )
        if plan is not None:
            messages.quiet(_about(plan, done))
    if problem:
        messages.note(problem)


def _about(plan: Plan, done: bool) -> str:
    """How many prompts there are and, until they are tried, how long that takes."""
    held = plan.inputs.held
    counts = (
        f"{len(held.choice):,} to choose on · {len(held.target):,} held out · "
        f"{len(held.benign):,} benign"
    )
    takes = "" if done else durations.sentence(plan, plan.trial, durations.of_trial(plan))
    return f"{counts}. {takes}" if takes else counts


def _origin(run: Run, of: Dictionary, key: str) -> None:
    """Where the numbers come from: a stored run says so, and which dictionary it was made on.

    key: of the open dictionary.
    """
    if not run.stored:
        return
    p = "" if of.percentile is None else f", p = {of.percentile:g}"
    name = f"{plain.about(of)['title']}, layer {of.layer}{p}"
    text = f"Stored run of {run.stored}: {name}, the demo's prompts, {run.choice['judge']}."
    if run.key != key:
        text += " The open dictionary is not tried yet."
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        messages.note(text)
        if run.key != key:
            st.button("Open that dictionary", key="behaviour_open", on_click=_open, args=(run,))


def _open(run: Run) -> None:
    state.open_dictionary(run.key, (run.trial or {}).get("region"))


@frame.fragment
def _body(run: Run, of: Dictionary, drawn: maps.Drawn | str, plan: Plan | None) -> None:
    """Map, arms, table and texts: a click in one is seen in all."""
    frame.show_selected()
    left, right = st.columns([8, 11], gap="medium")
    with left:
        regions.map_card(run, of, drawn)
    with right:
        trial.arms_card(run)
    left, right = st.columns(2, gap="medium")
    with left:
        regions.table_card(run, of, LOW)
        trial.retry(run, plan)
    with right:
        trial.texts_card(run, LOW - 30)


def _others(run: Run) -> None:
    """The stored run in short on the demo's other dictionaries, those where it fails among them."""
    if run.others:
        with st.container(border=True, gap="small"):
            st.html(
                tokens.heading(
                    "On other dictionaries of this model", "their best region ablated, same prompts"
                )
            )
            st.html(markup.others(run.others))


def _share(run: Run, of: Dictionary, plan: Plan | None) -> None:
    streams = [several for several in run.streams.values() if several]
    tables = {"Regions": partial(plain.region_table, run.choice["regions"])}
    if run.trial is not None and run.trial["arms"]:
        tables |= {
            "Arms": partial(plain.arm_table, [run.trial]),
            "Texts": partial(plain.text_table, run.trial),
        }
    if streams:
        attempts = [one for several in streams for one in several]
        tables["Orders of the stream"] = partial(plain.arm_table, attempts)
    sentences = [
        plain.summary(run.choice),
        *(plain.sentences(run.trial, run.choice["held"]) if run.trial else ()),
    ]
    files = {
        "behaviour.html": lambda: markup.report(run.choice, run.trial, streams, sentences).encode()
    }
    sharing.bar("behaviour_share", tables, _code(run, of, plan), files)


def _code(run: Run, of: Dictionary, plan: Plan | None) -> str:
    """The code of what is shown: a stored run is one of the demo's prompts with the usual
    settings.
    """
    if run.stored or plan is None:
        return snippets.behaviour(of, FILES)
    now, chosen = plan.inputs.settings, plan.inputs.chosen
    return snippets.behaviour(
        of,
        plan.inputs.prompts.files,
        chosen.judge,
        endpoint=chosen.endpoint,
        by_labels=chosen.by_labels,
        tokens=now.tokens,
        basis=now.basis,
        swap=now.swap,
        region=plan.region,
    )


show()
