"""Compare: two dictionaries region by region, and both models on the same inputs."""

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
    """Draw the page."""
    head, exports = st.columns([8, 5], gap="small", vertical_alignment="center")
    with head:
        frame.page_head("Compare", SENTENCE)
    comparison = comparisons.current(state.opened().key)
    if comparison is None:
        messages.box(
            "There is nothing to compare with",
            "Comparing takes two dictionaries and the shelf holds one: build or get another in the "
            "Library.",
        )
        return
    header.draw(comparison)
    _view(comparison, exports)


def _view(comparison: Comparison, exports: DeltaGenerator) -> None:
    """Draw the chosen view.

    exports: the container for its exports.
    """
    name = state.settings(Settings).view
    if name == "inputs" or (name == "verdicts" and not comparison.has_one_width):
        if name == "verdicts":
            _explain_widths(comparison)
        inputs.show(comparison, exports)
        return
    match, is_pending = _match(comparison)
    if name == "prompt":
        prompt.show(comparison, match, exports)
    elif name == "final" and not is_pending:
        final.show(comparison, match, exports)
    elif name == "verdicts" and match is not None:
        _regions(comparison, match, exports)


def _explain_widths(comparison: Comparison) -> None:
    """Draw a note on why the regions of two widths are matched through inputs."""
    a, b = comparison.dictionaries
    messages.note(
        f"A is {a.width:,} and B {b.width:,} dimensions wide, so directions cannot be "
        "compared: "
        "regions are matched through inputs that both models read."
    )


def _match(comparison: Comparison) -> tuple[Match | None, bool]:
    """Return the matching, or None, and whether it is still to be computed.

    Without one, a button, the progress or an error box is drawn in its place; for two widths,
    nothing.
    """
    if not comparison.has_one_width:
        return None, False
    try:
        match = pairing.match_of(comparison)
    except EPError as error:
        messages.box("These two cannot be matched in this way", messages.sentence(error))
        return None, False
    return match, match is None


def _regions(comparison: Comparison, match: Match, exports: DeltaGenerator) -> None:
    """Draw the verdicts beside the nulls; below them the maps, the pair and the table."""
    both_nulls = nulls.available(comparison)
    summary = verdicts.draw(comparison, match, both_nulls)
    # the maps are sent outside the fragment, so that a click does not send them again
    body, foot = st.container(), st.container()
    with foot:
        map_names = pairs.send_maps(comparison)
    with body:
        pairs.draw(comparison, match, summary, both_nulls, map_names)
    with exports:
        _exports(comparison, match, both_nulls)


def _exports(comparison: Comparison, match: Match, both_nulls: Nulls) -> None:
    (a, b), cutoff = comparison.dictionaries, comparison.cutoff
    sharing.bar(
        "compare",
        {"Pairs of regions": partial(view.pairs, a, b, match, cutoff, both_nulls)},
        snippets.match(a, b, comparison.basis, comparison.centre, cutoff),
        {"report.html": lambda: view.report(a, b, match, cutoff, both_nulls).encode()},
    )


show()
