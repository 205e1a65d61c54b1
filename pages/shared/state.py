"""The state of a session: the selection that all pages share (dictionary, region, second region,
prompt) and the settings of each page, both mirrored in the URL.

At the start of every run the URL takes precedence over the session, so a link restores its view.
Navigation clears the URL; the session is then used, and written back to the URL. Streamlit discards
the values of widgets when the visitor changes the page, so the session holds them under keys of its
own. The *settings* of a page are a frozen dataclass (`pages.shared.links`). A link contains the
selection and the settings of the page it leads to, and those of no other page.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple, NoReturn, TypeVar

import streamlit as st

from ep.errors import EPError, RequestError
from ep.method.carrying import carried_rows
from ep.method.dictionary import Dictionary
from ep.storage.hub import resolve_key
from ep.views.tables import opening_region
from pages.shared import links, loading

PARAMETERS = {"dictionary": "d", "region": "r", "second": "b", "prompt": "q"}
"""The name of each part of the selection in the URL."""
S = TypeVar("S")
_SELECTION, _SETTINGS = "state_selection", "state_settings"
_QUERY, _PAGE_SETTINGS = "state_arrived", "state_shown"
_NOTES, _DRAWN_NOTES, _SCHEDULED = "state_notes", "state_notes_taken", "state_turn"


@dataclass(frozen=True)
class Selection:
    """The selection of a session.

    dictionary: its key on the shelf, or None when nothing could be opened. region: the id of the
    selected region; None only without a dictionary. second: the id of the second region, B on the
    Between page, or None. prompt: the text on the Prompt page, or None.
    """

    dictionary: str | None = None
    region: int | None = None
    second: int | None = None
    prompt: str | None = None


class Opened(NamedTuple):
    """The open dictionary, its key on the shelf, and the rest of the selection."""

    key: str
    dictionary: Dictionary
    region: int
    second: int | None
    prompt: str | None


class NothingOpen(RequestError):
    """Raised when a page needs a dictionary and none is open; `pages.shared.frame` handles it."""


def current() -> Selection:
    """Return the selection of this session."""
    return st.session_state.get(_SELECTION, Selection())


def opened() -> Opened:
    """Return the open dictionary and the selection. Raises NothingOpen when there is none."""
    result = opened_or_none()
    if result is None:
        raise NothingOpen("no dictionary is open: choose one in the Library")
    return result


def opened_or_none() -> Opened | None:
    """Return the open dictionary and the selection, or None when no dictionary is open."""
    selection = current()
    if selection.dictionary is None or selection.region is None:
        return None
    dictionary = loading.dictionary(selection.dictionary)
    return Opened(
        selection.dictionary, dictionary, selection.region, selection.second, selection.prompt
    )


def update_selection(**parts: Any) -> Selection:
    """Replace parts of the selection in the session and in the URL, and return the selection.

    May be called from callbacks, pages and fragments.
    """
    new = replace(current(), **parts)
    st.session_state[_SELECTION] = new
    write_url()
    return new


# -- settings of a page ----------------------------------------------------------------------------


def settings(kind: type[S]) -> S:
    """Return the settings of this class, and include them in this page's link from now on.

    Parameters in the URL take precedence over the session. kind: a frozen dataclass whose fields
    are made by `pages.shared.links`.
    """
    stored: dict[str, Any] = st.session_state.setdefault(_SETTINGS, {})
    name, on_page = _name(kind), st.session_state.setdefault(_PAGE_SETTINGS, {})
    if name not in on_page:
        on_page[name] = kind
        query = st.session_state.get(_QUERY, {})
        stored[name] = links.codec(kind).parse(query, stored.get(name))
    return stored[name]  # type: ignore[no-any-return]


def update_settings(kind: type[S], /, **parts: Any) -> S:
    """Replace parts of a page's settings in the session and in the URL, and return the settings."""
    return put_settings(replace(settings(kind), **parts))  # type: ignore[type-var]


def put_settings(value: S) -> S:
    """Store a page's settings in the session and in the URL, and return them."""
    settings(type(value))
    st.session_state[_SETTINGS][_name(type(value))] = value
    write_url()
    return value


def _name(kind: type[Any]) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


# -- regions, dictionaries, pages ------------------------------------------------------------------


def select_region(region: int) -> None:
    """Select a region of the open dictionary; an id that does not exist leaves a note instead."""
    open_ = opened_or_none()
    if open_ is None:
        return
    try:
        update_selection(region=open_.dictionary.check(int(region)))
    except EPError as error:
        note(str(error))


def open_dictionary(key: str, region: int | None = None) -> None:
    """Open the dictionary with this key; a damaged file leaves a note and changes nothing.

    region: the region to select. The default is the region nearest to the one selected before, if
    both dictionaries are of the same family and layer and therefore share space and centre, and
    otherwise the dictionary's opening region.
    """
    update_selection(**_selection_of(key, region))


def _selection_of(key: str, region: int | None = None) -> dict[str, Any]:
    """Return the parts of the selection that open a dictionary.

    They are empty, and a note is left, where the file is damaged.
    """
    try:
        new = loading.dictionary(key)
        previous = opened_or_none()
        if region is None and previous is not None:
            region = _nearest_region(previous, new)
        region = opening_region(new) if region is None else new.check(region)
    except EPError as error:
        note(str(error))
        return {}
    return {"dictionary": key, "region": region, "second": None}


def goto(page: str, **parts: Any) -> NoReturn:
    """Switch to a page, with parts of the selection changed. Not for callbacks."""
    new = replace(current(), **parts)
    st.session_state[_SELECTION] = new
    st.switch_page(f"pages/{page}/page.py", query_params=_selection_query(new))


def forward(page: str) -> NoReturn:
    """Switch to a page with all parameters of the current URL. Not for callbacks."""
    query = st.session_state.get(_QUERY, {}) | _selection_query(current())
    st.switch_page(f"pages/{page}/page.py", query_params=query)


def schedule(page: str = "", **parts: Any) -> None:
    """Make the next run switch to a page with parts of the selection changed, or rerun in full.

    For callbacks, in which Streamlit can neither switch pages nor rerun. Without a page, the whole
    page reruns even if the callback belongs to a fragment, which would otherwise rerun alone.
    """
    st.session_state[_SCHEDULED] = (page, parts)


def run_scheduled(in_fragment: bool) -> None:
    """Do what `schedule` requested; called at the start of a page or fragment."""
    scheduled: tuple[str, dict[str, Any]] | None = st.session_state.pop(_SCHEDULED, None)
    if scheduled is None:
        return
    page, parts = scheduled
    if page:
        goto(page, **parts)
    if in_fragment:
        rerun()


def note(text: str) -> None:
    """Leave a sentence for the head of the next page that is drawn."""
    st.session_state.setdefault(_NOTES, []).append(text)


def take_notes() -> list[str]:
    """Return the sentences left since the last call, and clear them."""
    st.session_state[_DRAWN_NOTES] = st.session_state.pop(_NOTES, [])
    return st.session_state[_DRAWN_NOTES]


def rerun() -> NoReturn:
    """Rerun the page and show the notes of its head again, since this run's head is discarded."""
    notes = st.session_state.pop(_DRAWN_NOTES, [])
    st.session_state[_NOTES] = notes + st.session_state.get(_NOTES, [])
    st.rerun()


# -- URL and session -------------------------------------------------------------------------------


def synchronise() -> None:
    """Read the URL into the session at the start of a run; an invalid part of it becomes a note,
    never an error.
    """
    query = st.query_params.to_dict()
    linked = {name: query.pop(short, None) for name, short in PARAMETERS.items()}
    st.session_state[_QUERY], st.session_state[_PAGE_SETTINGS] = query, {}
    if linked["dictionary"] and loading.find_linked(linked["dictionary"]) is None:
        note(_unknown(linked["dictionary"]))
        linked |= {"dictionary": None, "region": None, "second": None}
    key = linked["dictionary"] or current().dictionary
    if loading.find(key) is None:
        key = entry.key if (entry := loading.default_entry()) else None
    if key != current().dictionary:
        _select(dictionary=None, region=None, second=None)
        _select(**({} if key is None else _selection_of(key)))
    if (open_ := opened_or_none()) is not None:
        for name in ("region", "second"):
            _select(**{name: _region(open_.dictionary, linked[name], getattr(open_, name))})
    _select(prompt=linked["prompt"] or current().prompt)


def _select(**parts: Any) -> None:
    """Replace parts of the selection without writing the URL.

    The page has not read its settings from the URL yet, so writing it would remove them.
    """
    st.session_state[_SELECTION] = replace(current(), **parts)


def write_url() -> None:
    """Write the selection and the settings of this page to the URL."""
    stored, query = st.session_state.get(_SETTINGS, {}), _selection_query(current())
    for name, kind in st.session_state.get(_PAGE_SETTINGS, {}).items():
        query |= links.codec(kind).query(stored[name])
    if st.query_params.to_dict() != query:
        st.query_params.from_dict(query)


def _selection_query(selection: Selection) -> dict[str, str]:
    """Return the selection as URL parameters, without a prompt that is too long."""
    parts = {name: getattr(selection, name) for name in PARAMETERS}
    if parts["prompt"] and len(parts["prompt"]) > links.LONGEST:
        parts["prompt"] = None
    return {PARAMETERS[name]: str(value) for name, value in parts.items() if value is not None}


def _unknown(key: str) -> str:
    """Return why the dictionary of a link cannot be opened, and what is shown instead."""
    instead = "Another one is shown: choose in the side bar."
    broken = next((entry for entry in loading.shelf().broken if entry.key == key), None)
    if broken is not None:
        return f"That file cannot be read ({broken.error}). {instead}"
    if (published := resolve_key(key)) is not None:
        name = f"{published.short}, layer {published.layer}, p = {published.percentile}"
        return (
            f"{name} is a published dictionary that is not here yet: get it in the Library. "
            "Another one is shown."
        )
    return f"No dictionary called {key[:80]!r} is on the shelf. {instead}"


def _region(dictionary: Dictionary, linked: str | None, default: int | None) -> int | None:
    """Return the region in a URL; without one the default, and with an invalid one the default and
    a note.
    """
    if not linked:
        return default
    if (region := links.parse_integer(linked, len(dictionary))) is not None:
        return region
    valid = f"this dictionary has regions 0 to {len(dictionary) - 1:,}"
    instead = "" if default is None else f" Region {default} is shown instead."
    note(f"Region {linked[:20]!r} does not exist: {valid}.{instead}")
    return default


def _nearest_region(previous: Opened, new: Dictionary) -> int | None:
    """Return the region of the new dictionary nearest to the exemplar selected before, and leave a
    note; None when the dictionaries differ in family, layer or width.
    """
    old = previous.dictionary
    same = [old.info.get(name) == new.info.get(name) for name in ("family", "layer")]
    if not all(same) or old.info.get("family") is None or old.width != new.width:
        return None
    exemplar = carried_rows(old, new, [previous.region])
    found, nearest = new.law.nearest(exemplar, new.basis_rows("exemplar"))
    region, distance = int(nearest[0]), float(found[0])
    relation = "the same exemplar" if distance < 5e-4 else f"{new.distance_name} {distance:.2f}"
    note(
        f"Region {previous.region} at p = {old.percentile} became region {region} here, "
        f"the nearest ({relation})."
    )
    return region
