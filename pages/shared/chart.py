"""A plotly figure on a page: our own look, no tool bar."""

from __future__ import annotations

import streamlit as st

from ep.views.figures import CONFIG, Figure


def chart(figure: Figure, key: str) -> None:
    """Draws a figure of `ep.views.figures` as it is: Streamlit's own theme would repaint it."""
    st.plotly_chart(figure, key=key, theme=None, config=CONFIG)
