"""What the Atlas remembers between runs: which region its table starts with, what is brushed, and
which selection each map has.

A map takes over the selection when its number changes. A click on one map changes the numbers of
everything else, so that a map that shows the selection already is left alone.
"""

from __future__ import annotations

import numpy as np
import streamlit as st

from pages.shared import state

MAP, SECOND, TABLE = "atlas_map", "atlas_second", "atlas_table"
_SEEN, _FIRST, _TABLE = "atlas_seen", "atlas_first", "atlas_table_key"
_SEQUENCE, _BRUSH, _BRUSHES = "atlas_sequence", "atlas_brush", "atlas_brushes"


def notice(key: str, region: int) -> None:
    """A region chosen on another page, or another dictionary: the maps take it over and the table
    starts with it.
    """
    if st.session_state.get(_SEEN) != (key, region):
        remember(first=True)


def remember(first: bool, drawn: str = "") -> None:
    """Something was selected. first: the table starts with it. drawn: the map that shows it
    already, if one does.
    """
    selection = state.current()
    st.session_state[_SEEN] = (selection.dictionary, selection.region)
    if first:
        restart_table()
    numbers = st.session_state.setdefault(_SEQUENCE, {})
    for key in (MAP, SECOND):
        numbers[key] = numbers.get(key, 0) + (key != drawn)


def restart_table() -> None:
    """The table starts with the selected region; the mark on a cell goes, since another row is
    about to be there.
    """
    st.session_state[_FIRST] = state.current().region
    if marked():
        number = int(table_key().removeprefix(TABLE) or 0) + 1
        st.session_state[_TABLE] = f"{TABLE} {number}"


def sequence(key: str) -> int:
    """The number of the selection that the map with this key is to show."""
    return st.session_state.get(_SEQUENCE, {}).get(key, 0)


def first() -> int | None:
    """The region the table starts with."""
    return st.session_state.get(_FIRST)


def table_key() -> str:
    """The table's key; another one drops the mark on its cells."""
    return st.session_state.get(_TABLE, TABLE)


def marked() -> list[tuple[int, str]]:
    """The cell marked in the table, as a list of none or one (row, column)."""
    found = st.session_state.get(table_key())
    return list(found["selection"]["cells"]) if found else []


def brushed() -> np.ndarray:
    """The brushed regions of the open dictionary, in rising order; none when nothing is brushed."""
    key, regions = st.session_state.get(_BRUSH, (None, ()))
    return np.array(regions if key == state.current().dictionary else (), np.int64)


def brush(regions: list[int]) -> None:
    """Keeps what a lasso or box caught; ids the dictionary does not have are left out."""
    opened = state.open_now()
    if opened is not None:
        size = len(opened.dictionary)
        caught = sorted({k for k in regions if isinstance(k, int) and 0 <= k < size})
        st.session_state[_BRUSH] = (opened.key, caught)
        restart_table()


def clear_brush() -> None:
    """Nothing is brushed any more, on the maps too."""
    brush([])
    st.session_state[_BRUSHES] = brush_sequence() + 1


def brush_sequence() -> int:
    """The number of the brush that the maps are to show."""
    return st.session_state.get(_BRUSHES, 0)
