"""Prompt: a text or a chat turn read through the open dictionary.

Every token in the colour of its region.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import streamlit as st

from ep.errors import EPError
from ep.method.dictionary import Dictionary
from ep.views import figures, full, snippets
from ep.views import prompt as view
from ep.views.palette import GROUP_COLORS, OTHER, region_color, region_colors
from ep.views.tables import group_names, lens_tokens
from pages.prompt.asking import MOST_SYSTEM, editor
from pages.shared import frame, loading, messages, sharing, state, tokens
from pages.shared.chart import chart
from pages.shared.chips import Chip, chips
from pages.shared.reading import EXAMPLES, Request, Result, read_request

SENTENCE = (
    "Each token takes the colour of the region its activation falls in; the stronger the "
    "colour, the closer."
)
_EDITING, _RESULT = "prompt_is_editing", "prompt_result"
TEXT, CHAT = "text", "chat"


def show() -> None:
    found = state.opened()
    head, share = st.columns([2, 1], gap="small", vertical_alignment="center")
    with head:
        frame.page("Prompt", SENTENCE)
    if found is None:
        messages.nothing_open()
        return
    selection, dictionary = found
    request = _request(dictionary, selection.prompt)
    if not selection.prompt or st.session_state.get(_EDITING):
        asked = editor(request or Request("", _is_chat(dictionary)), dictionary.info)
        if asked is not None:
            _ask(asked)
    if request is None:
        return
    try:
        result = _result(str(selection.dictionary), dictionary, request)
    except EPError as error:
        _refused(error, request)
        return
    with share:
        _share(dictionary, request, result.reading)
    readout = _controls(can_edit=bool(selection.prompt))
    _warnings(result, dictionary)
    _results(dictionary, result, readout)


def _share(dictionary: Dictionary, request: Request, reading: view.Reading) -> None:
    sharing.bar(
        "prompt",
        {
            "Tokens of this text": partial(full.tokens, dictionary, reading),
            "Regions in this text": partial(
                full.regions, dictionary, view.regions(reading)["region"]
            ),
        },
        snippets.prompt(dictionary, request.text, request.chat, request.system),
    )


# -- asking ----------------------------------------------------------------------------------------


def _request(dictionary: Dictionary, text: str | None) -> Request | None:
    """What the session or the URL asks for; without either, the first example where the model is at
    hand.
    """
    chat = _is_chat(dictionary)
    if text is None or not text.strip():
        if not _is_at_hand(dictionary):
            return None
        text = EXAMPLES["A request" if chat else "A story"]
    return Request(text, chat, state.setting("sys")[:MOST_SYSTEM] if chat else "")


def _is_chat(dictionary: Dictionary) -> bool:
    return state.setting("as", CHAT if dictionary.info.get("chat") else TEXT, (TEXT, CHAT)) == CHAT


def _is_at_hand(dictionary: Dictionary) -> bool:
    """Whether the model is a folder here, so that an example may be read without a download."""
    try:
        return Path(loading.model_path(dictionary.info)).is_dir()
    except EPError:
        return False


def _ask(request: Request) -> None:
    if not request.text.strip():
        messages.note("There is no text to read: type or paste some, or choose an example.")
        return
    st.session_state[_EDITING] = False
    state.keep(**{"as": CHAT if request.chat else TEXT, "sys": request.system, "token": None})
    state.change(prompt=request.text)
    state.rerun()


def _edit() -> None:
    st.session_state[_EDITING] = not st.session_state.get(_EDITING)


def _controls(can_edit: bool) -> str:
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        readout = state.setting("readout", "Nearest", tuple(view.READOUTS))
        st.session_state["prompt_readout"] = readout
        st.segmented_control(
            "Read-out",
            list(view.READOUTS),
            key="prompt_readout",
            required=True,
            label_visibility="collapsed",
            on_change=lambda: state.keep(readout=st.session_state["prompt_readout"] or "Nearest"),
        )
        if can_edit:
            st.button("Edit", icon=":material/edit:", on_click=_edit, key="prompt_edit")
        st.html(
            f'<span class="ep-k">{tokens.escape(readout)}: '
            f"{tokens.escape(view.READOUTS[readout])}</span>"
        )
    return readout


def _refused(error: EPError, request: Request) -> None:
    """Why this text cannot be read here, and the ways out."""
    messages.box("This text cannot be read here", messages.sentence(error))
    with st.container(horizontal=True, horizontal_alignment="center", gap="small"):
        if not st.session_state.get(_EDITING):
            st.button("Edit the text", key="prompt_refused_edit", on_click=_edit)
        if request.chat:
            st.button(
                "Read it as plain text",
                key="prompt_refused_text",
                on_click=_read_as_text,
                type="primary",
            )
        elif st.button("Choose another dictionary", key="prompt_refused_library", type="primary"):
            state.goto("library")


def _read_as_text() -> None:
    state.keep(**{"as": TEXT})


# -- reading ---------------------------------------------------------------------------------------


def _result(key: str, dictionary: Dictionary, request: Request) -> Result:
    """The reading of this request, kept in the session until request or dictionary change."""
    kept = st.session_state.get(_RESULT)
    if kept is None or kept[0] != (key, request):
        known = loading.model_state(dictionary.info)
        kept = ((key, request), read_request(key, dictionary, request))
        st.session_state[_RESULT] = kept
        if loading.model_state(dictionary.info) != known:
            state.rerun()  # the side bar was drawn before the model was there
    return kept[1]


def _warnings(result: Result, dictionary: Dictionary) -> None:
    reading, info = result.reading, dictionary.info
    if reading.truncated:
        messages.note(
            f"The text was cut after {len(reading):,} tokens, the most that are read at once."
        )
    if result.foreign_tokenizer:
        messages.note(
            "The model's tokenizer is not the one this dictionary was built with: tokens may "
            "differ."
        )
    if info.get("positions") == "final":
        messages.note(
            "This dictionary was built on the last token of each passage only: trust the last "
            "token most."
        )


# -- showing ---------------------------------------------------------------------------------------


@frame.fragment
def _results(dictionary: Dictionary, result: Result, readout: str) -> None:
    reading = result.reading
    locked = _locked(reading, dictionary)
    left, right = st.columns([15, 7], gap="medium")
    with left:
        _strip(dictionary, reading, readout, locked)
        _distances(dictionary, reading, locked)
        if len(result.layers) > 1:
            _path(result, dictionary)
    with right:
        _token(dictionary, reading, readout, locked)
        _regions(dictionary, reading)


def _locked(reading: view.Reading, dictionary: Dictionary) -> int:
    """The token the card is about: the one the link names, else the one that says most."""
    asked = state.setting("token")
    if asked.isascii() and asked.isdigit() and len(asked) < 6 and int(asked) < len(reading):
        return int(asked)
    return view.opening_token(reading, dictionary.info.get("positions") == "final")


def _lock(token: int) -> None:
    state.keep(token=str(token))


def _colors(dictionary: Dictionary, reading: view.Reading) -> list[str]:
    far = view.is_far(reading, dictionary.threshold)
    plain = region_colors(dictionary, reading.region)
    return [OTHER if f else color for f, color in zip(far, plain, strict=True)]


def _strip(dictionary: Dictionary, reading: view.Reading, readout: str, locked: int) -> None:
    groups = view.groups(dictionary)
    strength = view.strengths(reading, readout, groups, len(dictionary), dictionary.threshold)
    colors = _colors(dictionary, reading)
    items = [
        Chip(i, token, colors[i], float(strength[i]), title=_hint(reading, i), on=i == locked)
        for i, token in enumerate(reading.tokens)
    ]
    with st.container(border=True, gap="small"):
        chips(items, "prompt_strip", _lock, running=True)
        st.html(_legend(dictionary, reading, groups))


def _hint(reading: view.Reading, i: int) -> str:
    if reading.outside[i]:
        return f"token {i} · begins every text and is not part of the dictionary"
    template = " · template" if reading.template[i] else ""
    return f"token {i} · region {reading.region[i]} · distance {reading.distance[i]:.2f}{template}"


def _legend(dictionary: Dictionary, reading: view.Reading, groups: np.ndarray) -> str:
    counts, beyond = view.group_counts(reading, groups, dictionary.threshold)
    names = group_names(dictionary)
    entries = [(GROUP_COLORS[g % len(GROUP_COLORS)], names[g], n) for g, n in counts.items()]
    if "neighbourhood" not in dictionary:
        entries = [(OTHER, names[0], n) for n in counts.values()]
    entries.append((OTHER, "beyond θ", beyond))
    return (
        '<div class="ep-legend">'
        + "".join(
            f'<span><span class="ep-sw" style="--c:{color}"></span>{tokens.escape(title)} '
            f"<small>{n}</small></span>"
            for color, title, n in entries
        )
        + "</div>"
    )


def _distances(dictionary: Dictionary, reading: view.Reading, locked: int) -> None:
    usual = view.usual(dictionary)
    about = "per token; above θ a token is unfamiliar"
    band = None
    if usual is not None:
        band = (usual.quantile(0.05), usual.quantile(0.95))
        about += f"; shaded: 90 % of the {usual.n:,} of the build"
    with st.container(border=True, gap="xsmall"):
        st.html(tokens.heading("Distance to the nearest exemplar", about))
        shown = np.where(reading.outside, np.nan, reading.distance)
        figure = figures.token_distances(
            reading.tokens,
            shown,
            _colors(dictionary, reading),
            dictionary.threshold,
            frame.is_dark(),
            usual=band,
            locked=locked,
        )
        chart(figure, "prompt_distances")


def _path(result: Result, dictionary: Dictionary) -> None:
    with st.container(border=True, gap="xsmall"):
        about = f"neighbourhood of each token's region, p = {dictionary.info.get('percentile'):g}; "
        st.html(
            tokens.heading(
                "Path through the layers", about + "each layer has its own; grey: beyond θ"
            )
        )
        figure = figures.layer_path(
            result.path, result.layers, result.reading.tokens, GROUP_COLORS, frame.is_dark()
        )
        chart(figure, "prompt_path")


# -- one token -------------------------------------------------------------------------------------


def _token(dictionary: Dictionary, reading: view.Reading, readout: str, i: int) -> None:
    region = int(reading.region[i])
    color = _colors(dictionary, reading)[i]
    with st.container(border=True, gap="small"):
        st.html(
            '<div class="ep-band ep-flush"><b>Token '
            f"{i}</b>{tokens.chip(reading.tokens[i], color, 0.45)}"
            "<span>locked; click another to change</span></div>"
        )
        if reading.outside[i]:
            messages.quiet(
                "This token begins every text. The build leaves it out, so it has no region."
            )
            return
        st.html(tokens.facts(*_token_facts(dictionary, reading, i, readout)))
        if (usual := view.usual(dictionary)) is not None:
            share = 100 * usual.farther(float(reading.distance[i]))
            messages.quiet(
                f"{share:.0f} % of the build's own activations lie farther from their exemplar."
            )
        _bars(dictionary, reading, readout, i)
        lens = [score.token for score in dictionary.lens(region)[:6]]
        if lens:
            st.html(tokens.chips(lens, region_color(dictionary, region), 0.26))
        if st.button(f"Open region {region}", type="primary", key="prompt_open"):
            state.goto("region", region=region)


def _token_facts(
    dictionary: Dictionary, reading: view.Reading, i: int, readout: str
) -> list[tuple[str, str, str]]:
    facts = [
        ("region", f"{reading.region[i]}", "the nearest exemplar's"),
        ("distance", f"{reading.distance[i]:.2f}", "cosine distance to it"),
    ]
    if (margin := reading.margin(i)) is not None:
        facts.append(
            ("margin to 2nd", f"{margin:.2f}", "how much farther the second nearest exemplar is")
        )
    if np.isfinite(reading.norm[i]):
        facts.append(
            (
                "norm",
                f"{reading.norm[i]:.2f}×",
                "distance from the centre, over the build's typical one",
            )
        )
    if readout in ("Within θ", "Otsu"):
        count = int((reading.within if readout == "Within θ" else reading.otsu)[i])
        facts.append((f"of {len(dictionary):,} regions", f"{count:,}", view.READOUTS[readout]))
    return facts


def _bars(dictionary: Dictionary, reading: view.Reading, readout: str, i: int) -> None:
    picked, _ = view.chosen(dictionary, reading, i, readout)
    ids = reading.near_ids[i][:6]
    st.html(
        tokens.heading(
            "Nearest regions", "coloured: in the read-out" if readout != "Nearest" else ""
        )
    )
    kept = set(picked.tolist()) if readout != "Nearest" else set(ids.tolist())
    colors = [region_color(dictionary, int(k)) if int(k) in kept else OTHER for k in ids]
    names = [loading.region_name(str(state.current().dictionary), int(k)) for k in ids]
    figure = figures.cosines(
        ids.tolist(), names, 1 - reading.near_distances[i][:6], colors, frame.is_dark()
    )
    chart(figure, "prompt_bars")


def _regions(dictionary: Dictionary, reading: view.Reading) -> None:
    found = view.regions(reading)
    n = int((~reading.outside).sum())
    with st.container(border=True, gap="xsmall"):
        st.html(
            tokens.heading(
                "Regions in this text", f"{n:,} tokens, {len(found['region']):,} regions"
            )
        )
        table = pd.DataFrame(
            {
                "group": "⬢",
                "region": found["region"],
                "lens": lens_tokens(dictionary, found["region"], 2),
                "tokens": found["tokens"],
                "distance": found["distance"],
            }
        )
        colors = [f"color:{color}" for color in region_colors(dictionary, found["region"])]
        picked = st.dataframe(
            table.style.apply(lambda _: colors, subset=["group"]),
            hide_index=True,
            height=min(296, 28 * (len(table) + 1) + 3),
            row_height=28,
            key="prompt_regions",
            on_select="rerun",
            selection_mode="single-cell",
            column_config={
                "group": st.column_config.TextColumn("", width=26),
                "region": st.column_config.NumberColumn("Region", width=54),
                "lens": st.column_config.ListColumn("Lens tokens", width=104),
                "tokens": st.column_config.NumberColumn(
                    "n", width=28, help="tokens of this text in the region"
                ),
                "distance": st.column_config.NumberColumn(
                    "Dist.", width=42, format="%.2f", help="mean distance"
                ),
            },
        )
        if picked.selection.cells:
            state.goto("region", region=int(table["region"][picked.selection.cells[0][0]]))


show()
