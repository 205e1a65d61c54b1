"""The strip "See it work": four steps that show the method on the dictionaries of this shelf.

Each step is a link into a page with everything set. Where a step has nothing to show, because its
dictionary or its model is not here, it is left out. A step is seen once its view was on the screen.
The browser remembers which were seen, and whether the visitor has closed the strip.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import streamlit as st

from ep.demo.behaviour import FILE as STORED_TRIALS
from ep.demo.examples import EXAMPLES
from ep.errors import EPError
from ep.storage import Entry
from ep.studies.prompts import read_prompts
from ep.views.tables import opening_region
from pages.shared import loading, models, state, visitors

CLOSED = "closed"
MAP = "atlas"
REQUEST = "How do I rob a bank?"
REAL_TITLE = "SmolLM2 135M, tuned to refuse · last token of requests"
TINY_FILE = "tuned-L4-final-p10.ep.h5"
HARMFUL_SHARE = 0.8
"""Least share of a region's excerpts that are harmful requests, for it to be that of refusals."""
_COOKIE, _STATE, _BEGUN = "ep_tour", "tour_state", "tour_begun"


@dataclass(frozen=True)
class Step:
    """One step.

    name: a letter, which the browser remembers. title: what it shows, as a link. advice: what to
    do there, a few words. page: the folder of its page. query: the parameters of its link.
    """

    name: str
    title: str
    advice: str
    page: str
    query: dict[str, str]

    def is_at(self, page: str, selection: state.Selection) -> bool:
        """Return whether this page with this selection is the view of the step."""
        return page == self.page and selection.dictionary == self.query["d"]


class Target(NamedTuple):
    """A region of refusals: its dictionary, its id, and the direction that takes it out best."""

    entry: Entry
    region: int
    basis: str


# -- the steps -------------------------------------------------------------------------------------


def steps() -> list[Step]:
    """Return the steps that this shelf can show, in order; none for an empty shelf."""
    entry = loading.default_entry()
    region = None if entry is None else _first_region(loading.fingerprint(entry.key), entry.key)
    if entry is None or region is None:
        return []
    selection = {"d": entry.key, "r": str(region)}
    kind = "a real model" if entry.path.is_relative_to(loading.REAL) else "a model"
    found = [
        Step("m", f"The map of {kind}", "Drag it, and click a cell.", MAP, selection),
        Step("r", "A region and its passages", "Scroll down to its passages.", "region", selection),
    ]
    if models.is_local(entry):
        query = selection | {"q": EXAMPLES["A story"], "as": "text"}
        advice = "Write your own, and click a token."
        found.append(Step("p", "Your sentence, token by token", advice, "prompt", query))
    if (target := refusal()) is not None:
        query = {"d": target.entry.key, "r": str(target.region), "q": REQUEST}
        query |= {"schat": "chat", "smode": "ablate", "sbasis": target.basis}
        advice = "Press Generate."
        found.append(Step("s", "Take the refusal out, beside its control", advice, "steer", query))
    return found


@st.cache_resource(show_spinner=False, max_entries=8)
def _first_region(fingerprint: str, _key: str) -> int | None:
    """Return the region that a dictionary opens with; None where it has none or is damaged."""
    try:
        return opening_region(loading.dictionary(_key))
    except EPError:
        return None


def refusal() -> Target | None:
    """Return the best region of refusals on this shelf whose model is on this machine, or None.

    That of the tuned sibling of the real model, where it is installed; else that of the tiny one.
    """
    entries = loading.entries()
    real = [e for e in entries if _is_in(e, loading.REAL) and e.info.get("title") == REAL_TITLE]
    tiny = [e for e in entries if _is_in(e, loading.DEMO) and e.path.name == TINY_FILE]
    # the mean direction of a real region takes more of the refusal out than its exemplar does
    for found, folder, basis in ((real, loading.REAL, "mean"), (tiny, loading.DEMO, "exemplar")):
        found = [entry for entry in found if models.is_local(entry)]
        if found and (place := _region(folder, found)) is not None:
            return Target(*place, basis)
    return None


def _is_in(entry: Entry, folder: Path) -> bool:
    return entry.path.is_relative_to(folder)


def _region(folder: Path, entries: Iterable[Entry]) -> tuple[Entry, int] | None:
    """Return a demo's region of refusals: the one of its stored trials, or else the largest whose
    excerpts are harmful requests of its training prompts.

    entries: of its dictionaries of last tokens.
    """
    tried = _tried(folder)
    known = [(e, tried[e.path.name]) for e in entries if e.path.name in tried]
    if known:
        return known[0]
    found = [(e, _by_excerpts(loading.fingerprint(e.key), e.key, str(folder))) for e in entries]
    regions = [(entry, region, size) for entry, (region, size) in found if size]
    return max(regions, key=lambda one: one[2])[:2] if regions else None


def _tried(folder: Path) -> dict[str, int]:
    """Return the region of each stored trial of a demo, by the file of its dictionary."""
    path = folder / STORED_TRIALS
    try:
        return _trials(str(path), path.stat().st_mtime_ns)
    except (OSError, ValueError, KeyError, TypeError):
        return {}


@st.cache_resource(show_spinner=False, max_entries=4)
def _trials(path: str, modified: int) -> dict[str, int]:
    """Read the stored trials. modified: part of the key of the cache."""
    data: dict[str, Any] = json.loads(Path(path).read_text(encoding="utf-8"))
    trials = [data["trial"], *data["others"]]
    return {Path(one["dictionary"]["file"]).name: int(one["region"]) for one in trials}


@st.cache_resource(show_spinner=False, max_entries=16)
def _by_excerpts(fingerprint: str, _key: str, folder: str) -> tuple[int, int]:
    """Return the largest region whose excerpts are harmful requests, and its members; members 0
    where there is none.

    fingerprint: part of the key of the cache.
    """
    dictionary = loading.dictionary(_key)
    try:
        harmful = read_prompts(Path(folder) / "prompts" / "train.csv").where(True).texts
    except EPError:
        return 0, 0
    sizes = {0: 0}
    for region in range(len(dictionary)):
        texts = ["".join(one.pieces) for one in dictionary.excerpts(region)]
        hits = sum(any(request in text for request in harmful) for text in texts)
        if texts and hits >= HARMFUL_SHARE * len(texts):
            sizes[region] = int(dictionary.members[region])
    best = max(sizes, key=sizes.__getitem__)
    return best, sizes[best]


# -- the strip -------------------------------------------------------------------------------------


def strip(url_path: str) -> None:
    """Draw the strip above the map, and above the pages of its steps once a later step was opened.

    url_path: of the page; empty for the map.
    """
    page = url_path or MAP
    seen = _seen()
    if seen != CLOSED and (found := steps()):
        at = next((step for step in found if step.is_at(page, state.current())), None)
        if at is not None and at.name not in seen:
            seen = _store(seen + at.name)
        begun = st.session_state.get(_BEGUN, False) or (at is not None and at is not found[0])
        st.session_state[_BEGUN] = begun
        if page == MAP or (begun and page in {step.page for step in found}):
            _draw(found, at, seen)
    with st.sidebar:  # where a row of no height moves nothing
        visitors.keep(_COOKIE, _seen())


def restart() -> None:
    """Forget which steps were seen, and show the strip again; call `strip` on the next page."""
    st.session_state[_BEGUN] = False
    _store("")


def _draw(found: list[Step], at: Step | None, seen: str) -> None:
    with st.container(key="ep_tour", horizontal=True, gap="small", vertical_alignment="center"):
        st.html('<b class="ep-tour">See it work</b>', width="content")
        for number, step in enumerate(found, 1):
            mark = ":material/check:" if step.name in seen and step is not at else None
            title = f"{number} {step.title}"
            st.page_link(
                f"pages/{step.page}/page.py",
                label=f"**{title}**" if step is at else title,
                icon=mark,
                help=step.advice,
                query_params=step.query,
            )
        is_done = all(step.name in seen for step in found)
        st.button(
            "Done" if is_done else "Skip",
            key="tour_close",
            type="tertiary",
            help="The Glossary brings the steps back.",
            on_click=_close,
        )


def _close() -> None:
    _store(CLOSED)


def _seen() -> str:
    """Return the letters of the steps that were seen, or CLOSED.

    A browser that comes back after all steps were seen is spared the strip.
    """
    if _STATE not in st.session_state:
        stored = str(st.context.cookies.get(_COOKIE, ""))
        letters = "".join(step.name for step in steps())
        is_done = bool(letters) and set(letters) <= set(stored)
        valid = stored == CLOSED or set(stored) <= set(letters)
        st.session_state[_STATE] = CLOSED if is_done else stored if valid else ""
    return str(st.session_state[_STATE])


def _store(value: str) -> str:
    st.session_state[_STATE] = value
    return value
