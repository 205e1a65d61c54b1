"""UMAP on the Atlas: its settings, the button that computes it, and the work while it goes on
beside the page.
"""

from __future__ import annotations

import streamlit as st

from ep.method.dictionary import Dictionary
from ep.views import layouts
from ep.views.layouts import Settings
from pages.atlas.tools import TITLES
from pages.shared import jobs, loading, messages, state


def umap_panel(key: str, dictionary: Dictionary, layout: str) -> None:
    """What a UMAP layout needs: its settings, the button that computes it, and the work while it
    goes on.
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
    work = f"umap {layout} {loading.fingerprint(key)}"
    jobs.watch(work)
    if jobs.is_mine_running(work):
        return
    is_ready = layouts.is_ready(dictionary, layout)
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        if not is_ready:
            messages.quiet(f"{TITLES[layout]} is not computed here yet; PCA stands in for it.")
        asked = _settings(dictionary, layout)
        st.button(
            "Compute again" if is_ready else "Compute UMAP",
            type="tertiary" if is_ready else "primary",
            key=f"atlas_compute {layout}",
            on_click=_compute,
            args=(work, dictionary, layout, asked),
        )


def _settings(dictionary: Dictionary, layout: str) -> Settings:
    made = layouts.settings(dictionary, layout)
    most = len(dictionary) - 1
    with st.popover(
        "UMAP settings", type="tertiary", icon=":material/tune:", key=f"atlas_umap {layout}"
    ):
        neighbours = st.slider(
            "Neighbours",
            2,
            min(100, most),
            min(int(made.get("neighbours", Settings.neighbours)), most),
            key=f"atlas_neighbours {layout}",
            help="Few: local detail. Many: the broad shape.",
        )
        min_dist = st.slider(
            "Minimum distance",
            0.0,
            0.95,
            float(made.get("min_dist", Settings.min_dist)),
            0.05,
            key=f"atlas_min_dist {layout}",
            help="Small: tight clumps. Large: evenly spread.",
        )
        messages.quiet(
            "Cosine distance in the full space, exact neighbours, seed 0: the same settings, the "
            "same map."
        )
    return Settings(neighbours, min_dist)


def _compute(work: str, dictionary: Dictionary, layout: str, asked: Settings) -> None:
    jobs.start(
        work,
        TITLES[layout],
        lambda job: layouts.compute(dictionary, layout, asked, job.report),
        _say,
    )


def _say(problem: str) -> None:
    if problem:
        state.note(problem)
