"""The frame that all pages share: stylesheet, page head, side bar, and error boundary.

It depends on the selection and the shelf, and not on the content of any page.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, wraps
from html import escape
from pathlib import Path
from typing import Any, NoReturn, ParamSpec

import streamlit as st

from ep import jobs as builds
from ep.errors import EPError
from ep.jobs import Job
from ep.method.dictionary import Dictionary
from ep.method.metrics import DEFAULT
from ep.public import is_public
from ep.studies.naming import is_numbered
from ep.views.glossary import define
from ep.views.palette import region_color
from pages.shared import jobs, loading, messages, models, state, tokens

log = logging.getLogger("ep.app")
P = ParamSpec("P")
BUILDS_EVERY_S = 3.0
"""How often the line on the running build is drawn again."""
_SLOT = "frame_slot"
_STYLE = Path(__file__).with_name("style.css")


def add_styles() -> None:
    """Add the app's stylesheet to the page; called by `app.py` at the start of every run."""
    st.html(_STYLE)


def reload_page() -> NoReturn:
    """Make the browser reload the page, and end this run.

    Until the first st.navigation of a server, Streamlit uses the scripts in a folder named "pages"
    as the app's pages. Without a reload, the first visitor of the server who follows a link to a
    page would be told that the page does not exist.
    """
    _reload_component()(key="frame_reload")
    st.stop()


@cache
def _reload_component() -> Callable[..., Any]:
    js = "export default () => {\n  location.reload();\n}"
    return st.components.v2.component("ep.reload", js=js)


def page_head(title: str, sentence: str) -> None:
    """Draw the head of a page: its title, a sentence on what it shows, and pending notes."""
    state.run_scheduled(in_fragment=False)
    jobs.run_callbacks()
    st.html(f'<div class="ep-h"><h1>{escape(title)}</h1><p>{escape(sentence)}</p></div>')
    for text in state.take_notes():
        st.html(f'<div class="ep-note">{tokens.escape(text)}</div>')
    _prepare_dictionary()


def _prepare_dictionary() -> None:
    """Name the open dictionary's regions, which may take seconds, and then update the side bar.

    The placeholder for the spinner exists on every run, so that the elements below it keep their
    positions, by which Streamlit identifies them.
    """
    placeholder, key = st.empty(), state.current().dictionary
    if key is not None and not loading.is_ready(key):
        with placeholder:
            loading.prepare(key)
        show_selected()


@contextmanager
def error_boundary() -> Iterator[None]:
    """Show any error raised inside as a box on the page.

    Unexpected errors are written to the server's log with their traceback, and the page shows no
    details of them.
    """
    try:
        yield
    except state.NothingOpen:
        messages.nothing_open()
    except EPError as error:
        messages.box("This cannot be shown", messages.sentence(error))
    except Exception:
        log.exception("a page failed")
        messages.box(
            "Something went wrong here",
            "The server's log says what. Another page or another region usually works; nothing was "
            "lost.",
        )


def fragment(function: Callable[P, Any], every_s: float | None = None) -> Callable[P, None]:
    """Decorate a function as an st.fragment with an error boundary.

    A fragment can rerun without its page, so it needs an error boundary of its own. It also starts
    by doing what a callback requested with `state.schedule`.

    every_s: the interval in seconds at which it reruns by itself; None reruns it only when the
    visitor interacts with it.
    """

    @wraps(function)
    def safe(*args: P.args, **kwargs: P.kwargs) -> None:
        with error_boundary():
            state.run_scheduled(in_fragment=True)
            function(*args, **kwargs)

    wrapped: Callable[P, None] = st.fragment(safe, run_every=every_s)
    return wrapped


def is_dark() -> bool:
    """Return whether the visitor sees the dark theme, for colours that are chosen in Python."""
    return st.context.theme.type == "dark"


def sidebar() -> None:
    """Draw the side bar: the controls that choose a dictionary, its key numbers, the selected
    region, and the state of the model.
    """
    with st.sidebar:
        _pickers()
        if (opened := state.opened_or_none()) is not None:
            _facts(opened.dictionary)
            _selected_region()
            models.place_state(opened.dictionary)
        if not is_public() and builds.active():
            fragment(_builds, BUILDS_EVERY_S)()


def _builds() -> None:
    """Draw a line on the build that runs, which leads to it; nothing where none does."""
    if running := builds.active():
        st.html('<hr class="ep-hr">')
        more = f" · {len(running) - 1} more" if len(running) > 1 else ""
        st.button(
            f"{_build_line(running[0])}{more}",
            key="frame_builds",
            type="tertiary",
            on_click=state.schedule,
            args=("build",),
        )


def _build_line(job: Job) -> str:
    """Return how a build stands, in a few words of plain text."""
    status = job.status
    if status.state == "queued":
        return "A build is waiting"
    share = "" if status.share is None else f" {status.share:.0%}".replace("%", " %")
    regions = f" · K {status.regions:,}" if status.regions else ""
    return f"Building … {status.stage}{share}{regions}"


def _pickers() -> None:
    """Draw the controls that choose a family, a layer and a percentile."""
    names = list(loading.families())
    if not names:
        return
    entry = loading.find(state.current().dictionary)
    st.session_state["frame_family"] = entry.family if entry else None
    st.selectbox(
        "Dictionary",
        names,
        index=0 if entry else None,  # with index=None the visitor could clear the box
        format_func=loading.title,
        key="frame_family",
        on_change=_on_family,
        placeholder="Choose one",
    )
    if entry:
        family = loading.families()[entry.family]
        _slider(
            "Layer",
            {other.layer for other in family},
            entry.layer,
            "frame_layer",
            define("layer"),
        )
        _slider(
            "Percentile p",
            {other.percentile for other in family if other.layer == entry.layer},
            entry.percentile,
            "frame_percentile",
            define("p"),
        )


def _slider(label: str, values: set[Any], value: Any, key: str, help_: str) -> None:
    """Draw a slider over the values that exist; a single value is drawn as text."""
    options = sorted(values - {None})
    if len(options) < 2 or value is None:
        text = "–" if value is None else f"{value:g}"
        st.html(f'<div class="ep-split ep-num"><span>{escape(label)}</span><b>{text}</b></div>')
        return
    st.session_state[key] = value
    st.select_slider(
        label, options, key=key, on_change=_on_slider, format_func=lambda v: f"{v:g}", help=help_
    )


def _on_family() -> None:
    family = st.session_state["frame_family"]
    if family in loading.families():
        entry = loading.find(state.current().dictionary)
        layer, percentile = (entry.layer, entry.percentile) if entry else (None, None)
        state.open_dictionary(loading.closest(family, layer, percentile).key)


def _on_slider() -> None:
    """Open the dictionary that the sliders name.

    Where the family has no such combination, the layer is matched first, and then the nearest
    percentile of that layer.
    """
    entry = loading.find(state.current().dictionary)
    if entry is not None:
        layer = st.session_state.get("frame_layer", entry.layer)
        percentile = st.session_state.get("frame_percentile", entry.percentile)
        state.open_dictionary(loading.closest(entry.family, layer, percentile).key)


def _facts(dictionary: Dictionary) -> None:
    """Draw the key numbers of the open dictionary."""
    n_activations = dictionary.info.get("n_activations")
    distance, name = dictionary.distance_name, dictionary.metric.name
    kind = "cosine" if name == DEFAULT else name
    st.html(
        tokens.facts(
            ("regions", f"{len(dictionary):,}"),
            (f"θ, {kind}", f"{dictionary.threshold:.2f}", distance),
            ("activations", "–" if n_activations is None else short_count(int(n_activations))),
            ("dimensions", f"{dictionary.width:,}"),
            grid=True,
        )
        + '<hr class="ep-hr">'
    )


def show_selected() -> None:
    """Draw the selected region into its placeholder in the side bar.

    A fragment that changes the selection calls this again, because the side bar is not rerun.
    """
    opened, placeholder = state.opened_or_none(), st.session_state.get(_SLOT)
    if opened is None or placeholder is None:
        return
    region, key = opened.region, opened.key
    color = region_color(opened.dictionary, region)
    # naming the regions may take seconds, and the page head shows a spinner for that later in the
    # run: the side bar does not wait for it
    chip = ""
    if loading.is_ready(key) and not is_numbered(name := loading.region_name(key, region)):
        chip = tokens.chip(name, color, 0.35, loading.whole_name(key, region))
    placeholder.html(
        '<div class="ep-k" style="margin-bottom:.35em">Selected region</div><div class="ep-row">'
        f'{chip}<span class="ep-num ep-fixed">'
        f'<span class="ep-sw" style="--c:{color}"></span>{region}</span></div>'
    )


def _selected_region() -> None:
    """Draw the selected region and the button that opens its page."""
    st.session_state[_SLOT] = st.empty()
    show_selected()
    if st.button("Open", icon=":material/open_in_new:", key="frame_open"):
        state.goto("region")


def short_count(n: int) -> str:
    """Return a number as short text with a unit: "2.1 M", "340 k", "812"."""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if n >= size:
            value = n / (1e3 if unit == "k" else size)
            return f"{value:.3g} {unit}" if value < 1000 else f"{value:,.0f} {unit}"
    return f"{n:,}"
