"""The Atlas' maps: their colours, the line under each, and how well each keeps neighbours.

Bytes of maps are mounted outside the fragment that a click runs again.
"""

from __future__ import annotations

from functools import partial

import streamlit as st

from ep.method.dictionary import Dictionary
from ep.storage.labels import Labels
from ep.studies import grouping
from ep.views import blob, colorings, layouts
from ep.views.colorings import Coloring
from ep.views.layouts import LAYOUTS
from pages.atlas import memory
from pages.atlas.route import Route
from pages.atlas.settings import Settings
from pages.atlas.tools import TITLES
from pages.shared import estimates, jobs, loading, maps, messages, state

LINK = "atlas"
"""What both maps are linked by: hover, brush and camera."""
SORTING = 900
"""Multiply-adds that take as long as all comparisons of one pair of regions, when the quality of a
map is measured.
"""


def coloring(key: str, dictionary: Dictionary, labels: Labels) -> Coloring:
    """The colours chosen, computed once for everybody."""
    name = state.settings(Settings).coloring
    return _coloring(loading.fingerprint(key), name, labels.revision, dictionary, labels)


@st.cache_resource(show_spinner=False, max_entries=48)
def _coloring(
    fingerprint: str, name: str, revision: int, _dictionary: Dictionary, _labels: Labels
) -> Coloring:
    return colorings.coloring(_dictionary, name, _labels)


def draw(
    drawn: maps.Drawn,
    place: str,
    key: str,
    dictionary: Dictionary,
    labels: Labels,
    route: Route,
    height: int | None,
) -> None:
    """Draws a map of the dictionary with this key.

    place: where on the page, `memory.MAP` or `memory.SECOND`. height: in px, None fills the window.
    """
    if drawn.problem:
        messages.quiet(drawn.problem)
    shown = coloring(key, dictionary, labels)
    maps.view(
        drawn.name,
        dictionary,
        key=place,
        selected=state.current().region,
        sequence=memory.sequence(place),
        coloring=shown,
        on_pick=partial(_pick, place),
        on_brush=memory.brush,
        brushed=memory.brushed().tolist(),
        brush_sequence=memory.brush_sequence(),
        path=route.regions,
        path_labels=route.labels,
        link=LINK,
        height=height,
        note=note(dictionary, drawn.layout, shown),
        names=labels.texts(automatic=False),
    )


def _pick(place: str, region: int) -> None:
    state.select_region(region)
    memory.remember(first=True, drawn=place)


# -- what a map keeps ------------------------------------------------------------------------------


def note(dictionary: Dictionary, layout: str, shown: Coloring) -> str:
    """The line under a map: what it keeps of the full space, and what its colours leave out."""
    made = layouts.settings(dictionary, layout)
    how = f"PCA, {LAYOUTS[layout]} of {dictionary.width:,} directions"
    if made:
        how = f"UMAP, {made['neighbours']} neighbours, minimum distance {made['min_dist']:g}"
    sentences = [
        f"{how}{_quality(dictionary, layout)}.",
        blob.spread(dictionary, layout),
        "Neighbours, distances and membership come from the full space.",
    ]
    if shown.name == colorings.NEIGHBOURHOOD and grouping.is_by_geometry(dictionary):
        sentences.append(
            "Groups come from the exemplars alone; each is called by its largest region."
        )
    if shown.ramp is not None:
        n = shown.ramp.missing
        sentences.append(f"{shown.ramp.clipped}." if shown.ramp.clipped else "")
        sentences.append(f"{n:,} regions have no value: grey." if n else "")
    return " ".join(filter(None, sentences))


def _quality(dictionary: Dictionary, layout: str) -> str:
    """How much a map keeps, where that is known or takes no longer than a moment."""
    if not _is_quick(dictionary, layout):
        return ""
    quality = layouts.quality(dictionary, layout)
    variance = quality.variance_kept
    kept = "" if variance is None else f": keeps {100 * variance:.0f} % of the variance"
    if quality.trustworthiness is None:
        return kept
    of = "" if quality.n == quality.size else f" of {quality.size:,}"
    return (
        f"{kept}; trustworthiness {quality.trustworthiness:.2f} "
        f"({quality.neighbours} neighbours, n = {quality.n:,}{of})"
    )


def _is_quick(dictionary: Dictionary, layout: str) -> bool:
    return layouts.is_measured(dictionary, layout) or _seconds(dictionary) <= jobs.AT_ONCE_S


def _seconds(dictionary: Dictionary) -> float:
    """How long it takes to measure the quality of a map."""
    pairs = float(min(len(dictionary), layouts.SAMPLED)) * len(dictionary)
    return estimates.products(pairs * (dictionary.width + SORTING))


def measure(dictionary: Dictionary, drawn: maps.Drawn) -> None:
    """The way to the quality of a map where that takes long; nothing where it is known."""
    if not _is_quick(dictionary, drawn.layout):
        jobs.outcome(
            f"map quality {drawn.name}",
            "Quality of the map",
            lambda job: layouts.quality(dictionary, drawn.layout),
            seconds=_seconds(dictionary),
            button="Measure how well neighbours are kept",
            about=f"{TITLES[drawn.layout]} is not measured yet.",
            framed=False,
        )
