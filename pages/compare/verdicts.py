"""The verdicts counted, beside another seed: four cards, the cutoff, the histogram; and how the
null is come by.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import streamlit as st

from ep.config import BuildConfig
from ep.studies import matching as study
from ep.studies.matching import MOVED, ONLY, PERSISTED, Match, Null, Nulls, Summary
from ep.studies.rates import Rate
from ep.views import figures_matching
from ep.views import matching as view
from pages.compare import work
from pages.compare.pick import LEAST_CUT, MOST_CUT, Asked
from pages.shared import frame, jobs, loading, messages, state, tokens
from pages.shared.chart import chart

_ASKED = "compare_null_asked"
Counted = tuple[str, Mapping[int, Rate], Mapping[int, Rate] | None]
"""A side's letter, its verdicts, and those of another seed of it."""
ABOUT = {
    PERSISTED: "partner at or above the cutoff",
    MOVED: "no such partner, yet a near counterpart: as near as that of nine of ten regions in "
    "another seed",
    ONLY: "nothing near",
}


def panel(ask: Asked, found: Match, nulls: Nulls) -> Summary:
    """Draws cards, cutoff and histogram; returns the counts."""
    counted = study.summary(found, ask.cutoff, study.levels(nulls))
    left, right = st.columns([11, 9], gap="medium")
    with left, st.container(border=True, gap="small", height="stretch"):
        st.html(tokens.heading("What became of each region", _near(nulls)))
        told = tokens.escape(view.told(found, counted, nulls))
        st.html(f'<div style="font-size:1.07em"><b>{told}</b></div>')
        st.html(_cards(counted, [null and null.counted(ask.cutoff) for null in nulls]))
        _cutoff(ask.cutoff)
        _null_panel(ask, nulls)
    with right, st.container(border=True, gap="xsmall", height="stretch"):
        st.html(tokens.heading("Cosine of partners", _lines(nulls)))
        beside = {
            f"{letter} and another seed of it": null.match.a.matched
            for letter, null in _known(nulls)
        }
        color = view.COLORS[PERSISTED]
        chart(
            figures_matching.matched(found.a.matched, beside, ask.cutoff, color, frame.is_dark()),
            "compare_cosines",
        )
        st.html(_distances(found, nulls))
    return counted


def _known(nulls: Nulls) -> list[tuple[str, Null]]:
    return [(letter, null) for letter, null in zip("AB", nulls, strict=True) if null is not None]


def _near(nulls: Nulls) -> str:
    if nulls == study.NO_NULLS:
        return "without a null: moved means split or joined"
    said = ", ".join(f"{null.level:.2f} for {letter}" for letter, null in _known(nulls))
    return f"“near” is a cosine of {said}"


def _lines(nulls: Nulls) -> str:
    known = [letter for letter, _ in _known(nulls)]
    if not known:
        return "regions of A and their partners in B"
    return f"line: another seed of {known[0]}{', of B dotted' if len(known) > 1 else ''}"


def _cards(counted: Summary, nulls: Sequence[Mapping[int, Rate] | None]) -> str:
    both = (("A", counted.a, nulls[0]), ("B", counted.b, nulls[1]))
    cards = [
        _card(view.COLORS[PERSISTED], "Persisted", _many(counted.pairs, "pair"), PERSISTED, both),
        _card(
            view.COLORS[MOVED],
            "Moved",
            f"{counted.a[MOVED].hits:,} of A, {counted.b[MOVED].hits:,} of B",
            MOVED,
            both,
        ),
        _card(
            view.COLORS[ONLY], "Only in A", _many(counted.a[ONLY].hits, "region"), ONLY, both[:1]
        ),
        _card(view.THERE, "Only in B", _many(counted.b[ONLY].hits, "region"), ONLY, both[1:]),
    ]
    return (
        '<div style="display:grid;grid-template-columns:1fr 1fr;gap:.7em '
        f'1.4em">{"".join(cards)}</div>'
    )


def _many(n: int, noun: str) -> str:
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def _card(color: str, title: str, number: str, kind: int, sides: Sequence[Counted]) -> str:
    """One verdict: its number, and for each side the share, with that of another seed of the side
    beside it.
    """
    lines = ""
    for letter, shares, null in sides:
        beside = "" if null is None else f" · another seed {view.percent(null[kind])}"
        title_text = (
            "" if null is None else f' title="another seed of {letter}: {view.share(null[kind])}"'
        )
        lines += f"<div{title_text}>{view.share(shares[kind])} of {letter}{beside}</div>"
    return (
        f'<div style="border-left:4px solid {color};padding-left:.7em;line-height:1.4" '
        f'title="{ABOUT[kind]}">'
        f'<div class="ep-row"><b>{title}</b><span class="ep-num" '
        f'style="font-weight:600">{number}</span></div>'
        f'<div class="ep-k ep-num">{lines}</div></div>'
    )


def _distances(found: Match, nulls: Nulls) -> str:
    """How far partners are, in units of each θ, and how far another seed's: a small table."""
    rows = ""
    for letter, side, null in zip("AB", (found.a, found.b), nulls, strict=True):
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


def _row(text: str, of: dict[str, float]) -> str:
    cells = (
        [f"{of['median']:.2f}", f"{of['theta_median']:.2f}", f"{100 * of['within_theta']:.0f} %"]
        if of
        else []
    )
    numbers = "".join(f'<b style="text-align:right">{cell}</b>' for cell in cells or ["–"] * 3)
    return f"<span>{text}</span>{numbers}"


def _cutoff(value: float) -> None:
    st.session_state["compare_cutoff"] = value
    st.slider(
        "Cutoff: cosine from which a pair persists",
        LEAST_CUT,
        MOST_CUT,
        step=0.01,
        key="compare_cutoff",
        on_change=lambda: state.keep(ccut=f"{st.session_state['compare_cutoff']:.2f}"),
    )


# -- the null --------------------------------------------------------------------------------------


def _null_panel(ask: Asked, nulls: Nulls) -> None:
    """For each side without another seed: its progress, the offer to build it, or why there can be
    none.
    """
    if ask.a == ask.b:
        return
    busy = False  # one after the other: two builds at once would only be slower
    refused: dict[str, list[str]] = {}
    for letter, key, null in zip("AB", (ask.a, ask.b), nulls, strict=True):
        if null is not None:
            continue
        name, settings = work.null_job(key), work.null_settings(key)
        if work.other_seed(key) is not None:
            name, settings = (
                work.pairing_job(key, ask.basis, ask.centre),
                "its other seed cannot be matched in this way",
            )
            if work.null(key, ask.basis, ask.centre) is not None:
                st.rerun()  # it came while the page was drawn
        if jobs.get(name) is None and isinstance(settings, str):
            refused.setdefault(settings, []).append(letter)
        else:
            busy = _side(key, letter, name, settings, busy) or busy
    for reason, letters in refused.items():
        messages.quiet(f"No null for {' and '.join(letters)}: {reason}.")


def _side(key: str, letter: str, name: str, settings: BuildConfig | str, busy: bool) -> bool:
    """What stands in place of one null; returns whether a job is at work on it."""
    if (done := jobs.get(name)) is not None and done.state == "done":
        jobs.forget(name)  # what it made is gone again
    if jobs.get(name) is None and not isinstance(settings, str):
        if busy:
            return False
        asked = st.session_state.setdefault(_ASKED, set())
        if not work.is_quick(settings) or key in asked:
            _offer(key, letter, settings)
            return False
        asked.add(key)
        work.build_null(key, settings, letter)
    found = jobs.get(name)
    if found is not None and found.state != "done":
        messages.quiet(f"{found.title}, to stand beside.")
    jobs.watch(name, framed=False)
    return found is not None and found.state == "running"


def _offer(key: str, letter: str, settings: BuildConfig) -> None:
    took = float(loading.dictionary(key).info.get("wall_time_s") or 0)
    about = f", {letter} took {took:,.0f} s" if took else ""
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        messages.quiet("How much of this would another order of the text do by itself?")
        st.button(
            f"Build another seed of {letter} ({settings.tokens or 0:,} activations{about})",
            key=f"compare_null_{letter}",
            on_click=work.build_null,
            args=(key, settings, letter),
        )
