"""The pair of regions being looked at, and clicks that choose another one.

A's region is the selected one everywhere; B's is the one that was chosen itself, else the one that
belongs to A's.
"""

from __future__ import annotations

from typing import Literal

import pyarrow as pa
import streamlit as st

from ep.studies.matching import Match
from pages.compare.settings import Settings
from pages.shared import state

Letter = Literal["A", "B"]
_MOVES = "compare_moves"


def selected(match: Match) -> tuple[int, int]:
    """The selected region of A, and the region of B chosen with it or nearest to it."""
    region = min(int(state.current().region or 0), len(match.a) - 1)
    other = state.settings(Settings).region
    is_there = other is not None and other < len(match.b)
    return region, other if other is not None and is_there else match.a.shown(region)


def pick_a(match: Match, region: int) -> None:
    """A click on A: its region, and whatever of B belongs to it."""
    _select_a(region)
    _move("B")


def pick_b(match: Match, region: int) -> None:
    """A click on B: that region, and whatever of A belongs to it."""
    _select_b(match, region)
    _move("A")


def pick_row(match: Match, rows: pa.Table, table: str) -> None:
    """A click on a row of the table with this key; a row without a region of A is one of B."""
    cells = st.session_state.get(table, {}).get("selection", {}).get("cells", [])
    if not cells or cells[0][0] >= rows.num_rows:
        return
    here, there = (rows[name][cells[0][0]].as_py() for name in ("region_a", "region_b"))
    if here is not None:
        _select_a(here)
    else:
        _select_b(match, there)
    _move("A", "B")


def _select_a(region: int) -> None:
    state.select_region(region)
    state.keep(Settings, region=None)


def _select_b(match: Match, region: int) -> None:
    state.select_region(match.b.shown(region))
    state.keep(Settings, region=region)


def sequence(letter: Letter) -> int:
    """How often a map has had to follow a click made elsewhere: it does so when this changes."""
    moves: dict[str, int] = st.session_state.get(_MOVES, {})
    return moves.get(letter, 0)


def _move(*letters: Letter) -> None:
    """Has these maps follow: one that was clicked itself shows its region already."""
    moves: dict[str, int] = st.session_state.setdefault(_MOVES, {})
    moves.update({letter: moves.get(letter, 0) + 1 for letter in letters})
