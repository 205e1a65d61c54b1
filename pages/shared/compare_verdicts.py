"""The verdicts counted, beside another seed: four cards, the cutoff, the histogram; and how the null is come by."""

from __future__ import annotations

import streamlit as st

from ep.studies import matching as study
from ep.studies.matching import MOVED, ONLY, PERSISTED, Match, Null, Share, Summary
from ep.views import figures_matching
from ep.views import matching as view
from pages.shared import compare_work as work
from pages.shared import frame, jobs, messages, state, tokens
from pages.shared.chart import chart
from pages.shared.compare_pick import LEAST_CUT, MOST_CUT, Asked

_ASKED = "compare_null_asked"
ABOUT = {
    PERSISTED: "partner at or above the cutoff",
    MOVED: "no such partner, yet a near counterpart",
    ONLY: "nothing near",
}


def panel(ask: Asked, found: Match, null: Null | None) -> Summary:
    """Draws cards, cutoff and histogram; returns the counts."""
    counted = study.summary(found, ask.cutoff, null.level if null else None)
    left, right = st.columns([11, 9], gap="medium")
    with left, st.container(border=True, gap="small", height="stretch"):
        st.html(tokens.heading("What became of each region", _level(counted, null)))
        st.html(f'<div style="font-size:1.07em"><b>{tokens.escape(view.told(found, counted, null))}</b></div>')
        other = study.summary(null.match, ask.cutoff, null.level) if null else None
        st.html(_cards(counted, other))
        _cutoff(ask.cutoff)
        null_panel(ask.a, null)
    with right, st.container(border=True, gap="xsmall", height="stretch"):
        about = "bars: A and B; line: A and another seed of A" if null else "regions of A and their partners in B"
        st.html(tokens.heading("Cosine of partners", about))
        beside = null.match.a.matched if null else None
        color = view.COLORS[PERSISTED]
        chart(figures_matching.matched(found.a.matched, beside, ask.cutoff, color, frame.is_dark()), "compare_cosines")
        st.html(tokens.facts(*_numbers(found, null)))
    return counted


def _level(counted: Summary, null: Null | None) -> str:
    if null is None:
        return "without a null: moved means split or joined"
    return f"“near” is {counted.level:.2f}: nine of ten regions of another seed are nearer"


def _cards(counted: Summary, null: Summary | None) -> str:
    cards = [
        _card(view.COLORS[PERSISTED], "Persisted", f"{counted.pairs:,} pairs", PERSISTED,
              _of("A", counted.a[PERSISTED]) + _of("B", counted.b[PERSISTED]), null),
        _card(view.COLORS[MOVED], "Moved", f"{counted.a[MOVED].hits:,} of A, {counted.b[MOVED].hits:,} of B", MOVED,
              _of("A", counted.a[MOVED]) + _of("B", counted.b[MOVED]), null),
        _card(view.COLORS[ONLY], "Only in A", f"{counted.a[ONLY].hits:,} regions", ONLY,
              _of("A", counted.a[ONLY]), null),
        _card(view.THERE, "Only in B", f"{counted.b[ONLY].hits:,} regions", ONLY, _of("B", counted.b[ONLY]), None),
    ]  # fmt: skip
    return f'<div style="display:grid;grid-template-columns:1fr 1fr;gap:.7em 1.4em">{"".join(cards)}</div>'


def _card(color: str, title: str, number: str, kind: int, shares: str, null: Summary | None) -> str:
    beside = "" if null is None else f'<span style="white-space:nowrap">another seed: {view.share(null.a[kind])}</span>'
    return (
        f'<div style="border-left:4px solid {color};padding-left:.7em;line-height:1.4" title="{ABOUT[kind]}">'
        f'<div class="ep-row"><b>{title}</b><span class="ep-num" style="font-weight:600">{number}</span></div>'
        f'<div class="ep-k ep-num" style="display:flex;flex-wrap:wrap;gap:0 1em">{shares}{beside}</div></div>'
    )


def _of(letter: str, share: Share) -> str:
    return f'<span style="white-space:nowrap">{view.share(share)} of {letter}</span>'


def _numbers(found: Match, null: Null | None) -> list[tuple[str, str, str]]:
    here = study.distances(found.a)
    numbers = [
        ("median cosine", f"{here['median']:.2f}", "of regions of A with their one-to-one partners"),
        ("median distance, θ", f"{here['theta_median']:.2f}", "1 − cosine in units of A's threshold θ"),
        ("within θ", f"{100 * here['within_theta']:.0f} %", "partners nearer than A's threshold θ"),
    ]
    if null is not None:
        other = study.distances(null.match.a)
        numbers.append(("median, another seed", f"{other['median']:.2f}", f"A and {null.name} of the same setting"))
    return numbers


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


# -- the null ----------------------------------------------------------------------------------------------------------


def null_panel(key: str, null: Null | None) -> None:
    """Where there is no other seed: its progress, the offer to build it, or what to do instead."""
    if null is not None:
        return
    name = work.null_job(key)
    job = jobs.get(name)
    if job is not None and job.state == "done":
        jobs.forget(name)  # its file is gone again
        job = None
    settings = work.null_settings(key)
    if job is None and isinstance(settings, str):
        messages.quiet(f"No null: {messages.sentence(settings)}")
        return
    if job is None and not isinstance(settings, str):
        if work.is_quick(settings) and key not in st.session_state.setdefault(_ASKED, set()):
            st.session_state[_ASKED].add(key)
            work.build_null(key, settings)
        else:
            with st.container(horizontal=True, gap="small", vertical_alignment="center"):
                messages.quiet("How much of this would another order of the text do by itself?")
                st.button(
                    f"Build another seed of A ({settings.tokens or 0:,} activations)",
                    key="compare_null",
                    on_click=work.build_null,
                    args=(key, settings),
                )
            return
    jobs.watch(name)
