"""One selection (dictionary, region, second region, prompt) through all pages, and each page's own
settings, mirrored in the URL.

The URL wins at the start of every run, so a link restores the view; navigation drops it, and then
the session wins and writes it back. Widgets lose their state between pages: the canonical values
live in the session under keys of our own. A page's *settings* are a frozen dataclass of its own
(`pages.shared.links`); a link carries the selection and the settings of the page it leads to, and
no other page's. Knows nothing of what is drawn.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple, NoReturn, TypeVar

import numpy as np
import streamlit as st

from ep.errors import EPError, RequestError
from ep.method.dictionary import Dictionary
from ep.storage.hub import resolve_key
from ep.views.tables import opening_region
from pages.shared import links, loading

PARAMETERS = {"dictionary": "d", "region": "r", "second": "b", "prompt": "q"}
"""Each part of the selection and its name in the URL."""
S = TypeVar("S")
_SELECTION, _SETTINGS = "state_selection", "state_settings"
_ARRIVED, _SHOWN = "state_arrived", "state_shown"
_NOTES, _TAKEN, _TURN = "state_notes", "state_notes_taken", "state_turn"


@dataclass(frozen=True)
class Selection:
    """What is being looked at.

    dictionary: key on the shelf, None when nothing could be opened. region: id of the selected
    region, None only with no dictionary. second: id of the region held as B, or None. prompt: the
    text on the Prompt page, or None.
    """

    dictionary: str | None = None
    region: int | None = None
    second: int | None = None
    prompt: str | None = None


class Opened(NamedTuple):
    """The open dictionary, its key on the shelf, and what is selected in it."""

    key: str
    dictionary: Dictionary
    region: int
    second: int | None
    prompt: str | None


class NothingOpen(RequestError):
    """A page needs a dictionary and none is open; `pages.shared.frame` draws the way to one."""


def current() -> Selection:
    """The selection of this session."""
    return st.session_state.get(_SELECTION, Selection())


def opened() -> Opened:
    """The open dictionary and what is selected in it. NothingOpen when there is none."""
    found = open_now()
    if found is None:
        raise NothingOpen("no dictionary is open: choose one in the Library")
    return found


def open_now() -> Opened | None:
    """The same, or None when nothing is open."""
    now = current()
    if now.dictionary is None or now.region is None:
        return None
    dictionary = loading.dictionary(now.dictionary)
    return Opened(now.dictionary, dictionary, now.region, now.second, now.prompt)


def change(**parts: Any) -> Selection:
    """Replaces parts of the selection, in the session and in the URL; call it from callbacks, pages
    and fragments.
    """
    new = replace(current(), **parts)
    st.session_state[_SELECTION] = new
    mirror()
    return new


# -- settings of a page ----------------------------------------------------------------------------


def settings(kind: type[S]) -> S:
    """The settings of this class as link and session say; from here on they are in this page's
    link.

    kind: a frozen dataclass made of the fields of `pages.shared.links`.
    """
    kept: dict[str, Any] = st.session_state.setdefault(_SETTINGS, {})
    name, shown = _name(kind), st.session_state.setdefault(_SHOWN, {})
    if name not in shown:
        shown[name] = kind
        arrived = st.session_state.get(_ARRIVED, {})
        kept[name] = links.codec(kind).parse(arrived, kept.get(name))
    return kept[name]  # type: ignore[no-any-return]


def keep(kind: type[S], /, **parts: Any) -> S:
    """Replaces parts of a page's settings, in the session and in the URL; returns them."""
    return put(replace(settings(kind), **parts))  # type: ignore[type-var]


def put(value: S) -> S:
    """Keeps a page's settings as they are given, in the session and in the URL."""
    settings(type(value))
    st.session_state[_SETTINGS][_name(type(value))] = value
    mirror()
    return value


def _name(kind: type[Any]) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


# -- regions, dictionaries, pages ------------------------------------------------------------------


def select_region(region: int) -> None:
    """Selects a region of the open dictionary everywhere; an id it does not have leaves a note and
    changes nothing.
    """
    found = open_now()
    if found is None:
        return
    try:
        change(region=found.dictionary.check(int(region)))
    except EPError as error:
        note(str(error))


def open_dictionary(key: str, region: int | None = None) -> None:
    """Opens the dictionary with this key. A damaged file leaves a note, and what was open stays
    open.

    region: the region to select; by default the one nearest to the region selected so far when both
    dictionaries are of one family and layer (one space, one centre), else the dictionary's opening
    region.
    """
    change(**_opening(key, region))


def _opening(key: str, region: int | None = None) -> dict[str, Any]:
    """The parts of the selection that open a dictionary; none, and a note, where it is damaged."""
    try:
        new = loading.dictionary(key)
        before = open_now()
        if region is None and before is not None:
            region = _carried(before, new)
        region = opening_region(new) if region is None else new.check(region)
    except EPError as error:
        note(str(error))
        return {}
    return {"dictionary": key, "region": region, "second": None}


def goto(page: str, **parts: Any) -> NoReturn:
    """Turns to a page with the selection (changed by `parts`) in its URL. Not for callbacks."""
    new = replace(current(), **parts)
    st.session_state[_SELECTION] = new
    st.switch_page(f"pages/{page}/page.py", query_params=_selected(new))


def forward(page: str) -> NoReturn:
    """Turns to a page with everything that is in the URL, its settings too. Not for callbacks."""
    query = st.session_state.get(_ARRIVED, {}) | _selected(current())
    st.switch_page(f"pages/{page}/page.py", query_params=query)


def turn(page: str = "", **parts: Any) -> None:
    """From a callback: the run that follows turns to this page, with parts of the selection
    changed; without a page it draws the whole page anew, where a fragment alone would run.
    """
    st.session_state[_TURN] = (page, parts)


def take_turn(in_fragment: bool) -> None:
    """Does what `turn` asked for, where a run or a fragment begins."""
    asked: tuple[str, dict[str, Any]] | None = st.session_state.pop(_TURN, None)
    if asked is None:
        return
    page, parts = asked
    if page:
        goto(page, **parts)
    if in_fragment:
        rerun()


def note(text: str) -> None:
    """Leaves one sentence for the head of the page that is drawn next."""
    st.session_state.setdefault(_NOTES, []).append(text)


def take_notes() -> list[str]:
    """The sentences left since the last call."""
    st.session_state[_TAKEN] = st.session_state.pop(_NOTES, [])
    return st.session_state[_TAKEN]


def rerun() -> NoReturn:
    """Starts the page again without losing what its head had just said."""
    st.session_state[_NOTES] = st.session_state.pop(_TAKEN, []) + st.session_state.get(_NOTES, [])
    st.rerun()


# -- URL and session -------------------------------------------------------------------------------


def synchronise() -> None:
    """Brings URL and session together at the start of a run; what the URL has wrong becomes a note,
    never an error.
    """
    query = st.query_params.to_dict()
    asked = {name: query.pop(short, None) for name, short in PARAMETERS.items()}
    st.session_state[_ARRIVED], st.session_state[_SHOWN] = query, {}
    if asked["dictionary"] and loading.find(asked["dictionary"]) is None:
        note(_unknown(asked["dictionary"]))
        asked |= {"dictionary": None, "region": None, "second": None}
    key = asked["dictionary"] or current().dictionary
    if loading.find(key) is None:
        key = first.key if (first := loading.opening()) else None
    if key != current().dictionary:
        _select(dictionary=None, region=None, second=None)
        _select(**({} if key is None else _opening(key)))
    if (found := open_now()) is not None:
        for name in ("region", "second"):
            _select(**{name: _region(found.dictionary, asked[name], getattr(found, name))})
    _select(prompt=asked["prompt"] or current().prompt)


def _select(**parts: Any) -> None:
    """Changes the selection while the page is not there yet whose settings the URL holds."""
    st.session_state[_SELECTION] = replace(current(), **parts)


def mirror() -> None:
    """Writes the selection and the settings of this page into the URL."""
    kept, query = st.session_state.get(_SETTINGS, {}), _selected(current())
    for name, kind in st.session_state.get(_SHOWN, {}).items():
        query |= links.codec(kind).query(kept[name])
    if st.query_params.to_dict() != query:
        st.query_params.from_dict(query)


def _selected(selection: Selection) -> dict[str, str]:
    """The selection as URL parameters; a prompt that is too long is left out."""
    parts = {name: getattr(selection, name) for name in PARAMETERS}
    if parts["prompt"] and len(parts["prompt"]) > links.LONGEST:
        parts["prompt"] = None
    return {PARAMETERS[name]: str(value) for name, value in parts.items() if value is not None}


def _unknown(key: str) -> str:
    """Why a link's dictionary cannot be opened, and what is shown instead."""
    instead = "Another one is shown: choose in the side bar."
    broken = next((entry for entry in loading.shelf().broken if entry.key == key), None)
    if broken is not None:
        return f"That file cannot be read ({broken.error}). {instead}"
    if (published := resolve_key(key)) is not None:
        named = f"{published.short}, layer {published.layer}, p = {published.percentile}"
        return (
            f"{named} is a published dictionary that is not here yet: get it in the Library. "
            "Another one is shown."
        )
    return f"No dictionary called {key[:80]!r} is on the shelf. {instead}"


def _region(dictionary: Dictionary, asked: str | None, otherwise: int | None) -> int | None:
    """The region a URL asks for, or the other one with a note."""
    if not asked:
        return otherwise
    if (region := links.whole_number(asked, len(dictionary))) is not None:
        return region
    known = f"this dictionary has regions 0 to {len(dictionary) - 1:,}"
    instead = "" if otherwise is None else f" Region {otherwise} is shown instead."
    note(f"Region {asked[:20]!r} does not exist: {known}.{instead}")
    return otherwise


def _carried(before: Opened, new: Dictionary) -> int | None:
    """The new dictionary's region nearest to the old selected exemplar; None when the spaces
    differ.
    """
    old = before.dictionary
    same = [old.info.get(name) == new.info.get(name) for name in ("family", "layer")]
    if not all(same) or old.info.get("family") is None or old.width != new.width:
        return None
    cosine = new.exemplars @ old.row("exemplars", before.region)
    region = int(np.argmax(cosine))
    distance = max(0.0, 1.0 - float(cosine[region]))
    at = "the same exemplar" if distance < 5e-4 else f"cosine distance {distance:.2f}"
    note(
        f"Region {before.region} at p = {old.percentile} became region {region} here, "
        f"the nearest ({at})."
    )
    return region
