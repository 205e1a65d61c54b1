"""The Atlas' maps: which layout, which colours, how good a map is, and the path of a prompt.

What is chosen lives in the URL (`layout`, `two`, `route`, `c`). Bytes of maps are mounted outside
the fragment that a click runs again.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
import streamlit as st

from ep.errors import EPError
from ep.method.dictionary import Dictionary
from ep.storage.labels import Labels
from ep.studies import grouping
from ep.text import label
from ep.views import blob, colorings, layouts
from ep.views.colorings import Coloring
from ep.views.layouts import LAYOUTS
from pages.atlas import memory
from pages.shared import jobs, loading, maps, messages, reading, state

KINDS = {"sphere": "Sphere", "flat": "Flat"}
PROJECTIONS = {"pca": "PCA", "umap": "UMAP"}
TITLES = {
    "pca-sphere": "Sphere, PCA",
    "pca-flat": "Flat, PCA",
    "umap-sphere": "Sphere, UMAP",
    "umap-flat": "Flat, UMAP",
}
OFF = "one map"
LINK = "atlas"
AT_ONCE = 4e8
"""Steps of the trustworthiness that a run may take; above that it is measured in the background."""


@dataclass(frozen=True)
class Path:
    """The regions a prompt's tokens fall in, in order, −1 outside; and the tokens as plain text."""

    regions: tuple[int, ...] = ()
    labels: tuple[str, ...] = ()


# -- what is chosen --------------------------------------------------------------------------------


def chosen() -> str:
    """The layout of the first map."""
    return state.setting("layout", layouts.DEFAULT, tuple(LAYOUTS))


def chosen_second() -> str | None:
    """The layout of the second map; None when there is one map only."""
    return state.setting("two", "", tuple(LAYOUTS)) or None


def tools(dictionary: Dictionary, labels: Labels) -> None:
    """The row above the maps: layout, colours, a second map, a prompt's path."""
    kind, projection = chosen().split("-")[::-1]
    _set(atlas_kind=KINDS[kind], atlas_projection=PROJECTIONS[projection])
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        for key, options in (("atlas_kind", KINDS), ("atlas_projection", PROJECTIONS)):
            st.segmented_control(
                "Layout",
                list(options.values()),
                key=key,
                required=True,
                label_visibility="collapsed",
                on_change=_laid_out,
            )
        _color_box(dictionary, labels)
        _second_box()
        st.session_state["atlas_route"] = state.setting("route") == "on"
        st.toggle(
            "Prompt path",
            key="atlas_route",
            on_change=lambda: state.keep(route="on" if st.session_state["atlas_route"] else None),
            help="Draws the regions a text's tokens fall in as a path",
        )


def _color_box(dictionary: Dictionary, labels: Labels) -> None:
    titles = {column.name: column.title for column in colorings.columns(dictionary, labels)}
    now = state.current().color
    _set(atlas_coloring=now if now in titles else colorings.NEIGHBOURHOOD)
    st.selectbox(
        "Colour the cells by",
        list(titles),
        key="atlas_coloring",
        format_func=lambda name: f"Colour: {titles.get(name, name)}",
        label_visibility="collapsed",
        width=232,
        on_change=lambda: state.change(
            color=st.session_state["atlas_coloring"] or colorings.NEIGHBOURHOOD
        ),
    )


def _second_box() -> None:
    _set(atlas_two=chosen_second() or OFF)
    st.selectbox(
        "Second map",
        [OFF, *TITLES],
        key="atlas_two",
        format_func=lambda name: "One map" if name == OFF else f"Beside it: {TITLES[name]}",
        label_visibility="collapsed",
        width=186,
        on_change=_second_chosen,
    )


def _second_chosen() -> None:
    two = st.session_state["atlas_two"]
    state.keep(two=None if two == OFF else two)


def _laid_out() -> None:
    kind = {title: name for name, title in KINDS.items()}[st.session_state["atlas_kind"]]
    projection = {title: name for name, title in PROJECTIONS.items()}[
        st.session_state["atlas_projection"]
    ]
    layout = f"{projection}-{kind}"
    state.keep(layout=None if layout == layouts.DEFAULT else layout)


def _set(**values: str) -> None:
    for key, value in values.items():
        st.session_state[key] = value


# -- colours ---------------------------------------------------------------------------------------


def coloring(key: str, dictionary: Dictionary, labels: Labels) -> Coloring:
    """The colours chosen, computed once for everybody."""
    return _coloring(
        loading.fingerprint(key), state.current().color, labels.revision, dictionary, labels
    )


@st.cache_resource(show_spinner=False, max_entries=48)
def _coloring(
    fingerprint: str, name: str, revision: int, _dictionary: Dictionary, _labels: Labels
) -> Coloring:
    return colorings.coloring(_dictionary, name, _labels)


# -- maps that can be drawn ------------------------------------------------------------------------


def draw(
    drawn: maps.Drawn,
    key: str,
    of: str,
    dictionary: Dictionary,
    labels: Labels,
    path: Path,
    height: int | None,
) -> None:
    """Draws a map into the place called `key` (`memory.MAP` or `SECOND`); height in px, None
    fills the window.
    """
    selection = state.current()
    if drawn.problem:
        messages.quiet(drawn.problem)
    shown = coloring(of, dictionary, labels)
    maps.view(
        drawn.name,
        dictionary,
        key=key,
        selected=selection.region,
        sequence=memory.sequence(key),
        coloring=shown,
        on_pick=partial(_picked, key),
        on_brush=memory.brush,
        brushed=memory.brushed().tolist(),
        brush_sequence=memory.brush_sequence(),
        path=path.regions,
        path_labels=path.labels,
        link=LINK,
        height=height,
        note=note(dictionary, drawn.layout, shown),
        names=labels.texts(automatic=False),
    )


def _picked(key: str, region: int) -> None:
    state.select_region(region)
    memory.remember(first=True, drawn=key)


def note(dictionary: Dictionary, layout: str, shown: Coloring) -> str:
    """The line under a map: what it keeps of the full space, and what its colours leave out."""
    width, axes = dictionary.width, LAYOUTS[layout]
    told = layouts.settings(dictionary, layout)
    how = f"PCA, {axes} of {width:,} directions"
    if told:
        how = f"UMAP, {told['neighbours']} neighbours, minimum distance {told['min_dist']:g}"
    spread = f" {told}" if (told := blob.spread(dictionary, layout)) else ""
    text = [
        f"{how}{_quality(dictionary, layout)}.{spread} Neighbours, distances and membership come "
        "from the full space."
    ]
    if shown.name == colorings.NEIGHBOURHOOD and grouping.is_by_geometry(dictionary):
        text.append("Groups come from the exemplars alone; each is called by its largest region.")
    if shown.ramp is not None:
        missing = (
            f"{shown.ramp.missing:,} regions have no value: grey" if shown.ramp.missing else ""
        )
        text += [f"{part}." for part in (shown.ramp.clipped, missing) if part]
    return " ".join(text)


def _quality(dictionary: Dictionary, layout: str) -> str:
    if not _is_quick(dictionary, layout):
        return ""
    found = layouts.quality(dictionary, layout)
    kept = (
        ""
        if found.variance_kept is None
        else f": keeps {100 * found.variance_kept:.0f} % of the variance"
    )
    if found.trustworthiness is None:
        return kept
    n = f"n = {found.n:,}" + ("" if found.n == found.size else f" of {found.size:,}")
    return (
        f"{kept}; trustworthiness {found.trustworthiness:.2f} ({found.neighbours} neighbours, {n})"
    )


def _is_quick(dictionary: Dictionary, layout: str) -> bool:
    size = len(dictionary)
    steps = min(size, layouts.SAMPLED) * size * (dictionary.width + layouts.NEIGHBOURS)
    return layouts.is_measured(dictionary, layout) or steps < AT_ONCE


def measure(dictionary: Dictionary, drawn: maps.Drawn) -> None:
    """Measures a large map beside the page; the page is drawn again once that is done."""
    if _is_quick(dictionary, drawn.layout):
        return
    work = f"quality {drawn.name}"
    job = jobs.get(work)
    if job is None:
        jobs.start(work, "Quality of the map", lambda _: layouts.quality(dictionary, drawn.layout))
    if job is None or job.state == "running":
        _wait(work)


@st.fragment(run_every=1.5)
def _wait(work: str) -> None:
    job = jobs.get(work)
    if job is None or job.state != "running":
        st.rerun()


# -- a prompt's path -------------------------------------------------------------------------------


def route(key: str, dictionary: Dictionary) -> Path:
    """The path of the prompt being looked at, read by the model now that it is asked for; empty
    when it is off.
    """
    if state.setting("route") != "on":
        return Path()
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        _set(atlas_prompt=state.current().prompt or "")
        st.text_input(
            "Prompt",
            key="atlas_prompt",
            placeholder="A text whose path through the regions is drawn, then Enter",
            label_visibility="collapsed",
            icon=":material/route:",
            on_change=lambda: state.change(prompt=st.session_state["atlas_prompt"].strip() or None),
        )
        try:
            path = _read(key, dictionary, state.current().prompt or "")
        except EPError as error:
            messages.quiet(messages.sentence(error))
            return Path()
        inside = [k for k in path.regions if k >= 0]
        if inside:
            messages.quiet(f"{len(inside):,} tokens in {len(set(inside)):,} regions")
    return path


def _read(key: str, dictionary: Dictionary, text: str) -> Path:
    """The path, read once and kept with this visitor."""
    if not text:
        return Path()
    known: tuple[tuple[str, str], Path] | None = st.session_state.get("atlas_path")
    asked = (loading.fingerprint(key), text)
    if known is None or known[0] != asked:
        request = reading.Request(text, chat=bool(dictionary.info.get("chat")))
        found = reading.read_request(key, dictionary, request).reading
        regions = np.where(found.outside, -1, found.region).tolist()
        known = (asked, Path(tuple(regions), tuple(label(token) for token in found.tokens)))
        st.session_state["atlas_path"] = known
    return known[1]
