"""The Atlas' search box and table, which lists all regions, the matches, or the brushed ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import streamlit as st

from ep.method.dictionary import Dictionary
from ep.storage import edits
from ep.storage.labels import Labels
from ep.studies import survival
from ep.studies.naming import is_numbered
from ep.views import palette, tables
from ep.views.glossary import define
from ep.views.search import Hits
from pages.atlas import memory, results, search
from pages.atlas.settings import LEAST_FOUND, LEAST_MEMBERS, Settings
from pages.shared import labelling, links, loading, messages, state, tokens
from pages.shared.controls import value_widget
from pages.shared.lists import lists_panel
from pages.shared.searchbox import searchbox

LEFT_OUT = ("arrival", "mean_distance")
"""Columns omitted to make room for names beside lens tokens; the Region page and the exports have
them.
"""
MOST_ROWS = 10_000
"""Rows sent to the browser at most, since they are sent again after every click on a map; search,
brush and exports use all regions.
"""
_COLUMNS: dict[str, Any] = {
    "color": st.column_config.ImageColumn("", width=26),
    "region": st.column_config.NumberColumn("Region", width=48, format="%d", help=define("region")),
    "name": st.column_config.TextColumn(
        "Name",
        width=114,
        help=define("name"),
    ),
    "match": st.column_config.TextColumn(
        "Match",
        width=190,
        help=f"Why it was found: the field and the words around; of the first {search.EXPLAINED}",
    ),
    "lens": st.column_config.ListColumn("Lens tokens", width=104, help=define("lens_tokens")),
    "members": st.column_config.NumberColumn(
        "Members",
        width=58,
        format="localized",
        help=define("members"),
    ),
    "arrival": st.column_config.NumberColumn(
        "Arrival",
        width=56,
        format="localized",
        help=define("arrival"),
    ),
    "coherence": st.column_config.ProgressColumn(
        "Coherence",
        width=74,
        min_value=0,
        max_value=1,
        format="%.2f",
        color=palette.OTHER,
        help=define("coherence"),
    ),
    "mean_distance": st.column_config.NumberColumn(
        "Mean",
        width=46,
        format="%.2f",
        help=define("mean_distance"),
    ),
    "nearest": st.column_config.NumberColumn(
        "Nearest", width=52, format="%.2f", help=define("nearest")
    ),
    "survival": st.column_config.NumberColumn(
        "Survival", width=56, format="percent", help=define("survival")
    ),
}


_WIDE_NAME = st.column_config.TextColumn("Name", width=200, help=define("name"))


def _columns(dictionary: Dictionary, has_lens: bool) -> dict[str, Any]:
    """Return the configuration of the columns, which names the metric of the distances."""
    columns = _COLUMNS if has_lens else _COLUMNS | {"name": _WIDE_NAME}
    distance = dictionary.distance_name
    return columns | {
        name: _COLUMNS[name] | {"help": define(name, distance)}
        for name in ("mean_distance", "nearest")
    }


def table(key: str, dictionary: Dictionary, labels: Labels) -> np.ndarray:
    """Draw the search box, a line about the brush, and the table.

    key: of the dictionary on the shelf. Returns the ids of the listed regions, (n,), in order.
    """
    query = _tools(key, dictionary)
    hits, about = search.results(key, query)
    settings = state.settings(Settings)
    ids = listed_ids(
        dictionary,
        memory.first_region(),
        hits,
        memory.brushed(),
        settings.least,
        settings.found / 100,
    )
    found = search.first_matches(key, query, hits) if hits else []
    if about:
        results.said(key, dictionary, query, hits, about, len(ids))
        results.explained(found)
    if len(memory.brushed()):
        _brushed(key, dictionary, memory.brushed(), labels)
    st.session_state["atlas_listed"] = ids
    rows = _all_rows(loading.fingerprint(key), labels.revision, key, labels)
    shown = rows.take(pa.array(ids[:MOST_ROWS]))
    st.dataframe(
        results.with_matches(shown, ids[:MOST_ROWS], found) if found else shown,
        hide_index=True,
        height="stretch",
        row_height=29,
        on_select=_on_select,
        selection_mode="single-cell",
        key=memory.table_key(),
        column_config=_columns(dictionary, "lens" in rows.column_names),
        placeholder="–",
    )
    if len(ids) > MOST_ROWS:
        messages.quiet(
            f"The first {MOST_ROWS:,} of {len(ids):,} are listed: a search or a brush finds the "
            "others."
        )
    return ids


def listed_ids(
    dictionary: Dictionary,
    first: int | None,
    hits: Hits | None,
    brushed: np.ndarray,
    least_members: int,
    least_survival: float = 0.0,
) -> np.ndarray:
    """Return the ids that the table lists: the regions with enough members, found again in enough
    other seeds, that match the search (unless `hits` is None) and are brushed (unless nothing is).

    first: the region to list first. It is not moved to the front during a search, and not added
    to a brush that excludes it.
    """
    found = None if hits is None else hits.regions
    ids = tables.order(dictionary, None, found, least_members, least_survival)
    if len(brushed):
        ids = ids[np.isin(ids, brushed)]
    if hits is not None or first is None or (len(brushed) and first not in brushed):
        return ids
    return np.concatenate([[first], ids[ids != first]])


def _tools(key: str, dictionary: Dictionary) -> str:
    """Draw the row above the table: search box, size filter, lists. Return the query."""
    settings = state.settings(Settings)
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        with st.container():
            query = searchbox(
                "atlas_query",
                value=settings.find,
                placeholder="Find in labels, lens tokens, excerpts, ids",
                on_change=_on_query,
                label="Find regions",
            )
        value_widget(
            st.selectbox,
            "atlas_least",
            "Members at least",
            settings.least,
            _on_least,
            LEAST_MEMBERS,
            format_func=lambda n: "any size" if n == 1 else f"≥ {n:,} members",
            label_visibility="collapsed",
            width=128,
        )
        if survival.seeds(dictionary):
            value_widget(
                st.selectbox,
                "atlas_found",
                "Found again in at least",
                settings.found,
                _on_found,
                LEAST_FOUND,
                format_func=lambda n: f"≥ {n} % of seeds" if n else "any survival",
                label_visibility="collapsed",
                width=136,
            )
        with st.popover("Lists", icon=":material/list:", key="atlas_lists"):
            lists_panel(key)
    return query


def _on_least(least: int) -> None:
    state.update_settings(Settings, least=least)
    memory.restart_table()


def _on_found(found: int) -> None:
    state.update_settings(Settings, found=found)
    memory.restart_table()


def _on_query(text: str) -> None:
    state.update_settings(Settings, find=text.strip()[: links.LONGEST], by=None)
    memory.restart_table()


def _brushed(key: str, dictionary: Dictionary, regions: np.ndarray, labels: Labels) -> None:
    """Draw the line about the brush, with buttons to clear it and to save it as a list."""
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        st.html(f'<div class="ep-k">{tokens.escape(brush_text(dictionary, regions))}</div>')
        st.button(
            "Clear",
            key="atlas_clear",
            type="tertiary",
            icon=":material/close:",
            on_click=memory.clear_brush,
        )
        if labels.problem:
            return
        with st.popover("Save as list", type="tertiary", icon=":material/playlist_add:"):
            value_widget(
                st.text_input,
                "atlas_list",
                "Name of the list",
                "",
                lambda name: _put_on_list(key, name.strip(), regions.tolist()),
                max_chars=80,
                placeholder="A name, then Enter",
            )
            messages.quiet("A list of this name that exists already gets these regions too.")


def brush_text(dictionary: Dictionary, regions: np.ndarray) -> str:
    """Return for example "112 regions brushed, 8.3 % of Voronoi members"."""
    count = dictionary.members
    kind = {"count_voronoi": "Voronoi members", "count_arrival": "members at arrival"}.get(
        dictionary.members_column or "", "all regions"
    )
    share = 100 * float(count[regions].sum()) / max(float(count.sum()), 1.0)
    n = len(regions)
    return f"{n:,} region{'s' if n != 1 else ''} brushed, {share:.1f} % of {kind}"


def _put_on_list(key: str, name: str, regions: list[int]) -> None:
    if name:
        labelling.save(key, edits.put(name, regions))
        st.toast(f"{len(regions):,} regions are on the list.", icon=":material/playlist_add_check:")


def _on_select() -> None:
    cells = memory.selected_cells()
    ids = st.session_state.get("atlas_listed", ())
    if cells and cells[0][0] < len(ids):
        state.select_region(int(ids[cells[0][0]]))
        memory.update_selection(first=False)  # rows must not move while the visitor clicks them


@st.cache_resource(show_spinner=False, max_entries=12)
def _all_rows(fingerprint: str, revision: int, _key: str, _labels: Labels) -> pa.Table:
    """Return the rows of all regions, by id; the file's fingerprint and the labels' revision are
    the cache's key.

    An Arrow table, because taking rows of one takes only a few milliseconds at 20,000 regions.
    """
    dictionary = loading.dictionary(_key)
    colors = palette.region_colors(dictionary)
    icons = {color: tokens.hexagon(color) for color in set(colors)}
    columns = tables.columns(dictionary, np.arange(len(dictionary)), _labels)
    has_tokens = tables.token_ids(dictionary) is not None
    columns["name"] = [None if is_numbered(text) else text for text in columns["name"]]
    for name in LEFT_OUT if has_tokens else ("lens",):
        columns.pop(name, None)
    if not any(columns["name"]):
        del columns["name"]
    return pa.table({"color": [icons[color] for color in colors]} | columns)
