"""EP Explorer: the frame around the pages. Run it with `make app` or `python -m ep app`."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from pages.shared import frame, state

ASSETS = Path(__file__).parent / "pages" / "shared" / "assets"

st.set_page_config(
    page_title="EP Explorer",
    # a local file: the named icons are fetched from the network
    page_icon=str(ASSETS / "icon.svg"),
    layout="wide",
    initial_sidebar_state=232,
    menu_items={"About": "**EP Explorer** · an explorer for Exemplar Partitioning dictionaries."},
)
st.logo(str(ASSETS / "logo.svg"), size="medium")
page = st.navigation(
    [
        st.Page("pages/library.py", title="Library"),
        st.Page("pages/atlas.py", title="Atlas", default=True, url_path="map"),
        st.Page("pages/region.py", title="Region"),
        st.Page("pages/prompt.py", title="Prompt"),
        st.Page("pages/between.py", title="Between"),
        st.Page("pages/resolution.py", title="Resolution"),
        st.Page("pages/compare.py", title="Compare"),
        st.Page("pages/steer.py", title="Steer"),
        st.Page("pages/behaviour.py", title="Behaviour"),
        # for links
        st.Page(lambda: state.goto("atlas"), title="Atlas", url_path="atlas", visibility="hidden"),
    ],
    position="top",
)

frame.begin()
with frame.calm():
    state.synchronise()
    frame.sidebar()
    page.run()
