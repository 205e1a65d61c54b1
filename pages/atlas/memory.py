"""The state of the Atlas between runs: the region at the top of its table, the brush, and a
sequence number for the selection of each map.

A map adopts the selection when its sequence number changes. A click on one map changes the number
of the other one only, since the clicked map shows the selection already.
"""

from __future__ import annotations

import numpy as np
import streamlit as st

from pages.shared import state

MAP, SECOND, TABLE = "atlas_map", "atlas_second", "atlas_table"
_SEEN, _FIRST, _TABLE = "atlas_seen", "atlas_first", "atlas_table_key"
_SEQUENCE, _BRUSH, _BRUSH_SEQUENCE = "atlas_sequence", "atlas_brush", "atlas_brushes"


def synchronise(key: str, region: int) -> None:
    """Update maps and table if the dictionary or the region was changed elsewhere, as on another
    page.
    """
    if st.session_state.get(_SEEN) != (key, region):
        update_selection(first=True)


def update_selection(first: bool, source: str = "") -> None:
    """Make the maps adopt the selection after it changed.

    first: whether the table starts with the selected region. source: the key of the map that was
    clicked, which shows the selection already.
    """
    selection = state.current()
    st.session_state[_SEEN] = (selection.dictionary, selection.region)
    if first:
        restart_table()
    numbers = st.session_state.setdefault(_SEQUENCE, {})
    for key in (MAP, SECOND):
        numbers[key] = numbers.get(key, 0) + (key != source)


def restart_table() -> None:
    """Make the table start with the selected region.

    The selected cell is cleared, since another row takes its place. Streamlit can only clear it by
    a new key for the table.
    """
    st.session_state[_FIRST] = state.current().region
    if selected_cells():
        number = int(table_key().removeprefix(TABLE) or 0) + 1
        st.session_state[_TABLE] = f"{TABLE} {number}"


def sequence(key: str) -> int:
    """Return the sequence number of the selection for the map with this key."""
    return st.session_state.get(_SEQUENCE, {}).get(key, 0)


def first_region() -> int | None:
    """Return the region that the table starts with."""
    return st.session_state.get(_FIRST)


def table_key() -> str:
    """Return the current widget key of the table; see `restart_table`."""
    return st.session_state.get(_TABLE, TABLE)


def selected_cells() -> list[tuple[int, str]]:
    """Return the cell selected in the table, as a list of at most one (row, column)."""
    table = st.session_state.get(table_key())
    return list(table["selection"]["cells"]) if table else []


def brushed() -> np.ndarray:
    """Return the brushed regions of the open dictionary, (n,) int64 in rising order."""
    key, regions = st.session_state.get(_BRUSH, (None, ()))
    return np.array(regions if key == state.current().dictionary else (), np.int64)


def brush(regions: list[int]) -> None:
    """Store the regions inside a lasso or box, without ids that the dictionary does not have."""
    opened = state.opened_or_none()
    if opened is not None:
        size = len(opened.dictionary)
        valid = sorted({k for k in regions if isinstance(k, int) and 0 <= k < size})
        st.session_state[_BRUSH] = (opened.key, valid)
        restart_table()


def clear_brush() -> None:
    """Clear the brush, here and on the maps."""
    brush([])
    st.session_state[_BRUSH_SEQUENCE] = brush_sequence() + 1


def brush_sequence() -> int:
    """Return the sequence number of the brush; the maps adopt the brush when it changes."""
    return st.session_state.get(_BRUSH_SEQUENCE, 0)
