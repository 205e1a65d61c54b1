"""Plotly figures on a page, in the app's own style and without a tool bar."""

from __future__ import annotations

import streamlit as st

from ep.views.figures import CONFIG, Figure


def chart(figure: Figure, key: str) -> None:
    """Draw a figure of `ep.views.figures`.

    Streamlit's theme is switched off because it would override the figure's colours.
    """
    st.plotly_chart(figure, key=key, theme=None, config=CONFIG)
