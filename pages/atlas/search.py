"""The Atlas' search in the open dictionary: by the words of a text, or by its meaning.

A search by meaning ranks regions by the model's activations at the tokens of the text
(`ep.views.meaning`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
import streamlit as st

from ep.errors import EPError
from ep.storage.labels import Labels
from ep.text import label
from ep.views.matches import Match, explained, matches
from ep.views.meaning import Ranked, near, rank
from ep.views.search import NOTHING, Hits
from pages.atlas import memory
from pages.atlas.settings import MEANING, Settings
from pages.shared import loading, messages, reading, state

LONG_WORDS, LONG_CHARACTERS = 6, 60
"""A query with more than either of these counts as a text."""
LONGEST_SHOWN = 40
MATCHES = 3
"""Hits that are explained above the table, where what matched is marked."""
EXPLAINED = 100
"""Hits that are explained in the table."""
LONGEST = 512
"""Tokens of a text that are used to rank regions; a text that is cut is reported."""
CANNOT = "This text cannot be read here, so only its words can be looked for."
FOREIGN = "The model here has another tokenizer than the one the dictionary was built with."


def is_by_meaning() -> bool:
    """Return whether the settings select a search by meaning."""
    return state.settings(Settings).by == MEANING


def is_long(query: str) -> bool:
    """Return whether a query is a text rather than a few words, so that a search by meaning is
    offered.
    """
    return len(query.split()) > LONG_WORDS or len(query.strip()) > LONG_CHARACTERS


def results(key: str, query: str) -> tuple[Hits | None, str]:
    """Return the regions that match a query, and a sentence about them: plain text, to be escaped.

    key: of the dictionary on the shelf. For an empty query the result is (None, ""). Where the
    model has to read a text first and the visitor has not confirmed that, the regions are None and
    the sentence states how long it takes. A missing model raises nothing: there are no matches,
    and the sentence states the reason.
    """
    if not query.strip():
        return None, ""
    if is_by_meaning():
        return _by_meaning(key, query)
    hits = loading.search_index(key).find(query, label_texts(key))
    if len(hits):
        return hits, hits.summary()
    text = query.strip()
    if len(text) > LONGEST_SHOWN:
        text = f"{text[: LONGEST_SHOWN - 1]}…"
    return (
        hits,
        f"No region has “{text}” in its id, labels, lens tokens, members' tokens or excerpts.",
    )


def first_matches(key: str, query: str, hits: Hits) -> list[Match]:
    """Return why the first hits of `results` match: the field and words around, or near tokens."""
    if not is_by_meaning():
        fingerprint, revision = loading.fingerprint(key), loading.labels(key).revision
        return _matches(fingerprint, revision, query, key, hits)
    dictionary, texts = loading.dictionary(key), label_texts(key)
    readings = reading.available(key, dictionary, _request(query))
    near_tokens = _search(key, query, readings[0]).near if readings else ()
    return explained(dictionary, hits, near_tokens, texts)


@st.cache_resource(show_spinner=False, max_entries=64)
def _matches(fingerprint: str, revision: int, query: str, _key: str, _hits: Hits) -> list[Match]:
    """The first matches of a search for words; the other arguments are the cache's key."""
    texts = label_texts(_key)
    return matches(loading.dictionary(_key), _hits, query, texts, n=EXPLAINED)


def label_texts(key: str) -> Mapping[int, str]:
    """Return the best label of every region that has one.

    The result is the same object until a label changes, so that the search index can cache it.
    """
    labels = loading.labels(key)
    return _texts(loading.fingerprint(key), labels.revision, labels)


@st.cache_resource(show_spinner=False, max_entries=24)
def _texts(fingerprint: str, revision: int, _labels: Labels) -> Mapping[int, str]:
    return _labels.texts()


# -- by meaning ------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Search:
    """The regions near a reading; the tokens near the first of them; whether the text was cut."""

    ranked: Ranked
    near: tuple[tuple[str, ...], ...]
    was_cut: bool


def _by_meaning(key: str, query: str) -> tuple[Hits | None, str]:
    """Search by meaning; see `results`."""
    dictionary, request = loading.dictionary(key), _request(query)
    try:
        readings = reading.available(key, dictionary, request)
        if readings is None:
            time = reading.estimate(dictionary, request)
            return None, f"The model reads this text to rank regions by it. {time}"
        if readings[0].foreign_tokenizer:
            return NOTHING, f"{CANNOT} {FOREIGN}"
        search = _search(key, query, readings[0])
    except EPError as error:
        return NOTHING, f"{CANNOT} {messages.sentence(error)}"
    ranked = search.ranked
    if not len(ranked):
        return (
            NOTHING,
            f"None of the {ranked.of:,} tokens lies within θ of any region: this text is "
            "unfamiliar here.",
        )
    about = (
        f"{len(ranked):,} regions by meaning: within θ of its {ranked.of:,} tokens, those nearest "
        "first; large regions and those of grammar, punctuation and first tokens count less"
    )
    cut = f"; only the first {LONGEST:,} tokens were read." if search.was_cut else ""
    return ranked.found(), about + cut


def _request(query: str) -> reading.Request:
    return reading.Request(query.strip())


def _search(key: str, query: str, result: reading.Result) -> _Search:
    return _ranked(loading.fingerprint(key), _request(query).text, key, result)


@st.cache_resource(show_spinner=False, max_entries=64)
def _ranked(fingerprint: str, text: str, _key: str, _result: reading.Result) -> _Search:
    """Rank regions by the tokens of a reading.

    The file's fingerprint and the text are the cache's key.
    """
    reading_, dictionary = _result.reading, loading.dictionary(_key)
    content = ~np.asarray(reading_.template, bool) & ~np.asarray(reading_.outside, bool)
    x, content = reading_.x[:LONGEST], content[:LONGEST]
    ranked = rank(dictionary, x, content)
    rows = near(dictionary, x, ranked.regions[:EXPLAINED], content)
    tokens = tuple(
        tuple(dict.fromkeys(label(reading_.tokens[row]) for row in part.tolist())) for part in rows
    )
    return _Search(ranked, tokens, reading_.truncated or len(reading_) > LONGEST)


# -- switching between both searches ---------------------------------------------------------------


def switch(key: str, query: str, hits: Hits | None) -> None:
    """Draw a button for the other kind of search.

    A search by meaning is offered for a long query and for one without matches.
    """
    if not is_by_meaning():
        if query.strip() and (is_long(query) or not hits):
            _offer_meaning(key, query)
        return
    with st.container(horizontal=True, gap="small"):
        if hits is None:
            _offer_meaning(key, query)
        _button("Look for its words instead", "atlas_words", ":material/search:", _search_by_words)


def _offer_meaning(key: str, query: str) -> None:
    _button(
        "Rank regions by what this text means",
        "atlas_meaning",
        ":material/network_intelligence:",
        partial(_search_by_meaning, key, query),
    )


def _button(title: str, key: str, icon: str, action: Callable[[], None]) -> None:
    st.button(title, key=key, type="tertiary", icon=icon, on_click=action)


def _search_by_meaning(key: str, query: str) -> None:
    state.update_settings(Settings, by=MEANING)
    reading.confirm(key, _request(query))
    memory.restart_table()


def _search_by_words() -> None:
    state.update_settings(Settings, by=None)
    memory.restart_table()
