"""Resolution: one region and its exemplar from coarse to fine, and where two texts part."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import pyarrow as pa
import streamlit as st

from ep.method.dictionary import Dictionary
from ep.studies import resolution as study
from ep.views import export, snippets
from ep.views import flow as view
from ep.views.palette import region_color
from pages.resolution import overlaps
from pages.resolution.flow import flow_figure
from pages.resolution.parting import parting
from pages.resolution.tables import exemplar_table, members_table
from pages.shared import frame, loading, messages, sharing, state, tokens

SENTENCE = (
    "One region followed through the percentiles of its build: how it splits, and what it "
    "is made of."
)
WIDTHS = (16, 10)
HEIGHT, LEAST_HEIGHT, HEIGHT_PER_NODE = 470, 190, 56
"""Most and least height of the picture, and the height per node, in pixels."""
FEW_ROWS = 7
Ladder = Mapping[str, Dictionary]


def show() -> None:
    """Draw the page."""
    left, right = st.columns([2, 1], gap="small", vertical_alignment="center")
    with left:
        frame.page_head("Resolution", SENTENCE)
    key, dictionary, region, _, _ = state.opened()
    ladder = loading.ladder(key)
    if len(ladder) < 2:
        _single_level(dictionary)
        return
    all_overlaps = overlaps.overlaps_of(ladder)
    if all_overlaps is None:
        parting(key, dictionary, ladder)
        return
    origin, levels = list(ladder).index(key), list(ladder.values())
    flow = study.follow(levels, origin, region, lambda finer, coarser: all_overlaps[finer, coarser])
    with right:
        code = snippets.resolution(levels, origin, flow.region)
        tables = {"Regions its members lie in": partial(_nodes, flow)}
        sharing.bar("resolution_share", tables, code)
    _draw_flow(key, ladder, flow)


def _nodes(flow: study.Flow) -> pa.Table:
    """Return the picture as a table, coarse to fine.

    A negative region stands for all the others together, or for what is missing.
    """
    nodes = [(level, node) for level in flow.levels for node in level.nodes]
    return export.table(
        {
            "followed": [flow.region] * len(nodes),
            "percentile": [level.percentile for level, _ in nodes],
            "region": [node.region for _, node in nodes],
            "members": [float(node.members) for _, node in nodes],
            "share": [float(node.share) for _, node in nodes],
            "members_of_region": [node.total for _, node in nodes],
            "merged": [node.merged for _, node in nodes],
            "known": [str(level.known) for level, _ in nodes],
        }
    )


def _single_level(dictionary: Dictionary) -> None:
    """Draw why a build with one percentile has nothing to follow."""
    p, layer = dictionary.percentile, dictionary.layer
    at = "one percentile" if p is None else f"p = {p:g}"
    messages.box(
        f"This build holds layer {'?' if layer is None else layer} at {at} only",
        "A region is followed through several percentiles of one build and layer. Build with more "
        "than one "
        "(--percentile 1 --percentile 4), or choose another family in the side bar.",
    )
    with st.container(horizontal=True, horizontal_alignment="center"):
        if st.button("To the Library", type="primary", key="resolution_library"):
            state.goto("library")


# -- the followed region ---------------------------------------------------------------------------


def _draw_flow(key: str, ladder: Ladder, flow: study.Flow) -> None:
    """Draw the picture, its tables, and the card of two texts."""
    rows = sum(len(level.nodes) for level in flow.levels)
    is_short = not flow.members or rows <= FEW_ROWS  # then there is room for the other table
    left, right = st.columns(WIDTHS, gap="medium")
    with left:
        _picture(key, ladder, flow)
    with right:
        if flow.members:
            members_table(ladder, flow)
        if is_short:
            exemplar_table(ladder, flow)
    below, right = (st.container(), right) if is_short else st.columns(WIDTHS, gap="medium")
    if not is_short:
        with right:
            exemplar_table(ladder, flow)
    with below:  # last, because it may have to wait for the model
        parting(key, ladder[key], ladder)


def _picture(key: str, ladder: Ladder, flow: study.Flow) -> None:
    color = region_color(ladder[key], flow.region)
    name = loading.region_name(key, flow.region)
    with st.container(border=True, gap="small"):
        st.html(
            f'<div class="ep-band ep-flush"><b>Where the members of region {flow.region} lie</b>'
            f"{tokens.chip(name, color, 0.4, loading.whole_name(key, flow.region))}"
            f"<span>height: share of its {flow.members:,} members</span></div>"
        )
        if not flow.members:
            messages.quiet(
                "No activation is nearest to this exemplar any more, so there are no members to "
                "follow: every one it "
                "had at arrival lies nearer to a region founded later. Its exemplar is followed on "
                "the right."
            )
            return
        keys = list(ladder)
        most = max(len(level.nodes) for level in flow.levels)
        flow_figure(
            view.picture(
                flow,
                list(ladder.values()),
                lambda level, region: loading.whole_name(keys[level], region),
            ),
            "resolution_flow",
            lambda level, region: state.open_dictionary(keys[level], region),
            frame.is_dark(),
            min(HEIGHT, LEAST_HEIGHT + HEIGHT_PER_NODE * most),
        )
        st.html(f'<div class="ep-k">{tokens.escape(_legend(flow))}</div>')


def _legend(flow: study.Flow) -> str:
    if any(level.known == "estimated" for level in flow.levels):
        parts = [
            "Estimated: no overlaps were recorded, so each finer region counts whole where its "
            "exemplar falls."
        ]
    else:
        parts = ["Heights are counts of its members at every p, taken while building."]
        if any(not link.exact for link in flow.links):
            parts.append(
                "Ribbons beside the followed region are exact; paler ones are fitted to both their "
                "ends."
            )
    if any(node.region == study.REST for level in flow.levels for node in level.nodes):
        parts.append("Not recorded: beyond the four largest homes of a region.")
    return " ".join([*parts, "Click a region to follow it."])


show()
