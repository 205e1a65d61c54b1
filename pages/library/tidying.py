"""The part of the Library that says what takes space, and takes it back: trash, downloads, models.

Nothing in these places is needed to open a dictionary. Fitted lenses are listed and kept: they took
long to make.
"""

from __future__ import annotations

from collections.abc import Callable, Sized
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import streamlit as st

from ep.errors import EPError
from ep.models import conversions, jacobian_store
from ep.storage import trash
from ep.storage.hub import in_bytes
from ep.storage.trash import Trashed
from pages.library import cards, changes, problems, publishing
from pages.shared import loading, messages, tokens


def section() -> None:
    """Draw what takes space, part by part."""
    problems.left_by_changes()
    left, right = st.columns(2, gap="medium")
    with left:
        _trash()
    with right:
        _places()


def _trash() -> None:
    with st.container(border=True, gap="small"):
        found = [trashed for folder in loading.folders() for trashed in trash.listed(folder)]
        st.html(tokens.heading("Trash", "what was deleted can be put back for a day"))
        if not found:
            messages.quiet("It is empty. Delete a dictionary with ⋯ on its card.")
            return
        for trashed in found:
            _trashed(trashed)
        size = in_bytes(sum(trashed.bytes for trashed in found))
        st.button(f"Empty the trash, {size}", key="library_empty_trash", on_click=_empty_trash)


def _trashed(trashed: Trashed) -> None:
    when = datetime.fromtimestamp(trashed.when, UTC)
    count = trashed.dictionaries
    what = f"{count} dictionaries" if count > 1 else "1 file"
    text, button = st.columns([4, 1], gap="small", vertical_alignment="center")
    text.html(
        f'<div class="ep-clip">{tokens.escape(cards.cut(trashed.title))} <span class="ep-k ep-num">'
        f"{what} · {in_bytes(trashed.bytes)} · deleted {when:%H:%M} UTC, {when.day} {when:%b}"
        "</span></div>"
    )
    with button, st.container(horizontal_alignment="right"):
        st.button(
            "Put back",
            key=f"library_restore {trashed.place.name}",
            on_click=partial(changes.restore, trashed),
        )


def _empty_trash() -> None:
    for folder in loading.folders():
        trash.empty(folder)


def _places() -> None:
    with st.container(border=True, gap="small"):
        folder = loading.library_folder()
        own = [entry.bytes for entry in loading.entries() if not cards.is_bundled(entry)]
        st.html(tokens.heading("On disk", f"{in_bytes(publishing.free_bytes())} are free"))
        _place("Your dictionaries", f"{_counted(own, 'file')}, new ones go to {folder}", sum(own))
        partial_, busy = publishing.downloads()
        _place(
            "Unfinished or kept downloads",
            "getting the same published file again uses them",
            partial_,
            "library_remove",
            None if busy else publishing.remove_downloads,
        )
        models = conversions.listed()
        _place(
            "Converted models",
            f"{_counted(models, 'model')} of GGUF files, each converted again when it is needed",
            sum(conversion.size for conversion in models),
            "library_models",
            _empty_models,
        )
        lenses = jacobian_store.files()
        _place(
            "Fitted lenses",
            f"{_counted(lenses, 'file')}, kept because they took long to fit: ep lens list",
            sum(_size(path) for path in lenses),
        )


def _counted(items: Sized, name: str) -> str:
    return f"{len(items):,} {name}{'' if len(items) == 1 else 's'}"


def _place(
    name: str,
    about: str,
    size: int,
    key: str = "",
    remove: Callable[[], None] | None = None,
) -> None:
    """Draw one kind of file with its size, and a button that removes it where there is one."""
    text, button = st.columns([4, 1], gap="small", vertical_alignment="center")
    text.html(
        f'<div class="ep-split" style="margin:0"><span>{tokens.escape(name)}</span>'
        f'<b class="ep-num">{in_bytes(size)}</b></div>'
        f'<div class="ep-k">{tokens.escape(about)}</div>'
    )
    if key and size:
        with button, st.container(horizontal_alignment="right"):
            st.button("Remove", key=key, on_click=remove, disabled=remove is None)


def _empty_models() -> None:
    try:
        conversions.empty()
    except EPError as error:
        changes.put_problem("Not everything was removed", error)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
