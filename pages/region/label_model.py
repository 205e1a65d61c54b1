"""Labels by a language model: the form for its endpoint, and the job that asks it.

Address, model and key are stored in the session only. Labels are saved one by one, so a cancelled
job keeps those it has made.
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
from pages.shared.judge import INSIDE, LABELLING_ENDPOINT, endpoint_fields
from pages.shared.tokens import escape
from pages.shared.visitors import visitor

THIS = "This region"
LARGEST = {f"The {n} largest": n for n in (20, 100, 500)}
_OPTIONS, _STARTS = "labelling_endpoint_options", "labelling_endpoint_times"


class Options(NamedTuple):
    """The options of the form.

    negatives: whether the model is also given excerpts of the nearest regions. control: whether
    another region's label is tested on the same excerpts.
    """

    negatives: bool = True
    control: bool = True


def popover(key: str, region: int, by: str) -> None:
    """Draw the button that opens the form. by: the name to save labels under."""
    # a new key after every start makes a new popover, which is closed
    n_starts = st.session_state.get(_STARTS, 0)
    with st.popover(
        "Ask a model",
        icon=":material/smart_toy:",
        type="tertiary",
        key=f"endpoint_popover {n_starts}",
    ):
        _form(key, region, by)


def _form(key: str, region: int, by: str) -> None:
    """Draw the form, and start the job when it is submitted."""
    lists, options = loading.labels(key).lists, st.session_state.get(_OPTIONS, Options())
    with st.form("endpoint_form", border=False):
        fields = endpoint_fields(st.session_state.get(LABELLING_ENDPOINT, {}))
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
        st.session_state[LABELLING_ENDPOINT], st.session_state[_OPTIONS] = fields, options
        regions = [region] if which == THIS else LARGEST.get(which) or lists[which].regions
        _start(key, regions, fields, options, by)
    messages.quiet(
        "Excerpts are sent there, by the computer this app runs on. The key is kept in this "
        "session only."
    )


def watch(key: str) -> None:
    """Draw this visitor's job for a dictionary: its progress, or its result with a close button."""
    name = _job_key(key)
    jobs.watch(name)
    job = jobs.own_job(name)
    if job is None or job.state != "done":
        return
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.html(f'<div class="ep-k">{escape(job.result)}</div>')
        st.button("Close", key="endpoint_close", type="tertiary", on_click=jobs.leave, args=(name,))


def _job_key(key: str) -> str:
    """Return the key of the job; visitors do not share jobs, since each may use another model."""
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
    """Start the job. regions: ids, or the number of the largest regions to label."""
    name = _job_key(key)
    if jobs.is_running(name):
        messages.note(
            "A model is labelling regions of this dictionary already: wait for it, or cancel it."
        )
        return
    try:
        inside = bool(fields[INSIDE])
        endpoint = Endpoint(fields["url"], fields["model"], fields["key"], inside=inside)
    except EPError as error:
        messages.note(messages.sentence(error))
        return
    labels, dictionary = loading.labels(key), loading.dictionary(key)
    ids: Sequence[int] = (
        np.argsort(-dictionary.members, kind="stable")[:regions].tolist()
        if isinstance(regions, int)
        else regions
    )
    texts = labels.automatic_texts()  # computed here because the job must not use Streamlit's cache
    labels = replace(labels, automatic_texts=lambda: texts)
    work = partial(_work, labels, dictionary, ids, endpoint, by, options)
    jobs.start(name, f"Labels by {_short(endpoint.model)}", work)
    st.session_state[_STARTS] = st.session_state.get(_STARTS, 0) + 1
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
    """Label the regions, and return a summary; a cancelled job returns what it has done."""
    outcome = Outcome(labels)
    try:
        label_regions(outcome, dictionary, regions, endpoint, by, *options, job.report)
    except jobs.Cancelled:
        return f"Stopped: {outcome.summary()}."
    return f"{outcome.summary()}."
