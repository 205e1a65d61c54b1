"""Resolution: one region followed from coarse to fine, where its exemplar goes meanwhile, and where
two texts part.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import pandas as pd
import pyarrow as pa
import streamlit as st

from ep.method.dictionary import Dictionary
from ep.storage import Entry
from ep.studies import resolution as study
from ep.text import label
from ep.views import export, snippets
from ep.views import flow as view
from ep.views.palette import OTHER, region_color
from ep.views.tables import lens_tokens, name
from pages.resolution.flow import flow as flow_picture
from pages.resolution.ladder import overlapping, rungs
from pages.resolution.parting import parting
from pages.shared import frame, loading, messages, sharing, state, tokens

SENTENCE = (
    "One region followed through the percentiles of its build: how it splits, and what it "
    "is made of."
)
WIDTHS = (16, 10)
HEIGHT, HEIGHT_PER_NODE = 470, 56
FEW_ROWS = 7
TABLE_HEIGHT = 553


def show() -> None:
    found = state.opened()
    head, share = st.columns([2, 1], gap="small", vertical_alignment="center")
    with head:
        frame.page("Resolution", SENTENCE)
    if found is None or found[0].region is None:
        messages.nothing_open()
        return
    selection, dictionary = found
    entries, ladder = rungs(str(selection.dictionary), dictionary)
    if len(ladder) < 2:
        _one_rung(dictionary)
        return
    origin = [entry.key for entry in entries].index(str(selection.dictionary))
    overlaps = overlapping(entries, ladder, origin)
    if overlaps is not None:
        flow = study.follow(ladder, origin, int(selection.region or 0), lambda f, c: overlaps[f, c])
        with share:
            code = snippets.resolution(ladder, origin, flow.region)
            sharing.bar(
                "resolution_share", {"Regions its members lie in": partial(_nodes, flow)}, code
            )
        _followed(entries, ladder, flow, dictionary)
    else:
        parting(str(selection.dictionary), dictionary, entries, ladder)


def _nodes(flow: study.Flow) -> pa.Table:
    """The picture as a table, coarse to fine; a negative region stands for all the others, or for
    what is missing.
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


def _one_rung(dictionary: Dictionary) -> None:
    p = dictionary.info.get("percentile")
    at = "one percentile" if p is None else f"p = {p:g}"
    messages.box(
        f"This build holds layer {dictionary.info.get('layer', '?')} at {at} only",
        "A region is followed through several percentiles of one build and layer. Build with more "
        "than one "
        "(--percentile 1 --percentile 4), or choose another family in the side bar.",
    )
    with st.container(horizontal=True, horizontal_alignment="center"):
        if st.button("To the Library", type="primary", key="resolution_library"):
            state.goto("library")


# -- the followed region ---------------------------------------------------------------------------


def _followed(
    entries: Sequence[Entry], ladder: Sequence[Dictionary], flow: study.Flow, dictionary: Dictionary
) -> None:
    rows = sum(len(level.nodes) for level in flow.levels)
    beside = not flow.members or rows <= FEW_ROWS  # a short table leaves room for the other one
    left, right = st.columns(WIDTHS, gap="medium")
    with left:
        _picture(entries, ladder, flow, dictionary)
    with right:
        if flow.members:
            _members(entries, ladder, flow)
        if beside:
            _exemplar(entries, ladder, flow)
    below, right = (st.container(), right) if beside else st.columns(WIDTHS, gap="medium")
    if not beside:
        with right:
            _exemplar(entries, ladder, flow)
    with below:  # last: it may have to wait for the model
        parting(entries[flow.origin].key, dictionary, entries, ladder)


def _picture(
    entries: Sequence[Entry], ladder: Sequence[Dictionary], flow: study.Flow, dictionary: Dictionary
) -> None:
    color, called = (
        region_color(dictionary, flow.region),
        loading.region_name(entries[flow.origin].key, flow.region),
    )
    with st.container(border=True, gap="small"):
        st.html(
            f'<div class="ep-band ep-flush"><b>Where the members of region {flow.region} lie</b>'
            f"{tokens.chip(called, color, 0.4)}"
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
        keys = [entry.key for entry in entries]
        flow_picture(
            view.picture(
                flow, ladder, lambda level, region: loading.region_name(keys[level], region)
            ),
            "resolution_flow",
            lambda level, region: state.open_dictionary(keys[level], region),
            frame.is_dark(),
            min(HEIGHT, 190 + HEIGHT_PER_NODE * max(len(level.nodes) for level in flow.levels)),
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


def _exemplar(entries: Sequence[Entry], ladder: Sequence[Dictionary], flow: study.Flow) -> None:
    rows = [
        _exemplar_row(dictionary, level)
        for dictionary, level in zip(ladder, flow.levels, strict=True)
    ]
    table = pd.DataFrame(rows)
    with st.container(border=True, gap="xsmall"):
        st.html(tokens.heading("Its exemplar at every p", "same: cosine ≥ 0.9999"))
        picked = st.dataframe(
            table.style.apply(
                lambda _: [f"color:{row['color']}" for row in rows], subset=["group"]
            ),
            hide_index=True,
            height=29 * (len(table) + 1) + 3,
            row_height=29,
            key="resolution_exemplar",
            on_select="rerun",
            selection_mode="single-cell",
            column_order=_filled(rows, "p", "group", "region", "lens", "reached", "near"),
            column_config={
                "p": st.column_config.NumberColumn("p", width=32, format="%g"),
                "group": st.column_config.TextColumn("", width=26),
                "region": st.column_config.NumberColumn("Region", width=48, format="%d"),
                "lens": st.column_config.ListColumn("Lens", width=72),
                "reached": st.column_config.TextColumn(
                    "Cosine", width=48, help="with the followed exemplar"
                ),
                "near": st.column_config.ListColumn("Nearest regions", width=112),
            },
        )
    if picked.selection.cells:
        row = picked.selection.cells[0][0]
        _turn_to(entries[row], int(rows[row]["region"]), "resolution_exemplar")


def _filled(rows: Sequence[dict[str, object]], *columns: str) -> list[str]:
    """The columns in their order, lens tokens only where some file holds them."""
    return [column for column in columns if column != "lens" or any(row["lens"] for row in rows)]


def _exemplar_row(dictionary: Dictionary, level: study.Level) -> dict[str, object]:
    k = level.carried
    near: list[str] = []
    if "nearest_ids" in dictionary:
        ids = [int(i) for i in dictionary.row("nearest_ids", k)[:3] if i >= 0]
        near = [f"{i} {label(token)}" if (token := name(dictionary, i)) else str(i) for i in ids]
    return {
        "p": level.percentile,
        "group": "⬢",
        "region": k,
        "lens": lens_tokens(dictionary, [k], 2)[0],
        "reached": "same" if level.same else f"{level.cosine:.2f}",
        "near": near,
        "color": region_color(dictionary, k),
    }


def _members(entries: Sequence[Entry], ladder: Sequence[Dictionary], flow: study.Flow) -> None:
    estimated = any(level.known == "estimated" for level in flow.levels)
    rows = [
        _member_row(ladder[i], level, node, estimated)
        for i, level in enumerate(flow.levels)
        for node in level.nodes
        if node.region != study.REST
    ]
    table = pd.DataFrame(rows)
    here = (
        st.column_config.TextColumn
        if estimated
        else partial(st.column_config.NumberColumn, format="localized")
    )
    about = "≈: estimated, not counted" if estimated else "counts of the build"
    with st.container(border=True, gap="xsmall"):
        st.html(tokens.heading("Its members at every p", about))
        picked = st.dataframe(
            table.style.apply(
                lambda _: [f"color:{row['color']}" for row in rows], subset=["group"]
            ),
            hide_index=True,
            height=min(TABLE_HEIGHT, 29 * (len(table) + 1) + 3),
            row_height=29,
            key="resolution_members",
            on_select="rerun",
            selection_mode="single-cell",
            column_order=_filled(rows, "p", "group", "region", "lens", "members", "share", "total"),
            column_config={
                "p": st.column_config.NumberColumn("p", width=32, format="%g"),
                "group": st.column_config.TextColumn("", width=26),
                "region": st.column_config.TextColumn("Region", width=52),
                "lens": st.column_config.ListColumn("Lens", width=72),
                "members": here("Here", width=44, help="of the followed region's members"),
                "share": st.column_config.ProgressColumn(
                    "Share", width=76, min_value=0, max_value=100, format="%.1f %%", color=OTHER
                ),
                "total": st.column_config.NumberColumn(
                    "Of",
                    width=46,
                    format="localized",
                    help="members of the region itself, wherever they come from",
                ),
            },
        )
    if picked.selection.cells:
        row = rows[picked.selection.cells[0][0]]
        if isinstance(row["id"], int) and row["id"] >= 0:
            _turn_to(entries[int(str(row["level"]))], row["id"], "resolution_members")


def _member_row(
    dictionary: Dictionary, level: study.Level, node: study.Node, estimated: bool
) -> dict[str, object]:
    own = node.region >= 0
    return {
        "p": level.percentile,
        "group": "⬢",
        "region": str(node.region) if own else f"+ {node.merged:,}",
        "lens": lens_tokens(dictionary, [node.region], 2)[0] if own else [],
        "members": view.amount(node.members, level.known == "counted")
        if estimated
        else round(node.members),
        "share": 100 * node.share,
        "total": node.total,
        "color": region_color(dictionary, node.region) if own else OTHER,
        "id": node.region,
        "level": node.level,
    }


def _turn_to(entry: Entry, region: int, table: str) -> None:
    """Follow another region: its dictionary becomes the open one.

    The table forgets what was picked in it.
    """
    st.session_state.pop(table, None)
    state.open_dictionary(entry.key, region)
    state.rerun()


show()
