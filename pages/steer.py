"""Steer: one prompt and one seed four times, with a region taken out, pushed towards, and a random push as control."""

from __future__ import annotations

from functools import partial

import pandas as pd
import streamlit as st

from ep.errors import EPError
from ep.method.dictionary import Dictionary
from ep.views import snippets
from ep.views import steering as view
from ep.views.steering import Column, Setting
from ep.views.text import label
from pages.shared import (
    frame,
    loading,
    messages,
    sharing,
    state,
    steering,
    steering_controls,
    steering_examples,
    steering_files,
    steering_sweep,
    tokens,
)
from pages.shared.stream import stream

LOOK_EVERY_S = 0.25
WIDTHS = (14, 11)


def show() -> None:
    found = state.opened()
    if found is None or found[0].region is None:
        frame.page("Steer", "The same prompt and seed four times, with and without a region.")
        messages.nothing_open()
        return
    key, dictionary = str(found[0].dictionary), found[1]
    setting = steering_controls.now()
    steering.settle()
    frame.page("Steer", _sentence(setting))
    what = steering_sweep.asked(key, dictionary, setting)
    left, right = st.columns(WIDTHS, gap="medium")
    with left:
        steering_controls.card(dictionary, setting, steering_sweep.found(what))
    with right:
        steering_sweep.card(what, dictionary, setting.strength)
    examples, share = st.columns(WIDTHS, gap="medium", vertical_alignment="center")
    with examples:
        steering_examples.row()
    with share:
        _share(key, dictionary, setting)
    if steering.is_wanted() or _is_replayed(key):
        _run(key, dictionary, setting)
    _columns(key, dictionary, setting)
    _kept(key)


def _sentence(setting: Setting) -> str:
    first = setting.regions[0]
    what = {
        "add": "pushed towards it, and pushed as far in a random direction",
        "ablate": "taken out as set below, and a random direction taken out",
        "swap": "swapped for another, and a random direction swapped",
        "clamp": "held along it, and held along a random direction",
    }[setting.mode]
    return f"The same prompt and seed four times: untouched, region {first} taken out, {what}."


def _share(key: str, dictionary: Dictionary, setting: Setting) -> None:
    shown = steering.shown(key)
    told, columns = (shown[0], shown[1]) if shown is not None else (setting, ())
    sharing.bar(
        "steer",
        steering_files.tables(columns),
        snippets.steer(dictionary, setting),
        steering_files.files(dictionary, told, columns),
    )


# -- running -----------------------------------------------------------------------------------------------------------


def _is_replayed(key: str) -> bool:
    """Whether a link with a run in it was opened just now: its text is written again."""
    if not state.setting("srun") or st.session_state.get("steer_replayed"):
        return False
    st.session_state["steer_replayed"] = True
    if steering.shown(key) is None:
        steering.want()
    return steering.is_wanted()


def _run(key: str, dictionary: Dictionary, setting: Setting) -> None:
    """Starts the run, or says why there is none and what to do.

    The wish stands until the model is there: another control may start the page again while it is loaded.
    """
    st.session_state["steer_replayed"] = True
    steering.keep(setting, ran=True)
    try:
        model = loading.language_model(dictionary.info)
        steering.begin(key, dictionary, model, setting)
    except EPError as error:
        steering.want(False)
        _refused(error, setting)
        return
    state.rerun()


def _refused(error: EPError, setting: Setting) -> None:
    messages.box("This run cannot be made", messages.sentence(error))
    with st.container(horizontal=True, horizontal_alignment="center", gap="small"):
        if setting.chat and "template" in str(error):
            as_text = partial(steering_controls.change, chat=False)
            st.button("Send it as plain text", key="steer_as_text", on_click=as_text)


def _columns(key: str, dictionary: Dictionary, setting: Setting) -> None:
    """The four columns, looked at again and again while they are written."""
    running = steering.running()
    st.fragment(run_every=LOOK_EVERY_S if running else None)(_draw)(key, dictionary, setting, running)


def _draw(key: str, dictionary: Dictionary, setting: Setting, was_running: bool) -> None:
    with frame.calm():
        live = steering.current()
        if live is not None:
            live.look()
        if was_running and not steering.running():
            st.rerun()
        shown = steering.shown(key)
        if shown is None:
            stream("steer_columns", dictionary, setting, tuple(map(Column, view.COLUMNS)), "explained", _pick)
            return
        told, columns, finished = shown
        how, problem = steering.outcome()
        status = "done" if finished else "writing" if how == "running" else "stopped"
        stream("steer_columns", dictionary, told, columns, status, _pick, live.ended if live else ())
        _line(dictionary, told, columns, status, problem)
        if st.session_state.pop("steer_went", None) is not None:
            state.goto("region")


def _pick(region: int) -> None:
    state.select_region(region)
    st.session_state["steer_went"] = region


def _line(dictionary: Dictionary, setting: Setting, columns: tuple[Column, ...], status: str, problem: str) -> None:
    """The last line: the queue, what went wrong, or the proof that the interventions acted."""
    live = steering.current()
    if problem:
        messages.note(f"The run ended early. {problem} What was written stays; the model is free.")
    elif status == "writing" and live is not None:
        waiting = live.ahead is not None and live.ahead > 0
        runs = f"{live.ahead} run{'s' if live.ahead != 1 else ''} ahead of yours" if waiting else "writing…"
        st.html(f'<div class="ep-k" role="status">{tokens.escape(runs)}</div>')
    elif status == "stopped":
        messages.quiet("Stopped. What was written stays; the model is free.")
    else:
        st.html(_proof(dictionary, setting, columns))


def _proof(dictionary: Dictionary, setting: Setting, columns: tuple[Column, ...]) -> str:
    r, asked = dictionary.typical_norm, view.asked_for(dictionary, setting)
    default, ablated, steered, control = (column.moved for column in columns)

    def length(moved: float | None) -> str:
        return "not finite" if moved is None else f"{moved * r:.1f}"

    of = f" of {asked:.1f} asked for" if asked is not None else f" ({(steered or 0):.2f} r)"
    acted = steered is None or steered > 0
    dot = "#498267" if acted else "#bd5f2b"
    said = f"Measured change of the residual: {length(steered)}{of}" + ("" if acted else ": nothing was changed")
    rest = (
        f"at each of {columns[2].touched:,} touched positions in the steered column; {length(control)} in the control, "
        f"{length(ablated)} in the ablated, {length(default)} in the default; r = {r:.1f}"
    )
    return (
        f'<div class="ep-row" style="flex-wrap:wrap">'
        f'<span class="ep-proof" style="--c:{dot}">{tokens.escape(said)}</span>'
        f'<span class="ep-k ep-num">{tokens.escape(rest)}</span></div>'
    )


# -- runs that are kept ------------------------------------------------------------------------------------------------


def _kept(key: str) -> None:
    runs = steering.kept()
    if len(runs) < 2:
        return
    with st.container(border=True, gap="xsmall"):
        st.html(tokens.heading("Runs of this session", "newest first; click one to see it again, with its setting"))
        table = pd.DataFrame(
            {
                "mode": [steering_controls.MODES[run.setting.mode] for run in runs],
                "regions": [", ".join(map(str, run.setting.used)) for run in runs],
                "strength": [run.setting.strength for run in runs],
                "prompt": [label(run.setting.prompt).replace("·", " ") for run in runs],
                **{
                    name.lower(): [run.columns[i].text.replace("\n", " ")[:200] for run in runs]
                    for i, name in ((0, "Default"), (2, "Steered"))
                },
            }
        )
        picked = st.dataframe(
            table,
            hide_index=True,
            row_height=29,
            height=min(240, 29 * (len(table) + 1) + 3),
            key="steer_runs",
            on_select="rerun",
            selection_mode="single-cell",
            column_config={
                "mode": st.column_config.TextColumn("Mode", width=60),
                "regions": st.column_config.TextColumn("Regions", width=70),
                "strength": st.column_config.NumberColumn("Strength", width=64, format="%.2f"),
                "prompt": st.column_config.TextColumn("Prompt", width="medium"),
                "default": st.column_config.TextColumn("Default", width="medium"),
                "steered": st.column_config.TextColumn("Steered", width="medium"),
            },
        )
    if picked.selection.cells:
        run = runs[picked.selection.cells[0][0]]
        st.session_state.pop("steer_runs", None)
        steering.restore(run)
        state.rerun()


show()
