"""Where the prompts fall: the map, coloured by the rate of the behaviour, and the table."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import streamlit as st

from ep.errors import EPError
from ep.method.dictionary import Dictionary
from ep.studies.rates import Rate
from ep.views import behaviour as plain
from ep.views import behaviour_words as words
from ep.views import palette
from ep.views.behaviour import Plain
from ep.views.glossary import define
from pages.behaviour.runs import Run
from pages.shared import loading, maps, messages, state, tokens

MAP, TABLE = "behaviour_map", "behaviour_table"
MAP_HEIGHT = 376
_SEQUENCE = "behaviour_sequence"
_COLUMNS: dict[str, Any] = {
    "color": st.column_config.ImageColumn("", width=26),
    "rank": st.column_config.NumberColumn("#", width=28, help=define("candidate")),
    "region": st.column_config.NumberColumn("Region", width=52, format="%d", help=define("region")),
    "name": st.column_config.TextColumn("Name", width=104, help=define("name")),
    "n": st.column_config.NumberColumn(
        "Prompts", width=52, help="Prompts whose last token falls in this region"
    ),
    "rate": st.column_config.ProgressColumn(
        "Rate",
        width=76,
        min_value=0,
        max_value=1,
        format="%.2f",
        color=palette.OTHER,
        help="Share that behaves so",
    ),
    "interval": st.column_config.TextColumn("95 %", width=68, help=define("interval")),
    "share": st.column_config.NumberColumn(
        "Share", width=46, format="%.0f %%", help="Of all prompts that behave so"
    ),
    "lift": st.column_config.NumberColumn("Lift", width=40, format="%.2f", help=define("lift")),
    "lens": st.column_config.ListColumn("Lens tokens", width=88, help=define("lens_tokens")),
}


def send_map(run: Run, dictionary: Dictionary) -> maps.AvailableMap | str:
    """Send the map to the browser. Call it outside fragments."""
    return maps.send_available(run.key, dictionary, "pca-sphere")


def map_card(run: Run, dictionary: Dictionary, map_: maps.AvailableMap | str) -> None:
    """Draw the map of the run's dictionary; a click selects a region."""
    choice, n = run.choice, len(run.choice["regions"])
    with st.container(border=True, gap="xsmall", height="stretch"):
        st.html(
            tokens.heading(
                "Where the prompts fall",
                f"last token of {choice['n']:,} prompts, in {n:,} of {len(dictionary):,} regions; "
                "grey holds none",
            )
        )
        if isinstance(map_, str):
            messages.quiet(map_)
            return
        maps.draw(
            map_.name,
            dictionary,
            key=MAP,
            selected=selected(run),
            sequence=st.session_state.get(_SEQUENCE, 0),
            coloring=plain.coloring(dictionary, choice["regions"]),
            on_pick=lambda region: pick(run, region, from_map=True),
            height=MAP_HEIGHT,
            note="A projection; prompts are assigned in the full space.",
        )


def selected(run: Run) -> int | None:
    """Return the marked region: the selected one if its dictionary is open, else the one tried."""
    selection = state.current()
    return selection.region if selection.dictionary == run.key else (run.trial or {}).get("region")


def pick(run: Run, region: int, from_map: bool = False) -> None:
    """Select a region everywhere, and open its dictionary if that is not open."""
    if not from_map:
        st.session_state[_SEQUENCE] = st.session_state.get(_SEQUENCE, 0) + 1
    if state.current().dictionary == run.key:
        state.select_region(region)
    else:
        state.open_dictionary(run.key, region)
        state.schedule()


def table_card(run: Run, dictionary: Dictionary, height: int) -> None:
    """Draw the table of all regions that hold prompts, candidates first."""
    with st.container(border=True, gap="xsmall"):
        st.html(tokens.heading("Regions by prompts covered", words.summary(run.choice)))
        try:
            rows = table_rows(run.choice["regions"], dictionary)
        except EPError as error:
            messages.quiet(messages.sentence(error))
            return
        st.dataframe(
            rows,
            hide_index=True,
            height=height,
            row_height=29,
            on_select=partial(_pick_row, run, rows["region"]),
            selection_mode="single-cell",
            key=TABLE,
            column_config=_COLUMNS,
            placeholder="–",
        )


def table_rows(regions: list[Plain], dictionary: Dictionary) -> dict[str, list[Any]]:
    """Return the table's columns; candidates come first, in their order."""
    ordered = [one for one in regions if one["candidate"]] + [
        one for one in regions if not one["candidate"]
    ]
    rates = [Rate(*one["rate"]) for one in ordered]
    colors = palette.region_colors(dictionary, [dictionary.check(one["region"]) for one in ordered])
    return {
        "color": [tokens.hexagon(color) for color in colors],
        "rank": [number if one["candidate"] else None for number, one in enumerate(ordered, 1)],
        "region": [one["region"] for one in ordered],
        "name": loading.cells(dictionary, [one["region"] for one in ordered]),
        "n": [rate.n for rate in rates],
        "rate": [rate.value for rate in rates],
        "interval": [
            "{:.2f}–{:.2f}".format(*rate.interval) if rate.interval else "" for rate in rates
        ],
        "share": [100 * one["share"] for one in ordered],
        "lift": [one["lift"] for one in ordered],
        "lens": [one["lens"] for one in ordered],
    }


def _pick_row(run: Run, regions: Sequence[int]) -> None:
    selection = st.session_state.get(TABLE, {}).get("selection", {})
    cells = selection.get("cells") or []
    if cells and cells[0][0] < len(regions):
        pick(run, int(regions[cells[0][0]]))
