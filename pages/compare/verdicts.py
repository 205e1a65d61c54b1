"""The counts of the verdicts beside those of another seed: cards, cutoff and histogram."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import streamlit as st

from ep.studies import matching as study
from ep.studies.matching import MOVED, ONLY, PERSISTED, Match, Null, Nulls, Summary
from ep.studies.rates import Rate
from ep.views import figures_matching
from ep.views import matching as view
from ep.views.glossary import define
from pages.compare import nulls as other_seeds
from pages.compare.comparison import Comparison
from pages.compare.settings import LEAST_CUTOFF, MOST_CUTOFF, Settings
from pages.shared import frame, state, tokens
from pages.shared.chart import chart
from pages.shared.controls import value_widget

SideVerdicts = tuple[str, Mapping[int, Rate], Mapping[int, Rate] | None]
"""The letter of a side, the rates of its verdicts, and those of another seed of it."""
MEANINGS = {
    PERSISTED: define("persisted"),
    MOVED: define("moved"),
    ONLY: define("only"),
}


def draw(comparison: Comparison, match: Match, nulls: Nulls) -> Summary:
    """Draw the cards, the cutoff and the histogram, and return the counts."""
    cutoff = comparison.cutoff
    summary = study.summary(match, cutoff, study.levels(nulls))
    left, right = st.columns([11, 9], gap="medium")
    with left, st.container(border=True, gap="small", height="stretch"):
        st.html(tokens.heading("What became of each region", _level_note(nulls)))
        headline = tokens.escape(view.result_sentence(match, summary, nulls))
        st.html(f'<div style="font-size:1.07em"><b>{headline}</b></div>')
        st.html(_cards(summary, nulls))
        _cutoff(cutoff)
        other_seeds.draw_missing(comparison, nulls)
    with right, st.container(border=True, gap="xsmall", height="stretch"):
        st.html(tokens.heading("Cosine of partners", _line_note(nulls)))
        null_cosines = {
            f"{letter} and another seed of it": null.match.a.matched
            for letter, null in _existing(nulls)
        }
        color = view.COLORS[PERSISTED]
        chart(
            figures_matching.matched(match.a.matched, null_cosines, cutoff, color, frame.is_dark()),
            "compare_cosines",
        )
        st.html(_distances(match, nulls))
    return summary


def _cutoff(value: float) -> None:
    """Draw the slider of the cutoff; links keep two digits of it."""
    value_widget(
        st.slider,
        "compare_cutoff",
        "Cutoff: cosine from which a pair persists",
        value,
        lambda new: state.update_settings(Settings, cutoff=round(new, 2)),
        LEAST_CUTOFF,
        MOST_CUTOFF,
        step=0.01,
    )


def _existing(nulls: Nulls) -> list[tuple[str, Null]]:
    """Return the nulls that exist, each with the letter of its side."""
    return [(letter, null) for letter, null in zip("AB", nulls, strict=True) if null is not None]


def _level_note(nulls: Nulls) -> str:
    if nulls == study.NO_NULLS:
        return "without a null: moved means split or joined"
    levels = ", ".join(f"{null.level:.2f} for {letter}" for letter, null in _existing(nulls))
    return f"“near” is a cosine of {levels}"


def _line_note(nulls: Nulls) -> str:
    letters = [letter for letter, _ in _existing(nulls)]
    if not letters:
        return "regions of A and their partners in B"
    return f"line: another seed of {letters[0]}{', of B dotted' if len(letters) > 1 else ''}"


def _cards(summary: Summary, nulls: Nulls) -> str:
    first, second = (None if null is None else null.counted(summary.cutoff) for null in nulls)
    both = (("A", summary.a, first), ("B", summary.b, second))
    cards = [
        _card(
            view.COLORS[PERSISTED], "Persisted", _counted(summary.pairs, "pair"), PERSISTED, both
        ),
        _card(
            view.COLORS[MOVED],
            "Moved",
            f"{summary.a[MOVED].hits:,} of A, {summary.b[MOVED].hits:,} of B",
            MOVED,
            both,
        ),
        _card(
            view.COLORS[ONLY], "Only in A", _counted(summary.a[ONLY].hits, "region"), ONLY, both[:1]
        ),
        _card(view.THERE, "Only in B", _counted(summary.b[ONLY].hits, "region"), ONLY, both[1:]),
    ]
    return (
        '<div style="display:grid;grid-template-columns:1fr 1fr;gap:.7em '
        f'1.4em">{"".join(cards)}</div>'
    )


def _counted(n: int, noun: str) -> str:
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def _card(color: str, title: str, number: str, kind: int, sides: Sequence[SideVerdicts]) -> str:
    """Return the card of one verdict as HTML.

    It has the number, and for each side the share beside that of another seed.
    """
    lines = ""
    for letter, shares, null in sides:
        null_text = "" if null is None else f" · another seed {view.percent(null[kind])}"
        title_text = (
            "" if null is None else f' title="another seed of {letter}: {view.share(null[kind])}"'
        )
        lines += f"<div{title_text}>{view.share(shares[kind])} of {letter}{null_text}</div>"
    return (
        f'<div style="border-left:4px solid {color};padding-left:.7em;line-height:1.4" '
        f'title="{MEANINGS[kind]}">'
        f'<div class="ep-row"><b>{title}</b><span class="ep-num" '
        f'style="font-weight:600">{number}</span></div>'
        f'<div class="ep-k ep-num">{lines}</div></div>'
    )


def _distances(match: Match, nulls: Nulls) -> str:
    """Return a table, as HTML, of how far partners are in units of θ, and those of another seed."""
    rows = ""
    for letter, side, null in zip("AB", (match.a, match.b), nulls, strict=True):
        rows += _row(f"A and B, in θ of {letter}", study.distances(side))
        if null is not None:
            rows += _row(f"{letter} and another seed of {letter}", study.distances(null.match.a))
    head = "".join(
        f'<span class="ep-k">{text}</span>'
        for text in ("", "median cosine", "distance, θ", "within θ")
    )
    return (
        '<div class="ep-num" title="median over partners: their cosine, and 1 − cosine in units of '
        'θ" '
        'style="display:grid;grid-template-columns:1fr auto auto auto;gap:.1em '
        f'1.1em">{head}{rows}</div>'
    )


def _row(text: str, statistics: dict[str, float]) -> str:
    cells = ["–"] * 3
    if statistics:
        cells[0] = f"{statistics['median']:.2f}"
    if "theta_median" in statistics:
        cells[1] = f"{statistics['theta_median']:.2f}"
        cells[2] = f"{100 * statistics['within_theta']:.0f} %"
    numbers = "".join(f'<b style="text-align:right">{cell}</b>' for cell in cells)
    return f"<span>{text}</span>{numbers}"
