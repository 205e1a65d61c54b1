"""What lies around a region: the nearest, who comes second for its members, the farthest.

A card of the Region page.
"""

from __future__ import annotations

import numpy as np
import streamlit as st

from ep.method.dictionary import Dictionary, Region
from ep.studies.naming import is_numbered
from ep.studies.rates import wilson
from ep.views.palette import region_color
from pages.shared import frame, loading, messages, state
from pages.shared.chips import Chip, chips

NEAREST, SECOND, FARTHEST = "Nearest regions", "Comes second", "Farthest"
ABOUT = {
    NEAREST: "Cosine distance between exemplars, full space.",
    SECOND: "Where its Voronoi members would go without it, and what share of them.",
    FARTHEST: "Cosine distance between exemplars, full space; above 1 they point apart.",
}
ARRAYS = {NEAREST: "nearest_ids", SECOND: "rival_ids"}
"""The array a group is read from; without it the group is not offered."""
FARTHEST_SHOWN = 8


@frame.fragment
def card(key: str, dictionary: Dictionary, region: Region) -> None:
    """Three groups of other regions, each a click away, and the way to what lies between."""
    with st.container(border=True, gap="xsmall"):
        with st.container(
            horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"
        ):
            groups = [name for name in ABOUT if name == FARTHEST or ARRAYS[name] in dictionary]
            group = (
                st.segmented_control(
                    "Around",
                    groups,
                    default=groups[0],
                    key="region_around",
                    label_visibility="collapsed",
                )
                or groups[0]
            )
            items = _items(key, dictionary, region, group)
            if items:
                with st.popover(
                    "Between", icon=":material/timeline:", type="tertiary", key="region_between"
                ):
                    messages.quiet("Shows what lies between this region and:")
                    chips(items, "region_between_chips", _between)
        messages.quiet(ABOUT[group])
        if not items:
            messages.quiet(_why_none(dictionary))
            return
        chips(items, "region_nearest", _select)
        if group == SECOND:
            messages.quiet(_contested(region))


def _select(region: int) -> None:
    state.select_region(region)
    state.turn()


def _between(region: int) -> None:
    state.turn("between", second=region)


def _items(key: str, dictionary: Dictionary, region: Region, group: str) -> list[Chip]:
    if group == SECOND:
        seen = max(1, int(region.columns.get("rival_seen", 0)))
        rows = [
            (k, _share(n, seen), f"{n:,} of {seen:,} members examined") for k, n in region.rivals
        ]
    else:
        around = region.nearest if group == NEAREST else farthest(dictionary, region.id)
        rows = [(k, f"{distance:.2f}", f"cosine distance {distance:.4f}") for k, distance in around]
    return [_chip(key, dictionary, k, after, title) for k, after, title in rows]


def _chip(key: str, dictionary: Dictionary, region: int, after: str, title: str) -> Chip:
    name = loading.region_name(key, region)
    before = "" if is_numbered(name) else str(region)
    color = region_color(dictionary, region)
    return Chip(region, name, color, 0.24, before=before, after=after, title=title)


def _share(n: int, of: int) -> str:
    return f"{100 * n / of:.0f} %" if n >= 0.01 * of else "<1 %"


def farthest(
    dictionary: Dictionary, region: int, n: int = FARTHEST_SHOWN
) -> list[tuple[int, float]]:
    """The n regions whose exemplars lie farthest, and their cosine distances: one product with all
    exemplars.
    """
    distance = np.clip(1.0 - dictionary.exemplars @ dictionary.row("exemplars", region), 0, 2)
    ids = np.argsort(-distance, kind="stable")[: min(n, len(distance) - 1)]
    return [(int(k), float(distance[k])) for k in ids if k != region]


def _contested(region: Region) -> str:
    seen = int(region.columns.get("rival_seen", 0))
    contested = int(region.columns.get("contested", 0))
    if not seen:
        return ""
    low, high = (100 * part for part in wilson(contested, seen))
    share = _share(contested, seen) if contested else "none"
    return (
        f"Contested: {share} of n = {seen:,} members examined (95 % interval {low:.0f} to "
        f"{high:.0f} %) have their "
        "second exemplar less than 0.1 θ farther than their own."
    )


def _why_none(dictionary: Dictionary) -> str:
    if len(dictionary) == 1:
        return "This is the only region there is."
    return "None of its members was examined for a second exemplar."
