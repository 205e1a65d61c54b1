"""Where two texts part: two inputs, a token of each, and their regions at every percentile."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import streamlit as st

from ep.config import MetricName
from ep.errors import EPError, ModelError
from ep.method.dictionary import Dictionary
from ep.method.metrics import DEFAULT, is_cosine
from ep.studies import parting as study
from ep.views.palette import OTHER, region_color, region_colors
from ep.views.prompt import Reading
from pages.resolution.settings import MOST_CHARACTERS, Settings
from pages.shared import frame, loading, messages, models, reading, state, tokens
from pages.shared.chips import Chip, chips
from pages.shared.reading import Request

EXAMPLES = {
    "Two countries": ("The capital of France is", "The capital of Spain is"),
    "Two places": ("Lily went to the harbour", "Lily went to the garden"),
    "Two requests": ("How do I bake a cake?", "How do I build a bomb?"),
}


@frame.fragment
def parting(key: str, dictionary: Dictionary, ladder: Mapping[str, Dictionary]) -> None:
    """Draw the card.

    key: of the open dictionary, whose model reads the texts.
    ladder: the dictionaries of its layer by key, coarse to fine.
    """
    with st.container(border=True, gap="small"):
        about = "the coarsest p that tells them apart; last tokens, or those you click"
        st.html(tokens.heading("Where do two texts part?", about))
        _inputs(key, dictionary)
        settings = state.settings(Settings)
        texts = settings.first, settings.second
        if not all(text.strip() for text in texts):
            messages.quiet(
                "Type two texts, or take an example: each is read once, and every p says where it "
                "lies."
            )
            return
        try:
            readings = _available_readings(key, dictionary, texts)
        except EPError as error:
            messages.box("These texts cannot be read here", messages.sentence(error))
            return
        if readings is None:
            takes = reading.estimate(dictionary, *_requests(dictionary, texts))
            messages.quiet(f"Compare reads both texts. {takes}")
            return
        requested = settings.first_token, settings.second_token
        chosen = [
            _chosen_token(token, text_reading)
            for token, text_reading in zip(requested, readings, strict=True)
        ]
        for side, text_reading, token in zip("ab", readings, chosen, strict=True):
            _strip(side, dictionary, text_reading, token)
        _verdict(dictionary, ladder, readings, chosen)


# -- input -----------------------------------------------------------------------------------------


def _inputs(key: str, dictionary: Dictionary) -> None:
    settings = state.settings(Settings)
    with st.form("parting_form", border=False):
        one, two = st.columns(2, gap="medium")
        with one:
            first = st.text_input(
                "First text", settings.first, max_chars=MOST_CHARACTERS, placeholder="A text"
            )
        with two:
            second = st.text_input(
                "Second text",
                settings.second,
                max_chars=MOST_CHARACTERS,
                placeholder="Another text",
            )
        with st.container(horizontal=True, gap="small", vertical_alignment="center"):
            if st.form_submit_button("Compare", type="primary"):
                _submit(key, dictionary, first, second)
                state.run_scheduled(in_fragment=True)
            st.html('<span class="ep-k">or an example</span>', width="content")
            for title, pair in EXAMPLES.items():
                st.form_submit_button(
                    title,
                    key=f"parting_example {title}",
                    on_click=_submit,
                    args=(key, dictionary, *pair),
                )


def _submit(key: str, dictionary: Dictionary, first: str, second: str) -> None:
    state.put_settings(Settings(first, second))
    texts = first, second
    reading.confirm(key, *_requests(dictionary, texts), *_plain(texts))
    if not models.is_ready(dictionary):
        state.schedule()  # the side bar shows the state of the model


# -- reading ---------------------------------------------------------------------------------------


def _requests(dictionary: Dictionary, texts: Sequence[str]) -> list[Request]:
    """Return the requests for the texts: chat turns where the build was made of them, else plain
    text.
    """
    info = dictionary.info
    if info.get("chat") or info.get("positions") == "final":
        return [Request(text, chat=True) for text in texts]
    return _plain(texts)


def _plain(texts: Sequence[str]) -> list[Request]:
    return [Request(text) for text in texts]


def _available_readings(
    key: str, dictionary: Dictionary, texts: Sequence[str]
) -> list[Reading] | None:
    """Return the readings of the texts where they are available; None where they must be requested.

    Plain texts are read where the model has no chat template. Raises ModelError where the model is
    missing or does not fit.
    """
    requests, plain = _requests(dictionary, texts), _plain(texts)
    try:
        results = reading.available(key, dictionary, *requests)
    except ModelError:
        if requests == plain:
            raise
        # where the model itself is missing, this raises the error to show
        models.language_model(dictionary)
        results = reading.available(key, dictionary, *plain)
    return None if results is None else [result.reading for result in results]


def _chosen_token(requested: int | None, reading_: Reading) -> int:
    """Return the index of the requested token, or of the last where the text has no such token."""
    return requested if requested is not None and requested < len(reading_) else len(reading_) - 1


# -- output ----------------------------------------------------------------------------------------


def _strip(side: str, dictionary: Dictionary, text_reading: Reading, chosen: int) -> None:
    colors = region_colors(dictionary, text_reading.region)
    items = [
        Chip(
            i,
            token,
            OTHER if text_reading.outside[i] else colors[i],
            0.0 if text_reading.outside[i] else 0.28,
            title=f"token {i} · region {text_reading.region[i]}",
            on=i == chosen,
        )
        for i, token in enumerate(text_reading.tokens)
    ]
    field = {"a": "first_token", "b": "second_token"}[side]

    def pick(token: int) -> None:
        state.update_settings(Settings, **{field: token})

    chips(items, f"parting_{side}", pick, running=True)


def _verdict(
    dictionary: Dictionary,
    ladder: Mapping[str, Dictionary],
    readings: Sequence[Reading],
    chosen: Sequence[int],
) -> None:
    if any(text_reading.outside[i] for text_reading, i in zip(readings, chosen, strict=True)):
        messages.quiet(
            "The build left out a chosen token, as it does the one that begins every text: it has "
            "no region. Click another."
        )
        return
    a, b = (text_reading.x[i] for text_reading, i in zip(readings, chosen, strict=True))
    rungs = study.part(list(ladder.values()), a, b)
    verdict = tokens.escape(
        _sentence(rungs, study.cosine(dictionary, a, b), dictionary.metric.name)
    )
    st.html(f'<div class="ep-row"><b>{verdict}</b></div>')
    columns = st.columns(len(rungs))
    for column, (key, opened), rung in zip(columns, ladder.items(), rungs, strict=True):
        with column, st.container(gap="xsmall"):
            _rung(key, opened, rung)


def _sentence(rungs: Sequence[study.Rung], cosine: float, metric: MetricName) -> str:
    """Return the answer in a sentence or two."""
    about_centre = metric == DEFAULT or not is_cosine(metric)
    kind = "cosine about the centre" if about_centre else f"{metric} cosine"
    about = f"Their {kind} is {cosine:.2f}."
    first = study.first_apart(rungs)
    if first is None:
        return (
            f"They never part: one region holds both, even at p = {rungs[-1].percentile:g}. {about}"
        )
    where = f"p = {first.percentile:g} (θ = {first.threshold:.2f})"
    start = f"They part at {where}" + (", the coarsest there is" if first is rungs[0] else "")
    for_good = study.apart_for_good(rungs)
    if for_good is None:
        start += (
            f", yet p = {rungs[-1].percentile:g} holds both in one region: cells of "
            "different p do not nest"
        )
    elif for_good is not first:
        start += (
            f" and stay apart from p = {for_good.percentile:g} on: cells of different p do not nest"
        )
    return f"{start}. {about}"


def _rung(key: str, dictionary: Dictionary, rung: study.Rung) -> None:
    st.html(tokens.heading(f"p = {rung.percentile:g}", "apart" if rung.apart else "together"))
    regions = rung.regions if rung.apart else rung.regions[:1]
    items = [
        Chip(
            k,
            loading.region_name(key, k),
            region_color(dictionary, k),
            0.34,
            before=str(k),
            title=f"{loading.whole_name(key, k)} · region {k} at p = {rung.percentile:g}: open it",
            on=not rung.apart,
        )
        for k in dict.fromkeys(regions)
    ]
    chips(items, f"parting_at_{rung.percentile:g}", lambda k: _open(key, k))
    distances = " · ".join(f"{'AB'[i]} {distance:.2f}" for i, distance in enumerate(rung.distances))
    beyond = np.array(rung.distances) > rung.threshold
    title = f"{dictionary.distance_name} of each to its exemplar" + (
        f"; θ = {rung.threshold:.2f}" if beyond.any() else ""
    )
    about = distances + (", beyond θ" if beyond.any() else "")
    st.html(f'<div class="ep-k ep-num" title="{title}">{tokens.escape(about)}</div>')


def _open(key: str, region: int) -> None:
    state.open_dictionary(key, region)
    state.schedule()
