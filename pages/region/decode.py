"""The Region page's cards of a region's lenses, its key numbers, and its founder."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import streamlit as st

from ep.method.dictionary import Dictionary
from ep.method.lenses import DOWN, LENSES, UP, LensKind, kind_of
from ep.method.region import Region, TokenScore
from ep.studies.rates import wilson
from ep.studies.stability import strength
from ep.views import excerpts
from ep.views.palette import OTHER
from pages.region.settings import Settings
from pages.shared import messages, state, tokens
from pages.shared.controls import value_widget

ENDS = {UP: "promotes", DOWN: "suppresses"}
"""What a lens says of the tokens at each of its ends."""


class Fact(NamedTuple):
    """A key number with its name, and a detail beside the glossary's words, as plain text."""

    name: str
    value: str
    detail: str = ""


def lens_card(dictionary: Dictionary, region: Region, color: str) -> None:
    """Draw the card with one of the stored lenses, its control, and the key numbers."""
    with st.container(border=True, gap="small"):
        if region.lens:
            kinds = _kinds(dictionary)
            kind = LENSES.get(state.settings(Settings).lens or "", kinds[0])
            kind = kind if kind in kinds else kinds[0]
            with st.container(horizontal=True, vertical_alignment="center", gap="small"):
                if len(kinds) > 1:
                    _choice(kinds, kind)
                st.html(
                    f'<span class="ep-k" title="{tokens.escape(kind.about)}">{_about(kind)}</span>'
                )
            st.html(_lens(dictionary, region, kind, color))
        st.html(tokens.facts(*_facts(dictionary, region)))


def _kinds(dictionary: Dictionary) -> list[LensKind]:
    """Return the kinds of the stored lenses, that of `first_lens` first."""
    return list(dict.fromkeys(kind_of(name) for name in dictionary.lenses))


def _choice(kinds: list[LensKind], kind: LensKind) -> None:
    """Draw the choice of a lens."""
    value_widget(
        st.selectbox,
        "region_lens",
        "Lens",
        kind.name,
        lambda name: state.update_settings(Settings, lens=name),
        [one.name for one in kinds],
        format_func=lambda name: f"Lens: {LENSES[name].title}",
        label_visibility="collapsed",
        width=190,
    )


def _about(kind: LensKind) -> str:
    """Return what a kind of lens computes, as HTML."""
    return tokens.escape(f"{kind.formula}; hover for values")


def _lens(dictionary: Dictionary, region: Region, kind: LensKind, color: str) -> str:
    """Return the rows of one kind of lens as HTML, and its control."""
    rows = []
    for end in kind.ends:
        scores = region.lens.get(f"{kind.name}_{end}")
        if scores:
            shade = color if end == UP else OTHER
            rows.append(_row(ENDS[end], _lens_chips(scores, shade)))
    rows.append(_control(dictionary, region, kind))
    return f'<div class="ep-lens">{"".join(rows)}</div>'


def _row(title: str, content: str) -> str:
    return f'<span class="ep-k">{tokens.escape(title)}</span>{content}'


def _control(dictionary: Dictionary, region: Region, kind: LensKind) -> str:
    """Return the row of a lens's control as HTML; empty for a dictionary of one region.

    It is the score of the build, own against other regions, where the file holds it; else the same
    lens of another region, chosen at random by the region's id.
    """
    scored = (dictionary.info.get("lens_scores") or {}).get("lenses") or {}
    score = scored.get(f"{kind.name}_{UP}") if isinstance(scored, dict) else None
    if isinstance(score, dict) and {"own", "other"} <= score.keys():
        own, other = float(score["own"]), float(score["other"])
        text = (
            f"{own:.3f} of its words follow in the region's texts, {other:.3f} in another "
            "region's (whole dictionary)"
        )
        return _row("score", f'<span class="ep-k">{tokens.escape(text)}</span>')
    if len(dictionary) < 2:
        return ""
    step = 1 + int(np.random.default_rng(region.id).integers(len(dictionary) - 1))
    other_id = (region.id + step) % len(dictionary)
    scores = dictionary.lens(other_id, f"{kind.name}_{UP}")
    if not scores:
        return ""
    hint = f"the same lens of region {other_id}, for comparison"
    chips_ = "".join(tokens.chip(one.token, OTHER, 0.08) for one in scores)
    return (
        f'<span class="ep-k" title="{hint}">another’s</span>'
        f'<div class="ep-chips ep-faint" title="{hint}" '
        f'style="gap:1em .3em;max-height:1.4em;overflow:hidden">{chips_}</div>'
    )


def _lens_chips(scores: tuple[TokenScore, ...], color: str) -> str:
    """Return chips whose tint grows with the absolute value of the logit."""
    sizes = np.abs([score.value for score in scores])
    spread = max(1e-6, float(sizes.max(initial=0) - sizes.min(initial=np.inf)))
    top = 0.54 if color != OTHER else 0.26
    strengths = 0.12 + (top - 0.12) * (sizes - sizes.min(initial=np.inf)) / spread
    chips_ = (
        tokens.chip(score.token, color, float(strength), title=f"{score.value:+.2f}")
        for score, strength in zip(scores, strengths, strict=True)
    )
    return tokens.row(chips_, one_line=True)


def _facts(dictionary: Dictionary, region: Region) -> list[Fact]:
    """Return the key numbers that the file contains."""
    facts = [*_counts(dictionary, region), *_shape(dictionary, region), *_confidence(region)]
    # where the file has founders, their card states the number
    if "founder_passage" not in dictionary and "founded_at" in region.columns:
        value = f"{int(region.columns['founded_at']):,}"
        facts.append(Fact("founded at", value))
    return facts


def _counts(dictionary: Dictionary, region: Region) -> Iterator[Fact]:
    n = int(dictionary.info.get("n_activations") or 0)
    if "count_voronoi" in region.columns:
        yield Fact("members, Voronoi", f"{region.count_voronoi:,}")
    if "count_arrival" in region.columns:
        yield Fact("at arrival", f"{region.count_arrival:,}")
    if n and "count_voronoi" in region.columns:
        share = _percent(region.count_voronoi / n)
        yield Fact("share of all", share, f"{n:,} activations")


def _shape(dictionary: Dictionary, region: Region) -> Iterator[Fact]:
    columns = region.columns
    if "coherence" in columns:
        yield Fact("coherence", f"{region.coherence:.2f}")
    if "mean_distance" in columns:
        is_empty = columns.get("count_voronoi") == 0
        value = "–" if is_empty else f"{float(columns['mean_distance']):.2f}"
        yield Fact("mean distance", value, dictionary.distance_name)
    if region.nearest:
        yield Fact("nearest", f"{region.nearest[0][1]:.2f}", dictionary.distance_name)
    if "exemplar_mean_cosine" in columns:
        yield Fact("cos to mean", f"{float(columns['exemplar_mean_cosine']):.2f}")


def _confidence(region: Region) -> Iterator[Fact]:
    columns = region.columns
    if (seen := int(columns.get("rival_seen", 0))) > 0:
        low, high = (100 * part for part in wilson(int(columns["contested"]), seen))
        detail = f"{seen:,} members were examined (95 %: {low:.0f} to {high:.0f} %)"
        yield Fact("contested", _percent(int(columns["contested"]) / seen), detail)
    if {"coherence", "count_arrival"} <= columns.keys():
        count, coherence = np.array([region.count_arrival]), np.array([region.coherence])
        yield Fact("stability D", f"{float(strength(count, coherence)[0]):.2f}")


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
