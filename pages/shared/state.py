"""One selection (dictionary, region, second region, colouring, prompt) through all pages, mirrored
in the URL.

The URL wins at the start of every run, so a link restores the view; navigation drops it, and then
the session wins and writes it back. Widgets lose their state between pages: the canonical values
live in the session under keys of our own. What one page alone needs to be seen again (a layout, a
basis, a second text) are its *settings*: short names of its own in the same URL. Knows nothing of
what is drawn.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NoReturn

import numpy as np
import streamlit as st

from ep.errors import EPError
from ep.method.dictionary import Dictionary
from ep.storage.hub import meant
from ep.views import colorings
from ep.views.tables import opening_region
from pages.shared import loading

PARAMETERS = {"dictionary": "d", "region": "r", "second": "b", "color": "c", "prompt": "q"}
"""Each part of the selection and its name in the URL."""
COLORINGS = colorings.NAMES
LONGEST_PROMPT = 1500
"""A longer prompt stays in the session and out of the URL, which servers cut."""
MOST_SETTINGS = 24
_KEY = "ep_selection"
_NOTES = "ep_notes"
_TAKEN = "ep_notes_taken"


@dataclass(frozen=True)
class Selection:
    """What is being looked at.

    dictionary: key on the shelf, None when nothing could be opened.
    region: id of the selected region, None only with no dictionary or an empty one.
    second: id of the region held as B, or None.
    color: what colours the map, one of `COLORINGS`.
    prompt: the text on the Prompt page, or None.
    settings: what single pages keep in the URL, by short name; see `setting`.
    """

    dictionary: str | None = None
    region: int | None = None
    second: int | None = None
    color: str = COLORINGS[0]
    prompt: str | None = None
    settings: Mapping[str, str] = field(default_factory=dict)


def current() -> Selection:
    """The selection of this session."""
    return st.session_state.get(_KEY, Selection())


def opened() -> tuple[Selection, Dictionary] | None:
    """The selection and its dictionary, or None when nothing is open."""
    selection = current()
    return (
        None
        if selection.dictionary is None
        else (selection, loading.dictionary(selection.dictionary))
    )


def change(**parts: Any) -> Selection:
    """Replaces parts of the selection, in the session and in the URL; call it from callbacks, pages
    and fragments.
    """
    new = replace(current(), **parts)
    st.session_state[_KEY] = new
    _mirror(new)
    return new


def setting(name: str, default: str = "", options: Sequence[str] = ()) -> str:
    """What a page keeps in the URL under `name`, two to twelve letters of its own; `default` when
    it says nothing.

    options: the values that make sense; anything else in a link counts as `default`. Without
    options any text is taken: check it as you would what a stranger typed.
    """
    value = current().settings.get(name, default)
    return value if not options or value in options else default


def keep(**settings: str | None) -> None:
    """Keeps settings of a page in the session and the URL; None or "" forgets one. Long values stay
    out.
    """
    new = {**current().settings, **settings}
    change(settings={name: value for name, value in new.items() if value})


def select_region(region: int) -> None:
    """Selects a region of the open dictionary everywhere; an id it does not have leaves a note and
    changes nothing.
    """
    found = opened()
    if found is None:
        return
    try:
        change(region=found[1].check(int(region)))
    except EPError as error:
        note(str(error))


def open_dictionary(key: str, region: int | None = None) -> None:
    """Opens the dictionary with this key. A damaged file leaves a note, and what was open stays
    open.

    region: the region to select; by default the one nearest to the region selected so far when both
    dictionaries are of one family and layer (one space, one centre), else the dictionary's opening
    region.
    """
    try:
        new = loading.dictionary(key)
        before = opened()
        if region is None and before is not None and before[0].region is not None:
            region = _carried(*before, new)
        region = opening_region(new) if region is None else new.check(region)
    except EPError as error:
        note(str(error))
        return
    change(dictionary=key, region=region, second=None)


def goto(page: str, **parts: Any) -> NoReturn:
    """Turns to pages/<page>/page.py with the selection (changed by `parts`) in its URL.

    Not for callbacks.
    """
    st.switch_page(f"pages/{page}/page.py", query_params=_query(change(**parts)))


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


def synchronise() -> None:
    """Brings URL and session together at the start of a run; what the URL has wrong becomes a note,
    never an error.
    """
    asked = {name: st.query_params.get(short) for name, short in PARAMETERS.items()}
    settings = {**current().settings, **_settings()}
    if asked["dictionary"] and loading.find(asked["dictionary"]) is None:
        note(_unknown(asked["dictionary"]))
        asked |= {"dictionary": None, "region": None, "second": None}
    key = asked["dictionary"] or current().dictionary
    if loading.find(key) is None:
        key = first.key if (first := loading.opening()) else None
    if key != current().dictionary:
        _open_at_start(key)
    if (found := opened()) is not None:
        regions = {
            name: _region(found[1], asked[name], getattr(found[0], name))
            for name in ("region", "second")
        }
        change(**regions)
    color = asked["color"] if asked["color"] in COLORINGS else current().color
    change(color=color, prompt=asked["prompt"] or current().prompt, settings=settings)


def _settings() -> dict[str, str]:
    """The settings a URL holds: every parameter of the right form that is no part of the
    selection.
    """
    given = st.query_params.to_dict()
    named = {name: value for name, value in given.items() if name not in PARAMETERS.values()}
    plain = [
        (n, v) for n, v in named.items() if n.isascii() and n.isalpha() and 2 <= len(n) <= 12 and v
    ]
    return dict(plain[:MOST_SETTINGS])


def _unknown(key: str) -> str:
    """Why a link's dictionary cannot be opened, and what is shown instead."""
    broken = next((entry for entry in loading.shelf().broken if entry.key == key), None)
    if broken is None and (published := meant(key)) is not None:
        named = f"{published.short}, layer {published.layer}, p = {published.percentile}"
        return (
            f"{named} is a published dictionary that is not here yet: get it in the Library. "
            "Another one is shown."
        )
    if broken is None:
        return (
            f"No dictionary called {key[:80]!r} is on the shelf. Another one is shown: choose "
            "in the side bar."
        )
    return (
        f"That file cannot be read ({broken.error}). Another one is shown: choose in the side bar."
    )


def _open_at_start(key: str | None) -> None:
    change(dictionary=None, region=None, second=None)
    if key is not None:
        open_dictionary(key)


def _region(dictionary: Dictionary, asked: str | None, otherwise: int | None) -> int | None:
    """The region a URL asks for, or the other one with a note."""
    if not asked:
        return otherwise
    if asked.isascii() and asked.isdigit() and len(asked) < 12 and int(asked) < len(dictionary):
        return int(asked)
    known = f"this dictionary has regions 0 to {len(dictionary) - 1:,}"
    instead = "" if otherwise is None else f" Region {otherwise} is shown instead."
    note(f"Region {asked[:20]!r} does not exist: {known}.{instead}")
    return otherwise


def _carried(before: Selection, old: Dictionary, new: Dictionary) -> int | None:
    """The new dictionary's region nearest to the old selected exemplar; None when the spaces
    differ.
    """
    same = [old.info.get(name) == new.info.get(name) for name in ("family", "layer")]
    if (
        before.region is None
        or not all(same)
        or old.info.get("family") is None
        or old.width != new.width
    ):
        return None
    exemplar = old.row("exemplars", before.region)
    cosine = new.exemplars @ exemplar
    region = int(np.argmax(cosine))
    distance = max(0.0, 1.0 - float(cosine[region]))
    at = "the same exemplar" if distance < 5e-4 else f"cosine distance {distance:.2f}"
    note(
        f"Region {before.region} at p = {old.info.get('percentile')} became region {region} here, "
        f"the nearest ({at})."
    )
    return region


def _query(selection: Selection) -> dict[str, str]:
    """The selection as URL parameters; what has its default, or is too long, is left out."""
    parts = {name: getattr(selection, name) for name in PARAMETERS}
    if parts["color"] == COLORINGS[0]:
        parts["color"] = None
    if parts["prompt"] and len(parts["prompt"]) > LONGEST_PROMPT:
        parts["prompt"] = None
    settings = {
        name: value for name, value in selection.settings.items() if len(value) <= LONGEST_PROMPT
    }
    return {
        PARAMETERS[name]: str(value) for name, value in parts.items() if value is not None
    } | settings


def _mirror(selection: Selection) -> None:
    query = _query(selection)
    if st.query_params.to_dict() != query:
        st.query_params.from_dict(query)
