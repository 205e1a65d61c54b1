"""The Final token view: how well each model's regions separate harmful-style prompts from others.

Prompts are read at their last token.
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
"""Colours of A and of B in the charts of this view."""


def show(comparison: Comparison, match: Match | None, exports: DeltaGenerator) -> None:
    """Draw the whole view: the choice of prompts, the button that reads them, and the result.

    match: the matching of the pair; None where directions cannot be compared.
    exports: the container for the exports.
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
    final = _final(comparison, match, sets)
    if final is None:
        return
    if lacking := both_models.without_chat_template(comparison):
        messages.quiet(
            f"Without a chat template, {lacking} read the prompts as plain text, up to their "
            "last token."
        )
    with exports:
        _exports(comparison, final, sets)
    _result(comparison, final)


def _final(comparison: Comparison, match: Match | None, sets: PromptSets) -> Final | None:
    """Return what both models read at the last tokens; None while they have not read them."""
    pair, n = comparison.dictionaries, len(sets)

    def read(job: Job, models: Models) -> Final:
        return comparing.final(
            pair, models, sets.choice, sets.held_out, match, partial(job.report, "reading")
        )

    matched = "matched" if match is not None else "unmatched"
    n_tokens = reading.estimated_tokens(*sets.texts)
    return both_models.result_or_offer(
        comparison,
        f"final {comparison.stamp} {matched} {sets.stamp}",
        f"Reading {n:,} prompts with both models",
        read,
        tokens=(n_tokens, n_tokens),
        button="Read the prompts",
        about=f"Both models read these {n:,} prompts, once.",
    )


def _exports(comparison: Comparison, final: Final, sets: PromptSets) -> None:
    a, b = comparison.dictionaries
    sharing.bar(
        "compare_final",
        {
            "Prompts and their scores": partial(prompt_table, final),
            "Places before the last token": partial(place_table, final),
        },
        snippets_two.final_token(
            a, b, comparison.basis, comparison.centre, sets.folder, sets.names
        ),
    )


def prompt_table(final: Final) -> pa.Table:
    """Return a table with one row per held-out prompt.

    Its columns are the label, and the rates of the prompt's regions in A and in B.
    """
    return table(
        {
            "prompt": list(final.held.texts),
            "behaves": [bool(label) for label in final.held.labels],
            "score_a": final.a.score,
            "score_b": final.b.score,
        }
    )


def place_table(final: Final) -> pa.Table:
    """Return a table with one row per place before the last token.

    Its columns are the shares of behaving prompts that fall into the region of A and of B there.
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
            [side.auroc for side in sides],
            [side.interval for side in sides],
            COLORS,
            frame.is_dark(),
        ),
        "compare_aurocs",
    )
    st.html("".join(_side_line(number, side) for number, side in enumerate(sides)))


def _side_line(side: int, result: Separation) -> str:
    regions = (
        f"{result.used} region{'s hold' if result.used != 1 else ' holds'} every prompt of the "
        "choice; the fullest, "
    )
    return (
        f'<div class="ep-num"><span class="ep-sw" style="--c:{COLORS[side]}"></span>{"AB"[side]}: '
        f"{regions}"
        f"{result.region}, holds <b>{_percent(result.yes)}</b> of harmful-style "
        f"and <b>{_percent(result.no)}</b> of other prompts</div>"
    )


def _percent(rate: Rate) -> str:
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
    leading, trailing = final.places[final.leads], final.places[other]
    if not np.nan_to_num(trailing).any():
        messages.quiet(
            f"No token of these prompts falls in {names[other]}, as far back as {len(trailing)} "
            "tokens."
        )
    elif trailing[0] < leading[0] / 2:
        early = int(np.argmax(np.nan_to_num(trailing)))
        where = f"{early} tokens before it" if early else "nowhere more often"
        messages.quiet(f"{names[other]} is rarer at the last token; most often it fires {where}.")


def _region(dictionary: Dictionary, side: int, final: Final) -> None:
    region, letter = final.regions[side], "AB"[side]
    if side == final.leads or final.cosine is None:
        text = f"holds most harmful-style last tokens of {letter}"
    else:
        lead = f"{'AB'[final.leads]} {final.regions[final.leads]}"
        text = f"of {letter}'s regions the nearest to {lead}, cosine {final.cosine:.2f}"
    behaving, other = final.held_by[side]
    st.html(
        f'<div class="ep-band ep-flush"><b><span class="ep-sw" style="--c:{COLORS[side]}"></span>'
        f"{letter} {region}</b><span>{text}</span></div>"
        + tokens.facts(
            (
                "of harmful-style last tokens",
                _percent(behaving),
                f"{behaving.hits} of {behaving.n}, 95 % Wilson interval",
            ),
            (
                "of other last tokens",
                _percent(other),
                f"{other.hits} of {other.n}, 95 % Wilson interval",
            ),
            ("members", f"{int(dictionary.members[region]):,}"),
        )
    )
    evidence.draw(dictionary, dictionary.region(region), COLORS[side], f"compare_final_{letter}")
