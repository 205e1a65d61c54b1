"""The form of the Build page: what to build, checked as it is typed, and the start button."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import Any

import streamlit as st

from ep import jobs as builds
from ep.config import BuildConfig
from ep.errors import ConfigError, EPError
from ep.storage.hub import in_bytes
from pages.build import fields, texts
from pages.build.settings import Settings
from pages.shared import controls, loading, messages, state, tokens, visitors

_VALUES, _SOURCE, _REFUSED = "build_values", "build_source", "build_refused"
PATH, UPLOAD, DEMO = "On this machine", "Upload", "The demo's"
COLUMNS = 3
EXAMPLE = {"layers": "2", "percentiles": "4, 8", "tokens": "20000", "calibration": "10000"}
"""What the button "Fill in an example" sets besides model and text."""


def values() -> dict[str, Any]:
    """Return what the fields hold, by name; it may be changed."""
    found: dict[str, Any] = st.session_state.setdefault(_VALUES, {})
    return found


def value(name: str) -> Any:
    """Return what a field holds, or shows at first."""
    return values().get(name, fields.initial(name))


def current() -> BuildConfig:
    """Return the settings of the form; ConfigError where it holds none."""
    held = {name: value(name) for name in fields.documented()}
    if not str(held["out"]).strip():
        held["out"] = str(free_folder(str(held["model"]), str(held["text"])))
    return fields.config_of(held)


def free_folder(model: str, text: str) -> Path:
    """Return a new folder of the library, called after model and text."""
    parts = [Path(part.strip()).stem for part in (model, text) if part.strip()]
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", "-".join(parts)).strip("-.")[:60] or "build"
    number = 1
    while (
        path := loading.library_folder() / (name if number == 1 else f"{name}-{number}")
    ).exists():
        number += 1
    return path


def fill_in_example() -> None:
    """Fill the form in with a build of the demo's model and text, which takes a minute."""
    put("model", str(loading.DEMO.relative_to(loading.ROOT) / "models" / "base"))
    st.session_state[_SOURCE] = DEMO
    put("text", texts.of_demo().get("mixed", ""))
    for name, text in EXAMPLE.items():
        put(name, text)


def card() -> BuildConfig | None:
    """Draw the form, and return its settings where they are valid."""
    with st.container(border=True, gap="small"):
        st.html(tokens.heading("Build dictionaries", "of your own model and text"))
        _text_field("model", placeholder="OWNER/NAME on the Hub, a folder, or a .gguf file")
        _text()
        _grid(list(fields.COMMON))
        _text_field("out", placeholder=str(free_folder(value("model"), value("text"))))
        _more()
        config, problem = _checked()
        if problem:
            messages.note(problem)
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.button(
                "Start",
                type="secondary" if config is None else "primary",
                icon=":material/play_arrow:",
                key="build_start",
                disabled=config is None,
                on_click=_start,
            )
            messages.quiet("It goes on when this page, or the server, is closed.")
    return config


# -- fields ----------------------------------------------------------------------------------------


def put(name: str, typed: Any) -> None:
    """Set what a field holds; called when it changes."""
    values()[name] = typed
    st.session_state.pop(_REFUSED, None)


def _text_field(name: str, placeholder: str = "") -> None:
    controls.value_widget(
        st.text_input,
        f"build_{name}",
        fields.label(name),
        str(value(name)),
        partial(put, name),
        help=_help(name),
        placeholder=placeholder or _placeholder(name),
    )


def _field(name: str) -> None:
    """Draw the widget of a field: a switch, a choice or a line of text, as its type asks for."""
    options = fields.choices(name)
    if fields.HINTS[name] is bool:
        controls.value_widget(
            st.toggle,
            f"build_{name}",
            fields.label(name),
            bool(value(name)),
            partial(put, name),
            help=_help(name),
        )
    elif options:
        controls.value_widget(
            st.selectbox,
            f"build_{name}",
            fields.label(name),
            value(name),
            partial(put, name),
            options,
            help=_help(name),
        )
    else:
        _text_field(name)


def _help(name: str) -> str:
    """Return a field's documentation, which is also that of the option; its characters are
    escaped, because Streamlit reads help as Markdown.
    """
    return re.sub(r"([\\`*_{}\[\]<>#$:~])", r"\\\1", fields.documented()[name].metadata["help"])


def _placeholder(name: str) -> str:
    return {"tokens": "the whole text", "layers": "such as 10, 20"}.get(name, "none")


def _grid(names: list[str]) -> None:
    """Draw fields three in a row."""
    for start in range(0, len(names), COLUMNS):
        places = st.columns(COLUMNS, gap="small", vertical_alignment="bottom")
        for place, name in zip(places, names[start : start + COLUMNS], strict=False):
            with place:
                _field(name)


def _more() -> None:
    controls.setting_widget(st.toggle, Settings, "more", "More settings", key="build_more")
    if state.settings(Settings).more:
        _text_field("adapter", placeholder="folder of a LoRA adapter")
        names = fields.rest()
        _grid([name for name in names if fields.HINTS[name] is not bool])
        for name in names:
            if fields.HINTS[name] is bool:
                _field(name)
        _text_field("title", placeholder="made from the names of model and text")


def _text() -> None:
    """Draw where the text comes from: a path, an upload, or the demo's own."""
    source = st.session_state.setdefault(_SOURCE, PATH)
    controls.value_widget(
        st.segmented_control,
        "build_source_choice",
        "Text",
        source,
        _choose_source,
        [PATH, UPLOAD, DEMO],
        help=_help("text"),
    )
    if source == DEMO:
        names = {path: name for name, path in texts.of_demo().items()}
        controls.value_widget(
            st.selectbox,
            "build_text_demo",
            "The demo's text",
            value("text") if value("text") in names else next(iter(names), None),
            partial(put, "text"),
            list(names),
            format_func=lambda path: names.get(path, "–"),
            label_visibility="collapsed",
        )
    elif source == UPLOAD:
        _upload()
    else:
        controls.value_widget(
            st.text_input,
            "build_text",
            "Path of the text",
            str(value("text")),
            partial(put, "text"),
            placeholder="/path/to/a/file or folder: txt, jsonl, json, csv or parquet",
            label_visibility="collapsed",
        )


def _choose_source(source: str) -> None:
    st.session_state[_SOURCE] = source
    if source == DEMO and value("text") not in texts.of_demo().values():
        put("text", next(iter(texts.of_demo().values()), ""))


def _upload() -> None:
    found = st.file_uploader(
        "Text", type=list(texts.KINDS), key="build_upload", label_visibility="collapsed"
    )
    if found is None:
        return
    try:
        path = texts.keep(found.name, found)
    except EPError as error:
        messages.note(messages.sentence(error))
        return
    put("text", str(path))
    messages.quiet(f"{in_bytes(found.size)}, kept in {path.parent.parent} for this build")


# -- checking and starting -------------------------------------------------------------------------


def _checked() -> tuple[BuildConfig | None, str]:
    """Return the settings of the form, or why there are none; no reason while it is still blank."""
    refused = st.session_state.get(_REFUSED, "")
    try:
        return current(), refused
    except ConfigError as error:
        is_blank = not all(str(value(name)).strip() for name in ("model", "text", "layers"))
        return None, "" if is_blank else messages.sentence(error)


def _start() -> None:
    """Start the build of the form's settings; what stands against it is shown beside the form."""
    try:
        config = current()
        fields.check_inputs(config)
        job = builds.start(config, visitors.owner())
    except EPError as error:
        st.session_state[_REFUSED] = messages.sentence(error)
        return
    st.session_state.pop(_REFUSED, None)
    state.update_settings(Settings, job=job.id)
