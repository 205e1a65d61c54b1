"""The tables beside a followed region: its members and its exemplar at every percentile.

A click on a row follows its region.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, TypedDict

import pandas as pd
import streamlit as st

from ep.method.dictionary import Dictionary
from ep.studies import resolution as study
from ep.studies.names import short
from ep.views import flow as view
from ep.views.glossary import define
from ep.views.palette import OTHER, region_color
from pages.shared import loading, state, tokens

ROW, HIGHEST = 29, 553
"""Height of one row and most height of a table, in pixels."""


class _ExemplarRow(TypedDict):
    """A percentile: the region nearest to the followed exemplar, and the regions near that one."""

    p: float
    group: str
    region: int
    name: str
    reached: str
    near: list[str]
    color: str


class _MemberRow(TypedDict):
    """A node: a region that holds some of the followed members, or all other regions together."""

    p: float
    group: str
    region: str
    name: str
    members: str | int
    share: float
    total: int
    color: str
    id: int
    level: int


# -- the exemplar ----------------------------------------------------------------------------------


def exemplar_table(ladder: Mapping[str, Dictionary], flow: study.Flow) -> None:
    """Draw the region that carries the followed exemplar at every percentile."""
    rows = [
        _exemplar_row(dictionary, level)
        for dictionary, level in zip(ladder.values(), flow.levels, strict=True)
    ]
    with st.container(border=True, gap="xsmall"):
        st.html(tokens.heading("Its exemplar at every p", "same: cosine ≥ 0.9999"))
        row = _table(
            "resolution_exemplar",
            rows,
            ["p", "group", "region", "name", "reached", "near"],
            {
                **_first_columns(),
                "region": st.column_config.NumberColumn(
                    "Region", width=48, format="%d", help=define("region")
                ),
                "reached": st.column_config.TextColumn(
                    "Cosine", width=48, help="with the followed exemplar"
                ),
                "near": st.column_config.ListColumn("Nearest regions", width=104),
            },
        )
    if row is not None:
        _follow(list(ladder)[row], rows[row]["region"], "resolution_exemplar")


def _exemplar_row(dictionary: Dictionary, level: study.Level) -> _ExemplarRow:
    k = level.carried
    near: list[str] = []
    if "nearest_ids" in dictionary:
        ids = [int(i) for i in dictionary.row("nearest_ids", k)[:3] if i >= 0]
        called = loading.cells(dictionary, ids)
        near = [f"{i} {short(text)}" for i, text in zip(ids, called, strict=True)]
    return {
        "p": level.percentile,
        "group": "⬢",
        "region": k,
        "name": loading.cells(dictionary, [k])[0],
        "reached": "same" if level.same else f"{level.cosine:.2f}",
        "near": near,
        "color": region_color(dictionary, k),
    }


# -- the members -----------------------------------------------------------------------------------


def members_table(ladder: Mapping[str, Dictionary], flow: study.Flow) -> None:
    """Draw the regions that hold the followed members at every percentile."""
    estimated = any(level.known == "estimated" for level in flow.levels)
    dictionaries = list(ladder.values())
    rows = [
        _member_row(dictionaries[i], level, node, estimated)
        for i, level in enumerate(flow.levels)
        for node in level.nodes
        if node.region != study.REST
    ]
    about = "≈: estimated, not counted" if estimated else "counts of the build"
    with st.container(border=True, gap="xsmall"):
        st.html(tokens.heading("Its members at every p", about))
        row = _table(
            "resolution_members",
            rows,
            ["p", "group", "region", "name", "members", "share", "total"],
            _first_columns() | _member_columns(estimated),
        )
    if row is not None and rows[row]["id"] >= 0:
        _follow(list(ladder)[rows[row]["level"]], rows[row]["id"], "resolution_members")


def _member_row(
    dictionary: Dictionary, level: study.Level, node: study.Node, estimated: bool
) -> _MemberRow:
    is_region = node.region >= 0
    amount = view.amount(node.members, level.known == "counted")
    return {
        "p": level.percentile,
        "group": "⬢",
        "region": str(node.region) if is_region else f"+ {node.merged:,}",
        "name": loading.cells(dictionary, [node.region])[0] if is_region else "",
        "members": amount if estimated else round(node.members),
        "share": 100 * node.share,
        "total": node.total,
        "color": region_color(dictionary, node.region) if is_region else OTHER,
        "id": node.region,
        "level": node.level,
    }


def _member_columns(estimated: bool) -> dict[str, Any]:
    members_column = (
        st.column_config.TextColumn
        if estimated
        else partial(st.column_config.NumberColumn, format="localized")
    )
    return {
        "region": st.column_config.TextColumn("Region", width=46, help=define("region")),
        "members": members_column("Here", width=44, help="of the followed region's members"),
        "share": st.column_config.ProgressColumn(
            "Share", width=64, min_value=0, max_value=100, format="%.1f %%", color=OTHER
        ),
        "total": st.column_config.NumberColumn(
            "Of",
            width=42,
            format="localized",
            help="members of the region itself, wherever they come from",
        ),
    }


# -- both ------------------------------------------------------------------------------------------


def _first_columns() -> dict[str, Any]:
    return {
        "p": st.column_config.NumberColumn("p", width=28, format="%g", help=define("p")),
        "group": st.column_config.TextColumn("", width=24),
        "name": st.column_config.TextColumn("Name", width=92, help=define("name")),
    }


def _table(
    key: str,
    rows: Sequence[_ExemplarRow] | Sequence[_MemberRow],
    columns: list[str],
    config: dict[str, Any],
) -> int | None:
    """Draw rows as a table, and return the index of the clicked one, or None."""
    table = pd.DataFrame(rows)
    colors = [f"color:{row['color']}" for row in rows]
    picked = st.dataframe(
        table.style.apply(lambda _: colors, subset=["group"]),
        hide_index=True,
        height=min(HIGHEST, ROW * (len(table) + 1) + 3),
        row_height=ROW,
        key=key,
        on_select="rerun",
        selection_mode="single-cell",
        column_order=columns,
        column_config=config,
    )
    cells = picked.selection.cells
    return int(cells[0][0]) if cells else None


def _follow(key: str, region: int, table: str) -> None:
    """Follow another region, whose dictionary becomes the open one, and clear the table's
    selection.
    """
    st.session_state.pop(table, None)
    state.open_dictionary(key, region)
    state.rerun()
