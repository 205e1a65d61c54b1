"""Two readings of one text as strips of tokens, and where their regions are not each other's
partners. Compare page.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import pyarrow as pa
import streamlit as st

from ep.method.dictionary import Dictionary
from ep.studies.matching import Match, Nulls
from ep.text import label
from ep.views import prompt as view
from ep.views.export import table
from ep.views.palette import OTHER, region_colors
from ep.views.prompt import Reading
from ep.views.tables import lens_tokens
from pages.compare.alignment import Aligned, aligned, parted
from pages.compare.comparison import Comparison
from pages.compare.settings import Settings
from pages.shared import frame, messages, state, tokens
from pages.shared.chips import Chip, chips

PARTED, TOGETHER, UNMATCHED = 0.62, 0.12, 0.3
"""Strengths of the tints."""
LENS = 4
Readings = tuple[Reading, Reading]
"""Of A and of B."""


@frame.fragment
def draw(comparison: Comparison, match: Match | None, nulls: Nulls, readings: Readings) -> None:
    """Draws the counts, both strips with the token looked at, and the table of shared places."""
    pair, (first, second) = comparison.dictionaries, readings
    places = aligned(first, second)
    has_partners = match is not None and len(places.here) > 0
    apart = parted(match, first, second, places) if match is not None and has_partners else None
    _explain(places, readings)
    if apart is not None:
        _count(places, apart, nulls, readings)
    at = _token_of_a(first)
    beside = places.beside(at)
    shown = at, min(at, len(second) - 1) if beside is None else beside
    for side, column in enumerate(st.columns(2, gap="medium")):
        letter, dictionary, reading = "AB"[side], pair[side], readings[side]
        with column, st.container(border=True, gap="small", height="stretch"):
            strong = "" if match is None else "; strong where the two part"
            st.html(tokens.heading(letter, f"the colour is the region's{strong}"))
            tints = _tints(places, apart, side, reading)
            pick = partial(_lock, places, side == 1)
            _strip(letter, dictionary, reading, tints, shown[side], pick)
            _token(letter, dictionary, reading, shown[side])
    if match is not None and beside is not None:
        _partner(match, readings, shown)
    if len(places.here):
        _table(pair, match, readings, places)


def _explain(places: Aligned, readings: Readings) -> None:
    """What keeps two readings from being compared token by token, if anything does."""
    sentences = []
    if not places.same:
        n = len(places.here)
        sizes = [int((~(one.outside | one.template)).sum()) for one in readings]
        where = (
            f"they are compared at the {n} places where tokens of both end"
            if n
            else "no place ends one in both"
        )
        sentences.append(
            f"The two models cut this text into {sizes[0]} and {sizes[1]} tokens: {where}."
        )
    if readings[0].x.shape[1] != readings[1].x.shape[1]:
        sentences.append(
            "Directions of two widths have no partners: a click on a token shows what both see "
            "there."
        )
    if sentences:
        messages.quiet(" ".join(sentences))


def _count(places: Aligned, apart: np.ndarray, nulls: Nulls, readings: Readings) -> None:
    """How many tokens part, beside how many another seed of either side parts by itself."""
    n, beside = len(places.here), ""
    sides = zip("AB", nulls, readings, (places.here, places.there), strict=True)
    for letter, null, reading, at in sides:
        # the same activations in another seed: what the order of a stream does by itself
        if null is not None:
            there = null.other.assign(reading.x[at]).region
            by_order = int((null.match.a.partner[reading.region[at]] != there).sum())
            beside += f"in another seed of {letter}: {by_order} of {n}; "
    st.html(
        f"<div><b>{int(apart.sum())} of {n} tokens</b> fall in regions that are not each other's "
        "partners "
        f'<span class="ep-k">{beside}strongly tinted; a click on a token tells of both</span></div>'
    )


# -- the strips ------------------------------------------------------------------------------------


def _token_of_a(reading: Reading) -> int:
    """The token looked at: the one in the link while the reading has it, else the last."""
    token = state.settings(Settings).token
    return token if token is not None and token < len(reading) else len(reading) - 1


def _lock(places: Aligned, is_b: bool, token: int) -> None:
    """A click on a strip; the link names the token of A."""
    of_a = places.before(token) if is_b and not places.same else token
    state.keep(Settings, token=token if of_a is None else of_a)


def _tints(places: Aligned, apart: np.ndarray | None, side: int, reading: Reading) -> np.ndarray:
    """(t,) The strength of each token's tint: strong where the two part, none outside the
    dictionary.
    """
    strengths = np.full(len(reading), UNMATCHED if apart is None else TOGETHER)
    if apart is not None:
        strengths[(places.here, places.there)[side][apart]] = PARTED
    strengths[reading.outside] = 0.0
    return strengths


def _strip(
    letter: str,
    dictionary: Dictionary,
    reading: Reading,
    tints: np.ndarray,
    at: int,
    pick: Callable[[int], None],
) -> None:
    far = view.is_far(reading, dictionary.threshold)
    colors = region_colors(dictionary, reading.region)
    items = [
        Chip(
            i,
            token,
            OTHER if far[i] else colors[i],
            float(tints[i]),
            title=f"token {i} · region {reading.region[i]} · distance {reading.distance[i]:.2f}",
            on=i == at,
        )
        for i, token in enumerate(reading.tokens)
    ]
    chips(items, f"compare_strip_{letter}", pick, running=True)


def _token(letter: str, dictionary: Dictionary, reading: Reading, at: int) -> None:
    region = int(reading.region[at])
    if reading.outside[at]:
        messages.quiet("This token begins every text and is not part of the dictionary.")
        return
    beyond = ", beyond θ" if reading.distance[at] > dictionary.threshold else ""
    st.html(
        f'<div class="ep-band ep-flush"><b>{letter} {region}</b><span>token {at} '
        f"{tokens.chip(reading.tokens[at])} at distance "
        f"{reading.distance[at]:.2f}{beyond}</span></div>"
    )
    color = region_colors(dictionary, np.array([region]))[0]
    st.html(tokens.chips(lens_tokens(dictionary, np.array([region]))[0][:6], color))


def _partner(match: Match, readings: Readings, at: tuple[int, int]) -> None:
    first, second = readings
    if first.outside[at[0]] or second.outside[at[1]]:
        return
    here, there = int(first.region[at[0]]), int(second.region[at[1]])
    partner = int(match.a.partner[here])
    if partner == there:
        text = f"A {here} and B {there} are partners, at cosine {match.a.cosine[here]:.2f}."
    elif partner < 0 and match.a.nearest[here] == there:
        near = match.a.nearest_cosine[here]
        text = f"A {here} has no partner in B; B {there} is its nearest counterpart, at {near:.2f}."
    elif partner < 0:
        text = f"A {here} has no partner in B, and B {there} is not its nearest counterpart."
    else:
        text = (
            f"A {here}'s partner is B {partner} (cosine {match.a.cosine[here]:.2f}), not B {there}."
        )
    messages.quiet(text)


_COLUMNS = {
    "token": st.column_config.TextColumn("Token", width=110),
    "token_b": st.column_config.TextColumn("Token of B", width=110),
    "a": st.column_config.NumberColumn("A", width=56, format="%d"),
    "lens_a": st.column_config.ListColumn("Lens of A", width=150),
    "distance_a": st.column_config.NumberColumn("Distance, θ of A", width=92, format="%.2f"),
    "b": st.column_config.NumberColumn("B", width=56, format="%d"),
    "lens_b": st.column_config.ListColumn("Lens of B", width=150),
    "distance_b": st.column_config.NumberColumn("Distance, θ of B", width=92, format="%.2f"),
    "relation": st.column_config.TextColumn("The two regions", width=128),
}


def rows(
    pair: Sequence[Dictionary], match: Match | None, readings: Readings, places: Aligned
) -> pa.Table:
    """One row a shared place: its token (A's, and B's where they differ), both regions, distances
    in θ, relation.
    """
    first, second = readings
    here, there = first.region[places.here], second.region[places.there]
    columns = {
        "token": [label(first.tokens[i]) for i in places.here],
        "token_b": [label(second.tokens[i]) for i in places.there],
        "a": here,
        "lens_a": [row[:LENS] for row in lens_tokens(pair[0], here)],
        "distance_a": first.distance[places.here] / pair[0].threshold,
        "b": there,
        "lens_b": [row[:LENS] for row in lens_tokens(pair[1], there)],
        "distance_b": second.distance[places.there] / pair[1].threshold,
    }
    if places.same:
        del columns["token_b"]
    if match is not None:
        columns["relation"] = [
            _relation(match, int(k), int(j)) for k, j in zip(here, there, strict=True)
        ]
    return table(columns)


def _table(
    pair: Sequence[Dictionary], match: Match | None, readings: Readings, places: Aligned
) -> None:
    st.dataframe(
        rows(pair, match, readings, places),
        hide_index=True,
        height=min(420, 38 + 29 * len(places.here)),
        row_height=29,
        column_config=_COLUMNS,
        key="compare_tokens",
    )


def _relation(match: Match, here: int, there: int) -> str:
    if int(match.a.partner[here]) == there:
        return f"partners, {match.a.cosine[here]:.2f}"
    return "nearest, not partners" if int(match.a.nearest[here]) == there else "part"
