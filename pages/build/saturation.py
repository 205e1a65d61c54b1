"""How much does a domain need: the card that compares texts by their regions, and its job."""

from __future__ import annotations

import json
import sys
from contextlib import closing
from hashlib import blake2b
from pathlib import Path

import streamlit as st

from ep.config import BuildConfig
from ep.errors import ConfigError, EPError
from ep.models.adapters import with_adapter
from ep.saturating import Step, saturate
from ep.saturating import check as check_settings
from ep.storage.hub.texts import PREFIX
from ep.studies.saturation_result import Saturation
from ep.text import one_line
from ep.textfiles import find_files
from pages.build import fields, saturation_result, texts
from pages.shared import estimates, jobs, loading, messages, tokens
from pages.shared import models as shared
from pages.shared.jobs import Job

TITLE = "Comparing the texts"
NAMES = {
    "model": "Model",
    "layer": "Layer",
    "percentile": "Percentile p",
    "tokens": "Tokens of each",
}
FIRST = {"model": "", "layer": "", "percentile": "4", "tokens": "3000", "texts": ""}
EXAMPLE_TOKENS, EXAMPLE_KINDS = "2000", 3
TOKENS_A_SECOND = 150.0
"""A guess for a model of some hundred million parameters on a processor."""
HINT = "code = /path/to/code.jsonl\nprose = /path/to/prose.txt"
Request = tuple[BuildConfig, dict[str, tuple[str, ...]]]


def card() -> None:
    """Draw the form, and the comparison or what starts it."""
    with st.container(border=True, gap="small"):
        about = "two to four texts at one θ, from equal shares of all"
        st.html(tokens.heading("How much does a domain need?", about))
        _form()
        try:
            request = _request()
        except EPError as error:
            messages.note(messages.sentence(error))
            return
        if request is None:
            with st.container(horizontal=True, vertical_alignment="center", gap="small"):
                messages.quiet("Name a model, a layer, and a text a line.")
                st.button("Fill in the demo's", key="sat_example", on_click=_example)
            return
        _result(*request)


def _form() -> None:
    left, right = st.columns([1, 1], gap="medium")
    with left:
        places = [st.container(), *st.columns(3, gap="small")]
        for place, (name, label) in zip(places, NAMES.items(), strict=True):
            st.session_state.setdefault(f"sat_{name}", _value(name))
            place.text_input(label, key=f"sat_{name}", on_change=_keep, args=(name,))
    st.session_state.setdefault("sat_texts", _value("texts"))
    right.text_area(
        "Texts, NAME = PATH on each line",
        key="sat_texts",
        placeholder=HINT,
        height=122,
        on_change=_keep,
        args=("texts",),
    )


def _value(name: str) -> str:
    """Return what a field holds, also after a visit to another page."""
    return str(st.session_state.get("saturation_values", {}).get(name, FIRST[name]))


def _keep(name: str) -> None:
    st.session_state.setdefault("saturation_values", {})[name] = st.session_state[f"sat_{name}"]


def _example() -> None:
    """Fill in the demo's model and its text by kind."""
    try:
        kinds = texts.demo_kinds()
    except EPError as error:
        messages.note(messages.sentence(error))
        return
    largest = sorted(kinds, key=lambda kind: (-kinds[kind].stat().st_size, kind))[:EXAMPLE_KINDS]
    values = {
        "model": str(loading.DEMO.relative_to(loading.ROOT) / "models" / "base"),
        "layer": "4",
        "percentile": FIRST["percentile"],
        "tokens": EXAMPLE_TOKENS,
        "texts": "\n".join(f"{kind} = {kinds[kind]}" for kind in sorted(largest)),
    }
    for name, text in values.items():
        st.session_state[f"sat_{name}"] = text
        _keep(name)


def _request() -> Request | None:
    """Return what the form asks for, None while it is blank; errors as `saturating.check`."""
    held = {name: str(st.session_state[f"sat_{name}"]).strip() for name in FIRST}
    if not (held["model"] and held["layer"] and held["texts"]):
        return None
    corpora: dict[str, tuple[str, ...]] = {}
    for line in filter(None, map(str.strip, held["texts"].splitlines())):
        name, sign, path = (part.strip() for part in line.partition("="))
        if not (name and sign and path):
            raise ConfigError(f"{one_line(line, 60)!r} is no text: write NAME = PATH")
        corpora[name] = (*corpora.get(name, ()), path)
    files = tuple(path for paths in corpora.values() for path in paths)
    config = fields.config_of(
        {
            "model": held["model"],
            "layers": held["layer"],
            "percentiles": held["percentile"],
            "tokens": held["tokens"],
            "text": files[0] if files else "",
            "out": ".",
        }
    )
    if len(config.layers) * len(config.percentiles) != 1:
        raise ConfigError("one layer and one percentile are compared at a time")
    check_settings(config, corpora)
    find_files([Path(path) for path in files if not path.startswith(PREFIX)])
    return config, corpora


def _result(config: BuildConfig, corpora: dict[str, tuple[str, ...]]) -> None:
    """Draw the comparison, its progress, or the button that starts it."""
    asked = json.dumps([config.as_dict(), list(corpora.items())], sort_keys=True)
    key = f"saturation {blake2b(asked.encode(), digest_size=9).hexdigest()}"
    seconds = (config.tokens or 10_000) * len(corpora) / TOKENS_A_SECOND
    found = jobs.result_or_offer(
        key,
        TITLE,
        lambda job: _work(config, corpora, job),
        seconds=seconds + (0.0 if "torch" in sys.modules else estimates.IMPORT_S),
        button="Compare",
        about="Each text is read once; no file is written (ep saturate --out writes them).",
        framed=False,
    )
    if found is not None:
        saturation_result.show(key, config, found)


def _work(config: BuildConfig, corpora: dict[str, tuple[str, ...]], job: Job) -> Saturation:
    """Load the model and compare; runs in the thread of the job."""
    fields.check_inputs(config)
    job.report("loading the model")
    model = shared.models().load(with_adapter(config.model, None), job.report)
    with jobs.model_turn(job, model), closing(saturate(config, corpora, None, model)) as steps:
        for step in steps:
            if not isinstance(step, Step):
                return step
            job.report(step.activity, step.share)
    raise AssertionError("a study ends with its result")
