"""Two anchors A and B on a page: who they are, how to exchange or replace them, and pairs to start
from.

A is the selected region, B the selection's second; without a second one a telling partner is found.
Knows the shelf; what lies between the anchors is not its business.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

import streamlit as st

from ep.method.dictionary import Basis, Dictionary
from ep.studies import between as study
from ep.views.palette import region_color
from pages.shared import frame, loading, messages, state, tokens
from pages.shared.chips import Chip, chips
from pages.shared.searchbox import searchbox

FOUND_SHOWN = 16
PAIRS = 5
LIGHT = 2e10
"""Multiply-adds that may be spent before a page is drawn: about two seconds."""


def partner(key: str, region: int, basis: Basis) -> int | None:
    """The region a page compares with A until a visitor chooses one; None when there is no
    other.
    """
    return _partner(loading.fingerprint(key), key, region, basis)


@st.cache_data(show_spinner=False, max_entries=4000)
def _partner(fingerprint: str, _key: str, region: int, basis: Basis) -> int | None:
    steps = loading.ladder(_key)
    coarser = list(islice(steps.values(), list(steps).index(_key)))
    return study.partner(loading.dictionary(_key), region, coarser, basis)


def name(key: str, dictionary: Dictionary, region: int, basis: Basis) -> str:
    """The first lens token of a region on a basis; else the token it is called by elsewhere; else
    its label.
    """
    lens = dictionary.lens(region, f"{basis}_up")
    if lens:
        return lens[0].token
    return loading.region_name(key, region)


def row(key: str, dictionary: Dictionary, a: int, b: int, basis: Basis, chosen: bool) -> None:
    """The line with both anchors. chosen: whether a visitor chose B."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        _anchor("A", key, dictionary, a, basis)
        st.button(
            "",
            icon=":material/swap_horiz:",
            key="anchors_swap",
            help="Exchange A and B",
            on_click=_set,
            args=(b, a),
        )
        _anchor("B", key, dictionary, b, basis)
        if not chosen:
            coarser = next(iter(loading.ladder(key))) != key
            found = (
                "stays apart from A at every percentile"
                if coarser
                else "has others between it and A"
            )
            messages.quiet(f"B was found: the nearest region of another word that {found}.")


def _set(a: int, b: int) -> None:
    state.change(region=a, second=b)


def _anchor(letter: str, key: str, dictionary: Dictionary, region: int, basis: Basis) -> None:
    color = region_color(dictionary, region)
    with st.container(horizontal=True, vertical_alignment="center", gap="xsmall", width="content"):
        chip = tokens.chip(name(key, dictionary, region, basis), color, 0.4)
        st.html(f'<div class="ep-row"><b>{letter}</b>{chip}</div>', width="content")
        with st.popover(
            f"{region}",
            key=f"anchors_{letter}",
            help=f"Choose another region as {letter}",
            width="content",
        ):
            _search(letter, key, dictionary, basis)


@frame.fragment
def _search(letter: str, key: str, dictionary: Dictionary, basis: Basis) -> None:
    with st.container(width=420):
        text = searchbox(
            f"anchors_find_{letter}",
            placeholder="A word, a phrase or an id",
            label=f"Find region {letter}",
        )
        if not text.strip():
            messages.quiet(
                "Finds regions by id, lens token, members' token, or the text of their excerpts."
            )
            return
        found = loading.search_index(key).find(text).regions[:FOUND_SHOWN].tolist()
        if not found:
            messages.quiet("No region holds that: try another word, or an id.")
            return
        items = [
            Chip(
                k, name(key, dictionary, k, basis), region_color(dictionary, k), 0.24, before=str(k)
            )
            for k in found
        ]
        chips(items, f"anchors_found_{letter}", lambda k: _picked(letter, k))


def _picked(letter: str, region: int) -> None:
    state.change(**{"region" if letter == "A" else "second": region})
    state.turn()


def examples(key: str, dictionary: Dictionary, basis: Basis) -> None:
    """Pairs worth a look, as chips: neighbours in the coarsest dictionary whose decodes are the
    cleanest (11.3).
    """
    pairs = _examples(loading.fingerprint(key), key, basis)
    if not pairs:
        return
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.html('<span class="ep-k">Pairs to try</span>', width="content")
        items = [
            Chip(
                i,
                f"{_short(key, dictionary, a, basis)}–{_short(key, dictionary, b, basis)}",
                region_color(dictionary, a),
                0.14,
            )
            for i, (a, b) in enumerate(pairs)
        ]
        chips(items, "anchors_examples", lambda i: _set(*pairs[i]))


def _short(key: str, dictionary: Dictionary, region: int, basis: Basis) -> str:
    return name(key, dictionary, region, basis).strip()[:14] or str(region)


@st.cache_data(show_spinner=False, max_entries=200)
def _examples(fingerprint: str, _key: str, basis: Basis) -> Sequence[tuple[int, int]]:
    here, seed = loading.dictionary(_key), next(iter(loading.ladder(_key).values()))
    if len(seed) < 3 or float(len(seed)) ** 2 * seed.width > LIGHT:
        return ()
    listed, words = study.neighbours(seed.basis(basis)), study.words(here, basis)
    pairs = study.anchor_pairs(listed, study.cleanliness(seed, basis), n=3 * PAIRS)
    if seed is not here:
        pairs = tuple((_here(seed, a, here, basis), _here(seed, b, here, basis)) for a, b in pairs)
    return [(a, b) for a, b in pairs if a != b and words[a] and words[b]][:PAIRS]


def _here(seed: Dictionary, region: int, here: Dictionary, basis: Basis) -> int:
    return study.counterpart(seed, region, here, basis).region
