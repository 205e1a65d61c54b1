"""Dictionaries that know no tokens and no logit lens, as published files do: what is missing, and
adding it.

The work is `ep.completing.complete`, in a job of the server; the model is loaded once for
everybody.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import streamlit as st

from ep.errors import EPError
from ep.storage import Entry
from pages.shared import jobs, loading, messages, state
from pages.shared.tokens import escape

WILL = (
    "Completing reads the stored excerpts with the model once: token ids, the exact token of every "
    "excerpt, and the"
    " logit lens of each exemplar and mean are added to the file. Regions, counts and distances "
    "stay as published."
)


def offers(entries: Iterable[Entry]) -> None:
    """A line for each published dictionary that lacks token ids or lens, with the way to add
    them.
    """
    published = [entry for entry in entries if "published" in entry.info]
    _collect(published)
    lacking = [(entry, words) for entry in published if (words := _lacking(entry))]
    for entry, words in lacking:
        _offer(entry, words)
    if any(loading.model_is_here(_info(entry)) for entry, _ in lacking):
        messages.quiet(WILL)


def _collect(entries: Iterable[Entry]) -> None:
    """Takes note of what has been completed since the page was last drawn, and draws it again."""
    done = [
        key
        for e in entries
        if (job := jobs.get(key := _job(e))) is not None and job.state == "done"
    ]
    if done:
        for key in done:
            jobs.forget(key)
        loading.refresh()
        state.note(
            "The model has completed it: token ids, exact highlights and the logit lens are in the "
            "file now."
        )
        state.rerun()


def _job(entry: Entry) -> str:
    return f"complete {entry.key}"


def _lacking(entry: Entry) -> str:
    """What the file does not hold, in words; nothing while it cannot be opened."""
    try:
        dictionary = loading.dictionary(entry.key)
    except EPError:
        return ""
    parts = [("passage_ids", "token ids"), ("lens_exemplar_up_ids", "logit lens")]
    return " and no ".join(words for name, words in parts if name not in dictionary)


def _offer(entry: Entry, lacking: str) -> None:
    key = _job(entry)
    where = (
        f"layer {entry.layer}, p = {entry.percentile:g}"
        if entry.percentile is not None
        else entry.path.name
    )
    line = f'<div><span class="ep-num">{escape(where)}</span> <span class="ep-k">{{}}</span></div>'
    if not loading.model_is_here(_info(entry)):
        st.html(line.format(escape(f"no {lacking}; {_way(str(entry.info.get('model') or ''))}")))
        return
    text, button = st.columns([5, 2], gap="small", vertical_alignment="center")
    text.html(line.format(escape(f"no {lacking}")))
    with button, st.container(horizontal_alignment="right"):
        if st.button("Complete with the model", key=f"library_{key}"):
            _start(key, entry)
    jobs.watch(key, framed=False)


def _way(model: str) -> str:
    """What has to be done before the model can complete a dictionary."""
    if not model:
        return "the file does not say which model it is of, so they cannot be added here"
    if re.fullmatch(r"[\w-][\w.-]*/[\w-][\w.-]*", model):
        return f"its model can add them once it is here: hf download {model}"
    return "its model is not where the file says"


def _info(entry: Entry) -> dict[str, Any]:
    """An entry's provenance with the file it is in, as `loading.model_path` wants it."""
    return entry.info | {"file": str(entry.path)}


def _start(key: str, entry: Entry) -> None:
    try:
        model = loading.language_model(loading.dictionary(entry.key).info)
    except EPError as error:
        messages.note(messages.sentence(error))
        return

    def work(job: jobs.Job) -> Path:
        from ep.completing import complete

        return complete(entry.path, model, job.report)

    jobs.start(key, f"Completing {entry.title}", work)
    state.rerun()
