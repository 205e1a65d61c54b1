"""Where two texts part: two inputs, a token of each, and the strip of percentiles with the regions
they fall in.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import streamlit as st

from ep.errors import EPError, ModelError
from ep.method.dictionary import Dictionary
from ep.storage import Entry
from ep.studies import parting as study
from ep.views.palette import OTHER, region_color, region_colors
from ep.views.prompt import Reading
from pages.shared import frame, loading, messages, state, tokens
from pages.shared.chips import Chip, chips
from pages.shared.reading import Request, read_request

EXAMPLES = {
    "Two countries": ("The capital of France is", "The capital of Spain is"),
    "Two places": ("Lily went to the harbour", "Lily went to the garden"),
    "Two requests": ("How do I bake a cake?", "How do I build a bomb?"),
}
_KEPT = "parting_readings"
MOST_CHARACTERS = 1500


@frame.fragment
def parting(
    key: str, dictionary: Dictionary, entries: Sequence[Entry], ladder: Sequence[Dictionary]
) -> None:
    """Draws the card. key: of the open dictionary, whose model reads; entries, ladder: its layer,
    coarse to fine.
    """
    with st.container(border=True, gap="small"):
        about = "the coarsest p that tells them apart; last tokens, or those you click"
        st.html(tokens.heading("Where do two texts part?", about))
        _inputs()
        texts = state.setting("sa"), state.setting("sb")
        if not all(text.strip() for text in texts):
            messages.quiet(
                "Type two texts, or take an example: each is read once, and every p says where it "
                "lies."
            )
            return
        try:
            readings = _readings(key, dictionary, texts)
        except EPError as error:
            messages.box("These texts cannot be read here", messages.sentence(error))
            return
        chosen = [
            _token(name_, reading) for name_, reading in zip(("ta", "tb"), readings, strict=True)
        ]
        for side, reading, at in zip("ab", readings, chosen, strict=True):
            _strip(side, dictionary, reading, at)
        _verdict(dictionary, entries, ladder, readings, chosen)


def _inputs() -> None:
    with st.form("parting_form", border=False):
        one, two = st.columns(2, gap="medium")
        with one:
            first = st.text_input(
                "First text", state.setting("sa"), max_chars=MOST_CHARACTERS, placeholder="A text"
            )
        with two:
            second = st.text_input(
                "Second text",
                state.setting("sb"),
                max_chars=MOST_CHARACTERS,
                placeholder="Another text",
            )
        with st.container(horizontal=True, gap="small", vertical_alignment="center"):
            asked = (first, second) if st.form_submit_button("Compare", type="primary") else None
            st.html('<span class="ep-k">or an example</span>', width="content")
            for title, pair in EXAMPLES.items():
                st.form_submit_button(
                    title, key=f"parting_example {title}", on_click=_take, args=pair
                )
    if asked is not None:
        _take(*asked)


def _take(first: str, second: str) -> None:
    state.keep(sa=first, sb=second, ta=None, tb=None)


def _readings(key: str, dictionary: Dictionary, texts: tuple[str, str]) -> tuple[Reading, Reading]:
    """Both texts as the model reads them, kept until dictionary or texts change.

    ModelError when it is not here.
    """
    kept = st.session_state.get(_KEPT)
    if kept is None or kept[0] != (key, texts):
        known = loading.model_state(dictionary.info)
        st.session_state[_KEPT] = kept = (
            (key, texts),
            tuple(_read(key, dictionary, text) for text in texts),
        )
        if loading.model_state(dictionary.info) != known:
            st.rerun()  # the side bar was drawn before the model was there
    return kept[1]


def _read(key: str, dictionary: Dictionary, text: str) -> Reading:
    """A build on last prompt tokens knows chat turns; where the model has no template, the plain
    text must do.
    """
    if dictionary.info.get("chat") or dictionary.info.get("positions") == "final":
        try:
            return read_request(key, dictionary, Request(text, chat=True)).reading
        except ModelError:
            # missing altogether: that is what is to be said
            loading.language_model(dictionary.info)
    return read_request(key, dictionary, Request(text)).reading


def _token(setting: str, reading: Reading) -> int:
    given = state.setting(setting)
    return (
        int(given)
        if given.isascii() and given.isdigit() and int(given[:9]) < len(reading)
        else len(reading) - 1
    )


def _strip(side: str, dictionary: Dictionary, reading: Reading, chosen: int) -> None:
    colors = region_colors(dictionary, reading.region)
    items = [
        Chip(
            i,
            token,
            OTHER if reading.outside[i] else colors[i],
            0.0 if reading.outside[i] else 0.28,
            title=f"token {i} · region {reading.region[i]}",
            on=i == chosen,
        )
        for i, token in enumerate(reading.tokens)
    ]
    chips(items, f"parting_{side}", lambda i: state.keep(**{f"t{side}": str(i)}), running=True)


def _verdict(
    dictionary: Dictionary,
    entries: Sequence[Entry],
    ladder: Sequence[Dictionary],
    readings: Sequence[Reading],
    chosen: Sequence[int],
) -> None:
    if any(reading.outside[i] for reading, i in zip(readings, chosen, strict=True)):
        messages.quiet(
            "The token that begins every text is left out of the build and has no region: click "
            "another."
        )
        return
    a, b = (reading.x[i] for reading, i in zip(readings, chosen, strict=True))
    rungs = study.part(ladder, a, b)
    said = tokens.escape(_said(rungs, study.cosine(dictionary, a, b)))
    st.html(f'<div class="ep-row"><b>{said}</b></div>')
    for column, entry, opened, rung in zip(
        st.columns(len(rungs)), entries, ladder, rungs, strict=True
    ):
        with column, st.container(gap="xsmall"):
            _rung(entry, opened, rung)


def _said(rungs: Sequence[study.Rung], cosine: float) -> str:
    """The answer in a sentence or two."""
    cosine_said = f"Their cosine about the centre is {cosine:.2f}."
    first = study.first_apart(rungs)
    if first is None:
        return (
            f"They never part: one region holds both, even at p = {rungs[-1].percentile:g}. "
            f"{cosine_said}"
        )
    where = f"p = {first.percentile:g} (θ = {first.threshold:.2f})"
    start = f"They part at {where}" + (", the coarsest there is" if first is rungs[0] else "")
    good = study.apart_for_good(rungs)
    if good is None:
        start += (
            f", yet p = {rungs[-1].percentile:g} holds both in one region: cells of "
            "different p do not nest"
        )
    elif good is not first:
        start += (
            f" and stay apart from p = {good.percentile:g} on: cells of different p do not nest"
        )
    return f"{start}. {cosine_said}"


def _rung(entry: Entry, dictionary: Dictionary, rung: study.Rung) -> None:
    said = "apart" if rung.apart else "together"
    st.html(tokens.heading(f"p = {rung.percentile:g}", said))
    regions = rung.regions if rung.apart else rung.regions[:1]
    items = [
        Chip(
            k,
            loading.region_name(entry.key, k),
            region_color(dictionary, k),
            0.34,
            before=str(k),
            title=f"region {k} at p = {rung.percentile:g}: open it",
            on=not rung.apart,
        )
        for k in dict.fromkeys(regions)
    ]
    chips(items, f"parting_at_{rung.percentile:g}", lambda k: state.open_dictionary(entry.key, k))
    near = " · ".join(f"{'AB'[i]} {distance:.2f}" for i, distance in enumerate(rung.distances))
    beyond = np.array(rung.distances) > rung.threshold
    title = "cosine distance of each to its exemplar" + (
        f"; θ = {rung.threshold:.2f}" if beyond.any() else ""
    )
    about = near + (", beyond θ" if beyond.any() else "")
    st.html(f'<div class="ep-k ep-num" title="{title}">{tokens.escape(about)}</div>')
