"""One job at length: how far it is, how its dictionaries grow, and the newest exemplars."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import streamlit as st

from ep import jobs as builds
from ep.errors import EPError
from ep.jobs import Job
from ep.views import figures_growth
from ep.views.figures_growth import LINES, Curve
from ep.watching import Status
from pages.build import runs
from pages.shared import estimates, frame, messages, state, tokens
from pages.shared.chart import chart

LOOK_EVERY_S = 1.0
STAGES = {
    "open": "opening the text and the model",
    "read": "reading the text for what cannot be used",
    "calibrate": "measuring centre and θ",
    "stream": "founding regions",
    "assign": "assigning members",
    "lens": "fitting the Jacobian lens",
    "write": "describing the regions and writing",
    "done": "done",
}
UNITS = {"read": "rows", "lens": "prompts", "write": "files", "done": "files"}
MOST_SHOWN = 8
"""Exemplars listed with their text."""


def card(job: Job) -> None:
    """Draw a job at length; while it runs, it is drawn again every second."""
    with st.container(border=True, gap="small"):
        head = tokens.heading(runs.name(job), f"{runs.about(job)} · {runs.started(job)}", False)
        st.html(head)
        runs.actions(job)
        look = LOOK_EVERY_S if job.is_active else None
        frame.fragment(_draw, look)(job.id, job.status.state)
        if not job.is_active:
            messages.quiet(f"In {job.config.folder}.")


def _draw(id: str, shown_as: str) -> None:
    """Draw how a job stands; rerun the page, with its buttons, when its state is another one."""
    try:
        job = builds.opened(id)
    except EPError as error:
        state.note(messages.sentence(error))
        state.rerun()
    if job.status.state != shown_as:
        state.rerun()
    _standing(job)
    if job.status.dictionaries:
        _growth(job)
        _map(job)
        _newest(job.status)


def _standing(job: Job) -> None:
    """Draw the line that says how the job stands, its progress, and its key numbers."""
    status = job.status
    st.html(
        f'<div class="ep-row" role="status">{runs.dot(job)}'
        f"<span>{tokens.escape(_sentence(job))}</span></div>"
    )
    is_paused = job.has_state and status.error.startswith("interrupted: ")
    if status.state in ("stopped", "failed") and status.error and not is_paused:
        messages.note(messages.sentence(status.error))
    if status.state == "running":
        st.progress(status.share or 0.0)
    if facts := _facts(status):
        st.html(tokens.facts(*facts))


def _sentence(job: Job) -> str:
    status = job.status
    text = runs.standing(job)
    text = text[:1].upper() + text[1:]
    if status.state == "running":
        unit = UNITS.get(status.stage, "activations")
        total = f" of {status.total:,}" if status.total else ""
        done = f": {status.done:,}{total} {unit}" if status.stage != "open" else ""
        return f"{STAGES.get(status.stage, status.stage).capitalize()}{done}"
    if status.state in ("stopped", "failed") and status.stage:
        return f"{text}, while {STAGES.get(status.stage, status.stage)}"
    return text


def _facts(status: Status) -> list[tuple[str, str]]:
    facts = []
    if status.dictionaries:
        facts.append(("regions, at most", f"{status.regions:,}"))
        facts.append(("activations", f"{max(one['seen'] for one in status.dictionaries):,}"))
    if status.state == "running":
        if status.per_second:
            unit = UNITS.get(status.stage, "activations")
            facts.append((f"{unit} a second", f"{status.per_second:,.0f}"))
        if status.seconds_left is not None:
            text = estimates.duration_text(status.seconds_left).removeprefix("about ")
            facts.append(("left of this stage", text))
    return facts


def _label(one: dict[str, Any]) -> str:
    return f"L{one['layer']} p{one['percentile']:g}"


def _growth(job: Job) -> None:
    """Draw K against activations, and below it the rate of new regions of each dictionary."""
    rows = job.status.dictionaries
    curves = [Curve(_label(one), one["growth"][0], one["growth"][1]) for one in rows]
    st.html(tokens.heading("Regions", "K against activations, for each layer and percentile"))
    total = None if all(one["stopped"] for one in rows) else job.config.tokens
    chart(figures_growth.growth(curves, frame.is_dark(), total), key=f"build_k {job.id}")
    cells = []
    for number, one in enumerate(rows):
        if one["rate"] is None:
            continue
        color = LINES[number % len(LINES)]
        ended = f"ended by: {one['stopped']}" if one["stopped"] else ""
        cells.append(
            f'<span><i class="ep-sw" style="--c:{color}"></i>{tokens.escape(_label(one))}</span>'
            f"<b>{one['regions']:,}</b>"
            f"<span>{1000 * one['rate']:.1f} new in 1,000, at most {1000 * one['bound']:.1f} "
            f"(95 %, last {one['window']:,})</span><span>{tokens.escape(ended)}</span>"
        )
    if cells:
        st.html(f'<div class="ep-grow">{"".join(cells)}</div>')


def _map(job: Job) -> None:
    picture = job.picture
    if not picture or not picture.get("ids"):
        return
    n, k = len(picture["ids"]), picture["regions"]
    shade = "light" if frame.is_dark() else "dark"
    of = "" if n == k else f"{n:,} of "
    st.html(
        tokens.heading(
            "Exemplars so far",
            f"{_label(dict(picture))}, {of}{k:,}; {shade} cells are newer, the newest in ink; "
            f"two of three PCA axes that keep {100 * picture['kept']:.0f} % of their variance",
        )
    )
    points = np.asarray(picture["points"], np.float64)
    figure = figures_growth.cells(points, picture["ids"], k, frame.is_dark())
    chart(figure, key=f"build_map {job.id}")


def _newest(status: Status) -> None:
    """Draw the newest exemplars of the dictionary that has most regions."""
    largest = max(status.dictionaries, key=lambda one: one["regions"])
    key = largest["layer"], largest["percentile"]
    rows = [row for row in status.newest if (row["layer"], row["percentile"]) == key]
    if not rows:
        return
    st.html(tokens.heading("Newest exemplars", f"of {_label(largest)}, with the text around"))
    lines = (
        f'<span class="n">{row["region"]}</span>'
        f'<span class="l"><span>{tokens.running_text(_words(row["left"][-80:]))}</span></span>'
        f'<span class="r">{tokens.marked_token(row["token"], LINES[0])}'
        f"{tokens.running_text(_words(row['right'][:80]))}</span>"
        for row in reversed(rows[-MOST_SHOWN:])
    )
    st.html(f'<div class="ep-kwic ep-wide">{"".join(lines)}</div>')


def _words(text: str) -> list[str]:
    """Return a text in pieces that are short enough to be shown whole."""
    return re.findall(r"\S*\s|\S+", text)
