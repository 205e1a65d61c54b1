"""Where the two models tell harmful-style prompts from others: the last token, by how much.

Compare page.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import pyarrow as pa
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from ep.comparing import Final
from ep.errors import EPError
from ep.method.dictionary import Dictionary
from ep.studies.final_token import Separation
from ep.studies.matching import Match
from ep.studies.rates import Rate
from ep.views import excerpts, figures_matching, snippets_two
from ep.views.export import table
from ep.views.matching import name
from ep.views.palette import region_color
from pages.compare import work
from pages.compare.pairs import positions
from pages.compare.pick import Asked
from pages.compare.work import Sets
from pages.shared import frame, jobs, loading, messages, sharing, tokens
from pages.shared.chart import chart
from pages.shared.tokens import escape

COLORS = ("#5199e5", "#f38d65")
"""Of A and of B in this view's charts."""
EXCERPTS = 5


def show(ask: Asked, found: Match | None, share: DeltaGenerator) -> None:
    """The whole view: which prompts, their reading as a job, and what came of it; share: where the
    exports go.
    """
    sets = _sets()
    if sets is None:
        messages.box(
            "Give labelled prompts",
            "A CSV or JSONL file with columns prompt and label (harmful or benign, yes or no): "
            "every second prompt "
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
        work.read_final(
            job_name, (loading.dictionary(ask.a), loading.dictionary(ask.b)), models, sets, found
        )
    elif job.state == "done":
        if untaught := work.untaught(ask):
            messages.quiet(
                f"Without a chat template, {untaught} read the prompts as plain text, up to their "
                "last token."
            )
        with share:
            _bar(ask, job.result, sets)
        _result(ask, job.result, sets)
        return
    jobs.watch(job_name)


def _bar(ask: Asked, found: Final, sets: Sets) -> None:
    a, b = loading.dictionary(ask.a), loading.dictionary(ask.b)
    sharing.bar(
        "compare_final",
        {
            "Prompts and their scores": partial(prompts, found),
            "Places before the last token": partial(before, found),
        },
        snippets_two.final_token(a, b, ask.basis, ask.centre, sets.folder, sets.names),
    )


def prompts(found: Final) -> pa.Table:
    """One row a held-out prompt: whether it shows the behaviour, and the rate of its region in A
    and in B.
    """
    return table(
        {
            "prompt": list(found.held.texts),
            "behaves": [bool(said) for said in found.held.labels],
            "score_a": found.a.score,
            "score_b": found.b.score,
        }
    )


def before(found: Final) -> pa.Table:
    """One row a place before the last token: the share of behaving prompts that fall in the region
    of A and of B.
    """
    names = [f"in_{letter}_{region}" for letter, region in zip("ab", found.regions, strict=True)]
    steps = {"tokens_before_the_last": np.arange(len(found.places[0]))}
    return table(steps | dict(zip(names, found.places, strict=True)))


def _sets() -> Sets | None:
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        with st.popover("Other prompts", icon=":material/upload_file:", type="tertiary"):
            given = st.file_uploader(
                "Labelled prompts",
                type=["csv", "jsonl"],
                key="compare_prompts",
                label_visibility="collapsed",
            )
            messages.quiet(
                "Columns prompt and label. Every second prompt chooses, the others measure."
            )
        sets = work.demo_sets()
        if given is not None:
            try:
                sets = work.given_sets(given.getvalue(), given.name)
            except EPError as error:
                messages.note(messages.sentence(error))
        if sets is not None:
            yes = sum(bool(said) for said in sets.held.labels)
            messages.quiet(
                f"{sets.source}: rates of regions from {len(sets.chosen):,} prompts, measured on "
                f"{yes:,} harmful-style "
                f"and {len(sets.held) - yes:,} other prompts never used for that; the last token "
                "before the reply."
            )
    return sets


def _result(ask: Asked, found: Final, sets: Sets) -> None:
    a, b = loading.dictionary(ask.a), loading.dictionary(ask.b)
    left, right = st.columns([11, 9], gap="medium")
    with left, st.container(border=True, gap="small", height="stretch"):
        _separation((a, b), found)
    with right, st.container(border=True, gap="xsmall", height="stretch"):
        _places(found)
    for side, column in enumerate(st.columns(2, gap="medium")):
        with column, st.container(border=True, gap="small", height="stretch"):
            _region((a, b)[side], side, found)


def _separation(pair: Sequence[Dictionary], found: Final) -> None:
    value, low, high = (
        found.gap if found.leads == 0 else (-found.gap[0], -found.gap[2], -found.gap[1])
    )
    said = f"{'AB'[found.leads]} tells them apart better than {'BA'[found.leads]}, by"
    if low <= 0 <= high:
        said = "A and B tell them apart about equally: they differ by"
    st.html(
        tokens.heading(
            "Harmful-style prompts or others, by the region of the last token", flush=False
        )
        + f'<div style="font-size:1.14em"><b>{said} <span class="ep-num">{value:.2f} '
        "AUROC</span></b> "
        f'<span class="ep-k ep-num" title="paired bootstrap over prompts">95 % {low:.2f} to '
        f"{high:.2f}</span></div>"
    )
    names = [f"{letter}  {escape(name(d))}" for letter, d in zip("AB", pair, strict=True)]
    sides = (found.a, found.b)
    chart(
        figures_matching.aurocs(
            names,
            [one.auroc for one in sides],
            [one.interval for one in sides],
            COLORS,
            frame.is_dark(),
        ),
        "compare_aurocs",
    )
    st.html("".join(_line(side, one) for side, one in enumerate(sides)))


def _line(side: int, one: Separation) -> str:
    regions = (
        f"{one.used} region{'s hold' if one.used != 1 else ' holds'} every prompt of the "
        "choice; the fullest, "
    )
    return (
        f'<div class="ep-num"><span class="ep-sw" style="--c:{COLORS[side]}"></span>{"AB"[side]}: '
        f"{regions}"
        f"{one.region}, holds <b>{_share(one.yes)}</b> of harmful-style "
        f"and <b>{_share(one.no)}</b> of other prompts</div>"
    )


def _share(rate: Rate) -> str:
    low, high = rate.interval or (0.0, 1.0)
    return f"{100 * (rate.value or 0):.0f} % ({100 * low:.0f} to {100 * high:.0f})"


def _places(found: Final) -> None:
    st.html(tokens.heading("Where they fire in harmful-style prompts", "share of prompts"))
    names = [f"{'AB'[side]} {region}" for side, region in enumerate(found.regions)]
    chart(figures_matching.places(found.places, names, COLORS, frame.is_dark()), "compare_firing")
    legend = "".join(
        f'<span><span class="ep-sw" style="--c:{color}"></span>{text}</span>'
        for color, text in zip(COLORS, names, strict=True)
    )
    st.html(f'<div class="ep-legend">{legend}</div>')
    other = 1 - found.leads
    here, there = found.places[found.leads], found.places[other]
    if not np.nan_to_num(there).any():
        messages.quiet(
            f"No token of these prompts falls in {names[other]}, as far back as {len(there)} "
            "tokens."
        )
    elif there[0] < here[0] / 2:
        early = int(np.argmax(np.nan_to_num(there)))
        where = f"{early} tokens before it" if early else "nowhere more often"
        messages.quiet(f"{names[other]} is rarer at the last token; most often it fires {where}.")


def _region(dictionary: Dictionary, side: int, found: Final) -> None:
    region, letter = found.regions[side], "AB"[side]
    about = dictionary.region(region)
    if side == found.leads or found.cosine is None:
        text = f"holds most harmful-style last tokens of {letter}"
    else:
        lead = f"{'AB'[found.leads]} {found.regions[found.leads]}"
        text = f"of {letter}'s regions the nearest to {lead}, cosine {found.cosine:.2f}"
    yes, no = found.held_by[side]
    st.html(
        f'<div class="ep-band ep-flush"><b><span class="ep-sw" style="--c:{COLORS[side]}"></span>'
        f"{letter} {region}</b><span>{text}</span></div>"
        + tokens.facts(
            (
                "of harmful-style last tokens",
                _share(yes),
                f"{yes.hits} of {yes.n}, 95 % Wilson interval",
            ),
            ("of other last tokens", _share(no), f"{no.hits} of {no.n}, 95 % Wilson interval"),
            ("members", f"{int(dictionary.members[region]):,}"),
        )
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
        positions(dictionary, region, COLORS[side], f"compare_final_{letter}")
