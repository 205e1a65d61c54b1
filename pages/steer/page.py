"""Steer: one prompt and seed four times: unchanged, a region ablated, steered, and a random
control.
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
from pages.steer.columns import Status, columns, numbers
from pages.steer.runs import RunView

LOOK_EVERY_S = 0.25
WIDTHS = (14, 11)
REQUESTED: dict[Mode, str] = {
    "add": "the same length is asked for at each",
    "ablate": "asked for: the share of how far the stream lies from the reference point along the "
    "regions",
    "swap": "asked for: the share of the way from the stream to the other region's mean, along the "
    "regions",
    "clamp": "asked for: the way from the stream's coordinate to the one it is held at",
}
"""The length that each mode requests at a position, in words."""


def show() -> None:
    """Draw the page."""
    if state.opened_or_none() is None:
        frame.page_head("Steer", "The same prompt and seed four times, with and without a region.")
    key, dictionary = state.opened()[:2]
    setting = settings.setting()
    runs.keep_finished()
    frame.page_head("Steer", _sentence(setting))
    judge, problem = dose.current_judge()
    plan = sweep.plan(key, dictionary, setting, judge)
    left, right = st.columns(WIDTHS, gap="medium")
    with left:
        controls.card(key, dictionary, setting, sweep.result(plan))
    with right:
        dose.card(plan, dictionary, setting.strength or 0.0, problem)
    left, right = st.columns(WIDTHS, gap="medium", vertical_alignment="center")
    with left:
        examples.draw()
    with right:
        _exports(key, dictionary, setting)
    if worker.is_requested() or _must_follow(key, setting):
        _run(key, dictionary, setting)
    _columns(key, dictionary, setting)
    runs.draw_history()


def _sentence(setting: Setting) -> str:
    count = "three" if len(numbers(setting)) == 3 else "four"
    is_span = len(setting.regions) > 1
    regions = f"region{'s' if is_span else ''} {listed(setting.regions)}"
    target = "between them" if is_span else "towards it"
    if count == "three":
        return (
            f"The same prompt and seed three times: untouched, {regions} taken out, and a random "
            "direction taken out."
        )
    action = {
        "add": f"pushed {target}, and pushed as far in a random direction",
        "ablate": "taken out as set below, and a random direction taken out",
        "swap": "swapped for another, and a random direction swapped",
        "clamp": "held along it, and held along a random direction",
    }[setting.mode]
    return f"The same prompt and seed four times: untouched, {regions} taken out, {action}."


def _exports(key: str, dictionary: Dictionary, setting: Setting) -> None:
    view = runs.view(key, setting) or RunView(setting, (), False)
    sharing.bar(
        "steer",
        files.tables([view.continuations[n] for n in numbers(view.setting) if view.continuations]),
        snippets.steer(dictionary, setting),
        files.files(dictionary, view.setting, view.continuations),
    )


# -- running ---------------------------------------------------------------------------------------


def _must_follow(key: str, setting: Setting) -> bool:
    """Return whether the columns are set to follow the controls but show another setting."""
    if not st.session_state.get(controls.FOLLOW_KEY):
        return False
    view = runs.view(key, setting)
    return view is not None and view.setting != setting


def _run(key: str, dictionary: Dictionary, setting: Setting) -> None:
    """Start the run, or draw why it cannot be run and what to do.

    The request stands until the model is loaded, because another control may rerun the page
    meanwhile.
    """
    settings.put(setting)
    try:
        model = models.language_model(dictionary)
        worker.start(key, dictionary, model, setting)
    except EPError as error:
        worker.request(False)
        _draw_refusal(error, setting)
        return
    state.rerun()


def _draw_refusal(error: EPError, setting: Setting) -> None:
    messages.box("This run cannot be made", messages.sentence(error))
    with st.container(horizontal=True, horizontal_alignment="center", gap="small"):
        if setting.chat and "template" in str(error):
            as_text = partial(settings.change, chat=False)
            st.button("Send it as plain text", key="steer_as_text", on_click=as_text)


def _columns(key: str, dictionary: Dictionary, setting: Setting) -> None:
    """Draw the four columns, and redraw them at intervals while they are written."""
    running = worker.running()
    fragment = frame.fragment(_draw, LOOK_EVERY_S if running else None)
    fragment(key, dictionary, setting, running)


def _draw(key: str, dictionary: Dictionary, setting: Setting, was_running: bool) -> None:
    live = worker.current()
    if live is not None:
        live.look()
    if was_running and not worker.running():
        state.rerun()
    view = runs.view(key, setting)
    if view is None:
        columns("steer_columns", dictionary, setting, UNWRITTEN, "explained", _pick)
        return
    run_state, problem = worker.outcome()
    status: Status = (
        "done" if view.is_measured else "writing" if run_state == "running" else "stopped"
    )
    ended = live.progress.ended if live is not None else ()
    models.note_other_weights(dictionary)
    columns("steer_columns", dictionary, view.setting, view.continuations, status, _pick, ended)
    _last_line(dictionary, view, status, problem)


def _pick(region: int) -> None:
    state.schedule("region", region=region)


def _last_line(dictionary: Dictionary, view: RunView, status: Status, problem: str) -> None:
    """Draw the last line: the queue, an error, or the proof that the interventions acted."""
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
        st.html(_proof(dictionary, view.setting, view.continuations))


def _proof(
    dictionary: Dictionary, setting: Setting, continuations: tuple[Continuation, ...]
) -> str:
    """Return, as HTML, the measured and the requested change, and how far a stopped run got."""
    r, steered = dictionary.typical_norm, continuations[2]
    default, ablated, _, control = (_length(column.moved, r) for column in continuations)
    shown = numbers(setting)
    name = "steered" if 2 in shown else "ablated"
    others = f"{control} in the control, {ablated} in the ablated, {default} in the default"
    if 2 not in shown:
        others = f"{control} in the control, {default} in the default"
    has_acted = steered.moved is None or steered.moved > 0 or not steered.touched
    dot = "#498267" if has_acted else "#bd5f2b"
    moved, requested = _length(steered.moved, r), _length(steered.requested, r)
    text = f"Measured change of the residual: {moved} of {requested} asked for"
    text += "" if has_acted else ": nothing was changed"
    stopped = [len(column.ids) for column in continuations if column.ending == "cancelled"]
    ending = f"stopped after {max(stopped):,} tokens, the model is free; " if stopped else ""
    rest = (
        f"{ending}mean of {steered.touched:,} touched positions in the {name} column "
        f"({REQUESTED[setting.mode]}); {others}; r = {r:.1f}"
    )
    return (
        f'<div class="ep-row" style="flex-wrap:wrap">'
        f'<span class="ep-proof" style="--c:{dot}">{tokens.escape(text)}</span>'
        f'<span class="ep-k ep-num">{tokens.escape(rest)}</span></div>'
    )


def _length(moved: float | None, r: float) -> str:
    return "not finite" if moved is None else f"{moved * r:.1f}"


show()
