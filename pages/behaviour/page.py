"""Behaviour: which region carries a behaviour, and what the model does without that region."""

from __future__ import annotations

from functools import partial

import streamlit as st

from ep.errors import EPError
from ep.method.dictionary import Dictionary
from ep.views import behaviour as plain
from ep.views import behaviour_html as markup
from ep.views import behaviour_words as words
from ep.views import snippets_behaviour as snippets
from pages.behaviour import durations, layers, regions, seeds, trial, work
from pages.behaviour.bundled import files_of
from pages.behaviour.inputs import Inputs, current_inputs, draw_link_notice, settings_popover
from pages.behaviour.prompts import prompts_popover, stored_with
from pages.behaviour.runs import Plan, Run, demo_run, run_of
from pages.shared import frame, jobs, loading, maps, messages, models, sharing, state, tokens
from pages.shared.judge import judge_popover
from pages.shared.state import Opened

SENTENCE = (
    "Which region carries a behaviour, and what the model does on other prompts once it is "
    "taken out."
)
LOWER_HEIGHT = 318
"""Height of the table and of the texts, in pixels."""


def show() -> None:
    """Draw the page."""
    frame.page_head("Behaviour", SENTENCE)
    opened = state.opened()
    st.html(f"<style>{markup.CSS}</style>")
    inputs, problem = _inputs(opened.key)
    plan = None if inputs is None else _plan(opened, inputs)
    run = run_of(plan) if plan else None
    if run is None and (demo := stored_with(opened.key)):
        run = demo_run(demo)
    _tools(plan, problem, run, opened.key)
    for name in (plan.trial, plan.layers, *plan.streams.values()) if plan else ():
        jobs.watch(name)
    if run is None:
        messages.box(
            "Nothing has been tried yet",
            "“Take it out” answers the prompts, finds the region and tries it. Where the model "
            "never shows the behaviour, its answers are kept and shown.",
        )
        _offer_stored()
        return
    dictionary = loading.dictionary(run.key)
    _origin(run, dictionary, opened.key)
    if not run.stored_on:
        models.note_other_weights(dictionary)
    body, foot = st.container(), st.container()
    with foot:
        map_ = regions.send_map(run, dictionary)
    with body:
        _body(run, dictionary, map_, plan)
        if run.streams or not run.stored_on:
            seeds.card(run, plan)
        layers.card(run, plan)
        _others(run)
        _exports(run, dictionary, plan)


def _offer_stored() -> None:
    """Draw the way to a study that is there at once, of the first demo that has one stored."""
    stored = demo_run("real") or demo_run("demo")
    if stored is None:
        return
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        title = plain.about(loading.dictionary(stored.key))["title"]
        st.button(
            "See a stored study",
            key="behaviour_stored",
            on_click=_open,
            args=(stored,),
            icon=":material/visibility:",
        )
        messages.quiet(f"{title}: the region of refusals, taken out beside its controls.")


def _inputs(key: str) -> tuple[Inputs | None, str]:
    """Return the present inputs; where they cannot be used, None and the reason.

    key: of the open dictionary.
    """
    try:
        return current_inputs(key), ""
    except EPError as error:
        return None, messages.sentence(error)


def _plan(opened: Opened, inputs: Inputs) -> Plan:
    """Return the plan: the requested region if the dictionary has it, else the best."""
    key, dictionary, *_ = opened
    requested = inputs.settings.region
    region = requested if requested is not None and requested < len(dictionary) else None
    return Plan(key, loading.fingerprint(key), dictionary, inputs, region)


def _tools(plan: Plan | None, problem: str, run: Run | None, key: str) -> None:
    """Draw the row of inputs and the one button.

    key: of the open dictionary.
    """
    draw_link_notice()
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        prompts_popover(key)
        judge_popover(plan.inputs.judge_choice.name if plan else "not set")
        settings_popover()
        again = run is not None and run.stored_on and run.key == key
        done = run is not None and not run.stored_on and run.trial is not None
        st.button(
            "Run it again"
            if again
            else _outcome(run)
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


def _outcome(run: Run | None) -> str:
    """Return the button's text once a run is over."""
    found = run is not None and run.trial is not None and run.trial["region"] is not None
    return "Taken out" if found else "Tried"


def _about(plan: Plan, done: bool) -> str:
    """Return how many prompts there are and, until they are tried, how long that takes."""
    held = plan.inputs.held
    counts = (
        f"{len(held.choice):,} to choose on · {len(held.target):,} held out · "
        f"{len(held.benign):,} benign · "
        + (
            f"answers of at most {plan.tokens} tokens"
            if plan.tokens
            else "a trial sets the length of answers"
        )
    )
    takes = "" if done else durations.sentence(plan, plan.trial, durations.trial_seconds(plan))
    reads = plan.inputs.reading_judge is not None
    less = " Less where no answer shows the behaviour." if reads and "takes" in takes else ""
    return f"{counts}. {takes}{less}" if takes else counts


def _origin(run: Run, dictionary: Dictionary, key: str) -> None:
    """Draw the date and the dictionary of a stored run; nothing for a run of this server.

    key: of the open dictionary.
    """
    if not run.stored_on:
        return
    p = "" if dictionary.percentile is None else f", p = {dictionary.percentile:g}"
    name = f"{plain.about(dictionary)['title']}, layer {dictionary.layer}{p}"
    text = f"Stored run of {run.stored_on}: {name}, the demo's prompts, {run.choice['judge']}."
    if run.key != key:
        text += " The open dictionary is not tried yet."
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        messages.note(text)
        if run.key != key:
            st.button("Open that dictionary", key="behaviour_open", on_click=_open, args=(run,))


def _open(run: Run) -> None:
    state.open_dictionary(run.key, (run.trial or {}).get("region"))


@frame.fragment
def _body(
    run: Run, dictionary: Dictionary, map_: maps.AvailableMap | str, plan: Plan | None
) -> None:
    """Draw the map, the arms, the table and the texts; a click in one is shown in all."""
    frame.show_selected()
    left, right = st.columns([8, 11], gap="medium")
    with left:
        regions.map_card(run, dictionary, map_)
    with right:
        trial.arms_card(run)
    left, right = st.columns(2, gap="medium")
    with left:
        regions.table_card(run, dictionary, LOWER_HEIGHT)
        trial.retry(run, plan)
    with right:
        trial.texts_card(run, LOWER_HEIGHT - 30)


def _others(run: Run) -> None:
    """Draw the stored short trials on the demo's other dictionaries, failures included."""
    if run.others:
        with st.container(border=True, gap="small"):
            st.html(
                tokens.heading(
                    "On other dictionaries of this model", "their best region ablated, same prompts"
                )
            )
            st.html(markup.others(run.others))


def _exports(run: Run, dictionary: Dictionary, plan: Plan | None) -> None:
    streams = [attempts for attempts in run.streams.values() if attempts]
    tables = {"Regions": partial(plain.region_table, run.choice["regions"])}
    if run.trial is not None and run.trial["arms"]:
        tables |= {
            "Arms": partial(plain.arm_table, [run.trial]),
            "Texts": partial(plain.text_table, run.trial),
        }
    if run.answers:
        tables["Answers to the prompts that chose"] = partial(plain.answer_table, run.answers)
    if streams:
        all_attempts = [attempt for attempts in streams for attempt in attempts]
        tables["Orders of the stream"] = partial(plain.arm_table, all_attempts)
    if run.layers:
        tables["Layers"] = partial(plain.arm_table, run.layers)
    sentences = [words.summary(run.choice), *words.told(run.choice, run.trial)]
    report = partial(
        markup.report, run.choice, run.trial, streams, sentences, run.answers, run.layers or ()
    )
    files = {"behaviour.html": lambda: report().encode()}
    sharing.bar("behaviour_share", tables, _code(run, dictionary, plan), files)


def _code(run: Run, dictionary: Dictionary, plan: Plan | None) -> str:
    """Return the code of what is shown.

    A stored run was made with the demo's prompts and the default settings.
    """
    if run.demo:
        return snippets.behaviour(dictionary, files_of(run.demo), basis=run.basis)
    if plan is None:
        return snippets.behaviour(dictionary, files_of("demo"))
    settings, judge_choice = plan.inputs.settings, plan.inputs.judge_choice
    return snippets.behaviour(
        dictionary,
        plan.inputs.prompts.files,
        judge_choice.judge,
        endpoint=judge_choice.endpoint,
        by_labels=judge_choice.by_labels,
        tokens=settings.tokens,
        basis=settings.basis,
        swap=settings.swap,
        wider=settings.wider,
        region=plan.region,
    )


show()
