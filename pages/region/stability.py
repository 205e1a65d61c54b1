"""The Region page's card of stability: whether another stream would find the region again.

It shows the region's strength D, and how well D predicted stability where that was measured.
"""

from __future__ import annotations

import numpy as np
import streamlit as st

from ep.method.dictionary import Dictionary
from ep.method.region import Region
from ep.studies import stability, survival
from ep.studies.rates import Rate
from ep.views import glossary
from pages.shared import loading, messages, tokens

FIFTHS = (0.70, 0.78, 0.81, 0.87, 0.92)
"""Mean cosine with the matching region of another seed, for each fifth of the regions by D, weakest
first. Measured on the demo's base model, layer 4, p = 2, by `python -m benchmarks.stability`; see
docs/stability.md.
"""
MEASURED = (
    "Bars: two seeds of the demo's base model, n = 1,200 regions; rank correlation with D "
    "0.49 (0.44 to 0.53)."
)
PUBLISHED = (
    "Published for gemma-2-2b, five seeds, n of regions not given: 0.68; from 0.60 to "
    "0.82 (paper, A.7)."
)


def card(key: str, dictionary: Dictionary, region: Region, color: str) -> None:
    """Draw the card; nothing where the file lacks arrival counts or coherence, from which D is
    computed.
    """
    values = _strengths(loading.fingerprint(key), key)
    if values is None:
        return
    with st.container(border=True, gap="xsmall"):
        st.html(tokens.heading("Stability", "would another stream find it again?"))
        share = stability.share_below(values, region.id)
        value, rate = float(values[region.id]), survival.rate_of_region(dictionary, region.id)
        st.html(tokens.facts(*_facts(region, value, share, len(dictionary), rate)))
        st.html(_bars(min(len(FIFTHS) - 1, int(share * len(FIFTHS))), color))
        messages.quiet(f"{MEASURED} {PUBLISHED}")


def _facts(
    region: Region, value: float, share: float, size: int, rate: Rate | None
) -> list[tuple[str, str, str]]:
    """Return the key numbers as (label, value, detail).

    value: the region's D. share: of the other regions, those with a smaller D, in [0, 1]. size:
    the number of regions. rate: in how many other seeds it was found again, if that is stored.
    """
    facts = [
        (
            "D = log10(N·c²)",
            f"{value:.2f}",
            "",
        ),
        (
            "percentile here",
            f"{100 * share:.0f} %",
            f"share of the other {size - 1:,} regions of this dictionary with a smaller D",
        ),
    ]
    if rate is not None and rate.interval is not None:
        low, high = rate.interval
        facts.append(
            (
                f"found again in {rate.n} seed{'s' if rate.n != 1 else ''}",
                f"{rate.hits} of {rate.n}",
                glossary.define("survival", f"95 % interval of the share: {low:.2f} to {high:.2f}"),
            )
        )
    if "exemplar_mean_cosine" in region.columns:
        cosine = float(region.columns["exemplar_mean_cosine"])
        facts.append(("cos exemplar, mean", f"{cosine:.2f}", ""))
    return facts


def _bars(fifth: int, color: str) -> str:
    """Return the bars of the five fifths as HTML, the region's own in its colour."""
    bars = "".join(
        f'<div{" class=on" if i == fifth else ""} style="--c:{color};--h:{100 * value:.0f}%">'
        f"<b>{value:.2f}</b><i></i></div>"
        for i, value in enumerate(FIFTHS)
    )
    return (
        f'<div class="ep-fifths">{bars}</div><div class="ep-split ep-k"><span>weakest fifth by '
        "D</span>"
        "<span>cosine with its like in another seed</span><span>strongest</span></div>"
    )


@st.cache_resource(show_spinner=False, max_entries=24)
def _strengths(fingerprint: str, _key: str) -> np.ndarray | None:
    """Return D of every region, (K,), or None; the file's fingerprint is the cache's key."""
    return stability.strengths(loading.dictionary(_key))
