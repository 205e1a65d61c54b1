"""The lower half of the Compare page: two linked maps, one pair side by side, and the table."""

from __future__ import annotations

from contextlib import suppress
from functools import partial

import streamlit as st

from ep.errors import RequestError
from ep.studies import matching as study
from ep.studies.matching import Match, Nulls, Summary
from ep.views import matching as view
from ep.views.colorings import Coloring
from pages.compare import pair_cards, pair_table, selection
from pages.compare.comparison import Comparison
from pages.compare.settings import COLORINGS, Settings
from pages.shared import frame, loading, maps, messages, state
from pages.shared.controls import setting_choice

MAP_HEIGHT = 410
MapNames = tuple[str | None, str | None]
"""Names of the maps of A and of B in the browser; None for one that cannot be drawn."""


def send_maps(comparison: Comparison) -> MapNames:
    """Send both maps to the browser, B's on the axes of A, and return their names.

    They are spheres, or flat where there are few regions. Call it outside `draw`, so that a click
    sends nothing again.
    """
    a, b = comparison.keys
    for layout in ("pca-sphere", "pca-flat"):
        with suppress(RequestError):
            first = maps.send_map(a, layout)
            return first, first if b == a else maps.send_map(b, layout, axes_of=a)
    return None, None


@frame.fragment
def draw(
    comparison: Comparison, match: Match, summary: Summary, nulls: Nulls, names: MapNames
) -> None:
    """Draw the maps, the pair and the table; a click in any of them moves the selection of all."""
    frame.show_selected()
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        setting_choice(Settings, "coloring", "Colour", COLORINGS, key="compare_map")
        messages.quiet(
            "A left, B right, both on the axes of A; a click selects a region and its partner."
        )
    regions = selection.selected(match)
    verdicts = [
        study.verdicts(side, comparison.cutoff, level)
        for side, level in zip((match.a, match.b), summary.levels, strict=True)
    ]
    by_cosine = state.settings(Settings).coloring == view.COSINE
    for is_b, column in zip((False, True), st.columns(2, gap="medium"), strict=True):
        side = match.b if is_b else match.a
        coloring = view.by_cosine(side) if by_cosine else view.by_verdict(verdicts[is_b], is_b)
        with column:
            _map(comparison, match, names[is_b], regions[is_b], coloring, is_b)
    pair_verdicts = int(verdicts[0][regions[0]]), int(verdicts[1][regions[1]])
    pair_cards.draw(comparison.dictionaries, match, nulls, regions, pair_verdicts)
    pair_table.draw(comparison, match, summary, nulls)


def _map(
    comparison: Comparison,
    match: Match,
    name: str | None,
    region: int,
    coloring: Coloring,
    is_b: bool,
) -> None:
    if name is None:
        messages.box(
            "There is no map of this dictionary", "It has too few regions to be drawn as cells."
        )
        return
    maps.draw(
        name,
        comparison.dictionaries[is_b],
        key=f"compare_map_{'b' if is_b else 'a'}",
        selected=region,
        sequence=selection.sequence("B" if is_b else "A"),
        coloring=coloring,
        on_pick=partial(selection.pick_b if is_b else selection.pick_a, match),
        link="compare",
        partners=(match.b if is_b else match.a).partner,
        height=MAP_HEIGHT,
        note="Its exemplars on the first three principal axes of A." if is_b else None,
        names=loading.labels(comparison.keys[is_b]).texts(automatic=False),
    )
