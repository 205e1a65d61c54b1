"""EP Explorer: the frame around the pages. Run it with `make app` or `python -m ep app`."""

from __future__ import annotations

from pathlib import Path

import streamlit as st
from streamlit.runtime.pages_manager import PagesManager

from ep.public import is_public
from pages.shared import frame, state, tour

is_first_run = PagesManager.uses_pages_directory  # until the server's first st.navigation
ASSETS = Path(__file__).parent / "pages" / "shared" / "assets"

st.set_page_config(
    page_title="EP Explorer",
    # a local file, because named icons are fetched from the network
    page_icon=str(ASSETS / "icon.svg"),
    layout="wide",
    initial_sidebar_state=232,
    menu_items={"About": "**EP Explorer** · an explorer for Exemplar Partitioning dictionaries."},
)
st.logo(str(ASSETS / "logo.svg"), size="medium")
page = st.navigation(
    [
        st.Page("pages/library/page.py", title="Library", url_path="library"),
        st.Page("pages/atlas/page.py", title="Atlas", default=True, url_path="map"),
        st.Page("pages/region/page.py", title="Region", url_path="region"),
        st.Page("pages/prompt/page.py", title="Prompt", url_path="prompt"),
        st.Page("pages/between/page.py", title="Between", url_path="between"),
        st.Page("pages/resolution/page.py", title="Resolution", url_path="resolution"),
        st.Page("pages/compare/page.py", title="Compare", url_path="compare"),
        st.Page("pages/steer/page.py", title="Steer", url_path="steer"),
        st.Page("pages/behaviour/page.py", title="Behaviour", url_path="behaviour"),
        *([] if is_public() else [st.Page("pages/build/page.py", title="Build", url_path="build")]),
        st.Page("pages/glossary/page.py", title="Glossary", url_path="glossary"),
        # so that links to /atlas work: the address of the default page is "/"
        st.Page(
            lambda: state.forward("atlas"), title="Atlas", url_path="atlas", visibility="hidden"
        ),
    ],
    position="top",
)

if is_first_run and page.url_path:
    frame.reload_page()
frame.add_styles()
with frame.error_boundary():
    state.synchronise()
    frame.sidebar()
    tour.strip(page.url_path)
    page.run()
state.write_url()
