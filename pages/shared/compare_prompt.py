"""One prompt through both models: two token strips, and where their regions are not each other's partners. Compare."""

from __future__ import annotations

from functools import partial

import numpy as np
import streamlit as st

from ep.errors import EPError
from ep.method.dictionary import Dictionary
from ep.studies.matching import NO_NULLS, Match, Nulls
from ep.views import prompt as view
from ep.views.export import table
from ep.views.palette import OTHER, region_colors
from ep.views.tables import lens_tokens
from ep.views.text import label
from pages.shared import compare_work as work
from pages.shared import frame, loading, messages, state, tokens
from pages.shared.asking import EXAMPLES
from pages.shared.chips import Chip, chips
from pages.shared.compare_pick import Asked
from pages.shared.reading import Request, Result, read_request

_READ = "compare_read"
LONGEST_TEXT = 4000
PARTED = 0.62
TOGETHER = 0.12
Pair = tuple[view.Reading, view.Reading]


def show(ask: Asked, found: Match | None) -> None:
    """The box for a text, and both readings of it."""
    chat = state.setting("as", "chat", ("text", "chat")) == "chat"
    text = state.current().prompt or _example(chat)
    chosen = _asked(text, chat)
    if chosen is not None:
        state.keep(**{"as": "chat" if chosen.chat else "text"})
        state.change(prompt=chosen.text)
        state.rerun()
    try:
        first, second = _read(ask, Request(text, chat))
    except EPError as error:
        messages.box("Both models are needed to read this", messages.sentence(error))
        return
    nulls = work.nulls(ask) if found is not None else NO_NULLS
    _strips(ask, found, nulls, first.reading, second.reading)


def _example(chat: bool) -> str:
    """A text to begin with: a harmful-style request of the demo's, where the two models part; else a harmless one."""
    sets = work.demo_sets()
    if chat and sets is not None:
        return next(text for text, said in zip(sets.held.texts, sets.held.labels, strict=True) if said)
    return EXAMPLES["A request" if chat else "A story"]


def _asked(text: str, chat: bool) -> Request | None:
    with st.form("compare_text", border=False), st.container(horizontal=True, gap="small", vertical_alignment="center"):
        given = st.text_input(
            "Text", value=text, max_chars=LONGEST_TEXT, label_visibility="collapsed", key=f"compare_text {text[:60]}"
        )
        as_chat = st.toggle("As a chat turn", value=chat, key=f"compare_chat {chat}")
        if st.form_submit_button("Read", icon=":material/play_arrow:") and given.strip():
            return Request(given, as_chat)
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


def parted(found: Match, first: view.Reading, second: view.Reading) -> np.ndarray:
    """(t,) True where the two regions of a token are not each other's one-to-one partners."""
    inside = ~(first.outside | second.outside)
    return np.asarray(inside & (found.a.partner[first.region] != second.region))


@frame.fragment
def _strips(ask: Asked, found: Match | None, nulls: Nulls, first: view.Reading, second: view.Reading) -> None:
    a, b = loading.dictionary(ask.a), loading.dictionary(ask.b)
    same = first.tokens == second.tokens
    apart = parted(found, first, second) if found is not None and same else None
    _said(found, same, apart, nulls, (first, second))
    at = _locked(first)
    for column, letter, d, reading in zip(st.columns(2, gap="medium"), "AB", (a, b), (first, second), strict=True):
        with column, st.container(border=True, gap="small", height="stretch"):
            st.html(tokens.heading(letter, "the colour is the region's; strong where the two part"))
            _strip(letter, d, reading, apart, at)
            _token(letter, d, reading, min(at, len(reading) - 1))
    if found is not None and same:
        _partner(found, first, second, at)
    if same:
        _table(a, b, found, first, second)


def _said(found: Match | None, same: bool, apart: np.ndarray | None, nulls: Nulls, pair: Pair) -> None:
    if apart is not None:
        inside = ~pair[0].outside
        n = int(inside.sum())
        beside = ""
        for letter, null, reading in zip("AB", nulls, pair, strict=True):
            if null is not None:  # the same activations in another seed: what the order of a stream does by itself
                there = null.other.assign(reading.x).region
                by_order = int((inside & (null.match.a.partner[reading.region] != there)).sum())
                beside += f"in another seed of {letter}: {by_order} of {n}; "
        st.html(
            f"<div><b>{int(apart.sum())} of {n} tokens</b> fall in regions that are not each other's partners "
            f'<span class="ep-k">{beside}strongly tinted; a click on a token tells of both</span></div>'
        )
    elif not same:
        messages.quiet("The two models cut this text into different tokens: the strips stand for themselves.")
    elif found is None:
        messages.quiet("Without a common width there are no partners: the strips stand for themselves.")


def _locked(reading: view.Reading) -> int:
    asked = state.setting("ctok")
    if asked.isascii() and asked.isdigit() and len(asked) < 6 and int(asked) < len(reading):
        return int(asked)
    return len(reading) - 1


def _lock(token: int) -> None:
    state.keep(ctok=str(token))


def _strip(letter: str, dictionary: Dictionary, reading: view.Reading, apart: np.ndarray | None, at: int) -> None:
    far = view.is_far(reading, dictionary.threshold)
    colors = [OTHER if f else c for f, c in zip(far, region_colors(dictionary, reading.region), strict=True)]
    items = []
    for i, token in enumerate(reading.tokens):
        strength = 0.0 if reading.outside[i] else 0.3 if apart is None else PARTED if apart[i] else TOGETHER
        hint = f"token {i} · region {reading.region[i]} · distance {reading.distance[i]:.2f}"
        items.append(Chip(i, token, colors[i], strength, title=hint, on=i == at))
    chips(items, f"compare_strip_{letter}", partial(_lock), running=True)


def _token(letter: str, dictionary: Dictionary, reading: view.Reading, at: int) -> None:
    region = int(reading.region[at])
    if reading.outside[at]:
        messages.quiet("This token begins every text and is not part of the dictionary.")
        return
    beyond = ", beyond θ" if reading.distance[at] > dictionary.threshold else ""
    st.html(
        f'<div class="ep-band ep-flush"><b>{letter} {region}</b><span>token {at} '
        f"{tokens.chip(reading.tokens[at])} at distance {reading.distance[at]:.2f}{beyond}</span></div>"
    )
    color = region_colors(dictionary, np.array([region]))[0]
    st.html(tokens.chips(lens_tokens(dictionary, np.array([region]))[0][:6], color))


def _partner(found: Match, first: view.Reading, second: view.Reading, at: int) -> None:
    if first.outside[at]:
        return
    here, there = int(first.region[at]), int(second.region[at])
    partner = int(found.a.partner[here])
    if partner == there:
        text = f"A {here} and B {there} are partners, at cosine {found.a.cosine[here]:.2f}."
    elif partner < 0 and found.a.nearest[here] == there:
        near = found.a.nearest_cosine[here]
        text = f"A {here} has no partner in B; B {there} is its nearest counterpart, at {near:.2f}."
    elif partner < 0:
        text = f"A {here} has no partner in B, and B {there} is not its nearest counterpart."
    else:
        text = f"A {here}'s partner is B {partner} (cosine {found.a.cosine[here]:.2f}), not B {there}."
    messages.quiet(text)


_COLUMNS = {
    "token": st.column_config.TextColumn("Token", width=110),
    "a": st.column_config.NumberColumn("A", width=56, format="%d"),
    "lens_a": st.column_config.ListColumn("Lens of A", width=150),
    "distance_a": st.column_config.NumberColumn("Distance, θ of A", width=92, format="%.2f"),
    "b": st.column_config.NumberColumn("B", width=56, format="%d"),
    "lens_b": st.column_config.ListColumn("Lens of B", width=150),
    "distance_b": st.column_config.NumberColumn("Distance, θ of B", width=92, format="%.2f"),
    "relation": st.column_config.TextColumn("The two regions", width=128),
}


def _table(a: Dictionary, b: Dictionary, found: Match | None, first: view.Reading, second: view.Reading) -> None:
    """Every token with its two regions, how far it is from them, and how they belong together."""
    inside = np.flatnonzero(~(first.outside | second.outside))
    here, there = first.region[inside], second.region[inside]
    columns = {
        "token": [label(first.tokens[i]) for i in inside],
        "a": here,
        "lens_a": [row[:4] for row in lens_tokens(a, here)],
        "distance_a": first.distance[inside] / a.threshold,
        "b": there,
        "lens_b": [row[:4] for row in lens_tokens(b, there)],
        "distance_b": second.distance[inside] / b.threshold,
    }
    if found is not None:
        columns["relation"] = [_relation(found, int(k), int(j)) for k, j in zip(here, there, strict=True)]
    st.dataframe(
        table(columns), hide_index=True, height=min(420, 36 + 29 * len(inside)), row_height=29, column_config=_COLUMNS,
        key="compare_tokens",
    )  # fmt: skip


def _relation(found: Match, here: int, there: int) -> str:
    if int(found.a.partner[here]) == there:
        return f"partners, {found.a.cosine[here]:.2f}"
    return "nearest, not partners" if int(found.a.nearest[here]) == there else "part"
