"""Two linked maps, the table of pairs, and one pair side by side: the lower half of the Compare
page.
"""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import streamlit as st

from ep.errors import RequestError
from ep.method.dictionary import Dictionary
from ep.studies import matching as study
from ep.studies.matching import ONLY, Match, Null, Nulls, Summary
from ep.views import excerpts, figures
from ep.views import matching as view
from ep.views.colorings import Coloring
from ep.views.palette import region_color
from pages.compare.pick import Asked
from pages.shared import frame, loading, maps, messages, state, tokens
from pages.shared.chart import chart

MAP_HIGH = 410
COLORS = {view.VERDICT: "Verdict", view.COSINE: "Matched cosine"}
KINDS = {
    "all": "All",
    "persisted": "Persisted",
    "moved": "Moved",
    "here": "Only in A",
    "there": "Only in B",
}
EXCERPTS = 5
LENS = 6
_MOVES, _TABLE = "compare_moves", "compare_table"
_COLUMNS: dict[str, Any] = {
    "verdict": st.column_config.TextColumn("Verdict", width=82),
    "region_a": st.column_config.NumberColumn("A", width=52, format="%d"),
    "lens_a": st.column_config.ListColumn("Lens of A", width=138),
    "region_b": st.column_config.NumberColumn("B", width=52, format="%d"),
    "lens_b": st.column_config.ListColumn("Lens of B", width=138),
    "cosine": st.column_config.ProgressColumn(
        "Cosine",
        width=86,
        min_value=0,
        max_value=1,
        format="%.2f",
        color="#8a93a6",
        help="With the one-to-one partner",
    ),
    "distance_in_theta_a": st.column_config.NumberColumn(
        "Distance, θ", width=76, format="%.2f", help="1 − cosine in units of A's θ"
    ),
    "nearest": st.column_config.NumberColumn(
        "Nearest", width=62, format="%.2f", help="Cosine with the nearest counterpart, many-to-one"
    ),
    "members_a": st.column_config.NumberColumn("Members A", width=78, format="localized"),
    "members_b": st.column_config.NumberColumn("Members B", width=78, format="localized"),
}


def carried(ask: Asked) -> tuple[str | None, str | None]:
    """Sends both maps to the browser, B's on the axes of A, and returns their names; spheres, or
    flat for few regions.

    None for a map that cannot be drawn. Call it outside `body`: a click then sends nothing.
    """
    for layout in ("pca-sphere", "pca-flat"):
        with suppress(RequestError):
            first = maps.carrier(ask.a, layout)
            return first, first if ask.b == ask.a else maps.carrier(ask.b, layout, axes_of=ask.a)
    return None, None


@frame.fragment
def body(
    ask: Asked, found: Match, counted: Summary, nulls: Nulls, drawn: tuple[str | None, str | None]
) -> None:
    """Maps, pair and table under one selection: a click on any of them moves all."""
    a, b = loading.dictionary(ask.a), loading.dictionary(ask.b)
    region, other = selected(found)
    frame.show_selected()
    shown = _color_choice()
    sides = zip((found.a, found.b), counted.levels, strict=True)
    kinds = [study.verdicts(side, ask.cutoff, level) for side, level in sides]
    for column, side, is_b in zip(
        st.columns(2, gap="medium"), (found.a, found.b), (False, True), strict=True
    ):
        with column:
            colors = (
                view.by_cosine(side) if shown == view.COSINE else view.by_verdict(kinds[is_b], is_b)
            )
            _map(
                drawn[is_b],
                (ask.a, ask.b)[is_b],
                (a, b)[is_b],
                (region, other)[is_b],
                colors,
                is_b,
                found,
            )
    _pair((a, b), found, nulls, (region, other), (int(kinds[0][region]), int(kinds[1][other])))
    _table(ask, a, b, found, counted, nulls)


def selected(found: Match) -> tuple[int, int]:
    """The pair being looked at: the selected region of A, and the region of B chosen with it or
    nearest to it.
    """
    region = min(int(state.current().region or 0), len(found.a) - 1)
    asked = state.setting("creg")
    if asked.isascii() and asked.isdigit() and len(asked) < 9 and int(asked) < len(found.b):
        return region, int(asked)
    return region, found.a.shown(region)


def pick_a(found: Match, region: int) -> None:
    """A click on A: its region, and whatever of B belongs to it."""
    state.select_region(region)
    state.keep(creg=None)
    _moved("A")


def pick_b(found: Match, region: int) -> None:
    """A click on B: that region, and whatever of A belongs to it."""
    state.select_region(found.b.shown(region))
    state.keep(creg=str(region))
    _moved("B")


def _moved(drawn: str) -> None:
    """A map that was clicked shows its region already; the other one, and both after a table's
    click, are told.
    """
    moves = st.session_state.setdefault(_MOVES, {"A": 0, "B": 0})
    for name in moves:
        moves[name] += name != drawn


def _color_choice() -> str:
    value = state.setting("cmap", view.VERDICT, tuple(COLORS))
    st.session_state["compare_map"] = value
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        st.segmented_control(
            "Colour",
            list(COLORS),
            format_func=COLORS.__getitem__,
            key="compare_map",
            label_visibility="collapsed",
            on_change=lambda: state.keep(cmap=st.session_state["compare_map"] or value),
        )
        messages.quiet(
            "A left, B right, both on the axes of A; a click selects a region and its partner."
        )
    return value


def _map(
    drawn: str | None,
    key: str,
    dictionary: Dictionary,
    region: int,
    colors: Coloring,
    is_b: bool,
    found: Match,
) -> None:
    if drawn is None:
        messages.box(
            "There is no map of this dictionary", "It has too few regions to be drawn as cells."
        )
        return
    maps.view(
        drawn,
        dictionary,
        key=f"compare_map_{'b' if is_b else 'a'}",
        selected=region,
        sequence=st.session_state.get(_MOVES, {"A": 0, "B": 0})["B" if is_b else "A"],
        coloring=colors,
        on_pick=partial(pick_b if is_b else pick_a, found),
        link="compare",
        partners=(found.b if is_b else found.a).partner,
        height=MAP_HIGH,
        note="Its exemplars on the first three principal axes of A." if is_b else None,
        names=loading.labels(key).texts(automatic=False),
    )


# -- one pair --------------------------------------------------------------------------------------


def _pair(
    pair: tuple[Dictionary, Dictionary],
    found: Match,
    nulls: Nulls,
    chosen: tuple[int, int],
    kinds: tuple[int, int],
) -> None:
    region, other = chosen
    mutual = int(found.a.partner[region]) == other
    if mutual:
        text = f"partners at cosine {found.a.cosine[region]:.2f}"
    elif int(found.a.nearest[region]) == other:
        text = (
            f"B {other} is A {region}'s nearest counterpart, at cosine "
            f"{found.a.nearest_cosine[region]:.2f}"
        )
    else:
        text = (
            f"A {region} is B {other}'s nearest counterpart, at cosine "
            f"{found.b.nearest_cosine[other]:.2f}"
        )
    for is_b, column in enumerate(st.columns(2, gap="medium")):
        with column, st.container(border=True, gap="small", height="stretch"):
            _region(pair[is_b], chosen[is_b], kinds[is_b], bool(is_b), text, nulls[is_b])


def _region(
    dictionary: Dictionary, region: int, verdict: int, is_b: bool, text: str, null: Null | None
) -> None:
    tint = view.color(verdict, is_b)
    about = dictionary.region(region)
    word = f"only in {'B' if is_b else 'A'}" if verdict == ONLY else view.words(verdict)
    st.html(
        f'<div class="ep-band ep-flush"><b>{"B" if is_b else "A"} {region}</b><span>'
        f'<span class="ep-sw" style="--c:{tint}"></span>{word} · {tokens.escape(text)}</span></div>'
    )
    facts = [
        ("members", f"{int(dictionary.members[region]):,}"),
        ("θ", f"{dictionary.threshold:.2f}"),
    ]
    if "coherence" in about.columns:
        facts.append(("coherence", f"{about.coherence:.2f}"))
    if "mean_distance" in about.columns:
        facts.append(("mean distance", f"{float(about.columns['mean_distance']):.2f}"))
    if null is not None:
        alone = null.match.a.partner[region] < 0
        facts.append(
            ("in another seed", "no partner" if alone else f"{null.match.a.cosine[region]:.2f}")
        )
    st.html(tokens.facts(*facts))
    lens = about.lens.get("mean_up") or about.lens.get("exemplar_up") or about.tokens
    if lens:
        st.html(
            tokens.chips([score.token for score in lens[:LENS]], region_color(dictionary, region))
        )
    rows = [excerpts.aligned(one) for one in about.excerpts[:EXCERPTS]]
    if rows:
        st.html(tokens.aligned(rows, region_color(dictionary, region)))
    else:
        messages.quiet("This file holds no excerpt of this region.")
    if "position_histogram" in dictionary:
        positions(dictionary, region, tint, f"compare_places_{'b' if is_b else 'a'}")


def positions(dictionary: Dictionary, region: int, color: str, key: str) -> None:
    """Where in the build's passages the region's members stand."""
    counts = dictionary.row("position_histogram", region)
    edges = np.linspace(0, int(dictionary.info.get("context") or 128), len(counts) + 1)
    chart(
        figures.histogram(
            counts,
            edges,
            color,
            frame.is_dark(),
            x_title="position in the passage",
            noun="members",
            digits=0,
            height=110,
        ),
        key,
    )


# -- the table -------------------------------------------------------------------------------------


def _table(
    ask: Asked, a: Dictionary, b: Dictionary, found: Match, counted: Summary, nulls: Nulls
) -> None:
    kind = state.setting("ckind", "all", tuple(KINDS))
    st.session_state["compare_kind"] = kind
    stamp = (
        loading.fingerprint(ask.a),
        loading.fingerprint(ask.b),
        ask.basis,
        ask.centre,
        ask.cutoff,
        counted.levels,
    )
    rows = _rows(stamp, a, b, found, nulls)
    verdict_a, verdict_b = rows["verdict_a"], rows["verdict_b"]
    masks = {
        "persisted": pc.equal(verdict_a, "persisted"),
        "moved": pc.or_(_is(verdict_a, "moved"), _is(verdict_b, "moved")),
        "here": _is(verdict_a, "only here"),
        "there": _is(verdict_b, "only there"),
    }
    if kind in masks:
        rows = rows.filter(masks[kind])
    with st.container(border=True, gap="small"):
        with st.container(horizontal=True, gap="small", vertical_alignment="center"):
            st.segmented_control(
                "Verdict",
                list(KINDS),
                format_func=KINDS.__getitem__,
                key="compare_kind",
                label_visibility="collapsed",
                on_change=lambda: state.keep(ckind=st.session_state["compare_kind"] or "all"),
            )
            messages.quiet(f"{rows.num_rows:,} rows; a click shows the pair above")
        st.session_state["compare_listed"] = (
            rows["region_a"].to_pylist(),
            rows["region_b"].to_pylist(),
        )
        st.dataframe(
            _shown(rows),
            hide_index=True,
            height=330,
            row_height=29,
            on_select=partial(_row_picked, found),
            selection_mode="single-cell",
            key=_TABLE,
            column_config=_COLUMNS,
            placeholder="–",
        )


def _is(column: pa.ChunkedArray, word: str) -> pa.ChunkedArray:
    return pc.fill_null(pc.equal(column, word), False)


@st.cache_resource(show_spinner=False, max_entries=12)
def _rows(
    stamp: tuple[Any, ...], _a: Dictionary, _b: Dictionary, _found: Match, _nulls: Nulls
) -> pa.Table:
    return view.pairs(_a, _b, _found, stamp[4], _nulls)


def _shown(rows: pa.Table) -> pa.Table:
    """The columns of the screen: A's verdict, or B's where there is no region of A."""
    verdict = pc.coalesce(rows["verdict_a"], rows["verdict_b"])
    nearest = pc.if_else(
        pc.is_nan(rows["nearest_b_cosine"]), rows["nearest_a_cosine"], rows["nearest_b_cosine"]
    )
    names = [name for name in _COLUMNS if name not in ("verdict", "nearest")]
    columns = {"verdict": verdict} | {name: rows[name] for name in names} | {"nearest": nearest}
    return pa.table({name: columns[name] for name in _COLUMNS})


def _row_picked(found: Match) -> None:
    cells = st.session_state.get(_TABLE, {}).get("selection", {}).get("cells", [])
    here, there = st.session_state.get("compare_listed", ((), ()))
    if not cells or cells[0][0] >= len(here):
        return
    row = cells[0][0]
    if here[row] is not None:
        pick_a(found, int(here[row]))
    else:
        pick_b(found, int(there[row]))
    _moved("")
