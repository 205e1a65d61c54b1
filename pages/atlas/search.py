"""What the Atlas' search box finds in the open dictionary: by the words of a text, or by what it
means to the model.

Knows the shelf, the labels and the readings of texts; draws the way from one search to the other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
import streamlit as st

from ep.errors import EPError
from ep.storage.labels import Labels
from ep.views.meaning import Ranked, rank
from ep.views.search import NOTHING, Hits
from pages.atlas import memory
from pages.atlas.settings import MEANING, Settings
from pages.shared import loading, messages, reading, state

LONG_WORDS, LONG_CHARACTERS = 6, 60
LONGEST_SHOWN = 40
LONGEST = 512
"""Tokens of a text that regions are ranked by at most; a text that is cut is reported."""
CANNOT = "This text cannot be read here, so only its words can be looked for."
FOREIGN = "The model here has another tokenizer than the one the dictionary was built with."


def is_by_meaning() -> bool:
    """Whether the visitor, or the link, asked for a search by meaning."""
    return state.settings(Settings).by == MEANING


def is_long(query: str) -> bool:
    """Whether a query is a text rather than words to look for: then ranking by meaning is worth
    offering.
    """
    return len(query.split()) > LONG_WORDS or len(query.strip()) > LONG_CHARACTERS


def results(key: str, query: str) -> tuple[Hits | None, str]:
    """The regions a query finds, and a sentence about them; none and nothing for an empty query.

    key: of a dictionary on the shelf. Where a text has to be read by the model first and nobody
    asked for that, there is no answer, and the sentence says how long it takes. Nothing is raised
    for a model that is not here: the sentence says so and no region is found. The sentence is plain
    text: escape it.
    """
    if not query.strip():
        return None, ""
    if is_by_meaning():
        return _by_meaning(key, query)
    hits = loading.search_index(key).find(query, _label_texts(key))
    if len(hits):
        return hits, hits.summary()
    shown = query.strip()
    if len(shown) > LONGEST_SHOWN:
        shown = f"{shown[: LONGEST_SHOWN - 1]}…"
    return (
        hits,
        f"No region has “{shown}” in its id, labels, lens tokens, members' tokens or excerpts.",
    )


def _label_texts(key: str) -> Mapping[int, str]:
    """The best label of every region that has one: the same object as long as nobody changes
    them.
    """
    labels = loading.labels(key)
    return _texts(loading.fingerprint(key), labels.revision, labels)


@st.cache_resource(show_spinner=False, max_entries=24)
def _texts(fingerprint: str, revision: int, _labels: Labels) -> Mapping[int, str]:
    return _labels.texts()


# -- by meaning ------------------------------------------------------------------------------------


def _by_meaning(key: str, query: str) -> tuple[Hits | None, str]:
    dictionary, request = loading.dictionary(key), _request(query)
    try:
        readings = reading.at_hand(key, dictionary, request)
        if readings is None:
            takes = reading.estimate(dictionary, request)
            return None, f"The model reads this text to rank regions by it. {takes}"
        if readings[0].foreign_tokenizer:
            return NOTHING, f"{CANNOT} {FOREIGN}"
        ranked, was_cut = _ranked(loading.fingerprint(key), request.text, key, readings[0])
    except EPError as error:
        return NOTHING, f"{CANNOT} {messages.sentence(error)}"
    if not len(ranked):
        return (
            NOTHING,
            f"None of the {ranked.of:,} tokens lies within θ of any region: this text is "
            "unfamiliar here.",
        )
    about = (
        f"{len(ranked):,} regions by meaning: within θ of its {ranked.of:,} tokens, nearest first"
    )
    cut = f"; only the first {LONGEST:,} tokens were read." if was_cut else ""
    return ranked.found(), about + cut


def _request(query: str) -> reading.Request:
    return reading.Request(query.strip())


@st.cache_resource(show_spinner=False, max_entries=64)
def _ranked(fingerprint: str, text: str, _key: str, _result: reading.Result) -> tuple[Ranked, bool]:
    read = _result.reading
    content = ~np.asarray(read.template, bool) & ~np.asarray(read.outside, bool)
    ranked = rank(loading.dictionary(_key), read.x[:LONGEST], content[:LONGEST])
    return ranked, read.truncated or len(read) > LONGEST


# -- from one to the other -------------------------------------------------------------------------


def other_way(key: str, query: str, found: Hits | None) -> None:
    """A quiet button to search the other way: by meaning for a long text or one nobody has, by
    words afterwards.
    """
    if not is_by_meaning():
        if query.strip() and (is_long(query) or not found):
            _offer_meaning(key, query)
        return
    with st.container(horizontal=True, gap="small"):
        if found is None:
            _offer_meaning(key, query)
        _button("Look for its words instead", "atlas_words", ":material/search:", _look_for_words)


def _offer_meaning(key: str, query: str) -> None:
    _button(
        "Rank regions by what this text means",
        "atlas_meaning",
        ":material/network_intelligence:",
        partial(_rank_by_meaning, key, query),
    )


def _button(title: str, key: str, icon: str, action: Callable[[], None]) -> None:
    st.button(title, key=key, type="tertiary", icon=icon, on_click=action)


def _rank_by_meaning(key: str, query: str) -> None:
    state.keep(Settings, by=MEANING)
    reading.ask(key, _request(query))
    memory.restart_table()


def _look_for_words() -> None:
    state.keep(Settings, by=None)
    memory.restart_table()
