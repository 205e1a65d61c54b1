"""What a search box says of the open dictionary: by the words in it, or by what a pasted text means
to the model.

Knows the shelf, the labels and the model; draws nothing but the spinner of a model that is being
loaded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import streamlit as st

from ep.errors import EPError
from ep.models import LanguageModel, check_fits, read
from ep.storage.labels import Labels
from ep.views.meaning import Ranked, rank
from ep.views.search import NOTHING, Found
from pages.shared import loading, messages, state

LONG_WORDS, LONG_CHARACTERS = 6, 60
LONGEST = 512
"""Tokens of a pasted text that are read at most; what is cut is said."""


BY, MEANING = "by", "meaning"


def is_by_meaning() -> bool:
    """Whether the visitor, or the link, asked for a search by meaning."""
    return state.setting(BY, "", (MEANING,)) == MEANING


def offer(
    found: Found | None, query: str, key: str, on_change: Callable[[], None] | None = None
) -> None:
    """A quiet button to search the other way: by meaning for a long text or one nobody has, by
    words afterwards.

    By meaning loads the language model, so it is done when it is asked for. on_change: called after
    a click.
    """
    by_meaning = is_by_meaning()
    if by_meaning or (query.strip() and (is_long(query) or not found)):
        text = (
            "Look for its words instead" if by_meaning else "Rank regions by what this text means"
        )
        icon = ":material/search:" if by_meaning else ":material/network_intelligence:"
        st.button(
            text,
            key=key,
            type="tertiary",
            icon=icon,
            on_click=_turn,
            args=(not by_meaning, on_change),
        )


def _turn(by_meaning: bool, on_change: Callable[[], None] | None) -> None:
    state.keep(**{BY: MEANING if by_meaning else None})
    if on_change is not None:
        on_change()


def is_long(query: str) -> bool:
    """Whether a query is a text rather than words to look for: then ranking by meaning is worth
    offering.
    """
    return len(query.split()) > LONG_WORDS or len(query.strip()) > LONG_CHARACTERS


def results(key: str, query: str, by_meaning: bool = False) -> tuple[Found | None, str]:
    """The regions a query finds and a sentence about them; None and nothing for an empty query.

    key: of a dictionary on the shelf. by_meaning: read the query with the dictionary's model and
    rank regions by it. Nothing is raised for a model that is not here: the sentence says so and no
    region is found. Plain text: escape it.
    """
    if not query.strip():
        return None, ""
    if by_meaning:
        return _by_meaning(key, query)
    found = loading.search_index(key).find(query, label_texts(key))
    if len(found):
        return found, found.summary()
    shown = query.strip()
    shown = shown if len(shown) <= 40 else f"{shown[:39]}…"
    return (
        found,
        f"No region has “{shown}” in its id, labels, lens tokens, members' tokens or excerpts.",
    )


def label_texts(key: str) -> Mapping[int, str]:
    """The best label of every region that has one: the same object as long as nobody changes
    them.
    """
    labels = loading.labels(key)
    return _texts(loading.fingerprint(key), labels.revision, labels)


@st.cache_resource(show_spinner=False, max_entries=24)
def _texts(fingerprint: str, revision: int, _labels: Labels) -> Mapping[int, str]:
    return _labels.texts()


def _by_meaning(key: str, query: str) -> tuple[Found, str]:
    dictionary = loading.dictionary(key)
    try:
        known = loading.model_state(dictionary.info)
        model = loading.language_model(dictionary.info)
        if loading.model_state(dictionary.info) != known:
            state.rerun()  # the side bar was drawn before the model was there
        check_fits(model, dictionary.info, dictionary.width)
        ranked, cut = _ranked(loading.fingerprint(key), query, key, model)
    except EPError as error:
        return (
            NOTHING,
            "This text cannot be read here, so only its words can be looked for. "
            f"{messages.sentence(error)}",
        )
    if not len(ranked):
        return (
            NOTHING,
            f"None of the {ranked.of:,} tokens lies within θ of any region: this text is "
            "unfamiliar here.",
        )
    said = (
        f"{len(ranked):,} regions by meaning: within θ of its {ranked.of:,} tokens, nearest first"
    )
    return ranked.found(), said + (f"; only the first {LONGEST:,} tokens were read." if cut else "")


@st.cache_resource(show_spinner=False, max_entries=64)
def _ranked(fingerprint: str, query: str, _key: str, _model: LanguageModel) -> tuple[Ranked, bool]:
    dictionary = loading.dictionary(_key)
    prompt = _model.encode_prompt(query)
    ids = prompt.ids[:LONGEST]
    layer = int(dictionary.info["layer"])
    content = ~np.asarray(prompt.is_template[:LONGEST], bool) & ~np.asarray(
        _model.tokens.bos_only(ids), bool
    )
    return rank(dictionary, read(_model, ids, [layer])[layer], content), len(ids) < len(prompt.ids)
