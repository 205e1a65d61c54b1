"""One pair of regions side by side: a card for each."""

from __future__ import annotations

import streamlit as st

from ep.method.dictionary import Dictionary
from ep.method.region import Region
from ep.studies.matching import ONLY, Match, Null, Nulls
from ep.views import matching as view
from pages.compare import evidence
from pages.shared import tokens


def draw(
    pair: tuple[Dictionary, Dictionary],
    match: Match,
    nulls: Nulls,
    regions: tuple[int, int],
    verdicts: tuple[int, int],
) -> None:
    """Draw both cards.

    regions: one of A and one of B.
    verdicts: the verdicts on them.
    """
    text = _relation(match, *regions)
    for is_b, column in zip((False, True), st.columns(2, gap="medium"), strict=True):
        with column, st.container(border=True, gap="small", height="stretch"):
            _card(pair[is_b], regions[is_b], verdicts[is_b], is_b, text, nulls[is_b])


def _relation(match: Match, region: int, other: int) -> str:
    """Return how a region of A and one of B are related, as plain text."""
    if int(match.a.partner[region]) == other:
        return f"partners at cosine {match.a.cosine[region]:.2f}"
    if int(match.a.nearest[region]) == other:
        return (
            f"B {other} is A {region}'s nearest counterpart, at cosine "
            f"{match.a.nearest_cosine[region]:.2f}"
        )
    return (
        f"A {region} is B {other}'s nearest counterpart, at cosine "
        f"{match.b.nearest_cosine[other]:.2f}"
    )


def _card(
    dictionary: Dictionary, id_: int, verdict: int, is_b: bool, text: str, null: Null | None
) -> None:
    region, letter, tint = dictionary.region(id_), "B" if is_b else "A", view.color(verdict, is_b)
    word = f"only in {letter}" if verdict == ONLY else view.words(verdict)
    st.html(
        f'<div class="ep-band ep-flush"><b>{letter} {id_}</b><span>'
        f'<span class="ep-sw" style="--c:{tint}"></span>{word} · {tokens.escape(text)}</span></div>'
    )
    st.html(tokens.facts(*_facts(dictionary, region, null)))
    evidence.draw(dictionary, region, tint, f"compare_places_{letter.lower()}")


def _facts(dictionary: Dictionary, region: Region, null: Null | None) -> list[tuple[str, str]]:
    facts = [
        ("members", f"{int(dictionary.members[region.id]):,}"),
        ("θ", f"{dictionary.threshold:.2f}"),
    ]
    for name in ("coherence", "mean_distance"):
        if name in region.columns:
            facts.append((name.replace("_", " "), f"{float(region.columns[name]):.2f}"))
    if null is not None:
        has_partner = null.match.a.partner[region.id] >= 0
        cosine = f"{null.match.a.cosine[region.id]:.2f}"
        facts.append(("in another seed", cosine if has_partner else "no partner"))
    return facts
