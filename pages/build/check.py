"""The check before a build: its first tokens, and what a small head of its stream says of K, time
and size. It runs as a job in the server, when its button is pressed.
"""

from __future__ import annotations

import json
import sys
from hashlib import blake2b

import streamlit as st

from ep.config import BuildConfig
from ep.forecasting import HEAD, Forecast, forecast
from ep.models.adapters import with_adapter
from ep.storage.hub import in_bytes
from pages.build import fields, form
from pages.shared import estimates, jobs, messages, tokens
from pages.shared import models as shared
from pages.shared.jobs import Job

GUESS_S = 40.0
"""A guess for how long the check takes on a model of some hundred million parameters."""
TITLE = "Checking the build"
_TARGET = "build_target"


def card(config: BuildConfig | None) -> None:
    """Draw the check of the settings: its button, its progress, or what it found.

    config: None where the form holds no settings yet; nothing is drawn then.
    """
    if config is None:
        return
    key = f"build check {_digest(config)}"
    with st.container(border=True, gap="small"):
        st.html(tokens.heading("Check", f"on the first {HEAD:,} activations of the text"))
        seconds = GUESS_S + (0.0 if "torch" in sys.modules else estimates.IMPORT_S)
        found = jobs.result_or_offer(
            key,
            TITLE,
            lambda job: _work(config, job),
            seconds=seconds,
            button="Check",
            about="The text's tokens, θ, and how many regions there will be.",
            framed=False,
        )
        if found is not None:
            _show(config, found)


def _digest(config: BuildConfig) -> str:
    settings = config.as_dict() | {"out": "", "title": ""}
    return blake2b(json.dumps(settings, sort_keys=True).encode(), digest_size=9).hexdigest()


def _work(config: BuildConfig, job: Job) -> Forecast:
    """Load the model and measure the head; runs in the thread of the job."""
    fields.check_inputs(config)
    job.report("loading the model")
    if (config.device, config.dtype, config.revision) == ("auto", "auto", None):
        model = shared.models().load(with_adapter(config.model, config.adapter), job.report)
    else:
        from ep.models import load

        model = load(
            config.model, config.device, config.dtype, config.revision, config.adapter, job.report
        )
    with jobs.model_turn(job, model):
        steps = forecast(config, model)
        while True:
            try:
                share = next(steps)
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]
            job.report("reading and clustering the head", share)


def _show(config: BuildConfig, found: Forecast) -> None:
    """Draw what the check found."""
    about = "activations" if found.is_counted else "activations, about"
    st.html(
        tokens.facts(
            (about, f"{found.total:,}"),
            ("time, at most about", _duration(found.seconds)),
            ("memory, besides the model", in_bytes(int(found.memory))),
            ("on disk", in_bytes(int(found.disk))),
        )
    )
    rows = []
    for layer in config.layers:
        for p in config.percentiles:
            one = found.predictions[layer, p]
            rows.append(
                f"<span>L{layer} p{p:g}</span><b>{_about(one.regions)}</b>"
                f"<span>{_about(one.low)} to {_about(one.high)} regions; {one.head:,} in the "
                f"head</span><span>θ {one.threshold:.3f}</span>"
            )
    st.html(f'<div class="ep-grow">{"".join(rows)}</div>')
    messages.quiet(
        f"Predicted from {found.n:,} activations: Heaps' law in four orders of the passages, with "
        "an exponent between that of the last doubling and one that goes on falling. "
        + ("A stop rule can end it earlier." if config.stop_rate or config.quiet_batches else "")
    )
    _target(config, found)
    st.html(tokens.heading("First tokens", "of the first passages, as the model reads them"))
    for row in found.preview:
        st.html(tokens.chips(row))


def _duration(seconds: float) -> str:
    return estimates.duration_text(seconds).removeprefix("about ")


def _about(regions: float) -> str:
    """Return a predicted K to three digits."""
    return f"{int(float(f'{regions:.3g}')):,}"


def _target(config: BuildConfig, found: Forecast) -> None:
    """Draw the percentile at which there will be a wanted number of regions."""
    field, answer = st.columns([1, 2], gap="small", vertical_alignment="bottom")
    with field:
        wanted = st.number_input("Target K", min_value=2, value=1000, step=100, key=_TARGET)
    layer = config.layers[-1]
    p = found.percentile_for(layer, float(wanted))
    with answer:
        if p is None:
            messages.quiet("No percentile between those measured gives so many.")
            return
        st.button(
            f"Use p = {p:g}, for layer {layer}",
            key="build_use_p",
            on_click=form.put,
            args=("percentiles", f"{p:g}"),
        )
