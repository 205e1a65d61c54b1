"""Build: dictionaries of your own model and text, in a process that goes on without the page."""

from __future__ import annotations

import streamlit as st

from ep import jobs as builds
from ep.public import is_public
from pages.build import check, form, live, runs, saturation
from pages.shared import frame, messages, visitors

SENTENCE = "Dictionaries of your own model and text, in a process that goes on without this page."
WIDTHS = (10, 13)


def show() -> None:
    """Draw the page."""
    frame.page_head("Build", SENTENCE)
    if is_public():
        messages.box(
            "Nothing is built here",
            "This server is for everybody. Build on your own machine, and open the files here.",
        )
        return
    visitors.keep_owner()
    left, right = st.columns(WIDTHS, gap="medium")
    with left:
        check.card(form.card())
    with right:
        found = builds.listed()
        job = runs.chosen(found)
        if job is None:
            messages.box(
                "Nothing has been built yet",
                "Fill in the form, or try the demo's model and text: that takes about a minute.",
                "Fill in an example",
                form.fill_in_example,
            )
        else:
            live.card(job)
            runs.lines(found, job)
    saturation.card()


show()
