"""The table of pairs, filtered by verdict. A click on a row selects the pair."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import streamlit as st

from ep.method.dictionary import Dictionary
from ep.studies.matching import Match, Nulls, Summary
from ep.views import matching as view
from ep.views.glossary import define
from pages.compare import selection
from pages.compare.comparison import Comparison
from pages.compare.settings import KINDS, Kind, Settings
from pages.shared import loading, messages, state
from pages.shared.controls import setting_choice

_TABLE = "compare_table"
_COLUMNS: dict[str, Any] = {
    "verdict": st.column_config.TextColumn("Verdict", width=82),
    "region_a": st.column_config.NumberColumn("A", width=52, format="%d"),
    "name_a": st.column_config.TextColumn("Name of A", width=124),
    "lens_a": st.column_config.ListColumn("Lens of A", width=96, help=define("lens_tokens")),
    "region_b": st.column_config.NumberColumn("B", width=52, format="%d"),
    "name_b": st.column_config.TextColumn("Name of B", width=124),
    "lens_b": st.column_config.ListColumn("Lens of B", width=96, help=define("lens_tokens")),
    "cosine": st.column_config.ProgressColumn(
        "Cosine",
        width=86,
        min_value=0,
        max_value=1,
        format="%.2f",
        color="#8a93a6",
        help="With the one-to-one partner",
    ),
    "distance_in_theta_a": st.column_config.NumberColumn(
        "Distance, θ",
        width=76,
        format="%.2f",
        help=define("distance", "1 − cosine of partners, in units of A's θ"),
    ),
    "nearest": st.column_config.NumberColumn(
        "Closest", width=62, format="%.2f", help=define("counterpart", "its cosine")
    ),
    "members_a": st.column_config.NumberColumn(
        "Members A", width=78, format="localized", help=define("members")
    ),
    "members_b": st.column_config.NumberColumn(
        "Members B", width=78, format="localized", help=define("members")
    ),
}


def draw(comparison: Comparison, match: Match, summary: Summary, nulls: Nulls) -> None:
    """Draw the table and the choice of verdicts above it. Call it inside a fragment."""
    revisions = [loading.labels(key).revision for key in comparison.keys]
    stamp = f"{comparison.stamp} {summary.levels} {revisions}"
    all_rows = _rows(stamp, comparison.cutoff, *comparison.dictionaries, match, nulls)
    rows = _of_kind(all_rows, state.settings(Settings).kind)
    shown = _screen_columns(rows)
    if not np.isfinite(match.a.threshold):  # no θ that these cosines could be measured in
        shown = shown.drop_columns(["distance_in_theta_a"])
    with st.container(border=True, gap="small"):
        with st.container(horizontal=True, gap="small", vertical_alignment="center"):
            setting_choice(Settings, "kind", "Verdict", KINDS, key="compare_kind")
            messages.quiet(f"{rows.num_rows:,} rows; a click shows the pair above")
        st.dataframe(
            shown,
            hide_index=True,
            height=330,
            row_height=29,
            on_select=partial(selection.pick_row, match, rows, _TABLE),
            selection_mode="single-cell",
            key=_TABLE,
            column_config=_COLUMNS,
            placeholder="–",
        )


@st.cache_resource(show_spinner=False, max_entries=12)
def _rows(
    stamp: str, cutoff: float, _a: Dictionary, _b: Dictionary, _match: Match, _nulls: Nulls
) -> pa.Table:
    """Return all rows.

    stamp: identifies the match, the levels of the nulls and the labels in the cache.
    """
    return view.pairs(_a, _b, _match, cutoff, _nulls, (loading.cells(_a), loading.cells(_b)))


def _of_kind(rows: pa.Table, kind: Kind) -> pa.Table:
    """Return the rows with this verdict on the region of A or of B."""
    verdict_a, verdict_b = rows["verdict_a"], rows["verdict_b"]
    if kind == "persisted":
        return rows.filter(_is(verdict_a, "persisted"))
    if kind == "moved":
        return rows.filter(pc.or_(_is(verdict_a, "moved"), _is(verdict_b, "moved")))
    if kind == "here":
        return rows.filter(_is(verdict_a, "only here"))
    if kind == "there":
        return rows.filter(_is(verdict_b, "only there"))
    return rows


def _is(column: pa.ChunkedArray, word: str) -> pa.ChunkedArray:
    return pc.fill_null(pc.equal(column, word), False)


def _screen_columns(rows: pa.Table) -> pa.Table:
    """Return the columns of the screen: A's verdict, or B's where there is no region of A."""
    verdict = pc.coalesce(rows["verdict_a"], rows["verdict_b"])
    nearest = pc.if_else(
        pc.is_nan(rows["nearest_b_cosine"]), rows["nearest_a_cosine"], rows["nearest_b_cosine"]
    )
    names = [name for name in _COLUMNS if name not in ("verdict", "nearest")]
    columns = {"verdict": verdict} | {name: rows[name] for name in names} | {"nearest": nearest}
    return pa.table({name: columns[name] for name in _COLUMNS})
