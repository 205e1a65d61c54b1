"""Two readings of one text as strips of tokens, tinted where their regions are not partners."""

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
from ep.views.glossary import define
from ep.views.palette import OTHER, region_colors
from ep.views.prompt import Reading
from ep.views.tables import lens_tokens
from pages.compare.alignment import Alignment, align, mismatched
from pages.compare.comparison import Comparison
from pages.compare.settings import Settings
from pages.shared import frame, loading, messages, state, tokens
from pages.shared.chips import Chip, chips

NOT_PARTNERS, PARTNERS, NO_MATCH = 0.62, 0.12, 0.3
"""Strengths of the tints: of the two kinds of shared places, and of all where there is no match."""
LENS = 4
Readings = tuple[Reading, Reading]
"""The readings by A and by B."""


@frame.fragment
def draw(comparison: Comparison, match: Match | None, nulls: Nulls, readings: Readings) -> None:
    """Draw the counts, both strips with the selected token, and the table of shared places."""
    pair, (first, second) = comparison.dictionaries, readings
    alignment = align(first, second)
    has_partners = match is not None and len(alignment.tokens_a) > 0
    mismatch = (
        mismatched(match, first, second, alignment) if match is not None and has_partners else None
    )
    _explain(alignment, readings)
    if mismatch is not None:
        _counts(alignment, mismatch, nulls, readings)
    token_a = _token_of_a(first)
    token_b = alignment.token_of_b(token_a)
    selected = token_a, min(token_a, len(second) - 1) if token_b is None else token_b
    for side, column in enumerate(st.columns(2, gap="medium")):
        letter, dictionary, reading = "AB"[side], pair[side], readings[side]
        with column, st.container(border=True, gap="small", height="stretch"):
            strong = "" if match is None else "; strong where the two part"
            st.html(tokens.heading(letter, f"the colour is the region's{strong}"))
            tints = _tints(alignment, mismatch, side, reading)
            pick = partial(_select_token, alignment, side == 1)
            _strip(letter, dictionary, reading, tints, selected[side], pick)
            _token(letter, dictionary, reading, selected[side])
    if match is not None and token_b is not None:
        _partner(match, readings, selected)
    if len(alignment.tokens_a):
        _table(pair, match, readings, alignment)


def _explain(alignment: Alignment, readings: Readings) -> None:
    """Draw why two readings cannot be compared token by token, where they cannot."""
    sentences = []
    if not alignment.same_tokens:
        n = len(alignment.tokens_a)
        sizes = [int((~(reading.outside | reading.template)).sum()) for reading in readings]
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


def _counts(alignment: Alignment, differ: np.ndarray, nulls: Nulls, readings: Readings) -> None:
    """Draw how many tokens mismatch, beside how many do in another seed of either side."""
    n, others = len(alignment.tokens_a), ""
    sides = zip("AB", nulls, readings, (alignment.tokens_a, alignment.tokens_b), strict=True)
    for letter, null, reading, ids in sides:
        # the same activations in another seed show the effect of the stream's order alone
        if null is not None:
            other_region = null.other.assign(reading.x[ids]).region
            by_order = int((null.match.a.partner[reading.region[ids]] != other_region).sum())
            others += f"in another seed of {letter}: {by_order} of {n}; "
    st.html(
        f"<div><b>{int(differ.sum())} of {n} tokens</b> fall in regions that are not each other's "
        "partners "
        f'<span class="ep-k">{others}strongly tinted; a click on a token tells of both</span></div>'
    )


# -- the strips ------------------------------------------------------------------------------------


def _token_of_a(reading: Reading) -> int:
    """Return the selected token of A: that of the link if the reading has it, else the last."""
    token = state.settings(Settings).token
    return token if token is not None and token < len(reading) else len(reading) - 1


def _select_token(alignment: Alignment, is_b: bool, token: int) -> None:
    """Select the clicked token; the settings keep the token of A."""
    token_a = alignment.token_of_a(token) if is_b and not alignment.same_tokens else token
    state.update_settings(Settings, token=token if token_a is None else token_a)


def _tints(
    alignment: Alignment, mismatch: np.ndarray | None, side: int, reading: Reading
) -> np.ndarray:
    """(t,) Strength of each token's tint: strong where partners mismatch, 0 for excluded tokens."""
    strengths = np.full(len(reading), NO_MATCH if mismatch is None else PARTNERS)
    if mismatch is not None:
        strengths[(alignment.tokens_a, alignment.tokens_b)[side][mismatch]] = NOT_PARTNERS
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
        messages.quiet(f"This token {view.why_outside(at)}.")
        return
    beyond = ", beyond θ" if reading.distance[at] > dictionary.threshold else ""
    st.html(
        f'<div class="ep-band ep-flush"><b>{letter} {region}</b><span>token {at} '
        f"{tokens.chip(reading.tokens[at])} at distance "
        f"{reading.distance[at]:.2f}{beyond}</span></div>"
    )
    color = region_colors(dictionary, np.array([region]))[0]
    called = loading.cells(dictionary, [region])[0].replace(" ", loading.EN_SPACE)
    lens = tokens.chips(lens_tokens(dictionary, [region])[0][:6], OTHER, 0.14)
    name = tokens.chip(called, color, 0.35)
    st.html(f'<div class="ep-row">{name}<span class="ep-k">lens</span></div>{lens}')


def _partner(match: Match, readings: Readings, selected: tuple[int, int]) -> None:
    first, second = readings
    if first.outside[selected[0]] or second.outside[selected[1]]:
        return
    a, b = int(first.region[selected[0]]), int(second.region[selected[1]])
    partner = int(match.a.partner[a])
    if partner == b:
        text = f"A {a} and B {b} are partners, at cosine {match.a.cosine[a]:.2f}."
    elif partner < 0 and match.a.nearest[a] == b:
        cosine = match.a.nearest_cosine[a]
        text = f"A {a} has no partner in B; B {b} is its nearest counterpart, at {cosine:.2f}."
    elif partner < 0:
        text = f"A {a} has no partner in B, and B {b} is not its nearest counterpart."
    else:
        text = f"A {a}'s partner is B {partner} (cosine {match.a.cosine[a]:.2f}), not B {b}."
    messages.quiet(text)


_COLUMNS = {
    "token": st.column_config.TextColumn("Token", width=110),
    "token_b": st.column_config.TextColumn("Token of B", width=110),
    "a": st.column_config.NumberColumn("A", width=56, format="%d"),
    "name_a": st.column_config.TextColumn("Name of A", width=140),
    "lens_a": st.column_config.ListColumn("Lens of A", width=110, help=define("lens_tokens")),
    "distance_a": st.column_config.NumberColumn(
        "Distance, θ of A", width=92, format="%.2f", help=define("distance")
    ),
    "b": st.column_config.NumberColumn("B", width=56, format="%d"),
    "name_b": st.column_config.TextColumn("Name of B", width=140),
    "lens_b": st.column_config.ListColumn("Lens of B", width=110, help=define("lens_tokens")),
    "distance_b": st.column_config.NumberColumn(
        "Distance, θ of B", width=92, format="%.2f", help=define("distance")
    ),
    "relation": st.column_config.TextColumn("The two regions", width=128),
}


def rows(
    pair: Sequence[Dictionary], match: Match | None, readings: Readings, alignment: Alignment
) -> pa.Table:
    """Return a table with one row per shared place.

    Its columns are the token (of A, and of B where they differ), both regions with their names
    and lens tokens, the distances in θ, and the relation.
    """
    first, second = readings
    regions_a, regions_b = first.region[alignment.tokens_a], second.region[alignment.tokens_b]
    columns = {
        "token": [label(first.tokens[i]) for i in alignment.tokens_a],
        "token_b": [label(second.tokens[i]) for i in alignment.tokens_b],
        "a": regions_a,
        "name_a": loading.cells(pair[0], regions_a),
        "lens_a": [row[:LENS] for row in lens_tokens(pair[0], regions_a)],
        "distance_a": first.distance[alignment.tokens_a] / pair[0].threshold,
        "b": regions_b,
        "name_b": loading.cells(pair[1], regions_b),
        "lens_b": [row[:LENS] for row in lens_tokens(pair[1], regions_b)],
        "distance_b": second.distance[alignment.tokens_b] / pair[1].threshold,
    }
    if alignment.same_tokens:
        del columns["token_b"]
    if match is not None:
        columns["relation"] = [
            _relation(match, int(k), int(j)) for k, j in zip(regions_a, regions_b, strict=True)
        ]
    return table(columns)


def _table(
    pair: Sequence[Dictionary], match: Match | None, readings: Readings, alignment: Alignment
) -> None:
    st.dataframe(
        rows(pair, match, readings, alignment),
        hide_index=True,
        height=min(420, 38 + 29 * len(alignment.tokens_a)),
        row_height=29,
        column_config=_COLUMNS,
        key="compare_tokens",
    )


def _relation(match: Match, region_a: int, region_b: int) -> str:
    if int(match.a.partner[region_a]) == region_b:
        return f"partners, {match.a.cosine[region_a]:.2f}"
    return "nearest, not partners" if int(match.a.nearest[region_a]) == region_b else "part"
