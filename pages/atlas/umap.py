"""UMAP layouts on the Atlas: their settings, the button that computes them, and their job."""

from __future__ import annotations

import streamlit as st

from ep.method.dictionary import Dictionary
from ep.views import layouts
from ep.views.layouts import Settings
from pages.atlas.tools import TITLES
from pages.shared import jobs, loading, messages, state


def umap_panel(key: str, dictionary: Dictionary, layout: str) -> None:
    """Draw the settings of a UMAP layout and the button that computes it, or the progress of that
    work; nothing for other layouts.
    """
    if not layouts.is_umap(layout):
        return
    if len(dictionary) < layouts.FEWEST_FOR_UMAP:
        messages.note(
            f"UMAP needs at least {layouts.FEWEST_FOR_UMAP} regions and this dictionary has "
            f"{len(dictionary)}: "
            "PCA is shown."
        )
        return
    job_key = f"umap {layout} {loading.fingerprint(key)}"
    jobs.watch(job_key)
    if jobs.is_own_running(job_key):
        return
    is_ready = layouts.is_ready(dictionary, layout)
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        if not is_ready:
            messages.quiet(f"{TITLES[layout]} is not computed here yet; PCA stands in for it.")
        settings = _settings(dictionary, layout)
        st.button(
            "Compute again" if is_ready else "Compute UMAP",
            type="tertiary" if is_ready else "primary",
            key=f"atlas_compute {layout}",
            on_click=_compute,
            args=(job_key, dictionary, layout, settings),
        )


def _settings(dictionary: Dictionary, layout: str) -> Settings:
    """Draw the popover with the settings of UMAP, and return them.

    They start with those of the computed layout, if there is one.
    """
    stored, distance = layouts.settings(dictionary, layout), dictionary.distance_name
    most = len(dictionary) - 1
    with st.popover(
        "UMAP settings", type="tertiary", icon=":material/tune:", key=f"atlas_umap {layout}"
    ):
        neighbours = st.slider(
            "Neighbours",
            2,
            min(100, most),
            min(int(stored.get("neighbours", Settings.neighbours)), most),
            key=f"atlas_neighbours {layout}",
            help="Few: local detail. Many: the broad shape.",
        )
        min_dist = st.slider(
            "Minimum distance",
            0.0,
            0.95,
            float(stored.get("min_dist", Settings.min_dist)),
            0.05,
            key=f"atlas_min_dist {layout}",
            help="Small: tight clumps. Large: evenly spread.",
        )
        messages.quiet(
            f"{distance[0].upper()}{distance[1:]} in the full space, exact neighbours, seed 0: the "
            "same settings, the same map."
        )
    return Settings(neighbours, min_dist)


def _compute(job_key: str, dictionary: Dictionary, layout: str, settings: Settings) -> None:
    jobs.start(
        job_key,
        TITLES[layout],
        lambda job: layouts.compute(dictionary, layout, settings, job.report),
        _note_problem,
    )


def _note_problem(problem: str) -> None:
    """Leave a note if `layouts.compute` could not save the layout."""
    if problem:
        state.note(problem)
