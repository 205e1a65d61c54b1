"""The selected pair of regions, and the clicks that select another one.

A's region is the one selected on all pages. B's is the one clicked itself, else the counterpart of
A's.
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
    """Return the selected region of A, and the region of B selected with it or nearest to it."""
    region = min(int(state.current().region or 0), len(match.a) - 1)
    other = state.settings(Settings).region
    exists = other is not None and other < len(match.b)
    return region, other if other is not None and exists else match.a.shown(region)


def pick_a(match: Match, region: int) -> None:
    """Select a region of A that was clicked, with its counterpart in B."""
    _select_a(region)
    _move("B")


def pick_b(match: Match, region: int) -> None:
    """Select a region of B that was clicked, with its counterpart in A."""
    _select_b(match, region)
    _move("A")


def pick_row(match: Match, rows: pa.Table, table: str) -> None:
    """Select the pair of a clicked row; a row without a region of A selects that of B.

    table: widget key of the table.
    """
    cells = st.session_state.get(table, {}).get("selection", {}).get("cells", [])
    if not cells or cells[0][0] >= rows.num_rows:
        return
    region_a, region_b = (rows[name][cells[0][0]].as_py() for name in ("region_a", "region_b"))
    if region_a is not None:
        _select_a(region_a)
    else:
        _select_b(match, region_b)
    _move("A", "B")


def _select_a(region: int) -> None:
    state.select_region(region)
    state.update_settings(Settings, region=None)


def _select_b(match: Match, region: int) -> None:
    state.select_region(match.b.shown(region))
    state.update_settings(Settings, region=region)


def sequence(letter: Letter) -> int:
    """Return how often a map had to follow a click made elsewhere; it moves when this changes."""
    moves: dict[str, int] = st.session_state.get(_MOVES, {})
    return moves.get(letter, 0)


def _move(*letters: Letter) -> None:
    """Make these maps move to the new selection; a map that was clicked itself already shows it."""
    moves: dict[str, int] = st.session_state.setdefault(_MOVES, {})
    moves.update({letter: moves.get(letter, 0) + 1 for letter in letters})
