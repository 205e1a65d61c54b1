"""The Glossary page: every term of the screens with its definition and its source."""

from __future__ import annotations

import streamlit as st

from ep.views.glossary import GROUPS, TERMS
from ep.views.terms import Term
from pages.glossary.settings import Settings
from pages.shared import frame, messages, state, tokens, tour
from pages.shared.components import Component

STYLE = """<style>
.ep-terms { columns: 22rem; column-gap: 2.2rem; }
.ep-terms section { break-inside: avoid-column; margin-bottom: 1.3em; }
.ep-terms h2 { margin: 0 0 .35em; padding: 0; font-size: 1.07em; font-weight: 650; }
.ep-terms dl { margin: 0; }
.ep-terms div { break-inside: avoid; padding: .3em .5em; margin: 0 -.5em; border-radius: 6px; }
.ep-terms div.on { background: color-mix(in srgb, currentColor 9%, transparent); }
.ep-terms dt { font-weight: 600; }
.ep-terms dd { margin: 0; line-height: 1.45; }
.ep-terms small { opacity: .75; }
</style>"""
_SCROLL = Component(
    "ep.glossary",
    lambda: {
        "js": """export default ({ data }) => {
  const name = data || decodeURIComponent(location.hash.slice(1));
  const place = name && document.getElementById(`term-${name}`);
  if (place) place.scrollIntoView({ block: "center" });
}
"""
    },
)


def show() -> None:
    """Draw the page."""
    frame.page_head("Glossary", "What the figures and controls of all pages mean, and who says so.")
    _tour()
    chosen = state.settings(Settings).term
    sections = "".join(_section(group, chosen) for group in GROUPS)
    st.html(f'{STYLE}<div class="ep-terms">{sections}</div>')
    _SCROLL("glossary_scroll", chosen or "")


def _tour() -> None:
    """Draw the button that brings the four steps back; nothing where there are none."""
    if not tour.steps():
        return
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        if st.button("See it work", icon=":material/play_arrow:", key="glossary_tour"):
            tour.restart()
            state.goto("atlas")
        messages.quiet("shows the steps above the map again, from the first")


def _section(group: str, chosen: str | None) -> str:
    """Return the terms of one heading as HTML."""
    entries = "".join(_entry(term, chosen) for term in TERMS.values() if term.group == group)
    return f"<section><h2>{tokens.escape(group)}</h2><dl>{entries}</dl></section>"


def _entry(term: Term, chosen: str | None) -> str:
    mark = ' class="on"' if term.key == chosen else ""
    return (
        f'<div id="term-{term.key}"{mark}><dt>{tokens.escape(term.name)}</dt>'
        f"<dd>{tokens.escape(term.text)} <small>{tokens.escape(term.source)}</small></dd></div>"
    )


show()
