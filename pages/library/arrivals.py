"""Dictionaries that arrive: each goes on the shelf, and opens if its visitor is waiting for it."""

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
    """Open a dictionary of the shelf on the Atlas."""
    state.open_dictionary(entry.key)
    state.goto("atlas")


@contextmanager
def opening_arrivals() -> Iterator[None]:
    """Open what arrives inside this context; on another page, a sentence reports it.

    It surrounds the head of the Library, because a visitor there is waiting for the file.
    """
    st.session_state[_WAITS] = True
    try:
        yield
    finally:
        st.session_state[_WAITS] = False


def put_on_shelf(path: Path) -> Entry | None:
    """Read the folders again, and return the entry of a file that has arrived, if it is one."""
    loading.refresh()
    target = path.resolve()
    return next((entry for entry in loading.entries() if entry.path.resolve() == target), None)


def finish_reading(name: str, path: Path) -> None:
    """Open a file that was read, or report it.

    name: for the visitor.
    """
    entry = put_on_shelf(path)
    if entry is not None and st.session_state.get(_WAITS):
        open_entry(entry)
    state.note(f"{name} is read and on the shelf. Open it in the Library.")


def finish_download(name: str, _path: Path) -> None:
    """Report a dictionary that was downloaded.

    name: for the visitor.
    """
    loading.refresh()
    state.note(f"{name}: downloaded, checked and on the shelf. Open it in the Library.")
