"""The row of every page that exports its tables, shows its code, and copies its link.

Files are generated when their download is clicked, never before. Every table contains the
provenance of the open dictionary.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import pyarrow as pa
import streamlit as st

from ep.views import export
from pages.shared import messages, state
from pages.shared.components import Component

_BUTTON = """<button type="button"><svg viewBox="0 0 24 24" aria-hidden="true">
<path d="M10 14a4 4 0 0 0 6 0l3-3a4 4 0 0 0-6-6l-1 1M14 10a4 4 0 0 0-6 0l-3 3a4 4 0 0 0 6 6l1-1"/>
</svg><span aria-live="polite"></span></button>"""
_LINK = Component.beside(__file__, "copylink", _BUTTON)
FILES = {
    "map.html": "Map as a page (HTML)",
    "splash-figure.html": "Splash figure (HTML)",
    "saelens.zip": "SAELens directory (ZIP)",
    "neuronpedia-features.json": "Neuronpedia features (JSON)",
}
"""The names, on screen, of files that are not tables; others appear by their file names."""
Tables = Mapping[str, Callable[[], pa.Table]]
Files = Mapping[str, Callable[[], bytes]]


def bar(key: str, tables: Tables | None = None, code: str = "", files: Files | None = None) -> None:
    """Draw the row with "Export", "Show the code" and "Copy link", without those that are empty.

    key: of this row, unique among all pages. tables: functions by the name of their table on
    screen, which must not contain text from files. A function is called when its download is
    clicked, outside the page's run, so it must not use `st`. code: Python that runs as shown.
    files: functions that return other downloads, by file name.
    """
    with st.container(
        horizontal=True, horizontal_alignment="right", vertical_alignment="center", gap="medium"
    ):
        if tables or files:
            with st.popover(
                "Export", icon=":material/download:", type="tertiary", key=f"{key} export"
            ):
                _export(key, tables or {}, files or {})
        if code:
            with st.popover(
                "Show the code", icon=":material/code:", type="tertiary", key=f"{key} code"
            ):
                _code(code)
        _copy_link(f"{key} link")


def _export(key: str, tables: Tables, files: Files) -> None:
    """Draw the download buttons, in the popover."""
    opened = state.opened_or_none()
    if tables:
        title = next(iter(tables))
        if len(tables) > 1:
            title = st.radio("Table", list(tables), key=f"{key} table") or title
        else:
            messages.quiet(title)
        provenance = (
            export.provenance(opened.dictionary, table=title) if opened else {"table": title}
        )
        with st.container(horizontal=True, gap="small"):
            for name, kind in export.FORMATS.items():
                st.download_button(
                    kind.title,
                    partial(_table_bytes, tables[title], name, provenance),
                    file_name=export.file_name(provenance, name),
                    mime=kind.mime,
                    key=f"{key} {name}",
                    on_click="ignore",
                )
        messages.quiet("Each file names the dictionary it comes from.")
    for name, make in files.items():
        st.download_button(
            FILES.get(name, name), make, file_name=name, key=f"{key} file {name}", on_click="ignore"
        )


def _table_bytes(
    make: Callable[[], pa.Table], format_: str, provenance: Mapping[str, Any]
) -> bytes:
    return export.write(make(), format_, provenance)


def _code(code: str) -> None:
    """Draw the code, in the popover."""
    messages.quiet("Python that gives what this page shows; run it where EP Explorer is installed.")
    st.code(code, language="python", width=620)


def _copy_link(key: str) -> None:
    data = {"label": "Copy link", "done": "Link copied", "failed": "Copy it from the address bar"}
    _LINK(key, data, width="content")
