"""One quiet row on every page: its tables as files, the code that makes the view, the link that
restores it.

Files are made when they are asked for, never before. Knows the open dictionary, whose provenance
goes into every file.
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
"""What ready-made files are called; others by their file names."""
Tables = Mapping[str, Callable[[], pa.Table]]
Files = Mapping[str, Callable[[], bytes]]


def bar(key: str, tables: Tables | None = None, code: str = "", files: Files | None = None) -> None:
    """Draws the row: "Export", "Show the code", "Copy link"; what is empty is left out.

    key: of this bar, unique over all pages. tables: by the name a reader sees, plain words of ours;
    each function is called when its download is clicked, outside the page's run: it must know all
    it needs, and no `st`. code: Python that runs as shown. files: ready-made downloads by file
    name.
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
    found = state.open_now()
    if tables:
        chosen = next(iter(tables))
        if len(tables) > 1:
            chosen = st.radio("Table", list(tables), key=f"{key} table") or chosen
        else:
            messages.quiet(chosen)
        about = export.provenance(found.dictionary, table=chosen) if found else {"table": chosen}
        with st.container(horizontal=True, gap="small"):
            for name, kind in export.FORMATS.items():
                st.download_button(
                    kind.title,
                    partial(_made, tables[chosen], name, about),
                    file_name=export.file_name(about, name),
                    mime=kind.mime,
                    key=f"{key} {name}",
                    on_click="ignore",
                )
        messages.quiet("Each file names the dictionary it comes from.")
    for name, make in files.items():
        st.download_button(
            FILES.get(name, name), make, file_name=name, key=f"{key} file {name}", on_click="ignore"
        )


def _made(table: Callable[[], pa.Table], name: str, about: Mapping[str, Any]) -> bytes:
    return export.write(table(), name, about)


def _code(code: str) -> None:
    messages.quiet("Python that gives what this page shows; run it where EP Explorer is installed.")
    st.code(code, language="python", width=620)


def _copy_link(key: str) -> None:
    data = {"label": "Copy link", "done": "Link copied", "failed": "Copy it from the address bar"}
    _LINK(key, data, width="content")
