"""The Prompt page's table of the regions that the tokens of a prompt fall in."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from ep.method.dictionary import Dictionary
from ep.views import prompt as view
from ep.views.glossary import define
from ep.views.palette import region_colors
from ep.views.tables import lens_tokens
from pages.shared import loading, state, tokens

ROW_HEIGHT, MAX_HEIGHT = 28, 296
"""Height of a row, and the largest height of the table, in pixels."""


def regions_table(dictionary: Dictionary, reading: view.Reading) -> None:
    """Draw the table; a click on a row opens the page of its region."""
    columns = view.regions(reading)
    n = int((~reading.outside).sum())
    with st.container(border=True, gap="xsmall"):
        st.html(
            tokens.heading(
                "Regions in this text", f"{n:,} tokens, {len(columns['region']):,} regions"
            )
        )
        table = pd.DataFrame(
            {
                "group": "⬢",
                "region": columns["region"],
                "name": loading.cells(dictionary, columns["region"]),
                "tokens": columns["tokens"],
                "distance": columns["distance"],
                "lens": lens_tokens(dictionary, columns["region"], 2),
            }
        )
        colors = [f"color:{color}" for color in region_colors(dictionary, columns["region"])]
        table_state = st.dataframe(
            table.style.apply(lambda _: colors, subset=["group"]),
            hide_index=True,
            height=min(MAX_HEIGHT, ROW_HEIGHT * (len(table) + 1) + 3),
            row_height=ROW_HEIGHT,
            key="prompt_regions",
            on_select="rerun",
            selection_mode="single-cell",
            column_config={
                "group": st.column_config.TextColumn("", width=22),
                "region": st.column_config.NumberColumn("Region", width=46, help=define("region")),
                "name": st.column_config.TextColumn("Name", width=84, help=define("name")),
                "lens": st.column_config.ListColumn("Lens", width=62, help=define("lens_tokens")),
                "tokens": st.column_config.NumberColumn(
                    "n", width=24, help="tokens of this text in the region"
                ),
                "distance": st.column_config.NumberColumn(
                    "Dist.",
                    width=38,
                    format="%.2f",
                    help=define("distance", "the mean of its tokens here"),
                ),
            },
        )
        if table_state.selection.cells:
            row = table_state.selection.cells[0][0]
            state.goto("region", region=int(table["region"][row]))
