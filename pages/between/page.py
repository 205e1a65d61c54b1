"""The Between page: the regions between two anchors at every percentile of a family, or the path
from one anchor to the other.
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
from ep.studies.names import short
from ep.views import neighbourhood as view
from ep.views import snippets
from ep.views.glossary import define
from ep.views.palette import OTHER, region_color
from ep.views.tables import lens_tokens
from pages.between import anchors, neighbour_lists, neighbourhood
from pages.between.neighbour_lists import Lists
from pages.between.settings import VIEWS, WAYS, Settings, View
from pages.shared import frame, loading, messages, sharing, state, tokens
from pages.shared.controls import BASIS_NAMES, setting_choice, setting_widget

SENTENCE = (
    "What lies between two regions, A and B, from the coarsest dictionary of the family to "
    "the finest."
)
ABOUT: dict[View, str] = {
    "lens": "Nearer to both A and B than they are to each other; the cosine stands on each arrow, "
    "the closest on top.",
    "path": "The shortest way from A to B among k nearest regions, by hops or by distance.",
}
BY_DIRECTION = "The metric of this dictionary counts lengths; what lies between goes by directions."
ROWS_SHOWN = 12
_CARD, _LIST = "between_card", "between_list"
Ladder = dict[str, Dictionary]


def show() -> None:
    """Draw the page."""
    frame.page_head("Between", SENTENCE)
    key, dictionary, a, second, _ = state.opened()
    settings = state.settings(Settings)
    chosen = second not in (None, a)
    b = second if chosen else anchors.partner(key, a, settings.basis)
    if b is None or len(dictionary) < 3:
        messages.box(
            "Nothing can lie between",
            "It takes three regions; this dictionary has fewer: open a finer one.",
        )
        return
    anchors.row(key, dictionary, a, b, chosen)
    anchors.examples(key, dictionary, settings.basis)
    _controls(dictionary, settings)
    _figure(key, dictionary, (a, b), settings)


def _controls(dictionary: Dictionary, settings: Settings) -> None:
    """Draw the controls of the view and its options."""
    with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
        setting_choice(Settings, "view", "View", VIEWS, key="between_between_choice")
        setting_choice(Settings, "basis", "Directions", BASIS_NAMES, key="between_basis_choice")
        if dictionary.law.extra:
            messages.quiet(BY_DIRECTION)
        if settings.view == "lens":
            messages.quiet(ABOUT["lens"])
            return
        setting_choice(Settings, "way", "Shortest by", WAYS, key="between_way_choice")
        with st.container(width=150):
            setting_widget(
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
def _figure(key: str, dictionary: Dictionary, ends: tuple[int, int], settings: Settings) -> None:
    """Draw everything below the controls, in a fragment. ends: the anchors A and B."""
    ladder, basis = loading.ladder(key), settings.basis
    pairs = {
        name: view.Pair.carry(dictionary, *ends, other, basis) for name, other in ladder.items()
    }
    lists: dict[str, Lists] = {}
    if settings.view == "path":
        result = neighbour_lists.lists_or_offer(ladder, basis)
        if result is None:
            return
        lists = result
    columns = [
        _path_column(name, other, pairs[name], settings, lists[name])
        if lists
        else _lens_column(name, other, pairs[name], basis)
        for name, other in ladder.items()
    ]
    open_column = next(column for column in columns if column.key == key)
    picked = _picked_card(columns, open_column)
    with st.container(border=True, gap="xsmall"):
        neighbourhood.figure(columns, key, "between_figure", _pick, _open_list, picked)
        if open_column.kind == view.APART and not lists:
            anchors.alternatives(key, dictionary, ends[0], basis)
        messages.quiet(_caption(columns, basis, list(lists.values())))
    _details(ladder, pairs, picked, basis)
    if settings.view == "lens":
        _full_list(ladder, pairs, basis)
    _share(ladder[key], ends, settings)


def _card(key: str, basis: Basis, region: int) -> view.Card:
    """Return the card of a region with its current name."""
    card = _unlabelled_card(loading.fingerprint(key), key, basis, region)
    return replace(card, name=loading.whole_name(key, region))


@st.cache_resource(show_spinner=False, max_entries=4000)
def _unlabelled_card(fingerprint: str, _key: str, basis: Basis, region: int) -> view.Card:
    """Return a card without the labels of people, which may change and are not in the cache."""
    return view.card(loading.dictionary(_key), region, basis)


def _lens_column(key: str, dictionary: Dictionary, pair: view.Pair, basis: Basis) -> view.Column:
    return view.lens_column(key, dictionary, pair, basis, partial(_card, key, basis))


def _path_column(
    key: str, dictionary: Dictionary, pair: view.Pair, settings: Settings, lists: Lists
) -> view.Column:
    return view.path_column(
        key,
        dictionary,
        pair,
        settings.basis,
        partial(_card, key, settings.basis),
        lists.neighbours,
        settings.neighbours,
        settings.way == "length",
    )


def _pick(key: str, region: int) -> None:
    st.session_state[_CARD] = (key, region)


def _open_list(key: str) -> None:
    st.session_state[_LIST] = key


def _picked_card(columns: list[view.Column], open_column: view.Column) -> tuple[str, int]:
    """Return dictionary key and region of the card whose details are drawn.

    It is the card that was clicked, if it is in the figure or in the open list, and otherwise the
    first one of the open dictionary.
    """
    picked = st.session_state.get(_CARD)
    in_figure = {
        (c.key, card.region)
        for c in columns
        for card in (c.a, c.b, *(step.card for step in c.steps))
    }
    if picked in in_figure or (picked and st.session_state.get(_LIST) == picked[0]):
        return picked
    steps = open_column.steps
    return open_column.key, steps[0].card.region if steps else open_column.b.region


def _caption(columns: list[view.Column], basis: Basis, lists: Sequence[Lists]) -> str:
    """Return how the anchors were transferred to the other dictionaries, and the time that the
    neighbour lists took.
    """
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
    """Draw the details of one region: its tokens, cosines and excerpts, and what to do with it."""
    key, region = picked
    dictionary, pair = ladder[key], pairs[key]
    card, vectors = _card(key, basis, region), ladder[key].basis(basis)
    with st.container(border=True, gap="small"):
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            p = dictionary.percentile
            percentile = f"p = {p:g} · " if p is not None else ""
            cosines = ", ".join(
                f"with {n} {float(vectors[region] @ vectors[k]):.2f}"
                for n, k in (("A", pair.a), ("B", pair.b))
            )
            st.html(
                f'<div class="ep-row"><b>Region {region}</b>'
                + tokens.chip(
                    short(card.name).replace(" ", loading.EN_SPACE), card.color, 0.3, card.name
                )
                + (f'<span class="ep-k">lens</span>{lens}' if (lens := _lens(card)) else "")
                + f'<span class="ep-k ep-num">{percentile}{card.members:,} members · cosine '
                f"{cosines}</span></div>"
            )
            for letter, name in (("A", "Make it A"), ("B", "Make it B")):
                other = pair.b if letter == "A" else pair.a
                st.button(
                    name,
                    key=f"between_make_{letter}",
                    on_click=_make_anchor,
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


def _lens(card: view.Card) -> str:
    """Return the lens tokens of a card as small chips of HTML."""
    return "".join(tokens.chip(token, OTHER, 0.14) for token in card.tokens)


def _make_anchor(letter: str, key: str, region: int, other: int) -> None:
    """Make a region of a dictionary A or B, and open that dictionary.

    letter: "A" or "B". other: the other anchor's region in the same dictionary.
    """
    if key != state.current().dictionary:
        state.open_dictionary(key, region)
    a, b = (region, other) if letter == "A" else (other, region)
    state.update_selection(region=a, second=b)
    st.session_state.pop(_CARD, None)
    state.schedule()


def table(dictionary: Dictionary, pair: view.Pair, basis: Basis) -> pa.Table:
    """Return all regions between the anchors, the closest to both first: region, name, lens
    tokens, cosines with A and B, and members.
    """
    between = study.between(dictionary.basis(basis), pair.a, pair.b)
    return pa.table(
        {
            "region": between.regions,
            "name": loading.cells(dictionary, between.regions),
            "lens": pa.array(lens_tokens(dictionary, between.regions), pa.list_(pa.string())),
            "cosine_a": 1 - between.from_a,
            "cosine_b": 1 - between.to_b,
            "members": dictionary.members[between.regions],
        }
    )


def _full_list(ladder: Ladder, pairs: dict[str, view.Pair], basis: Basis) -> None:
    """Draw the table of all regions between the anchors of the dictionary whose list is open."""
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
        table_state = st.dataframe(
            rows.style.apply(lambda _: colors, subset=["group"]) if len(rows) < 20_000 else rows,
            hide_index=True,
            height=29 * min(ROWS_SHOWN, len(rows) + 1) + 3,
            row_height=29,
            key="between_table",
            on_select="rerun",
            selection_mode="single-cell",
            column_config=_columns(),
        )
        if table_state.selection.cells:
            card = (key, int(rows["region"][table_state.selection.cells[0][0]]))
            if st.session_state.get(_CARD) != card:
                st.session_state[_CARD] = card
                st.rerun(scope="fragment")


def _columns() -> dict[str, Any]:
    number = st.column_config.NumberColumn
    return {
        "group": st.column_config.TextColumn("", width=26),
        "region": number("Region", width=70, help=define("region")),
        "name": st.column_config.TextColumn("Name", width=260, help=define("name")),
        "lens": st.column_config.ListColumn("Lens tokens", width=260, help=define("lens_tokens")),
        "cosine_a": number("cos A", format="%.3f", width=70),
        "cosine_b": number("cos B", format="%.3f", width=70),
        "members": number("Members", width=90, help=define("members")),
    }


def _share(dictionary: Dictionary, ends: tuple[int, int], settings: Settings) -> None:
    """Draw the row that exports the page."""
    (a, b), basis = ends, settings.basis
    if settings.view == "path":
        weighted = settings.way == "length"
        code = snippets.path(dictionary, a, b, basis, settings.neighbours, weighted)
        sharing.bar("between_bar", code=code)
        return
    tables = {"Regions between": partial(table, dictionary, view.Pair(a, b), basis)}
    sharing.bar("between_bar", tables, snippets.between(dictionary, a, b, basis))


show()
