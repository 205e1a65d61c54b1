"""Compare: two dictionaries side by side, what persisted, what moved, what is only in one; and both
models at work.
"""

from __future__ import annotations

from functools import partial

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from ep.errors import EPError
from ep.studies.matching import Match, Nulls
from ep.views import matching as view
from ep.views import snippets
from pages.compare import comparison as comparisons
from pages.compare import final, header, inputs, nulls, pairing, pairs, prompt, verdicts
from pages.compare.comparison import Comparison
from pages.compare.settings import Settings
from pages.shared import frame, messages, sharing, state

SENTENCE = "Two dictionaries, region by region: what persisted, what moved, what is only in one."


def show() -> None:
    head, share = st.columns([8, 5], gap="small", vertical_alignment="center")
    with head:
        frame.page("Compare", SENTENCE)
    comparison = comparisons.chosen(state.opened().key)
    if comparison is None:
        messages.box(
            "There is nothing to compare with",
            "Comparing takes two dictionaries and the shelf holds one: build or get another in the "
            "Library.",
        )
        return
    header.draw(comparison)
    _view(comparison, share)


def _view(comparison: Comparison, share: DeltaGenerator) -> None:
    """The view that was chosen; share: where its exports go."""
    chosen = state.settings(Settings).view
    if chosen == "inputs" or (chosen == "verdicts" and not comparison.has_one_width):
        if chosen == "verdicts":
            _explain_widths(comparison)
        inputs.show(comparison, share)
        return
    match, is_open = _match(comparison)
    if chosen == "prompt":
        prompt.show(comparison, match, share)
    elif chosen == "final" and not is_open:
        final.show(comparison, match, share)
    elif chosen == "verdicts" and match is not None:
        _regions(comparison, match, share)


def _explain_widths(comparison: Comparison) -> None:
    a, b = comparison.dictionaries
    messages.note(
        f"A is {a.width:,} and B {b.width:,} dimensions wide, so directions cannot be "
        "compared: "
        "regions are matched through inputs that both models read."
    )


def _match(comparison: Comparison) -> tuple[Match | None, bool]:
    """The matching, and whether it is still to be made; without one there is a button, progress or
    a calm box in its place, and nothing across widths.
    """
    if not comparison.has_one_width:
        return None, False
    try:
        match = pairing.match_of(comparison)
    except EPError as error:
        messages.box("These two cannot be matched in this way", messages.sentence(error))
        return None, False
    return match, match is None


def _regions(comparison: Comparison, match: Match, share: DeltaGenerator) -> None:
    """Verdicts beside the nulls; maps, pair and table below."""
    known = nulls.known(comparison)
    summary = verdicts.panel(comparison, match, known)
    # the maps' bytes travel outside the fragment: a click sends none
    body, foot = st.container(), st.container()
    with foot:
        names = pairs.carried(comparison)
    with body:
        pairs.body(comparison, match, summary, known, names)
    with share:
        _share(comparison, match, known)


def _share(comparison: Comparison, match: Match, known: Nulls) -> None:
    (a, b), cutoff = comparison.dictionaries, comparison.cutoff
    sharing.bar(
        "compare",
        {"Pairs of regions": partial(view.pairs, a, b, match, cutoff, known)},
        snippets.match(a, b, comparison.basis, comparison.centre, cutoff),
        {"report.html": lambda: view.report(a, b, match, cutoff, known).encode()},
    )


show()
