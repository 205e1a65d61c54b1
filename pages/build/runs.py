"""The jobs of the Build page: a line for each, and what their owner can do with them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import partial
from pathlib import Path

import streamlit as st

from ep import jobs as builds
from ep.errors import EPError
from ep.jobs import Job
from ep.storage import Entry
from ep.storage.checkpoint import NAME as STATE
from ep.storage.hub import in_bytes
from pages.build.settings import Settings
from pages.shared import loading, messages, state, tokens, visitors

COLORS = {
    "queued": "#8a93a6",
    "running": "#5199e5",
    "stopped": "#edd362",
    "done": "#498267",
    "failed": "#bd5f2b",
}
_ASKED = "build_asked"
MOST_LISTED = 12
"""Jobs that are listed."""


def chosen(found: list[Job]) -> Job | None:
    """Return the job that is shown at length: the one of the link, one that runs, or the newest."""
    wanted = state.settings(Settings).job
    by_id = {job.id: job for job in found}
    if wanted in by_id:
        return by_id[wanted]
    return next(
        (job for job in found if job.status.state == "running"), found[0] if found else None
    )


def name(job: Job) -> str:
    """Return what a job builds, in a few words; text from a form: escape it."""
    config = job.config
    text = ", ".join(Path(path).name for path in config.text)
    return config.title or f"{Path(config.model_name).name} on {text}"


def about(job: Job) -> str:
    """Return the settings of a job in a phrase."""
    config = job.config
    layers = ", ".join(map(str, config.layers))
    percentiles = ", ".join(f"{p:g}" for p in config.percentiles)
    budget = f"{config.tokens:,} tokens" if config.tokens else "the whole text"
    return f"layer {layers} · p {percentiles} · {budget}"


def standing(job: Job) -> str:
    """Return how a job stands, in a few words."""
    status = job.status
    if status.state == "queued":
        n = status.before
        return f"waiting, {n} build{'s' if n != 1 else ''} before it" if n else "starting"
    if status.state == "running":
        return "running" if status.share is None else f"running, {100 * status.share:.0f} %"
    if status.state == "stopped" and job.has_state:
        return "stopped; its state is kept"
    return status.state


def lines(found: list[Job], shown: Job) -> None:
    """Draw a line for each job but the one that is shown at length."""
    others = [job for job in found if job.id != shown.id]
    if not others:
        return
    with st.container(border=True, gap="xsmall"):
        st.html(tokens.heading("Other builds", f"{len(others)}"))
        for job in others[:MOST_LISTED]:
            text, button = st.columns([6, 1], gap="small", vertical_alignment="center")
            text.html(
                f'<div class="ep-row">{dot(job)}<b class="ep-clip">{tokens.escape(name(job))}</b>'
                f'<span class="ep-k ep-fixed">{tokens.escape(standing(job))}</span></div>'
            )
            button.button(
                "Show", key=f"build_show {job.id}", on_click=partial(_show, job.id), type="tertiary"
            )


def dot(job: Job) -> str:
    """Return the coloured mark of a job's state, as HTML."""
    return f'<span class="ep-sw" style="--c:{COLORS[job.status.state]};margin:0"></span>'


def started(job: Job) -> str:
    """Return when a job was made, in the server's time."""
    return datetime.fromtimestamp(job.created).strftime("%d %b, %H:%M")


def _show(id: str) -> None:
    state.update_settings(Settings, job=id)


# -- what can be done ------------------------------------------------------------------------------


def actions(job: Job) -> None:
    """Draw the buttons of a job: opening it for everybody, the rest for its owner."""
    is_own = job.owner == visitors.owner()
    if (asked := st.session_state.get(_ASKED)) and asked[1] == job.id and is_own:
        _confirm(job, asked[0])
        return
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        entries = [] if job.is_active else files(job)
        if entries:
            is_whole = job.status.state == "done"
            if st.button(
                "Open" if is_whole else "Open what there is",
                key="build_open",
                icon=":material/open_in_new:",
            ):
                _open(entries)
        if not is_own:
            messages.quiet("Somebody else's build: only they can stop or delete it.")
            return
        for label, action in _possible(job):
            st.button(label, key=f"build_{label.lower()}", on_click=action)


def _possible(job: Job) -> list[tuple[str, Callable[[], None]]]:
    """Return the owner's buttons with what they do."""
    ask_cancel, ask_delete = partial(_ask, "cancel", job.id), partial(_ask, "delete", job.id)
    if job.status.state == "running":
        return [("Pause", partial(_do, builds.pause, job.id)), ("Cancel", ask_cancel)]
    if job.status.state == "queued":
        return [("Cancel", partial(_do, builds.cancel, job.id))]
    again = "Resume" if job.has_state else "Start again"
    more = [] if job.status.state == "done" else [(again, partial(_do, builds.resume, job.id))]
    return [*more, ("Delete", ask_delete)]


def _confirm(job: Job, what: str) -> None:
    """Draw what is lost by an action, with the button that does it all the same."""
    if what == "cancel":
        messages.quiet("What was not saved is lost; Pause keeps it.")
        choices = [("Cancel it at once", partial(_do, builds.cancel, job.id))]
    else:
        keep = partial(_do, builds.delete, job.id)
        choices = [("Delete the job", keep)]
        messages.quiet("Its settings and its log are removed; its dictionaries stay.")
        if job.has_state:
            size = in_bytes((job.config.folder / STATE).stat().st_size)
            both = partial(_do, partial(builds.delete, with_state=True), job.id)
            choices.append((f"And its state ({size}): it cannot be resumed then", both))
    with st.container(horizontal=True, gap="small"):
        for number, (label, action) in enumerate(choices):
            st.button(label, key=f"build_yes_{number}", on_click=action)
        st.button("Keep it", key="build_no", on_click=_forget, type="tertiary")


def _ask(what: str, id: str) -> None:
    st.session_state[_ASKED] = (what, id)


def _forget() -> None:
    st.session_state.pop(_ASKED, None)


def _do(action: Callable[[Job], object], id: str) -> None:
    """Do something with a job as it is now; an error becomes a note."""
    _forget()
    try:
        job = builds.opened(id)
        if job.owner == visitors.owner():
            action(job)
    except EPError as error:
        state.note(messages.sentence(error))


# -- its dictionaries ------------------------------------------------------------------------------


def files(job: Job) -> list[Entry]:
    """Return the dictionaries that a job wrote and that are on the shelf.

    Those in a folder elsewhere are linked into the library first.
    """
    config = job.config
    paths = [
        config.folder / config.file_name(layer, p)
        for layer in config.layers
        for p in config.percentiles
    ]
    there = {path.resolve() for path in paths if path.is_file()}
    found = [entry for entry in loading.entries() if entry.path.resolve() in there]
    if len(found) < len(there):
        loading.refresh()
        found = [entry for entry in loading.entries() if entry.path.resolve() in there]
    for path in there - {entry.path.resolve() for entry in found}:
        _link(path, job)
    return found


def _link(path: Path, job: Job) -> None:
    """Link a dictionary elsewhere into the library, where it then appears."""
    link = loading.library_folder() / job.id / path.name
    try:
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(path)
    except OSError:
        return  # it is there already, or cannot be: its path is on the page
    loading.refresh()


def _open(entries: list[Entry]) -> None:
    wanted = loading.preferred(entries)
    state.open_dictionary(wanted.key)
    state.goto("atlas")
