"""The anchors A and B of the Between page: the row that shows and changes them, and example pairs.

A is the selected region and B the second region of the selection. Without a second region, a
partner for A is computed.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

import streamlit as st

from ep.method.dictionary import Basis, Dictionary
from ep.studies import between as study
from ep.studies.names import short
from ep.views.palette import region_color
from pages.shared import frame, loading, messages, state, tokens
from pages.shared.chips import Chip, chips
from pages.shared.searchbox import searchbox

MATCHES_SHOWN = 16
LONGEST_OF_TWO = 12
"""Characters of a name in a chip with two."""
PAIRS = 5
MAX_MULTIPLY_ADDS = 2e10
"""The most that may be computed for examples before the page is drawn: about two seconds."""


def partner(key: str, region: int, basis: Basis) -> int | None:
    """Return the default B for a region A; None when there is no suitable region."""
    return _partner(loading.fingerprint(key), key, region, basis)


@st.cache_data(show_spinner=False, max_entries=4000)
def _partner(fingerprint: str, _key: str, region: int, basis: Basis) -> int | None:
    """Compute the partner; the file's fingerprint, region and basis are the cache's key."""
    ladder = loading.ladder(_key)
    coarser = list(islice(ladder.values(), list(ladder).index(_key)))
    return study.partner(loading.dictionary(_key), region, coarser, basis)


def row(key: str, dictionary: Dictionary, a: int, b: int, chosen: bool) -> None:
    """Draw the row with both anchors. chosen: whether B is in the selection."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        _anchor("A", key, dictionary, a)
        st.button(
            "",
            icon=":material/swap_horiz:",
            key="anchors_swap",
            help="Exchange A and B",
            on_click=_set_anchors,
            args=(b, a),
        )
        _anchor("B", key, dictionary, b)
        if not chosen:
            coarser = next(iter(loading.ladder(key))) != key
            reason = (
                "stays apart from A at every percentile"
                if coarser
                else "has others between it and A"
            )
            messages.quiet(f"B was found: the nearest region of another word that {reason}.")


def _set_anchors(a: int, b: int) -> None:
    state.update_selection(region=a, second=b)


def _anchor(letter: str, key: str, dictionary: Dictionary, region: int) -> None:
    """Draw one anchor, with a popover that replaces it. letter: "A" or "B"."""
    color = region_color(dictionary, region)
    with st.container(horizontal=True, vertical_alignment="center", gap="xsmall", width="content"):
        chip = tokens.chip(
            loading.region_name(key, region), color, 0.4, loading.whole_name(key, region)
        )
        st.html(f'<div class="ep-row"><b>{letter}</b>{chip}</div>', width="content")
        with st.popover(
            f"{region}",
            key=f"anchors_{letter}",
            help=f"Choose another region as {letter}",
            width="content",
        ):
            _search(letter, key, dictionary)


@frame.fragment
def _search(letter: str, key: str, dictionary: Dictionary) -> None:
    """Draw the search for another region as this anchor."""
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
        matches = loading.search_index(key).find(text).regions[:MATCHES_SHOWN].tolist()
        if not matches:
            messages.quiet("No region holds that: try another word, or an id.")
            return
        items = [
            Chip(k, loading.region_name(key, k), region_color(dictionary, k), 0.24, before=str(k))
            for k in matches
        ]
        chips(items, f"anchors_found_{letter}", lambda k: _replace_anchor(letter, k))


def _replace_anchor(letter: str, region: int) -> None:
    state.update_selection(**{"region" if letter == "A" else "second": region})
    state.schedule()


def examples(key: str, dictionary: Dictionary, basis: Basis) -> None:
    """Draw example pairs as chips; a click makes them the anchors.

    They are neighbours in the coarsest dictionary of the family, those with the cleanest logit
    lenses.
    """
    pairs = _examples(loading.fingerprint(key), key, basis)
    if not pairs:
        return
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.html('<span class="ep-k">Pairs to try</span>', width="content")
        items = [
            Chip(
                i,
                f"{_briefest(key, a)}{loading.EN_SPACE}–{loading.EN_SPACE}{_briefest(key, b)}",
                region_color(dictionary, a),
                0.14,
            )
            for i, (a, b) in enumerate(pairs)
        ]
        chips(items, "anchors_examples", lambda i: _set_anchors(*pairs[i]))


def alternatives(key: str, dictionary: Dictionary, a: int, basis: Basis) -> None:
    """Draw chips of the regions nearest to A that others do lie between; a click makes one B."""
    text = (
        "A and B have too little in common: nearly every region is nearer to both than they are to "
        "each other. Nearest regions with some between them and A:"
    )
    regions = study.alike(dictionary.basis(basis), a)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        messages.quiet(text if regions else "A has too little in common with every other region.")
        chips(
            [
                Chip(b, loading.region_name(key, b), region_color(dictionary, b), 0.24)
                for b in regions
            ],
            "anchors_alternatives",
            lambda b: _set_anchors(a, b),
        )


def _briefest(key: str, region: int) -> str:
    """Return the beginning of a region's name, for one of two in a chip."""
    return short(loading.whole_name(key, region), LONGEST_OF_TWO).replace(" ", loading.EN_SPACE)


@st.cache_data(show_spinner=False, max_entries=200)
def _examples(fingerprint: str, _key: str, basis: Basis) -> Sequence[tuple[int, int]]:
    """Return up to `PAIRS` pairs of regions of a dictionary; none where finding them takes long.

    The file's fingerprint and the basis are the cache's key.
    """
    dictionary, coarsest = loading.dictionary(_key), next(iter(loading.ladder(_key).values()))
    if len(coarsest) < 3 or float(len(coarsest)) ** 2 * coarsest.width > MAX_MULTIPLY_ADDS:
        return ()
    neighbours, words = study.neighbours(coarsest.basis(basis)), study.words(dictionary)
    pairs = study.anchor_pairs(neighbours, study.cleanliness(coarsest), n=3 * PAIRS)

    def counterpart(region: int) -> int:
        return study.counterpart(coarsest, region, dictionary, basis).region

    if coarsest is not dictionary:
        pairs = tuple((counterpart(a), counterpart(b)) for a, b in pairs)
    return [(a, b) for a, b in pairs if a != b and words[a] and words[b]][:PAIRS]
