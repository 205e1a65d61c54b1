"""What becomes of a dictionary that has arrived: it is put on the shelf, and opened where its
visitor waits for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import streamlit as st

from ep.storage import Entry
from pages.shared import loading, state

_WAITS = "library_waits"


def open_entry(entry: Entry) -> NoReturn:
    """Opens a dictionary of the shelf on the Atlas."""
    state.open_dictionary(entry.key)
    state.goto("atlas")


@contextmanager
def waited_for() -> Iterator[None]:
    """While it lasts, what arrives is opened: it is for the head of the Library, where the visitor
    waits. On another page a sentence says that it is there.
    """
    st.session_state[_WAITS] = True
    try:
        yield
    finally:
        st.session_state[_WAITS] = False


def put_on_shelf(path: Path) -> Entry | None:
    """Looks at the folders again; the entry of a file that has arrived, if it is one."""
    loading.refresh()
    target = path.resolve()
    return next((entry for entry in loading.entries() if entry.path.resolve() == target), None)


def opened(name: str, path: Path) -> None:
    """What follows once a file was read. name: what the visitor calls it."""
    entry = put_on_shelf(path)
    if entry is not None and st.session_state.get(_WAITS):
        open_entry(entry)
    state.note(f"{name} is read and on the shelf. Open it in the Library.")


def downloaded(name: str, _path: Path) -> None:
    """What follows once a dictionary was downloaded."""
    loading.refresh()
    state.note(f"{name}: downloaded, checked and on the shelf. Open it in the Library.")
