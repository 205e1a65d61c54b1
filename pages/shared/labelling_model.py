"""Has a language model name regions: the small form that says where it answers, and the work beside the page.

Address and model stay in the session; the key too, and nowhere else. Labels are saved as they come, so a cancelled
job keeps what it has done.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import streamlit as st

from ep.errors import EPError
from ep.method.dictionary import Dictionary
from ep.models.endpoint import Endpoint
from ep.storage.labels import Labels
from ep.studies.labelling import Outcome, label_regions
from ep.views.tables import members
from ep.views.text import shorten
from pages.shared import jobs, loading, messages
from pages.shared.tokens import escape

THIS, LARGEST = "This region", "The largest"
MOST = 500
_GIVEN, _SAID = "labelling_endpoint", "labelling_endpoint_said"
_FIELDS = {"url": "", "model": "", "key": "", "which": THIS, "many": 20, "negatives": True, "control": True}


def form(key: str, region: int, by: str) -> None:
    """Where the model answers, which regions it is to name, and the button; inside a popover. by: in whose name."""
    given = st.session_state.setdefault(_GIVEN, dict(_FIELDS))
    for name in given:  # written in every run: what is inside a closed popover hears of a value only when it opens
        given[name] = st.session_state[f"endpoint_{name}"] = st.session_state.get(f"endpoint_{name}", given[name])
    labels = loading.labels(key)
    st.text_input("Address", key="endpoint_url", placeholder="http://localhost:11434/v1", max_chars=2000)
    st.text_input("Model", key="endpoint_model", placeholder="its name on that server", max_chars=150)
    st.text_input("Key, if it needs one", key="endpoint_key", type="password", autocomplete="off", max_chars=500)
    choices = [THIS, LARGEST, *labels.lists]
    if st.session_state["endpoint_which"] not in choices:
        st.session_state["endpoint_which"] = THIS
    st.selectbox("Regions", choices, key="endpoint_which", format_func=_short)
    if st.session_state["endpoint_which"] == LARGEST:
        st.number_input("How many", 1, MOST, key="endpoint_many")
    st.toggle("Show it look-alikes too", key="endpoint_negatives", help="Excerpts of the nearest regions")
    st.toggle("Test another region's label as control", key="endpoint_control", help="One more request a region")
    st.button("Label", key="endpoint_start", icon=":material/play_arrow:", on_click=_start, args=(key, region, by))
    if said := st.session_state.pop(_SAID, ""):
        messages.note(said)
    messages.quiet("Excerpts are sent there, by the computer this app runs on. The key is kept in this session only.")


def watch(key: str) -> None:
    """The job of this dictionary: its progress, or what came of it with a way to put it away."""
    name = _job(key)
    jobs.watch(name)
    job = jobs.get(name)
    if job is None or job.state != "done" or not isinstance(job.result, str):
        return
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.html(f'<div class="ep-k">{escape(job.result)}</div>')
        st.button("Close", key="endpoint_close", type="tertiary", on_click=jobs.forget, args=(name,))


def _job(key: str) -> str:
    return f"labels {key}"


def _short(text: str) -> str:
    return shorten(text, 60)


def _start(key: str, region: int, by: str) -> None:
    given: dict[str, Any] = {name: st.session_state[f"endpoint_{name}"] for name in _FIELDS}
    try:
        endpoint = Endpoint(given["url"], given["model"], given["key"])
    except EPError as error:
        st.session_state[_SAID] = messages.sentence(error)
        return
    labels, dictionary = loading.labels(key), loading.dictionary(key)
    regions = _regions(labels, dictionary, region, given)
    texts = labels.automatic_texts()  # here: the work must not touch the session's caches
    labels = replace(labels, automatic_texts=lambda: texts)
    name, options = _job(key), (bool(given["negatives"]), bool(given["control"]))
    title = f"Labels by {_short(endpoint.model)}"
    jobs.forget(name)
    jobs.start(name, title, lambda job: _work(job, labels, dictionary, regions, endpoint, by, *options))


def _regions(labels: Labels, dictionary: Dictionary, region: int, given: dict[str, Any]) -> Sequence[int]:
    if given["which"] == THIS:
        return [region]
    if given["which"] == LARGEST:
        return np.argsort(-members(dictionary), kind="stable")[: int(given["many"])].tolist()
    return labels.lists[given["which"]].regions


def _work(
    job: jobs.Job,
    labels: Labels,
    dictionary: Dictionary,
    regions: Sequence[int],
    endpoint: Endpoint,
    by: str,
    negatives: bool,
    control: bool,
) -> str:
    """The work of the job; a cancelled one ends with what it has done."""
    out = Outcome(labels)
    try:
        label_regions(out, dictionary, regions, endpoint, by, negatives, control, job.tell)
    except jobs.Cancelled:
        return f"Stopped: {out.summary()}."
    return f"{out.summary()}."
