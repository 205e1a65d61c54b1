"""Library: the shelf of dictionaries, published ones, adding a file, and building a dictionary."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import BinaryIO

import streamlit as st

from ep.errors import EPError
from ep.storage import Entry, Family
from ep.storage.hub import in_bytes
from ep.views import outliers
from pages.library import arrivals, completing, intake, publishing, repositories
from pages.shared import frame, jobs, loading, messages, state, tokens
from pages.shared.jobs import Job

SENTENCE = (
    "Every dictionary within reach: those that came with the explorer, your own, those others "
    "published."
)
READING = "read "
"""Prefix of the keys of the jobs that read a pickle."""
BUILD = """python -m ep build MODEL \\
  --text FILE_OR_FOLDER \\
  --layer 2 --layer 4 \\
  --percentile 1 --percentile 4 \\
  --out data/library"""
_UPLOADED = "library_uploaded"


def show() -> None:
    """Draw the page."""
    with arrivals.opening_arrivals():
        frame.page_head("Library", SENTENCE)
    left, right = st.columns([15, 7], gap="medium")
    shelf = loading.shelf()
    with left:
        for number, family in enumerate(shelf.families):
            _family(number, family)
        if not shelf.families:
            messages.box(
                "There is nothing to open yet",
                "Open a file, or build a dictionary of your own model and text.",
            )
        if shelf.truncated:
            messages.quiet(
                "There are more files than are listed here; give the path of one to open it."
            )
        if shelf.broken:
            _broken(shelf.broken)
        publishing.section()
    with right:
        _open_path()
        _open_upload()
        for key in jobs.own_keys(READING):
            jobs.watch(key)
        repositories.section()
        _how_to_build()


# -- the shelf -------------------------------------------------------------------------------------


def _family(number: int, family: Family) -> None:
    chosen = state.current().dictionary
    is_open = any(entry.key == chosen for entry in family.entries)
    with st.container(border=True, gap="small"):
        text, button = st.columns([5, 1], gap="small", vertical_alignment="center")
        with text:
            about = _about(family) + (" · open now" if is_open else "")
            st.html(
                f'{tokens.heading(loading.title(family.id), about)}<div class="ep-gap"></div>'
                f"{tokens.facts(*_facts(family))}"
            )
            if told := outliers.of_family([entry.info for entry in family.entries]):
                messages.quiet(" ".join(messages.sentence(line) for line in told))
        with button, st.container(horizontal_alignment="right"):
            if st.button(
                "Go to it" if is_open else "Open",
                key=f"library_open {number}",
                type="primary" if is_open else "secondary",
            ):
                arrivals.open_entry(_entry(family, chosen if is_open else None))
        completing.offers(family.entries)


def _entry(family: Family, chosen: str | None) -> Entry:
    """Return the family's open entry, else the one nearest to the layer and percentile now open."""
    if chosen is not None:
        return next(entry for entry in family.entries if entry.key == chosen)
    opened = loading.find(state.current().dictionary)
    return family.pick(opened.layer, opened.percentile) if opened else family.entries[0]


def _about(family: Family) -> str:
    info = family.entries[0].info
    corpus = info.get("corpus") or {}
    corpus_name = corpus.get("name") if isinstance(corpus, dict) else corpus
    positions = {"final": "last token of each passage", "all": "all tokens"}.get(
        str(info.get("positions"))
    )
    parts = [
        _model(str(info.get("model") or "")),
        corpus_name,
        positions,
        "chat" if info.get("chat") else None,
    ]
    return " · ".join(_cut(part) for part in parts if part)


def _facts(family: Family) -> list[tuple[str, str]]:
    entries = family.entries
    facts = [
        ("layers", _listed(family.layers)),
        ("percentiles", _listed(family.percentiles)),
        ("regions", _span([entry.size for entry in entries])),
        ("dimensions", _span([entry.width for entry in entries])),
    ]
    activations = [
        int(entry.info["n_activations"]) for entry in entries if entry.info.get("n_activations")
    ]
    if activations:
        facts.append(("activations", frame.short_count(max(activations))))
    facts.append(("files" if len(entries) > 1 else "file", f"{len(entries)}"))
    facts.append(("on disk", in_bytes(sum(_bytes(entry.path) for entry in entries))))
    if unfinished := sum(not entry.info.get("complete", True) for entry in entries):
        facts.append(("build", f"{unfinished} stopped early"))
    return facts


def _broken(entries: tuple[Entry, ...]) -> None:
    with st.container(border=True, gap="xsmall"):
        st.html(
            tokens.heading(
                "Files that cannot be opened", f"{len(entries)}; they are left as they are"
            )
        )
        for entry in entries:
            st.html(
                f'<div><b class="ep-num">{tokens.escape(_cut(entry.path.name))}</b> '
                f'<span class="ep-k">{tokens.escape(str(entry.error))}</span></div>'
            )


# -- adding a file ---------------------------------------------------------------------------------


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
        messages.note(messages.sentence(error))
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
        messages.note(messages.sentence(error))


def _read(source: Path, name: str, remove: bool) -> None:
    """Start the reader of published pickles on a file, in a job.

    remove: whether to remove the file afterwards.
    """
    folder, title = loading.library_folder(), f"Reading {_cut(name, 40)}"

    def work(job: Job) -> Path:
        try:
            return intake.read_pickle(source, name, folder, job.report)
        finally:
            if remove:
                intake.remove_pickle(source)

    jobs.start(f"{READING}{source}", title, work, partial(arrivals.finish_reading, _cut(name, 40)))


def _how_to_build() -> None:
    with st.container(border=True, gap="small"):
        st.html(tokens.heading("Build one", "of your own model and text"))
        st.code(BUILD, language="bash", wrap_lines=True)
        messages.quiet(
            "It appears here when it is done; every layer and percentile comes from one pass over "
            "the text."
        )


def _add(bring: Callable[[], Path]) -> None:
    """Bring a file in and open it; an error is drawn in the place of the result."""
    try:
        with st.spinner("Checking the file…"):
            path = bring()
    except EPError as error:
        messages.note(messages.sentence(error))
        return
    if (entry := arrivals.put_on_shelf(path)) is not None:
        arrivals.open_entry(entry)


# -- numbers and names -----------------------------------------------------------------------------


def _listed(values: tuple[float, ...]) -> str:
    if not values:
        return "–"
    if len(values) <= 5:
        return ", ".join(f"{value:g}" for value in values)
    return f"{values[0]:g} – {values[-1]:g} ({len(values)})"


def _span(values: list[int]) -> str:
    low, high = min(values), max(values)
    return f"{low:,}" if low == high else f"{low:,} – {high:,}"


def _bytes(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _model(name: str) -> str:
    """Return a Hub name as it is, and only the last folder of a path."""
    return Path(name).name if name.startswith((".", "/", "~", "data/")) else name


def _cut(value: object, longest: int = 60) -> str:
    text = str(value)
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


show()
