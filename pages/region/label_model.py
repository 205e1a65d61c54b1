"""Has a language model name regions: the small form that says where it answers, and the work beside
the page.

Address and model stay in the session; the key too, and nowhere else. Labels are saved as they come,
so a cancelled job keeps what it has done.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import streamlit as st

from ep.errors import EPError
from ep.method.dictionary import Dictionary
from ep.models.endpoint import Endpoint
from ep.storage.labels import Labels
from ep.studies.labelling import Outcome, label_regions
from ep.text import shorten
from pages.shared import jobs, loading, messages, state
from pages.shared.tokens import escape

THIS = "This region"
LARGEST = {f"The {n} largest": n for n in (20, 100, 500)}
_GIVEN, _TIMES = "labelling_endpoint", "labelling_endpoint_times"
_FIELDS = {"url": "", "model": "", "key": "", "negatives": True, "control": True}


def popover(key: str, region: int, by: str) -> None:
    """A button that opens the form: where the model answers, which regions it is to name. by: in
    whose name.
    """
    # another key is another popover, and that one is closed
    times = st.session_state.get(_TIMES, 0)
    with st.popover(
        "Ask a model", icon=":material/smart_toy:", type="tertiary", key=f"endpoint_popover {times}"
    ):
        _form(key, region, by)


def _form(key: str, region: int, by: str) -> None:
    given, lists = {**_FIELDS, **st.session_state.get(_GIVEN, {})}, loading.labels(key).lists
    which = [THIS, *LARGEST, *lists]
    with st.form("endpoint_form", border=False):
        url = st.text_input(
            "Address", given["url"], placeholder="http://localhost:11434/v1", max_chars=2000
        )
        model = st.text_input(
            "Model", given["model"], placeholder="its name on that server", max_chars=150
        )
        secret = st.text_input(
            "Key, if it needs one", given["key"], type="password", autocomplete="off", max_chars=500
        )
        asked = st.selectbox("Regions", which, format_func=_short)
        negatives = st.toggle(
            "Show it look-alikes too", given["negatives"], help="Excerpts of the nearest regions"
        )
        control = st.toggle(
            "Test another region's label as control",
            given["control"],
            help="One more request a region",
        )
        sent = st.form_submit_button("Label", icon=":material/play_arrow:")
    if sent:
        given = {
            "url": url,
            "model": model,
            "key": secret,
            "negatives": negatives,
            "control": control,
        }
        st.session_state[_GIVEN] = given
        regions = [region] if asked == THIS else LARGEST.get(asked) or lists[asked].regions
        _start(key, regions, given, by)
    messages.quiet(
        "Excerpts are sent there, by the computer this app runs on. The key is kept in this "
        "session only."
    )


def watch(key: str) -> None:
    """The job of this dictionary: its progress, or what came of it with a way to put it away."""
    name = _job(key)
    jobs.watch(name)
    job = jobs.get(name)
    if job is None or job.state != "done" or not isinstance(job.result, str):
        return
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.html(f'<div class="ep-k">{escape(job.result)}</div>')
        st.button(
            "Close", key="endpoint_close", type="tertiary", on_click=jobs.forget, args=(name,)
        )


def _job(key: str) -> str:
    return f"labels {key}"


def _short(text: str) -> str:
    return shorten(text, 60)


def _start(key: str, regions: int | Sequence[int], given: Mapping[str, Any], by: str) -> None:
    """Starts the work beside the page. regions: ids, or how many of the largest."""
    if (running := jobs.get(_job(key))) is not None and running.state == "running":
        messages.note(
            "A model is labelling regions of this dictionary already: wait for it, or cancel it."
        )
        return
    try:
        endpoint = Endpoint(given["url"], given["model"], given["key"])
    except EPError as error:
        messages.note(messages.sentence(error))
        return
    labels, dictionary = loading.labels(key), loading.dictionary(key)
    if isinstance(regions, int):
        regions = np.argsort(-dictionary.members, kind="stable")[:regions].tolist()
    texts = labels.automatic_texts()  # here: the work must not touch the session's caches
    labels = replace(labels, automatic_texts=lambda: texts)
    name, options = _job(key), (bool(given["negatives"]), bool(given["control"]))
    jobs.forget(name)
    st.session_state[_TIMES] = st.session_state.get(_TIMES, 0) + 1
    title = f"Labels by {_short(endpoint.model)}"
    jobs.start(
        name, title, lambda job: _work(job, labels, dictionary, regions, endpoint, by, *options)
    )
    state.rerun()


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
        label_regions(out, dictionary, regions, endpoint, by, negatives, control, job.report)
    except jobs.Cancelled:
        return f"Stopped: {out.summary()}."
    return f"{out.summary()}."
