"""The Atlas' maps: their colours, the line under each, and how well each preserves neighbours.

The data of the maps is sent elsewhere, outside the fragment that reruns on a click.
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
"""The link name of both maps, which therefore share hover, brush and camera."""
PAIR_COST = 900
"""The cost of sorting, per pair of regions, when the quality of a map is measured; in
multiply-adds, besides those of the distance itself.
"""


def coloring(key: str, dictionary: Dictionary, labels: Labels) -> Coloring:
    """Return the colours that the visitor chose, which are computed once for all visitors."""
    name = state.settings(Settings).coloring
    return _coloring(loading.fingerprint(key), name, labels.revision, dictionary, labels)


@st.cache_resource(show_spinner=False, max_entries=48)
def _coloring(
    fingerprint: str, name: str, revision: int, _dictionary: Dictionary, _labels: Labels
) -> Coloring:
    """Compute the colours; fingerprint, name and revision are the cache's key."""
    return colorings.coloring(_dictionary, name, _labels)


def draw(
    map_: maps.AvailableMap,
    place: str,
    key: str,
    dictionary: Dictionary,
    labels: Labels,
    route: Route,
    height: int | None,
) -> None:
    """Draw a map of the dictionary with this key.

    place: which of the two maps, `memory.MAP` or `memory.SECOND`. height: in pixels; None fills
    the window.
    """
    if map_.problem:
        messages.quiet(map_.problem)
    colors = coloring(key, dictionary, labels)
    maps.draw(
        map_.name,
        dictionary,
        key=place,
        selected=state.current().region,
        sequence=memory.sequence(place),
        coloring=colors,
        on_pick=partial(_pick, place),
        on_brush=memory.brush,
        brushed=memory.brushed().tolist(),
        brush_sequence=memory.brush_sequence(),
        path=route.regions,
        path_labels=route.labels,
        link=LINK,
        height=height,
        note=note(dictionary, map_.layout, colors),
        names=labels.texts(automatic=False),
    )


def _pick(place: str, region: int) -> None:
    state.select_region(region)
    memory.update_selection(first=True, source=place)


# -- the quality of a map --------------------------------------------------------------------------


def note(dictionary: Dictionary, layout: str, colors: Coloring) -> str:
    """Return the line under a map: what it preserves of the full space, and which regions its
    colours omit.
    """
    umap = layouts.settings(dictionary, layout)
    method = f"PCA, {LAYOUTS[layout]} of {dictionary.width:,} directions"
    if umap:
        method = f"UMAP, {umap['neighbours']} neighbours, minimum distance {umap['min_dist']:g}"
    sentences = [
        f"{method}{_quality(dictionary, layout)}.",
        blob.spread(dictionary, layout),
        "Neighbours, distances and membership come from the full space.",
    ]
    if colors.name == colorings.NEIGHBOURHOOD and grouping.is_by_geometry(dictionary):
        sentences.append(
            "Groups come from the exemplars alone; each is called by its largest region."
        )
    if colors.ramp is not None:
        n = colors.ramp.missing
        sentences.append(f"{colors.ramp.clipped}." if colors.ramp.clipped else "")
        sentences.append(f"{n:,} regions have no value: grey." if n else "")
    return " ".join(filter(None, sentences))


def _quality(dictionary: Dictionary, layout: str) -> str:
    """Return how much a map preserves, as text; empty where measuring it would take long."""
    if not _is_quick(dictionary, layout):
        return ""
    quality = layouts.quality(dictionary, layout)
    variance = quality.variance_kept
    text = "" if variance is None else f": keeps {100 * variance:.0f} % of the variance"
    if quality.trustworthiness is None:
        return text
    of = "" if quality.n == quality.size else f" of {quality.size:,}"
    return (
        f"{text}; trustworthiness {quality.trustworthiness:.2f} "
        f"({quality.neighbours} neighbours, n = {quality.n:,}{of})"
    )


def _is_quick(dictionary: Dictionary, layout: str) -> bool:
    """Return whether the quality of a map is measured already or can be measured while drawing."""
    return layouts.is_measured(dictionary, layout) or _seconds(dictionary) <= jobs.AT_ONCE_S


def _seconds(dictionary: Dictionary) -> float:
    """Return the seconds that measuring the quality of a map takes."""
    pairs = float(min(len(dictionary), layouts.SAMPLED)) * len(dictionary)
    return estimates.matrix_products(pairs * (dictionary.width + PAIR_COST))


def measure(dictionary: Dictionary, map_: maps.AvailableMap) -> None:
    """Draw a button that measures the quality of a map; nothing unless measuring takes long."""
    if not _is_quick(dictionary, map_.layout):
        jobs.result_or_offer(
            f"map quality {map_.name}",
            "Quality of the map",
            lambda job: layouts.quality(dictionary, map_.layout),
            seconds=_seconds(dictionary),
            button="Measure how well neighbours are kept",
            about=f"{TITLES[map_.layout]} is not measured yet.",
            framed=False,
        )
