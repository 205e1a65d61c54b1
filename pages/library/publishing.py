"""The published dictionaries on the Library page: facts about each, and the button to get it.

Nothing here uses the network before a visitor clicks. Downloads are jobs of the server: they
continue when the visitor leaves, and partial downloads are resumed. Text from the Hub is escaped.
"""

from __future__ import annotations

import shutil
from contextlib import suppress
from functools import partial
from itertools import groupby

import streamlit as st

from ep.errors import EPError
from ep.storage import Entry
from ep.storage.hub import (
    KNOWN_REVISION,
    PUBLISHED,
    REPOSITORY,
    Hub,
    Listing,
    Published,
    import_published,
    in_bytes,
    partials,
)
from ep.storage.hub.importing import DOWNLOADS
from pages.library import arrivals
from pages.shared import jobs, loading, messages, tokens
from pages.shared.frame import short_count

_WIDTHS = (8, 1)
_ANSWER = "library_looked"
_KINDS = {"gemma-2-2b": "the base model", "gemma-2-2b-it": "its instruction-tuned sibling"}
_COLUMNS = (
    ("layer", "of the residual stream"),
    ("p", "percentile of pairwise distances that sets θ"),
    ("regions, card", "K as the dataset's card states it"),
    (
        "in the file",
        "K counted in the file: here, once it is here; in grey as readers of the file reported it",
    ),
    ("θ, cosine", "the threshold, as it was published; it is in every file"),
    ("tokens", "streamed while building, from the card"),
    ("download", "of the published file; ≈ as others rounded it, until the Hub is asked"),
    ("on disk", "of the .ep.h5 file that is made of it and stays: its vectors; texts add little"),
    ("memory", "needed at most, while the file is turned into a dictionary; less to open it"),
)


def offline() -> bool:
    """Return whether this server is configured never to use the Hub."""
    from huggingface_hub import is_offline_mode

    return is_offline_mode()


def section() -> None:
    """Draw the published dictionaries: facts about each, and the button to get or open it."""
    answer = st.session_state.get(_ANSWER)
    with st.container(border=True, gap="small"):
        text, button = st.columns((5, 1), gap="small", vertical_alignment="center")
        with text:
            st.html(
                tokens.heading(
                    "Published dictionaries",
                    f"{len(PUBLISHED)} of Gemma-2-2B on the Pile, by the author",
                )
            )
            if isinstance(answer, str):
                messages.problem("The Hub could not be asked", answer)
            else:
                messages.quiet(_about(answer))
        with button, st.container(horizontal_alignment="right"):
            st.button("Look on the Hub", key="library_look", on_click=_ask_hub, disabled=offline())
        with st.container(gap=None):
            heads, _ = st.columns(_WIDTHS, gap="small")
            heads.html(_header())
            for short, members in groupby(PUBLISHED, key=lambda published: published.short):
                st.html(
                    f'<div class="ep-pubh"><b>{tokens.escape(short)}</b>'
                    f'<span class="ep-k">{tokens.escape(_KINDS.get(short, ""))}</span></div>'
                )
                for published in members:
                    _row(published, answer if isinstance(answer, Listing) else None)
        keep = st.toggle("Keep the downloaded pickles", key="library_keep", value=False)
        messages.quiet(_download_note(keep))


def _ask_hub() -> None:
    """Ask the Hub for its present files; an error is stored as a sentence."""
    try:
        st.session_state[_ANSWER] = Hub().pinned(REPOSITORY, KNOWN_REVISION)
    except EPError as error:
        st.session_state[_ANSWER] = messages.sentence(error)


def _about(answer: Listing | None) -> str:
    if answer is None:
        if offline():
            return (
                f"{REPOSITORY}, Apache-2.0. The Hub is switched off here (HF_HUB_OFFLINE): "
                "nothing is downloaded."
            )
        return f"{REPOSITORY}, Apache-2.0, revision {KNOWN_REVISION}…; the Hub has not been asked."
    if answer.revision.startswith(KNOWN_REVISION):
        return f"{REPOSITORY}, Apache-2.0, revision {answer.revision}; sizes are the Hub's."
    return (
        f"The repository no longer has the revision {KNOWN_REVISION}… these numbers are about; "
        f"its newest is {answer.revision}, and that would be downloaded."
    )


def _download_note(keep: bool) -> str:
    after = "and kept" if keep else "and then removed"
    free = in_bytes(free_bytes())
    return (
        "A published file is a pickle: it is compared with the Hub's hash, read once by a reader "
        "that runs nothing in"
        f" it, turned into a much smaller .ep.h5 file {after}. It has excerpts but no logit lens "
        "and"
        f" no token ids; the model can add them afterwards. {free} are free here."
    )


def downloads() -> tuple[int, bool]:
    """Return the bytes of partial downloads and kept pickles, and whether one is being got now."""
    folder = loading.library_folder() / DOWNLOADS
    if not folder.is_dir():
        return 0, False
    size = sum(path.stat().st_size for path in folder.iterdir() if path.is_file())
    return size, any(jobs.is_running(_job(published)) for published in PUBLISHED)


def remove_downloads() -> None:
    """Remove partial downloads and kept pickles, but for what a process is downloading now."""
    folder = loading.library_folder() / DOWNLOADS
    partials.clear(folder, all_ages=True)
    with suppress(OSError):  # not empty
        folder.rmdir()


def free_bytes() -> int:
    """Return how many bytes are free where new dictionaries are stored."""
    folder = loading.library_folder()
    place = next(path for path in (folder, *folder.resolve().parents) if path.exists())
    return shutil.disk_usage(place).free


def _header() -> str:
    cells = "".join(
        f'<span title="{tokens.escape(about)}">{tokens.escape(name)}</span>'
        for name, about in _COLUMNS
    )
    return f'<div class="ep-pub ep-head">{cells}</div>'


def _row(published: Published, listing: Listing | None) -> None:
    entry, key = local_entry(published), _job(published)
    with st.container(
        key=f"library_pub_{published.short}_{published.layer}_{published.percentile}", gap=None
    ):
        facts, action = st.columns(_WIDTHS, gap="small", vertical_alignment="center")
        with facts:
            st.html(_facts(published, entry, listing))
        with action, st.container(horizontal_alignment="right"):
            if entry is not None:
                if st.button("Open", key=f"library_open_pub {published.key}", type="tertiary"):
                    arrivals.open_entry(entry)
            else:
                st.button(
                    "Get",
                    key=f"library_get {published.key}",
                    icon=":material/download:",
                    type="tertiary",
                    on_click=_start,
                    args=(published,),
                    disabled=offline()
                    or jobs.is_own_running(key)
                    or (listing is not None and listing.find(published.path) is None),
                )
        if entry is None:
            jobs.watch(key, framed=False)


def _facts(published: Published, entry: Entry | None, listing: Listing | None) -> str:
    regions = entry.size if entry is not None else published.regions_seen
    differs = regions is not None and regions != published.regions
    threshold = entry.info.get("threshold") if entry is not None else published.threshold
    cells = [
        f"<span>{published.layer}</span>",
        f"<span><b>{published.percentile}</b></span>",
        f"<span>{published.regions:,}</span>",
        f'<span class="{"" if entry else "ep-faint"}{" ep-differs" if differs else ""}">'
        f"{'–' if regions is None else f'{regions:,}'}</span>",
        f"<span>{'–' if threshold is None else f'{threshold:.4f}'}</span>",
        f"<span>{tokens.escape(short_count(published.tokens))}</span>",
        f"<span>{tokens.escape(_size(published, listing))}</span>",
        f"<span>{_stored(published, entry)}</span>",
        f"<span>≈ {in_bytes(published.memory_bytes)}</span>",
        f'<span class="ep-pubs">{_local_mark(entry)}</span>',
    ]
    return f'<div class="ep-pub ep-num">{"".join(cells)}</div>'


def _local_mark(entry: Entry | None) -> str:
    if entry is None:
        return ""
    origin = entry.info.get("published") or {}
    revision = str(origin.get("revision") or "")
    other = "" if revision.startswith(KNOWN_REVISION) else ", another revision"
    sha256 = origin.get("sha256", "unknown")
    about = f"revision {revision or 'unknown'}, SHA-256 of the pickle {sha256}"
    return f'<span title="{tokens.escape(about)}">● here{other}</span>'


def _size(published: Published, listing: Listing | None) -> str:
    if listing is not None:
        file = listing.find(published.path)
        return "not there" if file is None else in_bytes(file.size or 0)
    return "–" if published.size is None else f"≈ {in_bytes(published.size)}"


def _stored(published: Published, entry: Entry | None) -> str:
    return in_bytes(entry.bytes) if entry else f"≈ {in_bytes(published.stored_bytes)}"


def local_entry(published: Published) -> Entry | None:
    """Return the shelf's entry of a published dictionary; None where it has not been converted."""
    for entry in loading.entries():
        origin = entry.info.get("published")
        if isinstance(origin, dict):
            source = (origin.get("repository"), origin.get("file"))
            if source == (REPOSITORY, published.path):
                return entry
    return None


def _job(published: Published) -> str:
    return f"hub {published.key}"


def _start(published: Published) -> None:
    folder, keep = loading.library_folder(), bool(st.session_state.get("library_keep"))
    title = f"{published.short}, layer {published.layer}, p = {published.percentile}"
    jobs.start(
        _job(published),
        title,
        lambda job: import_published(published.name, folder, job.report, keep=keep),
        partial(arrivals.finish_download, title),
    )
