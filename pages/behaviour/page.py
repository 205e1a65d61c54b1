"""Behaviour: which region carries a behaviour, and what the model does on other prompts once it is
taken out.
"""

from __future__ import annotations

import streamlit as st

from ep.demo.behaviour import FILES
from ep.errors import EPError
from ep.method.dictionary import Dictionary
from ep.views import behaviour as plain
from ep.views import behaviour_html as markup
from ep.views import snippets_behaviour as snippets
from pages.behaviour import inputs, regions, seeds, work
from pages.behaviour import trial as trials
from pages.behaviour.work import Names, Run
from pages.shared import frame, jobs, loading, maps, messages, sharing, state, tokens

SENTENCE = (
    "Which region carries a behaviour, and what the model does on other prompts once it is "
    "taken out."
)
_WANTED = "behaviour_wanted"
LOW = 318
"""px of the table and the texts."""


def show() -> None:
    frame.page("Behaviour", SENTENCE)
    found = state.opened()
    if found is None or found[0].dictionary is None or not len(found[1]):
        messages.nothing_open()
        return
    key, dictionary = str(found[0].dictionary), found[1]
    st.html(f"<style>{markup.CSS}</style>")
    given, why = _gathered()
    at = _names(key, dictionary, given)
    run = work.known(key, dictionary, given, at) if given and at else None
    run = run or work.stored()
    asked = _tools(given, why, run, key)
    wanted = st.session_state.pop(_WANTED, "trial" if asked else None)
    if wanted is not None and given:
        _start(key, dictionary, given, at, wanted)
    if at:
        for name in (at.trial, *at.streams.values()):
            jobs.watch(work.job_name(name))
    if run is None:
        messages.box(
            "Nothing has been tried yet",
            "“Take it out” answers the prompts, finds the region and tries it.",
        )
        return
    of = loading.dictionary(run.key)
    _origin(run, of, key, dictionary)
    body, foot = st.container(), st.container()
    with foot:
        drawn = regions.carried(run, of)
    with body:
        _body(run, of, drawn)
        seeds.card(run, given.numbers if given else inputs.numbers(), _streams)
        _others(run)
        _share(run, of, given)


def _gathered() -> tuple[inputs.Inputs | None, str]:
    try:
        return inputs.gathered(), ""
    except EPError as error:
        return None, messages.sentence(error)


def _names(key: str, dictionary: Dictionary, given: inputs.Inputs | None) -> Names | None:
    """The names of this run's parts; None where the inputs or the model are not there."""
    if given is None:
        return None
    try:
        return work.names(key, dictionary, given, _region(dictionary))
    except EPError:
        return None


def _region(dictionary: Dictionary) -> int | None:
    """The region a link or a click wants tried, None for the best."""
    asked = state.setting("btry")
    return (
        int(asked) if asked.isascii() and asked.isdigit() and int(asked) < len(dictionary) else None
    )


def _tools(given: inputs.Inputs | None, why: str, run: Run | None, key: str) -> bool:
    """The row of inputs and the one button; whether it was clicked."""
    inputs.about_link()
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        inputs.prompts_popover((given.prompts if given else inputs.held()).name)
        inputs.judge_popover(given.chosen.name if given else "not set")
        inputs.settings_popover(inputs.numbers())
        again = run is not None and run.stored and run.key == key
        done = run is not None and not run.stored and run.trial is not None
        asked = st.button(
            "Run it again"
            if again
            else "Taken out"
            if done
            else "Take it out, on held-out prompts",
            type="primary",
            icon=":material/check:" if done else ":material/play_arrow:",
            key="behaviour_go",
            disabled=given is None or done,
        )
        if given:
            held = given.held
            counts = (
                f"{len(held.choice):,} to choose on · {len(held.target):,} held out · "
                f"{len(held.benign):,} benign"
            )
            messages.quiet(counts)
    if why:
        messages.note(why)
    return asked


def _start(
    key: str, dictionary: Dictionary, given: inputs.Inputs, at: Names | None, wanted: str | float
) -> None:
    """Starts the "trial", or the streams of a share; what stands in the way is one sentence."""
    try:
        at = at or work.names(key, dictionary, given, _region(dictionary))
        for name in (at.trial, *at.streams.values()):
            jobs.forget(work.job_name(name))
        if isinstance(wanted, float):
            work.start_streams(dictionary, given, at, wanted)
        else:
            work.start_trial(key, dictionary, given, at, _region(dictionary))
    except EPError as error:
        messages.box("This cannot be tried here", messages.sentence(error))


def _origin(run: Run, of: Dictionary, key: str, dictionary: Dictionary) -> None:
    """Where the numbers come from: a stored run says so, and which dictionary it was made on."""
    if not run.stored:
        return
    name = (
        f"{plain.about(of)['title']}, layer {of.info.get('layer')}, p = "
        f"{of.info.get('percentile'):g}"
    )
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
def _body(run: Run, of: Dictionary, drawn: maps.Drawn | str) -> None:
    """Map, arms, table and texts: a click in one is seen in all."""
    if regions.turned() or _WANTED in st.session_state:
        state.rerun()
    frame.show_selected()
    left, right = st.columns([8, 11], gap="medium")
    with left:
        regions.map_card(run, of, drawn)
    with right:
        trials.arms_card(run)
    left, right = st.columns(2, gap="medium")
    with left:
        regions.table_card(run, of, LOW)
        trials.retry(run, _instead)
    with right:
        trials.texts_card(run, LOW - 30)


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


def _instead(region: int) -> None:
    state.keep(btry=str(region))
    st.session_state[_WANTED] = "trial"


def _streams(share: float) -> None:
    st.session_state[_WANTED] = share


def _share(run: Run, of: Dictionary, given: inputs.Inputs | None) -> None:
    streams = [several for several in run.streams.values() if several]
    tables = {"Regions": lambda: plain.region_table(run.choice["regions"])}
    if run.trial is not None and run.trial["arms"]:
        tables |= {
            "Arms": lambda: plain.arm_table([run.trial]),
            "Texts": lambda: plain.text_table(run.trial),
        }
    if streams:
        tables["Orders of the stream"] = lambda: plain.arm_table(
            [one for several in streams for one in several]
        )
    told = [
        plain.summary(run.choice),
        *(plain.sentences(run.trial, run.choice["held"]) if run.trial else ()),
    ]
    files = {"behaviour.html": lambda: markup.report(run.choice, run.trial, streams, told).encode()}
    sharing.bar("behaviour_share", tables, _code(run, of, given), files)


def _code(run: Run, of: Dictionary, given: inputs.Inputs | None) -> str:
    """The code of what is shown: a stored run is one of the demo's prompts with the usual
    settings.
    """
    if run.stored or given is None:
        return snippets.behaviour(of, FILES)
    now, chosen = given.numbers, given.chosen
    return snippets.behaviour(
        of,
        given.prompts.files,
        chosen.judge,
        endpoint=chosen.endpoint,
        by_labels=chosen.by_labels,
        tokens=now.tokens,
        basis=now.basis,
        swap=now.swap,
        region=_region(of),
    )


show()
