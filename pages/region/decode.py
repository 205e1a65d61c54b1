"""The Region page's cards of a region's logit lens, its key numbers, and its founder."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import streamlit as st

from ep.method.dictionary import Dictionary
from ep.method.region import Region, TokenScore
from ep.studies.rates import wilson
from ep.studies.stability import strength
from ep.views import excerpts
from ep.views.palette import OTHER
from pages.shared import messages, tokens

DIRECTION, SHIFT = "Direction", "Shift"
LENS_ROWS = {
    DIRECTION: (
        ("exemplar ↑", "exemplar_up"),
        ("mean ↑", "mean_up"),
        ("exemplar ↓", "exemplar_down"),
        ("mean ↓", "mean_down"),
    ),
    SHIFT: (("shift ↑", "exemplar_shift_up"), ("shift ↓", "exemplar_shift_down")),
}
LENS_ABOUT = {
    DIRECTION: "Logit lens: final norm and unembedding of the unit direction; hover for logits.",
    SHIFT: "lens(c + r·v) − lens(c): what a step of the typical length r along it adds.",
}


class Fact(NamedTuple):
    """A key number with its name and an explanation, as plain text."""

    name: str
    value: str
    about: str


def lens_card(dictionary: Dictionary, region: Region, color: str) -> None:
    """Draw the card with the logit lens and the key numbers."""
    with st.container(border=True, gap="small"):
        if region.lens:
            kind = DIRECTION
            if "exemplar_shift_up" in region.lens:
                kind = st.session_state.get("region_lens") or DIRECTION
            st.html(_lens(region, kind, color))
            if "exemplar_shift_up" in region.lens:
                with st.container(horizontal=True, vertical_alignment="center", gap="small"):
                    st.segmented_control(
                        "Lens",
                        [DIRECTION, SHIFT],
                        default=DIRECTION,
                        key="region_lens",
                        label_visibility="collapsed",
                    )
                    st.html(f'<span class="ep-k">{tokens.escape(LENS_ABOUT[kind])}</span>')
        st.html(tokens.facts(*_facts(dictionary, region)))


def _lens(region: Region, kind: str, color: str) -> str:
    """Return the rows of one kind of lens as HTML. kind: `DIRECTION` or `SHIFT`."""
    rows = []
    for title, lens in LENS_ROWS[kind]:
        if lens in region.lens:
            shade = color if lens.endswith("up") else OTHER
            rows.append(f'<span class="ep-k">{title}</span>{_lens_chips(region.lens[lens], shade)}')
    return f'<div class="ep-lens">{"".join(rows)}</div>'


def _lens_chips(scores: tuple[TokenScore, ...], color: str) -> str:
    """Return chips whose tint grows with the absolute value of the logit."""
    sizes = np.abs([score.value for score in scores])
    spread = max(1e-6, float(sizes.max(initial=0) - sizes.min(initial=np.inf)))
    top = 0.54 if color != OTHER else 0.26
    strengths = 0.12 + (top - 0.12) * (sizes - sizes.min(initial=np.inf)) / spread
    chips_ = (
        tokens.chip(score.token, color, float(strength), title=f"logit {score.value:+.2f}")
        for score, strength in zip(scores, strengths, strict=True)
    )
    return tokens.row(chips_, one_line=True)


def _facts(dictionary: Dictionary, region: Region) -> list[Fact]:
    """Return the key numbers that the file contains."""
    facts = [*_counts(dictionary, region), *_shape(region), *_confidence(region)]
    # where the file has founders, their card states the number
    if "founder_passage" not in dictionary and "founded_at" in region.columns:
        value = f"{int(region.columns['founded_at']):,}"
        facts.append(Fact("founded at", value, "number of its activation in the stream"))
    return facts


def _counts(dictionary: Dictionary, region: Region) -> Iterator[Fact]:
    n = int(dictionary.info.get("n_activations") or 0)
    if "count_voronoi" in region.columns:
        about = "activations nearest to it in the finished dictionary"
        yield Fact("members, Voronoi", f"{region.count_voronoi:,}", about)
    if "count_arrival" in region.columns:
        about = "activations that joined it while the build ran"
        yield Fact("at arrival", f"{region.count_arrival:,}", about)
    if n and "count_voronoi" in region.columns:
        about = f"share of Voronoi members among {n:,} activations"
        yield Fact("share of all", _percent(region.count_voronoi / n), about)


def _shape(region: Region) -> Iterator[Fact]:
    columns = region.columns
    if "coherence" in columns:
        about = "length of the mean unit direction of its arrival members; 1: all alike"
        yield Fact("coherence", f"{region.coherence:.2f}", about)
    if "mean_distance" in columns:
        is_empty = columns.get("count_voronoi") == 0
        value = "–" if is_empty else f"{float(columns['mean_distance']):.2f}"
        about = "mean cosine distance of Voronoi members to the exemplar"
        yield Fact("mean distance", value, about)
    if region.nearest:
        about = "cosine distance to the nearest other exemplar"
        yield Fact("nearest", f"{region.nearest[0][1]:.2f}", about)
    if "exemplar_mean_cosine" in columns:
        about = "cosine of the exemplar with the mean direction"
        yield Fact("cos to mean", f"{float(columns['exemplar_mean_cosine']):.2f}", about)


def _confidence(region: Region) -> Iterator[Fact]:
    columns = region.columns
    if (seen := int(columns.get("rival_seen", 0))) > 0:
        low, high = (100 * part for part in wilson(int(columns["contested"]), seen))
        about = (
            f"of {seen:,} members examined (95 %: {low:.0f} to {high:.0f} %): margin d₂ − d₁ "
            "below 0.1 θ"
        )
        yield Fact("contested", _percent(int(columns["contested"]) / seen), about)
    if {"coherence", "count_arrival"} <= columns.keys():
        count, coherence = np.array([region.count_arrival]), np.array([region.coherence])
        about = "log10(N·c²), N members at arrival, c coherence; see Stability"
        yield Fact("stability D", f"{float(strength(count, coherence)[0]):.2f}", about)


def _percent(share: float) -> str:
    return f"{100 * share:.2g} %" if share < 0.1 else f"{100 * share:.0f} %"


def founder_card(dictionary: Dictionary, region: Region, color: str) -> None:
    """Draw the card with the passage whose activation is the exemplar; nothing where the file has
    no such passages.
    """
    if "founder_passage" not in dictionary:
        return
    with st.container(border=True, gap="xsmall"):
        index = region.columns.get("founded_at")
        stream = "" if index is None else f"activation {int(index):,} of the stream"
        if region.founder is None:
            st.html(tokens.heading("Founded by", stream))
            messages.quiet("This file does not hold the passage that founded the region.")
            return
        founder = region.founder
        place = f"token {founder.position} of passage {founder.passage:,}"
        st.html(
            tokens.heading(
                "Founded by", f"{place}, {stream}: this event is the exemplar" if stream else place
            )
        )
        st.html(tokens.aligned([excerpts.aligned(founder)], color))
