"""One prompt through both models: two token strips, and where their regions are not each other's
partners. Compare.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pyarrow as pa
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from ep.errors import EPError
from ep.method.dictionary import Dictionary
from ep.studies import inputs
from ep.studies.matching import NO_NULLS, Match, Nulls
from ep.text import label
from ep.views import prompt as view
from ep.views import snippets_two
from ep.views.export import table
from ep.views.palette import OTHER, region_colors
from ep.views.tables import lens_tokens
from pages.compare import work
from pages.compare.pick import Asked
from pages.shared import frame, loading, messages, sharing, state, tokens
from pages.shared.chips import Chip, chips
from pages.shared.reading import EXAMPLES, Request, Result, read_request

_READ = "compare_read"
LONGEST_TEXT = 4000
PARTED = 0.62
TOGETHER = 0.12
Pair = tuple[view.Reading, view.Reading]


def show(ask: Asked, found: Match | None, share: DeltaGenerator) -> None:
    """The box for a text, and both readings of it; share: where the row of exports goes."""
    try:
        untaught = work.untaught(ask)
    except EPError as error:
        messages.box("Both models are needed to read this", messages.sentence(error))
        return
    chat = not untaught and state.setting("as", "chat", ("text", "chat")) == "chat"
    text = state.current().prompt or _example(chat)
    chosen = _asked(text, chat, untaught)
    if chosen is not None:
        if not untaught:
            state.keep(**{"as": "chat" if chosen.chat else "text"})
        state.change(prompt=chosen.text)
        state.rerun()
    try:
        first, second = _read(ask, Request(text, chat))
    except EPError as error:
        messages.box("This text cannot be read", messages.sentence(error))
        return
    nulls = work.nulls(ask) if found is not None else NO_NULLS
    pair, readings = (
        (loading.dictionary(ask.a), loading.dictionary(ask.b)),
        (first.reading, second.reading),
    )
    with share:
        made = partial(rows, pair, found, readings, aligned(*readings))
        sharing.bar(
            "compare_prompt",
            {"Tokens and their regions": made},
            snippets_two.prompt(*pair, text, chat),
        )
    _strips(ask, found, nulls, *readings)


def _example(chat: bool) -> str:
    """A text to begin with: a harmful-style request of the demo's, where the two models part; else
    a harmless one.
    """
    sets = work.demo_sets()
    if chat and sets is not None:
        return next(
            text for text, said in zip(sets.held.texts, sets.held.labels, strict=True) if said
        )
    return EXAMPLES["A request" if chat else "A story"]


def _asked(text: str, chat: bool, untaught: str) -> Request | None:
    with (
        st.form("compare_text", border=False),
        st.container(horizontal=True, gap="small", vertical_alignment="center"),
    ):
        given = st.text_input(
            "Text",
            value=text,
            max_chars=LONGEST_TEXT,
            label_visibility="collapsed",
            key=f"compare_text {text[:60]}",
        )
        as_chat = st.toggle(
            "As a chat turn", value=chat, key=f"compare_chat {chat}", disabled=bool(untaught)
        )
        if st.form_submit_button("Read", icon=":material/play_arrow:") and given.strip():
            return Request(given, as_chat)
    if untaught:
        messages.quiet(f"Without a chat template in {untaught}, both read it as plain text.")
    return None


def _read(ask: Asked, request: Request) -> tuple[Result, Result]:
    """Both readings, kept in the session until text or dictionaries change."""
    stamp = (loading.fingerprint(ask.a), loading.fingerprint(ask.b), request)
    kept = st.session_state.get(_READ)
    if kept is None or kept[0] != stamp:
        pair = [read_request(key, loading.dictionary(key), request) for key in (ask.a, ask.b)]
        kept = (stamp, (pair[0], pair[1]))
        st.session_state[_READ] = kept
    return kept[1]  # type: ignore[no-any-return]


@dataclass(frozen=True, eq=False)
class Aligned:
    """The n places of one text that two readings share: token ids in either, in order.

    here, there: (n,) each token where the tokens are the same; else those of the text itself that
    end at one place.
    """

    here: np.ndarray
    there: np.ndarray
    same: bool

    def beside(self, token: int) -> int | None:
        """The token of B that has read as far as this one of A, or the next that has; None where
        nothing is shared.
        """
        return _next(self.here, self.there, token)

    def before(self, token: int) -> int | None:
        """The token of A to one of B."""
        return _next(self.there, self.here, token)


def _next(mine: np.ndarray, other: np.ndarray, token: int) -> int | None:
    if not len(mine):
        return None
    return int(other[min(int(np.searchsorted(mine, token)), len(mine) - 1)])


def aligned(first: view.Reading, second: view.Reading) -> Aligned:
    """Where two readings of one prompt are compared."""
    if first.tokens == second.tokens:
        inside = np.flatnonzero(~(first.outside | second.outside))
        return Aligned(inside, inside, True)
    words = [np.flatnonzero(~(one.outside | one.template)) for one in (first, second)]
    cut = [[one.tokens[i] for i in at] for one, at in zip((first, second), words, strict=True)]
    here, there = inputs.meeting(*cut)
    return Aligned(words[0][here], words[1][there], False)


def parted(found: Match, first: view.Reading, second: view.Reading, at: Aligned) -> np.ndarray:
    """(n,) True where the two regions of a shared place are not each other's one-to-one
    partners.
    """
    return np.asarray(found.a.partner[first.region[at.here]] != second.region[at.there])


@frame.fragment
def _strips(
    ask: Asked, found: Match | None, nulls: Nulls, first: view.Reading, second: view.Reading
) -> None:
    pair = loading.dictionary(ask.a), loading.dictionary(ask.b)
    both = aligned(first, second)
    apart = parted(found, first, second, both) if found is not None and len(both.here) else None
    _said(both, apart, nulls, (first, second))
    at = _locked(first)
    beside = both.beside(at)
    shown = at, min(at, len(second) - 1) if beside is None else beside
    for side, column in enumerate(st.columns(2, gap="medium")):
        reading, letter = (first, second)[side], "AB"[side]
        with column, st.container(border=True, gap="small", height="stretch"):
            st.html(
                tokens.heading(
                    letter,
                    "the colour is the region's"
                    + ("; strong where the two part" * (found is not None)),
                )
            )
            _strip(
                letter,
                pair[side],
                reading,
                _marks(both, apart, side, len(reading)),
                shown[side],
                both,
            )
            _token(letter, pair[side], reading, shown[side])
    if found is not None and beside is not None:
        _partner(found, first, second, shown)
    if len(both.here):
        _table(pair, found, (first, second), both)


def _marks(both: Aligned, apart: np.ndarray | None, side: int, size: int) -> np.ndarray | None:
    """(t,) of one strip: where the two part; None where there are no partners."""
    if apart is None:
        return None
    marks = np.zeros(size, bool)
    marks[(both.here, both.there)[side]] = apart
    return marks


def _said(both: Aligned, apart: np.ndarray | None, nulls: Nulls, pair: Pair) -> None:
    n, said = len(both.here), []
    if not both.same:
        sizes = [int((~(one.outside | one.template)).sum()) for one in pair]
        where = (
            f"they are compared at the {n} places where tokens of both end"
            if n
            else "no place ends one in both"
        )
        said.append(f"The two models cut this text into {sizes[0]} and {sizes[1]} tokens: {where}.")
    if pair[0].x.shape[1] != pair[1].x.shape[1]:
        said.append(
            "Directions of two widths have no partners: a click on a token shows what both see "
            "there."
        )
    if said:
        messages.quiet(" ".join(said))
    if apart is None:
        return
    beside = ""
    for letter, null, reading, at in zip("AB", nulls, pair, (both.here, both.there), strict=True):
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


def _locked(reading: view.Reading) -> int:
    asked = state.setting("ctok")
    if asked.isascii() and asked.isdigit() and len(asked) < 6 and int(asked) < len(reading):
        return int(asked)
    return len(reading) - 1


def _lock(both: Aligned, is_b: bool, token: int) -> None:
    """A click on a strip; the link names the token of A."""
    found = both.before(token) if is_b and not both.same else token
    state.keep(ctok=str(token if found is None else found))


def _strip(
    letter: str,
    dictionary: Dictionary,
    reading: view.Reading,
    apart: np.ndarray | None,
    at: int,
    both: Aligned,
) -> None:
    far = view.is_far(reading, dictionary.threshold)
    colors = [
        OTHER if f else c
        for f, c in zip(far, region_colors(dictionary, reading.region), strict=True)
    ]
    items = []
    for i, token in enumerate(reading.tokens):
        strength = (
            0.0
            if reading.outside[i]
            else 0.3
            if apart is None
            else PARTED
            if apart[i]
            else TOGETHER
        )
        hint = f"token {i} · region {reading.region[i]} · distance {reading.distance[i]:.2f}"
        items.append(Chip(i, token, colors[i], strength, title=hint, on=i == at))
    chips(items, f"compare_strip_{letter}", partial(_lock, both, letter == "B"), running=True)


def _token(letter: str, dictionary: Dictionary, reading: view.Reading, at: int) -> None:
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


def _partner(found: Match, first: view.Reading, second: view.Reading, at: tuple[int, int]) -> None:
    if first.outside[at[0]] or second.outside[at[1]]:
        return
    here, there = int(first.region[at[0]]), int(second.region[at[1]])
    partner = int(found.a.partner[here])
    if partner == there:
        text = f"A {here} and B {there} are partners, at cosine {found.a.cosine[here]:.2f}."
    elif partner < 0 and found.a.nearest[here] == there:
        near = found.a.nearest_cosine[here]
        text = f"A {here} has no partner in B; B {there} is its nearest counterpart, at {near:.2f}."
    elif partner < 0:
        text = f"A {here} has no partner in B, and B {there} is not its nearest counterpart."
    else:
        text = (
            f"A {here}'s partner is B {partner} (cosine {found.a.cosine[here]:.2f}), not B {there}."
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
    pair: Sequence[Dictionary], found: Match | None, readings: Pair, both: Aligned
) -> pa.Table:
    """One row a shared place: its token (A's, and B's where they differ), both regions, distances
    in θ, relation.
    """
    first, second = readings
    here, there = first.region[both.here], second.region[both.there]
    columns = {
        "token": [label(first.tokens[i]) for i in both.here],
        "token_b": [label(second.tokens[i]) for i in both.there],
        "a": here,
        "lens_a": [row[:4] for row in lens_tokens(pair[0], here)],
        "distance_a": first.distance[both.here] / pair[0].threshold,
        "b": there,
        "lens_b": [row[:4] for row in lens_tokens(pair[1], there)],
        "distance_b": second.distance[both.there] / pair[1].threshold,
    }
    if both.same:
        del columns["token_b"]
    if found is not None:
        columns["relation"] = [
            _relation(found, int(k), int(j)) for k, j in zip(here, there, strict=True)
        ]
    return table(columns)


def _table(pair: Sequence[Dictionary], found: Match | None, readings: Pair, both: Aligned) -> None:
    st.dataframe(
        rows(pair, found, readings, both),
        hide_index=True,
        height=min(420, 38 + 29 * len(both.here)),
        row_height=29,
        column_config=_COLUMNS,
        key="compare_tokens",
    )


def _relation(found: Match, here: int, there: int) -> str:
    if int(found.a.partner[here]) == there:
        return f"partners, {found.a.cosine[here]:.2f}"
    return "nearest, not partners" if int(found.a.nearest[here]) == there else "part"
