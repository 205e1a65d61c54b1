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

from ep import comparing
from ep.comparing import Final, Models
from ep.method.dictionary import Dictionary
from ep.studies.final_token import Separation
from ep.studies.matching import Match
from ep.studies.rates import Rate
from ep.views import figures_matching, snippets_two
from ep.views.export import table
from ep.views.matching import name
from pages.compare import both_models, evidence, prompt_sets
from pages.compare.comparison import Comparison
from pages.compare.prompt_sets import PromptSets
from pages.shared import frame, messages, reading, sharing, tokens
from pages.shared.chart import chart
from pages.shared.jobs import Job
from pages.shared.tokens import escape

COLORS = ("#5199e5", "#f38d65")
"""Of A and of B in this view's charts."""


def show(comparison: Comparison, match: Match | None, share: DeltaGenerator) -> None:
    """The whole view: which prompts, their reading, and what came of it.

    match: of the pair, None where directions cannot be compared. share: where the exports go.
    """
    sets = prompt_sets.pick()
    if sets is None:
        messages.box(
            "Give labelled prompts",
            "A CSV or JSONL file with columns prompt and label (harmful or benign, yes or no): "
            "every second prompt "
            "chooses, the others measure.",
        )
        return
    final = _read(comparison, match, sets)
    if final is None:
        return
    if without := both_models.without_chat_template(comparison):
        messages.quiet(
            f"Without a chat template, {without} read the prompts as plain text, up to their "
            "last token."
        )
    with share:
        _bar(comparison, final, sets)
    _result(comparison, final)


def _read(comparison: Comparison, match: Match | None, sets: PromptSets) -> Final | None:
    """What both models read at the last tokens; None while they have not."""
    pair, n = comparison.dictionaries, len(sets)

    def read(job: Job, models: Models) -> Final:
        return comparing.final(
            pair, models, sets.chosen, sets.held, match, partial(job.report, "reading")
        )

    matched = "matched" if match is not None else "unmatched"
    each = reading.token_count(*sets.texts)
    return both_models.outcome(
        comparison,
        f"final {comparison.stamp} {matched} {sets.stamp}",
        f"Reading {n:,} prompts with both models",
        read,
        tokens=(each, each),
        button="Read the prompts",
        about=f"Both models read these {n:,} prompts, once.",
    )


def _bar(comparison: Comparison, final: Final, sets: PromptSets) -> None:
    a, b = comparison.dictionaries
    sharing.bar(
        "compare_final",
        {
            "Prompts and their scores": partial(prompts, final),
            "Places before the last token": partial(before, final),
        },
        snippets_two.final_token(
            a, b, comparison.basis, comparison.centre, sets.folder, sets.names
        ),
    )


def prompts(final: Final) -> pa.Table:
    """One row a held-out prompt: whether it shows the behaviour, and the rate of its region in A
    and in B.
    """
    return table(
        {
            "prompt": list(final.held.texts),
            "behaves": [bool(label) for label in final.held.labels],
            "score_a": final.a.score,
            "score_b": final.b.score,
        }
    )


def before(final: Final) -> pa.Table:
    """One row a place before the last token: the share of behaving prompts that fall in the region
    of A and of B.
    """
    names = [f"in_{letter}_{region}" for letter, region in zip("ab", final.regions, strict=True)]
    steps = {"tokens_before_the_last": np.arange(len(final.places[0]))}
    return table(steps | dict(zip(names, final.places, strict=True)))


def _result(comparison: Comparison, final: Final) -> None:
    a, b = comparison.dictionaries
    left, right = st.columns([11, 9], gap="medium")
    with left, st.container(border=True, gap="small", height="stretch"):
        _separation((a, b), final)
    with right, st.container(border=True, gap="xsmall", height="stretch"):
        _places(final)
    for side, column in enumerate(st.columns(2, gap="medium")):
        with column, st.container(border=True, gap="small", height="stretch"):
            _region((a, b)[side], side, final)


def _separation(pair: Sequence[Dictionary], final: Final) -> None:
    value, low, high = (
        final.gap if final.leads == 0 else (-final.gap[0], -final.gap[2], -final.gap[1])
    )
    headline = f"{'AB'[final.leads]} tells them apart better than {'BA'[final.leads]}, by"
    if low <= 0 <= high:
        headline = "A and B tell them apart about equally: they differ by"
    st.html(
        tokens.heading(
            "Harmful-style prompts or others, by the region of the last token", flush=False
        )
        + f'<div style="font-size:1.14em"><b>{headline} <span class="ep-num">{value:.2f} '
        "AUROC</span></b> "
        f'<span class="ep-k ep-num" title="paired bootstrap over prompts">95 % {low:.2f} to '
        f"{high:.2f}</span></div>"
    )
    names = [f"{letter}  {escape(name(d))}" for letter, d in zip("AB", pair, strict=True)]
    sides = (final.a, final.b)
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


def _places(final: Final) -> None:
    st.html(tokens.heading("Where they fire in harmful-style prompts", "share of prompts"))
    names = [f"{'AB'[side]} {region}" for side, region in enumerate(final.regions)]
    chart(figures_matching.places(final.places, names, COLORS, frame.is_dark()), "compare_firing")
    legend = "".join(
        f'<span><span class="ep-sw" style="--c:{color}"></span>{text}</span>'
        for color, text in zip(COLORS, names, strict=True)
    )
    st.html(f'<div class="ep-legend">{legend}</div>')
    other = 1 - final.leads
    here, there = final.places[final.leads], final.places[other]
    if not np.nan_to_num(there).any():
        messages.quiet(
            f"No token of these prompts falls in {names[other]}, as far back as {len(there)} "
            "tokens."
        )
    elif there[0] < here[0] / 2:
        early = int(np.argmax(np.nan_to_num(there)))
        where = f"{early} tokens before it" if early else "nowhere more often"
        messages.quiet(f"{names[other]} is rarer at the last token; most often it fires {where}.")


def _region(dictionary: Dictionary, side: int, final: Final) -> None:
    region, letter = final.regions[side], "AB"[side]
    if side == final.leads or final.cosine is None:
        text = f"holds most harmful-style last tokens of {letter}"
    else:
        lead = f"{'AB'[final.leads]} {final.regions[final.leads]}"
        text = f"of {letter}'s regions the nearest to {lead}, cosine {final.cosine:.2f}"
    yes, no = final.held_by[side]
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
    evidence.draw(dictionary, dictionary.region(region), COLORS[side], f"compare_final_{letter}")
