"""Between: the regions between two anchors at every percentile of a family, or the path from one to
the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import pyarrow as pa
import streamlit as st

from ep.method.dictionary import Basis, Dictionary
from ep.studies import between as study
from ep.studies.naming import numbered
from ep.views import neighbourhood as view
from ep.views import snippets
from ep.views.palette import region_color
from ep.views.tables import brief, lens_tokens
from pages.between import anchors, neighbour_lists, neighbourhood
from pages.between.neighbour_lists import Lists
from pages.between.settings import VIEWS, WAYS, Settings, View
from pages.shared import frame, loading, messages, sharing, state, tokens
from pages.shared.controls import BASIS_NAMES, bound, choice

SENTENCE = (
    "What lies between two regions, A and B, from the coarsest dictionary of the family to "
    "the finest."
)
ABOUT: dict[View, str] = {
    "lens": "Nearer to both A and B than they are to each other; the cosine stands on each arrow, "
    "the closest on top.",
    "path": "The shortest way from A to B among k nearest regions, by hops or by distance.",
}
ROWS_SHOWN = 12
_CARD, _LIST = "between_card", "between_list"
Ladder = dict[str, Dictionary]


def show() -> None:
    frame.page("Between", SENTENCE)
    key, dictionary, a, second, _ = state.opened()
    now = state.settings(Settings)
    chosen = second not in (None, a)
    b = second if chosen else anchors.partner(key, a, now.basis)
    if b is None or len(dictionary) < 3:
        messages.box(
            "Nothing can lie between",
            "It takes three regions; this dictionary has fewer: open a finer one.",
        )
        return
    anchors.row(key, dictionary, a, b, now.basis, chosen)
    anchors.examples(key, dictionary, now.basis)
    _controls(now)
    _figure(key, dictionary, (a, b), now)


def _controls(now: Settings) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
        choice(Settings, "view", "View", VIEWS, key="between_between_choice")
        choice(Settings, "basis", "Directions", BASIS_NAMES, key="between_basis_choice")
        if now.view == "lens":
            messages.quiet(ABOUT["lens"])
            return
        choice(Settings, "way", "Shortest by", WAYS, key="between_way_choice")
        with st.container(width=150):
            bound(
                st.slider,
                Settings,
                "neighbours",
                "Neighbours k",
                study.LEAST_K,
                study.MOST_K,
                key="between_k",
            )


# -- the figure ------------------------------------------------------------------------------------


@frame.fragment
def _figure(key: str, dictionary: Dictionary, ends: tuple[int, int], now: Settings) -> None:
    ladder, basis = loading.ladder(key), now.basis
    pairs = {
        name: view.Pair.carry(dictionary, *ends, other, basis) for name, other in ladder.items()
    }
    lists: dict[str, Lists] | None = {}
    if now.view == "path" and (lists := neighbour_lists.of(ladder, basis)) is None:
        return
    columns = [
        _path(name, other, pairs[name], now, lists[name])
        if lists
        else _lens(name, other, pairs[name], basis)
        for name, other in ladder.items()
    ]
    here = next(column for column in columns if column.key == key)
    picked = _picked_card(columns, here)
    with st.container(border=True, gap="xsmall"):
        neighbourhood.figure(columns, key, "between_figure", _pick, _more, picked)
        messages.quiet(_carrying(columns, basis, list((lists or {}).values())))
    _details(ladder, pairs, picked, basis)
    if now.view == "lens":
        _full_list(ladder, pairs, basis)
    _share(ladder[key], ends, now)


def _card(key: str, basis: Basis, region: int) -> view.Card:
    card = _made(loading.fingerprint(key), key, basis, region)
    labels = loading.labels(key)
    given = labels.stored(region)
    label = given[0].text if given else "" if card.tokens else labels.automatic(region)
    return (
        replace(card, label=label)
        if card.tokens
        else replace(card, tokens=(brief(label or numbered(region)),))
    )


@st.cache_resource(show_spinner=False, max_entries=4000)
def _made(fingerprint: str, _key: str, basis: Basis, region: int) -> view.Card:
    return view.card(loading.dictionary(_key), region, basis)


def _lens(key: str, dictionary: Dictionary, pair: view.Pair, basis: Basis) -> view.Column:
    return view.lens_column(key, dictionary, pair, basis, partial(_card, key, basis))


def _path(
    key: str, dictionary: Dictionary, pair: view.Pair, now: Settings, lists: Lists
) -> view.Column:
    return view.path_column(
        key,
        dictionary,
        pair,
        now.basis,
        partial(_card, key, now.basis),
        lists.neighbours,
        now.neighbours,
        now.way == "length",
    )


def _pick(key: str, region: int) -> None:
    st.session_state[_CARD] = (key, region)


def _more(key: str) -> None:
    st.session_state[_LIST] = key


def _picked_card(columns: list[view.Column], here: view.Column) -> tuple[str, int]:
    """The card looked at: the one clicked while it is in the figure, else the first of the open
    dictionary.
    """
    picked = st.session_state.get(_CARD)
    shown = {
        (c.key, card.region)
        for c in columns
        for card in (c.a, c.b, *(step.card for step in c.steps))
    }
    if picked in shown or (picked and st.session_state.get(_LIST) == picked[0]):
        return picked
    return here.key, here.steps[0].card.region if here.steps else here.b.region


def _carrying(columns: list[view.Column], basis: Basis, lists: Sequence[Lists]) -> str:
    """How the anchors came into the other dictionaries, and what the graphs cost."""
    nearest = "mean direction" if basis == "mean" else "exemplar"
    text = (
        "Under an anchor: how it was carried there, by its own exemplar (cosine ≥ 1 − 10⁻⁴) or "
        f"by the nearest {nearest}."
    )
    if len(columns) == 1:
        text = "This dictionary has no siblings at other percentiles."
    if not lists:
        return text
    seconds = sum(one.seconds for one in lists)
    return f"{ABOUT['path']} {text} Neighbour lists: computed once, {seconds:.1f} s."


# -- one card and the full list --------------------------------------------------------------------


def _details(
    ladder: Ladder, pairs: dict[str, view.Pair], picked: tuple[str, int], basis: Basis
) -> None:
    key, region = picked
    dictionary, pair = ladder[key], pairs[key]
    card, vectors = _card(key, basis, region), ladder[key].basis(basis)
    with st.container(border=True, gap="small"):
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            p = dictionary.percentile
            where = f"p = {p:g} · " if p is not None else ""
            cosines = ", ".join(
                f"with {n} {float(vectors[region] @ vectors[k]):.2f}"
                for n, k in (("A", pair.a), ("B", pair.b))
            )
            st.html(
                f'<div class="ep-row"><b>Region {region}</b>'
                + "".join(tokens.chip(token, card.color, 0.3) for token in card.tokens)
                + f'<span class="ep-k ep-num">{where}{card.members:,} members · cosine '
                f"{cosines}</span></div>"
            )
            for letter, name in (("A", "Make it A"), ("B", "Make it B")):
                other = pair.b if letter == "A" else pair.a
                st.button(
                    name,
                    key=f"between_make_{letter}",
                    on_click=_anchor,
                    args=(letter, key, region, other),
                    disabled=region == other,
                )
            if st.button("Open region", key="between_open", type="primary"):
                if key != state.current().dictionary:
                    state.open_dictionary(key, region)
                state.goto("region", region=region)
        if card.excerpts:
            st.html(tokens.aligned(card.excerpts, card.color))
        else:
            messages.quiet("This file holds no excerpts of this region.")


def _anchor(letter: str, key: str, region: int, other: int) -> None:
    """Makes a region A or B; the other anchor stays, as it is in that dictionary."""
    if key != state.current().dictionary:
        state.open_dictionary(key, region)
    a, b = (region, other) if letter == "A" else (other, region)
    state.change(region=a, second=b)
    st.session_state.pop(_CARD, None)
    state.turn()


def table(dictionary: Dictionary, pair: view.Pair, basis: Basis) -> pa.Table:
    """Every region between the anchors, in order: region, lens, both cosines, members."""
    found = study.between(dictionary.basis(basis), pair.a, pair.b)
    return pa.table(
        {
            "region": found.regions,
            "lens": pa.array(lens_tokens(dictionary, found.regions), pa.list_(pa.string())),
            "cosine_a": 1 - found.from_a,
            "cosine_b": 1 - found.to_b,
            "members": dictionary.members[found.regions],
        }
    )


def _full_list(ladder: Ladder, pairs: dict[str, view.Pair], basis: Basis) -> None:
    key = st.session_state.get(_LIST)
    if key not in ladder or pairs[key].a == pairs[key].b:
        return
    rows = table(ladder[key], pairs[key], basis).to_pandas()
    with st.container(border=True, gap="xsmall"):
        with st.container(
            horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"
        ):
            p = ladder[key].percentile
            at = "" if p is None else f"at p = {p:g}, "
            st.html(tokens.heading(f"All {len(rows):,} between", f"{at}the closest to both on top"))
            st.button(
                "Close", key="between_close", on_click=st.session_state.pop, args=(_LIST, None)
            )
        rows.insert(0, "group", "⬢")
        colors = [f"color:{region_color(ladder[key], int(k))}" for k in rows["region"]]
        picked = st.dataframe(
            rows.style.apply(lambda _: colors, subset=["group"]) if len(rows) < 20_000 else rows,
            hide_index=True,
            height=29 * min(ROWS_SHOWN, len(rows) + 1) + 3,
            row_height=29,
            key="between_table",
            on_select="rerun",
            selection_mode="single-cell",
            column_config=_columns(),
        )
        if picked.selection.cells:
            chosen = (key, int(rows["region"][picked.selection.cells[0][0]]))
            if st.session_state.get(_CARD) != chosen:
                st.session_state[_CARD] = chosen
                st.rerun(scope="fragment")


def _columns() -> dict[str, Any]:
    number = st.column_config.NumberColumn
    return {
        "group": st.column_config.TextColumn("", width=26),
        "region": number("Region", width=70),
        "lens": st.column_config.ListColumn("Lens tokens", width=520),
        "cosine_a": number("cos A", format="%.3f", width=70),
        "cosine_b": number("cos B", format="%.3f", width=70),
        "members": number("Members", width=90),
    }


def _share(dictionary: Dictionary, ends: tuple[int, int], now: Settings) -> None:
    (a, b), basis = ends, now.basis
    if now.view == "path":
        weighted = now.way == "length"
        code = snippets.path(dictionary, a, b, basis, now.neighbours, weighted)
        sharing.bar("between_bar", code=code)
        return
    tables = {"Regions between": partial(table, dictionary, view.Pair(a, b), basis)}
    sharing.bar("between_bar", tables, snippets.between(dictionary, a, b, basis))


show()
