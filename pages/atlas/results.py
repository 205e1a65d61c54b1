"""What the Atlas says of a search: how many regions it found, and why each of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import streamlit as st

from ep.method.dictionary import Dictionary
from ep.views.matches import Match
from ep.views.search import Hits
from pages.atlas import memory, search
from pages.shared import links, state, tokens


def said(
    key: str, dictionary: Dictionary, query: str, hits: Hits | None, about: str, n_listed: int
) -> None:
    """Draw the sentence about the search, and a button: to select the region whose id was typed,
    or to switch to the other kind of search.
    """
    text = about + (f" ({n_listed:,} listed)" if hits and n_listed != len(hits) else "")
    number = query.strip().lower().removeprefix("region").strip().removeprefix("#")
    region = links.parse_integer(number, len(dictionary))
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        st.html(f'<div class="ep-k">{tokens.escape(text)}</div>')
        if region is not None:
            st.button(
                f"Go to region {region}",
                key="atlas_go",
                type="tertiary",
                icon=":material/my_location:",
                on_click=_select,
                args=(region,),
            )
            return
    # on a line of its own, at the left, because the table's toolbar covers the right
    search.switch(key, query, hits)


def explained(found: Sequence[Match]) -> None:
    """Draw the first hits with what matched marked."""
    if found:
        lines = map(_match, found[: search.MATCHES])
        st.html(f'<div class="ep-matches">{"".join(lines)}</div>')


def with_matches(rows: pa.Table, ids: np.ndarray, found: Sequence[Match]) -> pa.Table:
    """Return the rows of regions `ids` with a column that says why each was found, first of all."""
    why = {match.region: match.line() for match in found}
    place = rows.column_names.index("region") + 1
    return rows.add_column(
        place, "match", pa.array([why.get(i) for i in ids.tolist()], pa.string())
    )


def _match(match: Match) -> str:
    """Return one hit as a line of HTML: its name, the field that matched, the words around it."""
    before, at, after = map(tokens.escape, (match.before, match.match, match.after))
    around = f"{before}<mark>{at}</mark>{after}" if at else ""
    return (
        f'<div class="ep-clip"><b>{match.region}</b> {tokens.escape(match.name)} '
        f'<span class="ep-k">{match.field}{": " if at else ""}{around}</span></div>'
    )


def _select(region: int) -> None:
    state.select_region(region)
    memory.update_selection(first=True)
