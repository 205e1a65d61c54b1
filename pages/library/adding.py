"""The part of the Library that brings dictionaries in: a file by path or upload, or a build."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import BinaryIO

import streamlit as st

from ep.errors import EPError
from ep.public import is_public
from pages.library import arrivals, cards, intake
from pages.shared import jobs, loading, messages, state, tokens
from pages.shared.jobs import Job

READING = "read "
"""Prefix of the keys of the jobs that read a pickle."""
_UPLOADED = "library_uploaded"


def section() -> None:
    """Draw the two ways to add a file, and how to build a dictionary."""
    left, right = st.columns(2, gap="medium")
    with left:
        _open_path()
        _open_upload()
        for key in jobs.own_keys(READING):
            jobs.watch(key)
    with right:
        how_to_build()


def command() -> str:
    """Return the command that builds dictionaries into the library's folder."""
    folder = loading.library_folder()
    inside = folder.is_relative_to(loading.ROOT)
    out = shlex.quote(str(folder.relative_to(loading.ROOT) if inside else folder))
    return (
        "python -m ep build MODEL \\\n  --text FILE_OR_FOLDER \\\n  --layer 2 --layer 4 \\\n"
        f"  --percentile 1 --percentile 4 \\\n  --out {out}"
    )


def how_to_build() -> None:
    """Draw the command that builds dictionaries."""
    with st.container(border=True, gap="small"):
        st.html(tokens.heading("Build one", "of your own model and text"))
        st.code(command(), language="bash", wrap_lines=True)
        messages.quiet(
            "MODEL is a Hub name, a folder or a .gguf file; the text may be txt, jsonl, json, csv "
            "or parquet. It appears here when it is done; every layer and percentile comes from "
            "one pass over the text."
        )
        to_build_page()


def to_build_page() -> None:
    """Draw a button to the page that builds, which a public server does not have."""
    if not is_public() and st.button(
        "Build it here", key="library_build", icon=":material/arrow_forward:"
    ):
        state.goto("build")


def _open_path() -> None:
    with st.container(border=True, gap="small"):
        st.html(tokens.heading("Open a file", "an .ep.h5 or a published .pkl"))
        with st.form("library_path_form", border=False):
            path = st.text_input(
                "Path",
                placeholder="/path/to/dictionary.ep.h5",
                key="library_path",
                label_visibility="collapsed",
            )
            submitted = st.form_submit_button("Open the file")
        if submitted and intake.is_pickle(path):
            _read_in_place(path)
        elif submitted and path.strip():
            _add(lambda: intake.link(path, loading.library_folder()))
        elif submitted:
            messages.quiet("Type the path of a file first.")


def _read_in_place(path: str) -> None:
    try:
        source = intake.find(path)
    except EPError as error:
        _refused(error)
        return
    _read(source, source.name, remove=False)


def _open_upload() -> None:
    limit = int(st.get_option("server.maxUploadSize"))
    with st.container(border=True, gap="small"):
        st.html(tokens.heading("Upload a file", f"up to {limit} MB; larger ones by path"))
        upload = st.file_uploader(
            "File", type=["h5", "pkl"], key="library_upload", label_visibility="collapsed"
        )
        if upload is not None and st.session_state.get(_UPLOADED) != upload.file_id:
            st.session_state[_UPLOADED] = upload.file_id  # a rerun returns the same upload again
            if intake.is_pickle(upload.name):
                _receive(upload.name, upload)
            else:
                _add(lambda: intake.upload(upload.name, upload, loading.library_folder()))


def _receive(name: str, content: BinaryIO) -> None:
    try:
        _read(intake.store_pickle(name, content, loading.library_folder()), name, remove=True)
    except EPError as error:
        _refused(error)


def _read(source: Path, name: str, remove: bool) -> None:
    """Start the reader of published pickles on a file, in a job.

    remove: whether to remove the file afterwards.
    """
    folder, title = loading.library_folder(), f"Reading {cards.cut(name, 40)}"

    def work(job: Job) -> Path:
        try:
            return intake.read_pickle(source, name, folder, job.report)
        finally:
            if remove:
                intake.remove_pickle(source)

    jobs.start(
        f"{READING}{source}", title, work, partial(arrivals.finish_reading, cards.cut(name, 40))
    )


def _add(bring: Callable[[], Path]) -> None:
    """Bring a file in and open it; an error is drawn in the place of the result."""
    try:
        with st.spinner("Checking the file…"):
            path = bring()
    except EPError as error:
        _refused(error)
        return
    if (entry := arrivals.put_on_shelf(path)) is not None:
        arrivals.open_entry(entry)


def _refused(error: EPError) -> None:
    messages.problem("This file was not added", messages.sentence(error))
