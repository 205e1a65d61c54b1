"""Where the two models tell harmful-style prompts from others: the last token, by how much. Compare page."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from ep.comparing import Final
from ep.errors import EPError
from ep.method.dictionary import Dictionary
from ep.studies.final_token import Separation
from ep.studies.matching import Match
from ep.views import excerpts, figures_matching
from ep.views.matching import name
from ep.views.palette import region_color
from ep.views.tables import members
from pages.shared import compare_work as work
from pages.shared import frame, jobs, loading, messages, tokens
from pages.shared.chart import chart
from pages.shared.compare_pairs import positions
from pages.shared.compare_pick import Asked
from pages.shared.compare_work import Sets
from pages.shared.tokens import escape

COLORS = ("#5199e5", "#f38d65")
"""Of A and of B in this view's charts."""
EXCERPTS = 5


def show(ask: Asked, found: Match | None) -> None:
    """The whole view: which prompts, their reading as a job, and what came of it."""
    sets = _sets()
    if sets is None:
        messages.box(
            "Give labelled prompts",
            "A CSV or JSONL file with columns prompt and label (harmful or benign, yes or no): every second prompt "
            "chooses, the others measure.",
        )
        return
    job_name = work.final_job(ask.a, ask.b, ask.basis, ask.centre, sets)
    job = jobs.get(job_name)
    if job is None:
        try:
            models = work.models_of(ask.a, ask.b)
        except EPError as error:
            messages.box("Both models are needed here", messages.sentence(error))
            return
        work.read_final(job_name, (loading.dictionary(ask.a), loading.dictionary(ask.b)), models, sets, found)
    elif job.state == "done":
        _result(ask, job.result, sets)
        return
    jobs.watch(job_name)


def _sets() -> Sets | None:
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        with st.popover("Other prompts", icon=":material/upload_file:", type="tertiary"):
            given = st.file_uploader(
                "Labelled prompts", type=["csv", "jsonl"], key="compare_prompts", label_visibility="collapsed"
            )
            messages.quiet("Columns prompt and label. Every second prompt chooses, the others measure.")
        sets = work.demo_sets()
        if given is not None:
            try:
                sets = work.given_sets(given.getvalue(), given.name)
            except EPError as error:
                messages.note(messages.sentence(error))
        if sets is not None:
            yes = sum(bool(said) for said in sets.held.labels)
            messages.quiet(
                f"{sets.source}: rates of regions from {len(sets.chosen):,} prompts, measured on {yes:,} harmful-style "
                f"and {len(sets.held) - yes:,} other prompts never used for that; the last token before the reply."
            )
    return sets


def _result(ask: Asked, found: Final, sets: Sets) -> None:
    a, b = loading.dictionary(ask.a), loading.dictionary(ask.b)
    left, right = st.columns([11, 9], gap="medium")
    with left, st.container(border=True, gap="small", height="stretch"):
        _separation((a, b), found)
    with right, st.container(border=True, gap="xsmall", height="stretch"):
        _places((a, b), found)
    for column, d, region, other, color in zip(
        st.columns(2, gap="medium"), (a, b), (found.a.region, found.region_b), (found.a, found.b), COLORS, strict=True
    ):
        with column, st.container(border=True, gap="small", height="stretch"):
            _region(d, region, other, found, d is b, color)


def _separation(pair: Sequence[Dictionary], found: Final) -> None:
    value, low, high = found.gap
    ahead, behind = ("A", "B") if value >= 0 else ("B", "A")
    if low <= 0 <= high:
        said = "Both separate harmful-style prompts about equally"
    else:
        said = f"{ahead} separates harmful-style prompts better than {behind}"
    st.html(
        tokens.heading("Harmful-style or not, by the region of the last token", "held-out prompts", flush=False)
        + f'<div style="font-size:1.14em"><b>{said}: <span class="ep-num">AUROC {value:+.2f} for A</span></b> '
        f'<span class="ep-k ep-num">95 % {low:+.2f} to {high:+.2f}, paired bootstrap</span></div>'
    )
    names = [f"{letter}  {escape(name(d))}" for letter, d in zip("AB", pair, strict=True)]
    sides = (found.a, found.b)
    chart(
        figures_matching.aurocs(
            names, [one.auroc for one in sides], [one.interval for one in sides], COLORS, frame.is_dark()
        ),
        "compare_aurocs",
    )
    st.html("".join(_line(letter, one, color) for letter, one, color in zip("AB", sides, COLORS, strict=True)))


def _line(letter: str, one: Separation, color: str) -> str:
    return (
        f'<div class="ep-num"><span class="ep-sw" style="--c:{color}"></span>{letter}: region {one.region} holds '
        f"<b>{escape(str(one.yes))}</b> of harmful-style and <b>{escape(str(one.no))}</b> of other last tokens; "
        f"{one.used} region{'s' if one.used != 1 else ''} hold all that chose</div>"
    )


def _places(pair: Sequence[Dictionary], found: Final) -> None:
    st.html(tokens.heading("Where these regions fire in harmful-style prompts", "share of prompts, by place"))
    names = (f"A {found.a.region}", f"B {found.region_b}")
    chart(figures_matching.places(found.places, names, COLORS, frame.is_dark()), "compare_firing")
    legend = "".join(
        f'<span><span class="ep-sw" style="--c:{color}"></span>{text}</span>'
        for color, text in zip(COLORS, names, strict=True)
    )
    st.html(f'<div class="ep-legend">{legend}</div>')
    if not found.places[1].any():
        messages.quiet(f"No token of these prompts falls in B {found.region_b}, as far back as 24 tokens.")
    elif found.places[1][0] < found.places[0][0] / 2:
        messages.quiet(f"B {found.region_b} is rarer at the last token than A {found.a.region}, or fires earlier.")


def _region(dictionary: Dictionary, region: int, one: Separation, found: Final, is_b: bool, color: str) -> None:
    about = dictionary.region(region)
    if not is_b:
        text = "holds most harmful-style last tokens of A"
    elif found.cosine is None:
        text = "holds most harmful-style last tokens of B"
    else:
        text = f"of B's regions the nearest to A {found.a.region}, cosine {found.cosine:.2f}"
    st.html(
        f'<div class="ep-band ep-flush"><b><span class="ep-sw" style="--c:{color}"></span>'
        f"{'B' if is_b else 'A'} {region}</b><span>{text} · {int(members(dictionary)[region]):,} members</span></div>"
    )
    lens = about.lens.get("mean_up") or about.lens.get("exemplar_up") or about.tokens
    if lens:
        st.html(tokens.chips([score.token for score in lens[:6]], region_color(dictionary, region)))
    rows = [excerpts.aligned(one) for one in about.excerpts[:EXCERPTS]]
    if rows:
        st.html(tokens.aligned(rows, region_color(dictionary, region)))
    else:
        messages.quiet("This file holds no excerpt of this region.")
    if "position_histogram" in dictionary:
        positions(dictionary, region, color, f"compare_final_{'b' if is_b else 'a'}")
