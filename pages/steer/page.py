"""Steer: one prompt and one seed four times, with a region taken out, pushed towards, and a random
push as control.
"""

from __future__ import annotations

from functools import partial

import streamlit as st

from ep.errors import EPError
from ep.method.dictionary import Dictionary
from ep.views import snippets
from ep.views.continuations import COLUMNS, Column
from ep.views.steering import Setting, listed
from pages.shared import frame, loading, messages, sharing, state, tokens
from pages.steer import controls, dose, examples, files, runs, settings, sweep, worker
from pages.steer.columns import stream

LOOK_EVERY_S = 0.25
WIDTHS = (14, 11)
ASKED = {
    "add": "the same length is asked for at each",
    "ablate": "asked for: the share of how far the stream lies from the reference point along the "
    "regions",
    "swap": "asked for: the share of the way from the stream to the other region's mean, along the "
    "regions",
    "clamp": "asked for: the way from the stream's coordinate to the one it is held at",
}
"""What length each mode asks for at a position."""


def show() -> None:
    found = state.opened()
    if found is None or found[0].region is None:
        frame.page("Steer", "The same prompt and seed four times, with and without a region.")
        messages.nothing_open()
        return
    key, dictionary = str(found[0].dictionary), found[1]
    setting = settings.followed()
    runs.settle()
    frame.page("Steer", _sentence(setting))
    judge, problem = dose.chosen()
    what = sweep.plan(key, dictionary, setting, judge)
    left, right = st.columns(WIDTHS, gap="medium")
    with left:
        controls.card(dictionary, setting, sweep.found(what))
    with right:
        dose.card(what, dictionary, setting.strength, problem)
    start, share = st.columns(WIDTHS, gap="medium", vertical_alignment="center")
    with start:
        examples.row()
    with share:
        _share(key, dictionary, setting)
    if worker.is_wanted() or _is_replayed(key) or _is_followed(key, setting):
        _run(key, dictionary, setting)
    _columns(key, dictionary, setting)
    runs.table()


def _sentence(setting: Setting) -> str:
    regions = f"region{'s' if len(setting.regions) > 1 else ''} {listed(setting.regions)}"
    it = "between them" if len(setting.regions) > 1 else "towards it"
    what = {
        "add": f"pushed {it}, and pushed as far in a random direction",
        "ablate": "taken out as set below, and a random direction taken out",
        "swap": "swapped for another, and a random direction swapped",
        "clamp": "held along it, and held along a random direction",
    }[setting.mode]
    return f"The same prompt and seed four times: untouched, {regions} taken out, {what}."


def _share(key: str, dictionary: Dictionary, setting: Setting) -> None:
    shown = runs.shown(key)
    told, columns = (shown[0], shown[1]) if shown is not None else (setting, ())
    sharing.bar(
        "steer",
        files.tables(columns),
        snippets.steer(dictionary, setting),
        files.files(dictionary, told, columns),
    )


# -- running ---------------------------------------------------------------------------------------


def _is_replayed(key: str) -> bool:
    """Whether a link with a run in it was opened just now: its text is written again."""
    if not state.setting("srun") or st.session_state.get("steer_replayed"):
        return False
    st.session_state["steer_replayed"] = True
    if runs.shown(key) is None:
        worker.want()
    return worker.is_wanted()


def _is_followed(key: str, setting: Setting) -> bool:
    """Whether the columns are to follow the controls, and show another setting."""
    shown = runs.shown(key) if st.session_state.get(controls.FOLLOWING) else None
    return shown is not None and shown[0] != setting


def _run(key: str, dictionary: Dictionary, setting: Setting) -> None:
    """Starts the run, or says why there is none and what to do.

    The wish stands until the model is there: another control may start the page again while it is
    loaded.
    """
    st.session_state["steer_replayed"] = True
    settings.keep(setting, ran=True)
    try:
        model = loading.language_model(dictionary.info)
        worker.begin(key, dictionary, model, setting)
    except EPError as error:
        worker.want(False)
        _refused(error, setting)
        return
    state.rerun()


def _refused(error: EPError, setting: Setting) -> None:
    messages.box("This run cannot be made", messages.sentence(error))
    with st.container(horizontal=True, horizontal_alignment="center", gap="small"):
        if setting.chat and "template" in str(error):
            as_text = partial(settings.change, chat=False)
            st.button("Send it as plain text", key="steer_as_text", on_click=as_text)


def _columns(key: str, dictionary: Dictionary, setting: Setting) -> None:
    """The four columns, looked at again and again while they are written."""
    running = worker.running()
    st.fragment(run_every=LOOK_EVERY_S if running else None)(_draw)(
        key, dictionary, setting, running
    )


def _draw(key: str, dictionary: Dictionary, setting: Setting, was_running: bool) -> None:
    with frame.calm():
        live = worker.current()
        if live is not None:
            live.look()
        if was_running and not worker.running():
            st.rerun()
        shown = runs.shown(key)
        if shown is None:
            stream(
                "steer_columns",
                dictionary,
                setting,
                tuple(map(Column, COLUMNS)),
                "explained",
                _pick,
            )
            return
        told, columns, finished = shown
        how, problem = worker.outcome()
        status = "done" if finished else "writing" if how == "running" else "stopped"
        stream(
            "steer_columns", dictionary, told, columns, status, _pick, live.ended if live else ()
        )
        _line(dictionary, told, columns, status, problem)
        if st.session_state.pop("steer_went", None) is not None:
            state.goto("region")


def _pick(region: int) -> None:
    state.select_region(region)
    st.session_state["steer_went"] = region


def _line(
    dictionary: Dictionary, setting: Setting, columns: tuple[Column, ...], status: str, problem: str
) -> None:
    """The last line: the queue, what went wrong, or the proof that the interventions acted."""
    live = worker.current()
    if problem:
        messages.note(f"The run ended early. {problem} What was written stays; the model is free.")
    elif status == "writing" and live is not None:
        waiting = live.ahead is not None and live.ahead > 0
        runs = (
            f"{live.ahead} run{'s' if live.ahead != 1 else ''} ahead of yours"
            if waiting
            else "writing…"
        )
        st.html(f'<div class="ep-k" role="status">{tokens.escape(runs)}</div>')
    elif status == "stopped":
        messages.quiet("Stopped before anything was measured; the model is free.")
    else:
        st.html(_proof(dictionary, setting, columns))


def _proof(dictionary: Dictionary, setting: Setting, columns: tuple[Column, ...]) -> str:
    """The measured change beside the one asked for, and how far a run came that was stopped."""
    r, steered = dictionary.typical_norm, columns[2]
    default, ablated, _, control = (_length(column.moved, r) for column in columns)
    acted = steered.moved is None or steered.moved > 0 or not steered.touched
    dot = "#498267" if acted else "#bd5f2b"
    said = (
        f"Measured change of the residual: {_length(steered.moved, r)} of "
        f"{_length(steered.asked, r)} asked for"
    )
    said += "" if acted else ": nothing was changed"
    stopped = [len(column.ids) for column in columns if column.ending == "cancelled"]
    ending = f"stopped after {max(stopped):,} tokens, the model is free; " if stopped else ""
    rest = (
        f"{ending}mean of {steered.touched:,} touched positions in the steered column "
        f"({ASKED[setting.mode]}); "
        f"{control} in the control, {ablated} in the ablated, {default} in the default; r = {r:.1f}"
    )
    return (
        f'<div class="ep-row" style="flex-wrap:wrap">'
        f'<span class="ep-proof" style="--c:{dot}">{tokens.escape(said)}</span>'
        f'<span class="ep-k ep-num">{tokens.escape(rest)}</span></div>'
    )


def _length(moved: float | None, r: float) -> str:
    return "not finite" if moved is None else f"{moved * r:.1f}"


show()
