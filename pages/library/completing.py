"""Dictionaries without tokens and logit lens, as published files are, and the offer to add these.

The work is `ep.completing.complete`, in a job of the server; the model is loaded once for all
visitors.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import streamlit as st

from ep.errors import EPError
from ep.method.dictionary import Dictionary
from ep.storage import Entry
from pages.shared import jobs, loading, messages, models, state
from pages.shared.jobs import Job
from pages.shared.tokens import escape

EXPLANATION = (
    "Completing reads the stored excerpts with the model once: token ids, the exact token of every "
    "excerpt, and the"
    " logit lens of each exemplar and mean are added to the file. Regions, counts and distances "
    "stay as published."
)


def offers(entries: Iterable[Entry]) -> None:
    """Draw a line with an offer for each published dictionary that lacks token ids or lens."""
    incomplete = [
        (entry, dictionary, text)
        for entry in entries
        if "published" in entry.info
        and (dictionary := _dictionary(entry)) is not None
        and (text := _missing_parts(dictionary))
    ]
    for entry, dictionary, text in incomplete:
        _offer(entry, dictionary, text)
    if any(models.is_local(entry) for entry, _, _ in incomplete):
        messages.quiet(EXPLANATION)


def _dictionary(entry: Entry) -> Dictionary | None:
    """Return the dictionary; None while it cannot be opened."""
    try:
        return loading.dictionary(entry.key)
    except EPError:
        return None


def _missing_parts(dictionary: Dictionary) -> str:
    """Return what the file does not hold, in words."""
    parts = [("passage_ids", "token ids"), ("lens_exemplar_up_ids", "logit lens")]
    return " and no ".join(text for name, text in parts if name not in dictionary)


def _offer(entry: Entry, dictionary: Dictionary, missing: str) -> None:
    key = f"complete {entry.key}"
    where = (
        f"layer {entry.layer}, p = {entry.percentile:g}"
        if entry.percentile is not None
        else entry.path.name
    )
    line = f'<div><span class="ep-num">{escape(where)}</span> <span class="ep-k">{{}}</span></div>'
    if not models.is_local(entry):
        st.html(
            line.format(escape(f"no {missing}; {_obstacle(str(entry.info.get('model') or ''))}"))
        )
        return
    text, button = st.columns([5, 2], gap="small", vertical_alignment="center")
    text.html(line.format(escape(f"no {missing}")))
    with button, st.container(horizontal_alignment="right"):
        st.button(
            "Complete with the model",
            key=f"library_{key}",
            on_click=_start,
            args=(key, entry, dictionary),
        )
    jobs.watch(key, framed=False)


def _obstacle(model: str) -> str:
    """Return, in words, what must be done before the model can complete a dictionary."""
    if not model:
        return "the file does not say which model it is of, so they cannot be added here"
    if re.fullmatch(r"[\w-][\w.-]*/[\w-][\w.-]*", model):
        return f"its model can add them once it is here: hf download {model}"
    return "its model is not where the file says"


def _start(key: str, entry: Entry, dictionary: Dictionary) -> None:
    def work(job: Job) -> Path:
        from ep.completing import complete

        return complete(entry.path, models.load_for(dictionary, job.report), job.report)

    jobs.start(key, f"Completing {entry.title}", work, _completed)


def _completed(_path: Path) -> None:
    loading.refresh()
    state.note(
        "The model has completed it: token ids, exact highlights and the logit lens are in the "
        "file now."
    )
