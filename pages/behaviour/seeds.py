"""Several orders of one stream, so that a lucky one is seen; and what a half-behaving centre
does.
"""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from ep.views import behaviour_html as markup
from ep.views.behaviour import Plain, verdict
from pages.behaviour.inputs import Numbers
from pages.behaviour.work import HALF, Run
from pages.shared import messages, state, tokens

PUBLISHED = (
    "Published for Gemma-2-2B-it, layer 20 (appendix table 3 as quoted by EPDashboard): at every p "
    "where ablating the "
    "exemplar works at all, about half of the four seeds do nothing."
)


def card(run: Run, now: Numbers, on_run: Callable[[float], None]) -> None:
    """One row a seed, for one share of behaving prompts at a time."""
    shares = (
        list(dict.fromkeys((*run.streams, now.share, HALF))) if run.stored else [now.share, HALF]
    )
    shares = list(dict.fromkeys(shares))
    with st.container(border=True, gap="small"):
        share = _head(shares)
        left, right = st.columns([15, 8], gap="medium")
        tried = run.streams.get(share)
        with left:
            if tried is None:
                messages.quiet(
                    f"Not tried yet with {share:.0%} behaving prompts in the centre's stream."
                )
            else:
                st.html(markup.seeds(tried))
        with right:
            for text in explained(run.streams):
                st.html(f'<div class="ep-k" style="opacity:.8">{tokens.escape(text)}</div>')
            if not run.stored:
                missing = tried is None
                st.button(
                    f"Try {now.seeds} orders at {share:.0%}"
                    if missing
                    else f"Tried at {share:.0%}",
                    key="behaviour_streams",
                    icon=":material/shuffle:",
                    disabled=not missing,
                    on_click=on_run,
                    args=(share,),
                )


def _head(shares: list[float]) -> float:
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.html(
            tokens.heading(
                "Other orders of the stream",
                "dictionaries of these prompts alone; behaving prompts in the centre's stream:",
            ),
            width="content",
        )
        given = state.setting("bhalf", "")
        at = HALF if given == "on" and HALF in shares else shares[0]
        st.session_state["behaviour_share"] = at
        st.segmented_control(
            "Share of behaving prompts",
            shares,
            key="behaviour_share",
            format_func=lambda share: f"{share:.0%}",
            label_visibility="collapsed",
            on_change=_chosen,
        )
    return at


def _chosen() -> None:
    state.keep(bhalf="on" if st.session_state["behaviour_share"] == HALF else None)


def explained(streams: dict[float, list[Plain]]) -> list[str]:
    """What the two centres show, in plain sentences with the counts of this run; and what was
    published.
    """
    out = [
        "Ablating projects the stream onto the centre along one direction: it parks the model "
        "there. A centre taken "
        "from a half-behaving stream lies half-way to the behaviour, and a parked model keeps "
        "showing it."
    ]
    told = []
    for share, several in sorted(streams.items()):
        n = sum(verdict(one) == "works" for one in several)
        told.append(
            f"with {share:.0%} behaving prompts {n} of {len(several)} seeds lower it by half or "
            "more and comply"
        )
    if told:
        out.append(f"Here {'; '.join(told)}.{_sizes(streams)}")
    return [*out, PUBLISHED]


def _sizes(streams: dict[float, list[Plain]]) -> str:
    """How many prompts the regions found hold, where two shares were tried: a finer θ splits
    them.
    """
    held = {
        share: [one["rate"][1] for one in several if one["rate"]]
        for share, several in sorted(streams.items())
    }
    if len(held) < 2 or not all(held.values()):
        return ""
    parts = [f"{min(n):,} to {max(n):,} prompts at {share:.0%}" for share, n in held.items()]
    return f" The regions found hold {', '.join(parts)}."
