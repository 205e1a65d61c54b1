"""Compare: two dictionaries side by side, what persisted, what moved, what is only in one; and both
models at work.
"""

from __future__ import annotations

from functools import partial

import streamlit as st

from ep.errors import EPError
from ep.method.dictionary import Dictionary
from ep.studies import matching as study
from ep.studies.matching import Match, Nulls
from ep.views import matching as view
from ep.views import snippets
from pages.compare import final, inputs, pairs, pick, prompt, verdicts, work
from pages.compare.pick import FINAL, INPUTS, PROMPT, VERDICTS, Asked
from pages.shared import frame, jobs, loading, messages, sharing, state

SENTENCE = "Two dictionaries, region by region: what persisted, what moved, what is only in one."


def show() -> None:
    found = state.opened()
    head, share = st.columns([8, 5], gap="small", vertical_alignment="center")
    with head:
        frame.page("Compare", SENTENCE)
    if found is None or found[0].dictionary is None:
        messages.nothing_open()
        return
    ask = pick.asked(found[0].dictionary)
    if ask is None:
        messages.box(
            "There is nothing to compare with",
            "Comparing takes two dictionaries and the shelf holds one: build or get another in the "
            "Library.",
        )
        return
    a, b = found[1], loading.dictionary(ask.b)
    one_width = a.width == b.width
    pick.controls(ask, one_width)
    pick.facts(ask, a, b, study.centres(a, b) if one_width else None)
    pick.remarks(ask, a, b)
    matched = _matched(ask, one_width)
    if ask.view == FINAL:
        final.show(ask, matched, share)
    elif ask.view == PROMPT:
        prompt.show(ask, matched, share)
    elif ask.view == INPUTS or not one_width:
        if not one_width and ask.view == VERDICTS:
            messages.note(
                f"A is {a.width:,} and B {b.width:,} dimensions wide, so directions cannot be "
                "compared: "
                "regions are matched through inputs that both models read."
            )
        inputs.show(ask, share)
    elif matched is not None:
        nulls = _regions(ask, matched)
        with share:
            _share(ask, a, b, matched, nulls)


def _matched(ask: Asked, one_width: bool) -> Match | None:
    """The matching; a job's panel or a calm box in its place while there is none."""
    if not one_width:
        return None
    try:
        found = work.matched(ask.a, ask.b, ask.basis, ask.centre)
    except EPError as error:
        messages.box("These two cannot be matched in this way", messages.sentence(error))
        return None
    if found is None:
        jobs.watch(work.match_job(ask.a, ask.b, ask.basis, ask.centre))
    return found


def _regions(ask: Asked, found: Match) -> Nulls:
    """Verdicts beside the nulls; maps, pair and table below."""
    nulls = work.nulls(ask)
    counted = verdicts.panel(ask, found, nulls)
    # the maps' bytes travel outside the fragment: a click sends none
    body, foot = st.container(), st.container()
    with foot:
        drawn = pairs.carried(ask)
    with body:
        pairs.body(ask, found, counted, nulls, drawn)
    return nulls


def _share(ask: Asked, a: Dictionary, b: Dictionary, found: Match, nulls: Nulls) -> None:
    sharing.bar(
        "compare",
        {"Pairs of regions": partial(view.pairs, a, b, found, ask.cutoff, nulls)},
        snippets.match(a, b, ask.basis, ask.centre, ask.cutoff),
        {"report.html": lambda: view.report(a, b, found, ask.cutoff, nulls).encode()},
    )


show()
