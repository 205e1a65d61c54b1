"""Atlas: all regions of a dictionary on one sphere, beside a search, a table, and the selected region in short."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import numpy as np
import pyarrow as pa
import streamlit as st

from ep.errors import RequestError
from ep.method.dictionary import Dictionary
from ep.views import colorings, excerpts, palette, tables
from ep.views.search import Found
from pages.shared import frame, loading, maps, messages, state, tokens

MAP = "atlas_map"
TABLE = "atlas_table"
_SEEN, _FIRST, _SEQUENCE, _TABLE = "atlas_seen", "atlas_first", "atlas_sequence", "atlas_table_key"
COLORINGS = {"neighbourhood": "Neighbourhood", "members": "Members", "coherence": "Coherence", "distance": "Distance"}
LENS_SHOWN, EXCERPTS_SHOWN = 7, 3
LEAST_MEMBERS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
HEXAGON = (
    "<svg xmlns='http://www.w3.org/2000/svg' viewBox='-4 -4 28 28'><path fill='{}' d='M10 2l7 4v8l-7 4-7-4V6z'/></svg>"
)
_COLUMNS: dict[str, Any] = {
    "color": st.column_config.ImageColumn("", width=26),
    "region": st.column_config.NumberColumn("Region", width=48, format="%d"),
    "lens": st.column_config.ListColumn("Lens tokens", width=118),
    "members": st.column_config.NumberColumn(
        "Members", width=58, format="localized", help="Voronoi members: nearest to it in the finished dictionary"
    ),
    "arrival": st.column_config.NumberColumn(
        "Arrival", width=56, format="localized", help="Members when streamed: nearest to it when they came"
    ),
    "coherence": st.column_config.ProgressColumn(
        "Coherence", width=74, min_value=0, max_value=1, format="%.2f", color=palette.OTHER, help="‖Σû‖/N, at arrival"
    ),
    "mean_distance": st.column_config.NumberColumn(
        "Mean", width=46, format="%.2f", help="Mean cosine distance of the Voronoi members to the exemplar"
    ),
    "nearest": st.column_config.NumberColumn(
        "Nearest", width=52, format="%.2f", help="Cosine distance to the nearest other exemplar"
    ),
}


def show() -> None:
    found = state.opened()
    if found is None or found[0].region is None:
        frame.page("Atlas", "Every region of a dictionary as a cell on one sphere.")
        messages.box("No dictionary is open", "Choose one in the side bar, or open a file in the Library.")
        return
    selection, dictionary = found
    frame.page(
        "Atlas",
        f"{len(dictionary):,} regions of layer {dictionary.info.get('layer', '?')}. "
        "Each cell holds the activations nearest to one exemplar.",
    )
    _notice(selection)
    body, foot = st.container(), st.container()  # the map's bytes travel outside the fragment: a click sends none
    with foot:
        name, problem = _carried(selection.dictionary)
    with body:
        _body(name, problem)


def _carried(key: str) -> tuple[str | None, str]:
    try:
        return maps.carrier(key), ""
    except RequestError as error:
        return None, messages.sentence(error)


@frame.fragment
def _body(name: str | None, problem: str) -> None:
    """The whole screen below its title: one selection for map, card and table, so one fragment."""
    selection, dictionary = state.opened()
    left, right = st.columns(2, gap="medium")
    with right, st.container(height="stretch", gap="small"):
        _card(dictionary, selection.region)  # first: it is what a click waits for
        below = st.container(height="stretch", gap="small")
    frame.show_selected()
    with left:
        if name is None:
            messages.box("There is no map of this dictionary", problem)
        else:
            _map(name, dictionary, selection)
    with below:
        _table(selection, dictionary)


# -- the map ---------------------------------------------------------------------------------------------------------


def _map(name: str, dictionary: Dictionary, selection: state.Selection) -> None:
    known = {column.name for column in colorings.columns(dictionary)}
    possible = [name for name in COLORINGS if name in known]
    coloring = selection.color if selection.color in possible else possible[0]
    st.session_state["atlas_coloring"] = coloring
    st.segmented_control(
        "Colour the cells by",
        possible,
        key="atlas_coloring",
        required=True,
        format_func=COLORINGS.get,
        label_visibility="collapsed",
        on_change=_recolored,
    )
    coloring = state.current().color if state.current().color in possible else coloring
    maps.view(
        name,
        dictionary,
        key=MAP,
        selected=selection.region,
        sequence=st.session_state[_SEQUENCE],
        coloring=colorings.coloring(dictionary, coloring),
        on_pick=_picked_on_map,
    )


def _recolored() -> None:
    state.change(color=st.session_state["atlas_coloring"] or state.COLORINGS[0])


def _notice(selection: state.Selection) -> None:
    """A region chosen on another page, or another dictionary: the map takes it over and the table starts with it."""
    seen = (selection.dictionary, selection.region)
    if st.session_state.get(_SEEN) != seen:
        _remember(first=True, sequence=True)


def _remember(first: bool, sequence: bool) -> None:
    selection = state.current()
    st.session_state[_SEEN] = (selection.dictionary, selection.region)
    if first:
        st.session_state[_FIRST] = selection.region
        if _cells():  # a new key drops the mark on a cell whose row is about to hold another region
            st.session_state[_TABLE] = f"{TABLE} {st.session_state.get(_SEQUENCE, 0)}"
            sequence = True
    st.session_state[_SEQUENCE] = st.session_state.get(_SEQUENCE, 0) + sequence


def _picked_on_map(region: int) -> None:
    state.select_region(region)
    _remember(first=True, sequence=False)  # the map shows it already


# -- the selected region ---------------------------------------------------------------------------------------------


def _card(dictionary: Dictionary, region: int) -> None:
    color = palette.region_color(dictionary, region)
    group = tables.group_names(dictionary)[palette.group_of(dictionary, region)]
    lens = [token for token, _ in dictionary.lens(region)[:LENS_SHOWN]]
    about = "logit lens of the exemplar" if lens else "most common tokens of its members"
    shown = lens or [token for token, _ in dictionary.region(region).tokens[:LENS_SHOWN]]
    with st.container(border=True, gap="small"):
        st.html(
            f'<div class="ep-split"><div class="ep-clip"><span class="ep-sw" style="--c:{color}"></span>'
            f'<b class="ep-card-name">Region {region}</b> <span class="ep-k">&nbsp;{tokens.escape(group)}</span></div>'
            f'<span class="ep-k" style="white-space:nowrap">{about}</span></div>'
            + tokens.row((tokens.chip(token, color, 0.26) for token in shown), one_line=True)
            + '<div class="ep-gap"></div>'
            + tokens.facts(*_facts(dictionary, region))
            + '<div class="ep-gap"></div>'
            + f'<div class="ep-three">{tokens.aligned(_near(dictionary, region), color)}</div>'
        )
        if st.button("Open region", type="primary", icon=":material/arrow_forward:", icon_position="right"):
            state.goto("region")


def _facts(dictionary: Dictionary, region: int) -> list[tuple[str, str, str]]:
    counted = (
        ("members, Voronoi", "count_voronoi", "activations nearest to it in the finished dictionary"),
        ("at arrival", "count_arrival", "activations that joined it while the dictionary grew"),
    )
    measured = (
        ("coherence", "coherence", "‖Σû‖/N of its members at arrival: 1 when all point the same way"),
        ("nearest region", "nearest_distances", "cosine distance to the nearest other exemplar"),
        ("mean distance", "mean_distance", "mean cosine distance of its Voronoi members to the exemplar"),
    )
    facts = [(a, f"{int(dictionary.row(c, region)):,}", why) for a, c, why in counted if c in dictionary]
    for about, column, why in measured:
        if column in dictionary:
            value = dictionary.row(column, region)
            facts.append((about, f"{float(value[0] if column == 'nearest_distances' else value):.2f}", why))
    return facts


def _near(dictionary: Dictionary, region: int) -> list[excerpts.Row]:
    bands = excerpts.by_band(dictionary.excerpts(region))
    return [excerpts.aligned(excerpt) for excerpt in bands.get("near", ())[:EXCERPTS_SHOWN]]


# -- search and table ------------------------------------------------------------------------------------------------


def _table(selection: state.Selection, dictionary: Dictionary) -> None:
    with st.container(horizontal=True, gap="small"):
        query = st.text_input(
            "Find",
            key="atlas_query",
            placeholder="Find in lens tokens, excerpts and ids",
            label_visibility="collapsed",
            icon=":material/search:",
            on_change=_remember,
            kwargs={"first": True, "sequence": False},
        )
        least = st.selectbox(
            "Members at least",
            LEAST_MEMBERS,
            key="atlas_least",
            format_func=lambda n: "any size" if n == 1 else f"≥ {n:,} members",
            label_visibility="collapsed",
            width=128,
        )
    found = loading.search_index(selection.dictionary).find(query) if query.strip() else None
    ids = tables.order(
        dictionary,
        st.session_state[_FIRST] if found is None else None,
        None if found is None else found.regions,
        least,
    )
    if found is not None:
        st.html(f'<div class="ep-k">{tokens.escape(_said(found, len(ids), query))}</div>')
    rows = _all_rows(loading.fingerprint(selection.dictionary), selection.dictionary)
    st.session_state["atlas_listed"] = ids
    st.dataframe(
        rows.take(pa.array(ids)),
        hide_index=True,
        height="stretch",
        row_height=29,
        on_select=_picked_in_table,
        selection_mode="single-cell",
        key=_table_key(),
        column_config=_COLUMNS,
        placeholder="–",
    )


def _said(found: Found, listed: int, query: str) -> str:
    if not len(found):
        return f"No region has “{query.strip()[:40]}” among its lens tokens, members' tokens or excerpts."
    return found.summary() + ("" if listed == len(found) else f" ({listed:,} large enough)")


def _picked_in_table() -> None:
    cells = _cells()
    listed = st.session_state.get("atlas_listed", ())
    if cells and cells[0][0] < len(listed):
        state.select_region(int(listed[cells[0][0]]))
        _remember(first=False, sequence=True)  # rows stay where they are while one clicks through them


def _table_key() -> str:
    return st.session_state.get(_TABLE, TABLE)


def _cells() -> list[tuple[int, str]]:
    """The cell marked in the table, as a list of none or one (row, column)."""
    marked = st.session_state.get(_table_key())
    return list(marked["selection"]["cells"]) if marked else []


@st.cache_resource(show_spinner=False, max_entries=12)
def _all_rows(fingerprint: str, _key: str) -> pa.Table:
    """Every region's row, by id: taking rows of an Arrow table costs a click a few milliseconds at 20,000 regions."""
    dictionary = loading.dictionary(_key)
    colors = ["data:image/svg+xml;utf8," + quote(HEXAGON.format(c)) for c in palette.region_colors(dictionary)]
    return pa.table({"color": colors} | tables.columns(dictionary, np.arange(len(dictionary))))


show()
