"""The Region page's card of other regions: the nearest, the rivals for its members, and the
farthest.
"""

from __future__ import annotations

import numpy as np
import streamlit as st

from ep.method.dictionary import Dictionary
from ep.method.region import Region
from ep.studies.naming import is_numbered
from ep.studies.rates import wilson
from ep.views.palette import region_color
from pages.shared import frame, loading, messages, state
from pages.shared.chips import Chip, chips

NEAREST, SECOND, FARTHEST = "Nearest regions", "Comes second", "Farthest"
ABOUT = {
    NEAREST: "{distance} between exemplars, full space.",
    SECOND: "Where its Voronoi members would go without it, and what share of them.",
    FARTHEST: "{distance} between exemplars, full space{apart}.",
}
ARRAYS = {NEAREST: "nearest_ids", SECOND: "rival_ids"}
"""The array that a group is read from; a file without it does not offer the group."""
FARTHEST_SHOWN = 8


@frame.fragment
def card(key: str, dictionary: Dictionary, region: Region) -> None:
    """Draw the card: a click on a region selects it, and a popover opens the Between page."""
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
                    chips(items, "region_between_chips", _open_between)
        kind = dictionary.distance_name
        apart = "" if dictionary.law.extra else "; above 1 they point apart"
        messages.quiet(ABOUT[group].format(distance=kind[0].upper() + kind[1:], apart=apart))
        if not items:
            messages.quiet(_why_none(dictionary))
            return
        chips(items, "region_nearest", _select)
        if group == SECOND:
            messages.quiet(_contested_text(region))


def _select(region: int) -> None:
    state.select_region(region)
    state.schedule()


def _open_between(region: int) -> None:
    state.schedule("between", second=region)


def _items(key: str, dictionary: Dictionary, region: Region, group: str) -> list[Chip]:
    """Return the chips of one group of regions."""
    if group == SECOND:
        examined = max(1, int(region.columns.get("rival_seen", 0)))
        rows = [
            (k, _share(n, examined), f"{n:,} of {examined:,} members examined")
            for k, n in region.rivals
        ]
    else:
        around = region.nearest if group == NEAREST else farthest(dictionary, region.id)
        kind = dictionary.distance_name
        rows = [(k, f"{distance:.2f}", f"{kind} {distance:.4f}") for k, distance in around]
    return [_chip(key, dictionary, k, after, title) for k, after, title in rows]


def _chip(key: str, dictionary: Dictionary, region: int, after: str, title: str) -> Chip:
    name = loading.region_name(key, region)
    title = f"{loading.whole_name(key, region)} · {title}"
    before = "" if is_numbered(name) else str(region)
    color = region_color(dictionary, region)
    return Chip(region, name, color, 0.24, before=before, after=after, title=title)


def _share(n: int, of: int) -> str:
    return f"{100 * n / of:.0f} %" if n >= 0.01 * of else "<1 %"


def farthest(
    dictionary: Dictionary, region: int, n: int = FARTHEST_SHOWN
) -> list[tuple[int, float]]:
    """Return the n regions with the farthest exemplars, each with its distance.

    Computes the distances to all exemplars, since the file stores only the nearest.
    """
    distance = dictionary.row_distances(dictionary.basis_rows("exemplar")[[region]])[0]
    ids = np.argsort(-distance, kind="stable")[: min(n, len(distance) - 1)]
    return [(int(k), float(distance[k])) for k in ids if k != region]


def _contested_text(region: Region) -> str:
    """Return the share of contested members as a sentence; empty if none were examined."""
    examined = int(region.columns.get("rival_seen", 0))
    contested = int(region.columns.get("contested", 0))
    if not examined:
        return ""
    low, high = (100 * part for part in wilson(contested, examined))
    share = _share(contested, examined) if contested else "none"
    return (
        f"Contested: {share} of n = {examined:,} members examined (95 % interval {low:.0f} to "
        f"{high:.0f} %) have their "
        "second exemplar less than 0.1 θ farther than their own."
    )


def _why_none(dictionary: Dictionary) -> str:
    """Return why a group is empty, as a sentence."""
    if len(dictionary) == 1:
        return "This is the only region there is."
    return "None of its members was examined for a second exemplar."
