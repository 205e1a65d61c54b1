"""What every page looks like from outside: stylesheet, head, side bar, and the error boundary.

Knows the selection and the shelf, nothing of what a page shows.
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

from ep.errors import EPError
from ep.method.dictionary import Dictionary
from ep.studies.naming import is_numbered
from ep.views.palette import region_color
from pages.shared import jobs, loading, messages, models, state, tokens

log = logging.getLogger("ep.app")
P = ParamSpec("P")
_SLOT = "frame_slot"
_STYLE = Path(__file__).with_name("style.css")


def begin() -> None:
    """Opens a run, from `app.py`: the app's own CSS."""
    st.html(_STYLE)


def load_again() -> NoReturn:
    """Has the browser load the page once more, and ends this run.

    Until a server's first st.navigation, Streamlit takes the scripts in a folder called pages for
    the pages: the first visitor of all, coming by a deep link, would be told that there is no such
    page.
    """
    _reload()(key="frame_reload")
    st.stop()


@cache
def _reload() -> Callable[..., Any]:
    js = "export default () => {\n  location.reload();\n}"
    return st.components.v2.component("ep.reload", js=js)


def page(title: str, sentence: str) -> None:
    """The head of a page: its name and what one is looking at; under it whatever had to be said
    once.
    """
    state.take_turn(in_fragment=False)
    jobs.settle()
    st.html(f'<div class="ep-h"><h1>{escape(title)}</h1><p>{escape(sentence)}</p></div>')
    for text in state.take_notes():
        st.html(f'<div class="ep-note">{tokens.escape(text)}</div>')
    _prepare()


def _prepare() -> None:
    """What every page needs and may take seconds, under a sentence that says so; then the side
    bar's chip has a name.

    Its place is there on every run, so that nothing below it moves to another one.
    """
    waiting, key = st.empty(), state.current().dictionary
    if key is not None and not loading.is_ready(key):
        with waiting:
            loading.prepare(key)
        show_selected()


@contextmanager
def error_boundary() -> Iterator[None]:
    """Turns any error inside into a calm box; the unexpected goes to the server's log in full,
    never to the page.
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
    """st.fragment with an error boundary of its own, since it runs outside that of the page; what
    a callback asked of `state.turn` is done where it begins.

    every_s: seconds after which it runs again by itself; None waits for the visitor.
    """

    @wraps(function)
    def safe(*args: P.args, **kwargs: P.kwargs) -> None:
        with error_boundary():
            state.take_turn(in_fragment=True)
            function(*args, **kwargs)

    drawn: Callable[P, None] = st.fragment(safe, run_every=every_s)
    return drawn


def is_dark() -> bool:
    """Whether the visitor sees the dark theme, for figures and ramps that Python colours."""
    return st.context.theme.type == "dark"


def sidebar() -> None:
    """The open dictionary with its layers and percentiles, its facts, the selected region and the
    model's state.
    """
    with st.sidebar:
        _pickers()
        if (found := state.open_now()) is not None:
            _facts(found.dictionary)
            _selected()
            models.place_state(found.dictionary)


def _pickers() -> None:
    names = list(loading.families())
    if not names:
        return
    chosen = loading.find(state.current().dictionary)
    st.session_state["frame_family"] = chosen.family if chosen else None
    st.selectbox(
        "Dictionary",
        names,
        index=0 if chosen else None,  # without an index the box can be emptied
        format_func=loading.title,
        key="frame_family",
        on_change=_family_chosen,
        placeholder="Choose one",
    )
    if chosen:
        here = [entry for entry in loading.families()[chosen.family] if entry.layer == chosen.layer]
        layers = {entry.layer for entry in loading.families()[chosen.family]}
        _slider(
            "Layer",
            layers,
            chosen.layer,
            "frame_layer",
            "The layer whose residual stream was partitioned",
        )
        percentiles = {entry.percentile for entry in here}
        _slider(
            "Percentile p",
            percentiles,
            chosen.percentile,
            "frame_percentile",
            "Smaller p: finer cells, more regions",
        )


def _slider(label: str, values: set[Any], value: Any, key: str, help_: str) -> None:
    """A slider over what exists; a single value is a plain line, since there is nothing to
    slide.
    """
    options = sorted(values - {None})
    if len(options) < 2 or value is None:
        shown = "–" if value is None else f"{value:g}"
        st.html(f'<div class="ep-split ep-num"><span>{escape(label)}</span><b>{shown}</b></div>')
        return
    st.session_state[key] = value
    st.select_slider(
        label, options, key=key, on_change=_step_chosen, format_func=lambda v: f"{v:g}", help=help_
    )


def _family_chosen() -> None:
    chosen = st.session_state["frame_family"]
    if chosen in loading.families():
        now = loading.find(state.current().dictionary)
        layer, percentile = (now.layer, now.percentile) if now else (None, None)
        state.open_dictionary(loading.closest(chosen, layer, percentile).key)


def _step_chosen() -> None:
    """The slider that moved wins: a layer keeps the percentile as near as that layer has it."""
    now = loading.find(state.current().dictionary)
    if now is not None:
        layer = st.session_state.get("frame_layer", now.layer)
        percentile = st.session_state.get("frame_percentile", now.percentile)
        state.open_dictionary(loading.closest(now.family, layer, percentile).key)


def _facts(dictionary: Dictionary) -> None:
    streamed = dictionary.info.get("n_activations")
    st.html(
        tokens.facts(
            ("regions", f"{len(dictionary):,}"),
            ("θ, cosine", f"{dictionary.threshold:.2f}"),
            ("activations", "–" if streamed is None else short_count(int(streamed))),
            ("dimensions", f"{dictionary.width:,}"),
            grid=True,
        )
        + '<hr class="ep-hr">'
    )


def show_selected() -> None:
    """Draws the selected region's chip into its place in the side bar; fragments that select call
    it again.
    """
    found, place = state.open_now(), st.session_state.get(_SLOT)
    if found is None or place is None:
        return
    region, key = found.region, found.key
    color = region_color(found.dictionary, region)
    # while there are no names yet: the head of the page comes first, with a sentence on what is
    # waited for
    chip = ""
    if loading.is_ready(key) and not is_numbered(named := loading.region_name(key, region)):
        chip = tokens.chip(named, color, 0.35)
    place.html(
        '<div class="ep-k" style="margin-bottom:.35em">Selected region</div><div class="ep-row">'
        f'{chip}<span class="ep-num ep-fixed">'
        f'<span class="ep-sw" style="--c:{color}"></span>{region}</span></div>'
    )


def _selected() -> None:
    st.session_state[_SLOT] = st.empty()
    show_selected()
    if st.button("Open", icon=":material/open_in_new:", key="frame_open"):
        state.goto("region")


def short_count(n: int) -> str:
    """A large number in at most four characters and a unit: 2.1 M, 340 k, 812."""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if n >= size:
            value = n / (1e3 if unit == "k" else size)
            return f"{value:.3g} {unit}" if value < 1000 else f"{value:,.0f} {unit}"
    return f"{n:,}"
