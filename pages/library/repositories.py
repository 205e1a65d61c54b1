"""Any dataset repository of the Hub on the Library page: its dictionaries are listed, to be got.

Nothing here uses the network before a visitor clicks. Names of files are text from strangers and
are escaped wherever they are shown.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import streamlit as st

from ep.errors import EPError
from ep.storage.hub import Hub, Listing, dictionaries, get, in_bytes, local_name, owner_and_name
from pages.library import arrivals
from pages.library.publishing import offline
from pages.shared import jobs, loading, messages, tokens

MOST_FILES = 40
_LISTED = "library_listed"


def section() -> None:
    """Draw the box for a repository's name, and the list of its dictionaries with buttons to get
    them.
    """
    with st.container(border=True, gap="small"):
        st.html(tokens.heading("Any Hub repository", "that holds .ep.h5 files"))
        if offline():
            messages.quiet("The Hub is switched off here (HF_HUB_OFFLINE).")
            return
        with st.form("library_hub_form", border=False):
            name = st.text_input(
                "Repository",
                placeholder="OWNER/REPO",
                key="library_hub",
                label_visibility="collapsed",
            )
            if st.form_submit_button("List its dictionaries") and name.strip():
                _list(name)
        listing: Listing | str | None = st.session_state.get(_LISTED)
        if isinstance(listing, str):
            messages.problem("Nothing can be listed", listing)
        elif listing is not None:
            _files(listing)


def _list(name: str) -> None:
    try:
        with st.spinner("Asking the Hub…"):
            st.session_state[_LISTED] = Hub().listing(owner_and_name(name))
    except EPError as error:
        st.session_state[_LISTED] = messages.sentence(error)


def _files(listing: Listing) -> None:
    paths = dictionaries(listing)
    count = f"{len(paths)} {'dictionary' if len(paths) == 1 else 'dictionaries'}"
    messages.quiet(f"{count} in {listing.repository} at {listing.revision[:8]}")
    for path in paths[:MOST_FILES]:
        _file(listing, path)
    if len(paths) > MOST_FILES:
        messages.quiet(
            f"{len(paths) - MOST_FILES} more are not listed: `ep import hub:OWNER/REPO/FILE` gets "
            "them."
        )


def _file(listing: Listing, path: str) -> None:
    file = listing.find(path)
    target = loading.library_folder() / local_name(listing.repository, path)
    entry = next((e for e in loading.entries() if e.path.resolve() == target.resolve()), None)
    key = f"hub {listing.repository} {listing.revision} {path}"
    name, action = st.columns([3, 1], gap="small", vertical_alignment="center")
    with name:
        size = in_bytes(file.size) if file is not None and file.size is not None else ""
        st.html(
            f'<div class="ep-clip" title="{tokens.escape(path)}">{tokens.escape(path)} '
            f'<span class="ep-k ep-num">{size}</span></div>'
        )
    with action, st.container(horizontal_alignment="right"):
        if entry is not None:
            if st.button("Open", key=f"library_open_hub {path}", type="tertiary"):
                arrivals.open_entry(entry)
        else:
            st.button(
                "Get",
                key=f"library_hub_get {path}",
                icon=":material/download:",
                type="tertiary",
                on_click=_start,
                args=(key, listing, path, target),
                disabled=jobs.is_own_running(key),
            )
    if entry is None:
        jobs.watch(key, framed=False)


def _start(key: str, listing: Listing, path: str, target: Path) -> None:
    jobs.start(
        key,
        path,
        lambda job: get(listing, path, target, job.report),
        partial(arrivals.finish_download, path),
    )
