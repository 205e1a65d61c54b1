"""Steer: one prompt and one seed four times, with a region taken out, pushed towards, and a random
push as control.
"""

from __future__ import annotations

from functools import partial

import streamlit as st

from ep.errors import EPError
from ep.method.dictionary import Dictionary
from ep.models.interventions import Mode
from ep.studies.steering import UNWRITTEN, Continuation, Setting
from ep.views import snippets
from ep.views.steering import listed
from pages.shared import frame, messages, models, sharing, state, tokens
from pages.steer import controls, dose, examples, files, runs, settings, sweep, worker
from pages.steer.columns import Status, columns
from pages.steer.runs import Shown

LOOK_EVERY_S = 0.25
WIDTHS = (14, 11)
ASKED: dict[Mode, str] = {
    "add": "the same length is asked for at each",
    "ablate": "asked for: the share of how far the stream lies from the reference point along the "
    "regions",
    "swap": "asked for: the share of the way from the stream to the other region's mean, along the "
    "regions",
    "clamp": "asked for: the way from the stream's coordinate to the one it is held at",
}
"""What length each mode asks for at a position."""


def show() -> None:
    if state.open_now() is None:
        frame.page("Steer", "The same prompt and seed four times, with and without a region.")
    key, dictionary = state.opened()[:2]
    setting = settings.setting()
    runs.settle()
    frame.page("Steer", _sentence(setting))
    judge, problem = dose.chosen()
    plan = sweep.plan(key, dictionary, setting, judge)
    left, right = st.columns(WIDTHS, gap="medium")
    with left:
        controls.card(key, dictionary, setting, sweep.result(plan))
    with right:
        dose.card(plan, dictionary, setting.strength or 0.0, problem)
    start, share = st.columns(WIDTHS, gap="medium", vertical_alignment="center")
    with start:
        examples.row()
    with share:
        _share(key, dictionary, setting)
    if worker.is_wanted() or _is_followed(key, setting):
        _run(key, dictionary, setting)
    _columns(key, dictionary, setting)
    runs.table()


def _sentence(setting: Setting) -> str:
    several = len(setting.regions) > 1
    regions = f"region{'s' if several else ''} {listed(setting.regions)}"
    it = "between them" if several else "towards it"
    what = {
        "add": f"pushed {it}, and pushed as far in a random direction",
        "ablate": "taken out as set below, and a random direction taken out",
        "swap": "swapped for another, and a random direction swapped",
        "clamp": "held along it, and held along a random direction",
    }[setting.mode]
    return f"The same prompt and seed four times: untouched, {regions} taken out, {what}."


def _share(key: str, dictionary: Dictionary, now: Setting) -> None:
    shown = runs.shown(key, now) or Shown(now, (), False)
    sharing.bar(
        "steer",
        files.tables(shown.continuations),
        snippets.steer(dictionary, now),
        files.files(dictionary, shown.setting, shown.continuations),
    )


# -- running ---------------------------------------------------------------------------------------


def _is_followed(key: str, setting: Setting) -> bool:
    """Whether the columns are to follow the controls, and show another setting."""
    if not st.session_state.get(controls.FOLLOWING):
        return False
    shown = runs.shown(key, setting)
    return shown is not None and shown.setting != setting


def _run(key: str, dictionary: Dictionary, setting: Setting) -> None:
    """Starts the run, or says why there is none and what to do.

    The wish stands until the model is there: another control may start the page again while it is
    loaded.
    """
    settings.put(setting)
    try:
        model = models.language_model(dictionary)
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
    drawn = frame.fragment(_draw, LOOK_EVERY_S if running else None)
    drawn(key, dictionary, setting, running)


def _draw(key: str, dictionary: Dictionary, setting: Setting, was_running: bool) -> None:
    live = worker.current()
    if live is not None:
        live.look()
    if was_running and not worker.running():
        state.rerun()
    shown = runs.shown(key, setting)
    if shown is None:
        columns("steer_columns", dictionary, setting, UNWRITTEN, "explained", _pick)
        return
    how, problem = worker.outcome()
    status: Status = "done" if shown.is_measured else "writing" if how == "running" else "stopped"
    ended = live.progress.ended if live is not None else ()
    columns("steer_columns", dictionary, shown.setting, shown.continuations, status, _pick, ended)
    _line(dictionary, shown, status, problem)


def _pick(region: int) -> None:
    state.turn("region", region=region)


def _line(dictionary: Dictionary, shown: Shown, status: Status, problem: str) -> None:
    """The last line: the queue, what went wrong, or the proof that the interventions acted."""
    live = worker.current()
    if problem:
        messages.note(f"The run ended early. {problem} What was written stays; the model is free.")
    elif status == "writing" and live is not None:
        n = live.ahead or 0
        waiting = f"{n} run{'s' if n != 1 else ''} ahead of yours" if n else "writing…"
        st.html(f'<div class="ep-k" role="status">{tokens.escape(waiting)}</div>')
    elif status == "stopped":
        messages.quiet("Stopped before anything was measured; the model is free.")
    else:
        st.html(_proof(dictionary, shown.setting, shown.continuations))


def _proof(dictionary: Dictionary, setting: Setting, four: tuple[Continuation, ...]) -> str:
    """The measured change beside the one asked for, and how far a run came that was stopped."""
    r, steered = dictionary.typical_norm, four[2]
    default, ablated, _, control = (_length(one.moved, r) for one in four)
    acted = steered.moved is None or steered.moved > 0 or not steered.touched
    dot = "#498267" if acted else "#bd5f2b"
    moved, asked = _length(steered.moved, r), _length(steered.requested, r)
    text = f"Measured change of the residual: {moved} of {asked} asked for"
    text += "" if acted else ": nothing was changed"
    stopped = [len(one.ids) for one in four if one.ending == "cancelled"]
    ending = f"stopped after {max(stopped):,} tokens, the model is free; " if stopped else ""
    rest = (
        f"{ending}mean of {steered.touched:,} touched positions in the steered column "
        f"({ASKED[setting.mode]}); "
        f"{control} in the control, {ablated} in the ablated, {default} in the default; "
        f"r = {r:.1f}"
    )
    return (
        f'<div class="ep-row" style="flex-wrap:wrap">'
        f'<span class="ep-proof" style="--c:{dot}">{tokens.escape(text)}</span>'
        f'<span class="ep-k ep-num">{tokens.escape(rest)}</span></div>'
    )


def _length(moved: float | None, r: float) -> str:
    return "not finite" if moved is None else f"{moved * r:.1f}"


show()
