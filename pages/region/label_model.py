"""Has a language model name regions: the small form that says where it answers, and the work beside
the page.

Address and model stay in the session; the key too, and nowhere else. Labels are saved as they come,
so a cancelled job keeps what it has done.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import numpy as np
import streamlit as st

from ep.errors import EPError
from ep.method.dictionary import Dictionary
from ep.models.endpoint import Endpoint
from ep.storage.labels import Labels
from ep.studies.labelling import Outcome, label_regions
from ep.text import shorten
from pages.shared import jobs, loading, messages, state
from pages.shared.judge import endpoint_fields
from pages.shared.tokens import escape
from pages.shared.visitors import visitor

THIS = "This region"
LARGEST = {f"The {n} largest": n for n in (20, 100, 500)}
_ENDPOINT, _OPTIONS, _TIMES = (
    "labelling_endpoint",
    "labelling_endpoint_options",
    "labelling_endpoint_times",
)


class Options(NamedTuple):
    """Whether the model is shown look-alikes too, and whether another region's label is tested."""

    negatives: bool = True
    control: bool = True


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
    lists, options = loading.labels(key).lists, st.session_state.get(_OPTIONS, Options())
    with st.form("endpoint_form", border=False):
        fields = endpoint_fields(st.session_state.get(_ENDPOINT, {}))
        which = st.selectbox("Regions", [THIS, *LARGEST, *lists], format_func=_short)
        negatives = st.toggle(
            "Show it look-alikes too", options.negatives, help="Excerpts of the nearest regions"
        )
        control = st.toggle(
            "Test another region's label as control",
            options.control,
            help="One more request a region",
        )
        is_sent = st.form_submit_button("Label", icon=":material/play_arrow:")
    if is_sent:
        options = Options(negatives, control)
        st.session_state[_ENDPOINT], st.session_state[_OPTIONS] = fields, options
        regions = [region] if which == THIS else LARGEST.get(which) or lists[which].regions
        _start(key, regions, fields, options, by)
    messages.quiet(
        "Excerpts are sent there, by the computer this app runs on. The key is kept in this "
        "session only."
    )


def watch(key: str) -> None:
    """This visitor's job of this dictionary: its progress, or what came of it with a way to put it
    away.
    """
    name = _job(key)
    jobs.watch(name)
    job = jobs.mine(name)
    if job is None or job.state != "done":
        return
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.html(f'<div class="ep-k">{escape(job.result)}</div>')
        st.button("Close", key="endpoint_close", type="tertiary", on_click=jobs.leave, args=(name,))


def _job(key: str) -> str:
    """Each visitor's work is their own: with their model, on the regions they chose."""
    return f"labels {key} {visitor()}"


def _short(text: str) -> str:
    return shorten(text, 60)


def _start(
    key: str,
    regions: int | Sequence[int],
    fields: Mapping[str, str],
    options: Options,
    by: str,
) -> None:
    """Starts the work beside the page. regions: ids, or how many of the largest."""
    name = _job(key)
    if jobs.is_running(name):
        messages.note(
            "A model is labelling regions of this dictionary already: wait for it, or cancel it."
        )
        return
    try:
        endpoint = Endpoint(fields["url"], fields["model"], fields["key"])
    except EPError as error:
        messages.note(messages.sentence(error))
        return
    labels, dictionary = loading.labels(key), loading.dictionary(key)
    chosen: Sequence[int] = (
        np.argsort(-dictionary.members, kind="stable")[:regions].tolist()
        if isinstance(regions, int)
        else regions
    )
    texts = labels.automatic_texts()  # here: the work must not touch the session's caches
    labels = replace(labels, automatic_texts=lambda: texts)
    work = partial(_work, labels, dictionary, chosen, endpoint, by, options)
    jobs.start(name, f"Labels by {_short(endpoint.model)}", work)
    st.session_state[_TIMES] = st.session_state.get(_TIMES, 0) + 1
    state.rerun()


def _work(
    labels: Labels,
    dictionary: Dictionary,
    regions: Sequence[int],
    endpoint: Endpoint,
    by: str,
    options: Options,
    job: jobs.Job,
) -> str:
    """The work of the job; a cancelled one ends with what it has done."""
    outcome = Outcome(labels)
    try:
        label_regions(outcome, dictionary, regions, endpoint, by, *options, job.report)
    except jobs.Cancelled:
        return f"Stopped: {outcome.summary()}."
    return f"{outcome.summary()}."
