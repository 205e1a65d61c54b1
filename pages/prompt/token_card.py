"""The Prompt page's card of one token: its region, its distance, and the nearest regions."""

from __future__ import annotations

import numpy as np
import streamlit as st

from ep.method.dictionary import Dictionary
from ep.views import figures
from ep.views import prompt as view
from ep.views.palette import OTHER, region_color
from pages.prompt.strip import colors
from pages.shared import frame, loading, messages, state, tokens
from pages.shared.chart import chart

NEAREST_SHOWN, LENS_SHOWN = 6, 6


def token_card(
    key: str, dictionary: Dictionary, reading: view.Reading, readout: str, i: int
) -> None:
    """Draw the card. key: of the dictionary on the shelf. i: the index of the token."""
    region = int(reading.region[i])
    color = colors(dictionary, reading)[i]
    with st.container(border=True, gap="small"):
        st.html(
            '<div class="ep-band ep-flush"><b>Token '
            f"{i}</b>{tokens.chip(reading.tokens[i], color, 0.45)}"
            "<span>locked; click another to change</span></div>"
        )
        if reading.outside[i]:
            messages.quiet(f"This token {view.why_outside(i)}, so it has no region.")
            return
        st.html(tokens.facts(*_facts(dictionary, reading, readout, i)))
        if (distances := view.build_distances(dictionary)) is not None:
            share = 100 * distances.farther(float(reading.distance[i]))
            messages.quiet(
                f"{share:.0f} % of the build's own activations lie farther from their exemplar."
            )
        _nearest(key, dictionary, reading, readout, i)
        lens = [score.token for score in dictionary.lens(region)[:LENS_SHOWN]]
        if lens:
            chips = tokens.chips(lens, region_color(dictionary, region), 0.26)
            st.html(f'<div class="ep-k">Lens tokens of region {region}</div>{chips}')
        if st.button(f"Open region {region}", type="primary", key="prompt_open"):
            state.goto("region", region=region)


def _facts(
    dictionary: Dictionary, reading: view.Reading, readout: str, i: int
) -> list[tuple[str, str, str]]:
    """Return the key numbers of the token as (label, value, detail)."""
    facts = [
        ("region", f"{reading.region[i]}", "the nearest exemplar's"),
        ("distance", f"{reading.distance[i]:.2f}", dictionary.distance_name),
    ]
    if (margin := reading.margin(i)) is not None:
        facts.append(("margin to 2nd", f"{margin:.2f}", ""))
    if np.isfinite(reading.norm[i]):
        facts.append(("norm", f"{reading.norm[i]:.2f}×", ""))
    if readout in ("Within θ", "Otsu"):
        count = int((reading.within if readout == "Within θ" else reading.otsu)[i])
        facts.append((f"of {len(dictionary):,} regions", f"{count:,}", view.READOUTS[readout]))
    return facts


def _nearest(key: str, dictionary: Dictionary, reading: view.Reading, readout: str, i: int) -> None:
    """Draw the cosines of the nearest regions as bars, grey for regions not in the read-out.

    Where the metric has no cosine, the bars are distances.
    """
    in_readout, _ = view.chosen(dictionary, reading, i, readout)
    ids = reading.near_ids[i][:NEAREST_SHOWN]
    st.html(
        tokens.heading(
            "Nearest regions", "coloured: in the read-out" if readout != "Nearest" else ""
        )
    )
    coloured = set((in_readout if readout != "Nearest" else ids).tolist())
    near, lengths = reading.near_distances[i][:NEAREST_SHOWN], dictionary.law.extra
    figure = figures.cosines(
        ids.tolist(),
        [loading.region_name(key, int(k)) for k in ids],
        near if lengths else 1 - near,
        [region_color(dictionary, int(k)) if int(k) in coloured else OTHER for k in ids],
        frame.is_dark(),
        **({"title": "Euclidean distance"} if lengths else {}),
    )
    chart(figure, "prompt_bars")
