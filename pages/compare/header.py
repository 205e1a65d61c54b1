"""The head of the Compare page: the controls, and what is known of both dictionaries."""

from __future__ import annotations

from typing import Any

import streamlit as st

from ep.method.dictionary import Dictionary
from ep.method.metrics import DEFAULT, name_of
from ep.studies import matching as study
from ep.views.glossary import define
from pages.compare.comparison import Comparison
from pages.compare.settings import CENTRE_NAMES, VIEWS, Settings
from pages.shared import loading, messages, state, tokens
from pages.shared.controls import BASIS_NAMES, setting_choice, setting_widget, value_widget


def draw(comparison: Comparison) -> None:
    """Draw the controls, one line for each dictionary, and remarks on the pair."""
    _controls(comparison)
    _facts(comparison)
    _remarks(comparison)


def _controls(comparison: Comparison) -> None:
    """Draw the row that chooses B, the view, and how directions are compared."""
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        value_widget(
            st.selectbox,
            "compare_b",
            "Compare with",
            comparison.b,
            lambda key: state.update_settings(Settings, b=key, region=None),
            [entry.key for entry in loading.entries()],
            format_func=lambda key: f"B: {_title(key)}",
            label_visibility="collapsed",
            width=240,
        )
        st.button(
            "",
            icon=":material/swap_horiz:",
            key="compare_swap",
            help="Exchange A and B",
            on_click=_swap,
            args=(comparison,),
        )
        setting_choice(Settings, "view", "View", VIEWS, key="compare_cview")
        if comparison.has_one_width and state.settings(Settings).view in ("verdicts", "final"):
            _select("basis", "Directions compared", BASIS_NAMES, "compare_cbasis", 142)
            _select("centre", "About which centre", CENTRE_NAMES, "compare_ccentre", 136)


def _select(name: str, label: str, options: dict[Any, str], key: str, width: int) -> None:
    setting_widget(
        st.selectbox,
        Settings,
        name,
        label,
        list(options),
        key=key,
        format_func=options.__getitem__,
        label_visibility="collapsed",
        width=width,
    )


def _swap(comparison: Comparison) -> None:
    region = state.settings(Settings).region
    exists = region is not None and region < len(loading.dictionary(comparison.b))
    state.open_dictionary(comparison.b, region if exists else None)
    state.update_settings(Settings, b=comparison.a, region=None)


def _title(key: str) -> str:
    """Return the name of an entry in the list of dictionaries, as plain text."""
    entry = loading.find(key)
    if entry is None:
        return key
    parts = [loading.title(entry.family)]
    parts += [f"L{entry.layer}"] if entry.layer is not None else []
    parts += [f"p{entry.percentile:g}"] if entry.percentile is not None else []
    metric = name_of(entry.info)
    parts += [metric] if metric != DEFAULT and metric not in parts[0] else []
    return " · ".join(parts)


# -- facts about both ------------------------------------------------------------------------------


def _facts(comparison: Comparison) -> None:
    """Draw one line for each dictionary, and the cosine between their centres."""
    sides = zip("AB", comparison.keys, comparison.dictionaries, strict=True)
    rows = "".join(_line(*side) for side in sides)
    centres_html = ""
    if comparison.has_one_width:
        centres = study.centres(*comparison.dictionaries)
        distance = "" if centres.apart is None else f", {centres.apart:.3f} r apart"
        centres_html = (
            '<div style="align-self:center;text-align:right" '
            f'title="{define("centre")} r: {define("typical_norm")}">'
            f'<b class="ep-num">cosine {centres.cosine:.3f}{distance}</b>'
            '<br><span class="ep-k">between the centres</span></div>'
        )
    st.html(
        '<div style="display:flex;flex-wrap:wrap;justify-content:space-between;gap:.2em 1.4em">'
        f'<div class="ep-sides">{rows}</div>'
        f"{centres_html}</div>"
    )


def _line(letter: str, key: str, dictionary: Dictionary) -> str:
    info = dictionary.info
    model = f"{info.get('model_name') or info.get('model') or 'unknown model'}"
    cells = (
        f'<b>{letter}</b> <span class="ep-clip">{tokens.escape(_title(key))}</span>',
        tokens.escape(model.rsplit("/", 1)[-1]),
        f'<span class="ep-k">K</span> {len(dictionary):,}',
        f'<span title="{define("theta", dictionary.distance_name)}"><span class="ep-k">θ</span> '
        f"{dictionary.threshold:.3f}</span>",
        f'<span class="ep-k">seed</span> {tokens.escape(str(info.get("seed", "–")))}',
        f'<span class="ep-k">d</span> {dictionary.width:,}',
    )
    return "".join(f'<span class="ep-num">{cell}</span>' for cell in cells)


def _remarks(comparison: Comparison) -> None:
    """Draw the remarks that qualify the numbers of this pair."""
    a, b = comparison.dictionaries
    if comparison.a == comparison.b:
        messages.note(
            "A and B are the same dictionary: every region persists, at cosine 1. Choose another B."
        )
    elif study.same_setting(a.info, b.info):
        messages.note(
            "A and B are two seeds of one setting: what differs here is what the order of the text "
            "does."
        )
    elif a.metric.name != b.metric.name and a.width == b.width:
        messages.quiet(
            f"A is {a.metric.name} and B {b.metric.name}, two spaces: their regions are paired by "
            "their directions among the activations. Shared inputs compares their members, with "
            "the adjusted mutual information."
        )
    elif comparison.basis == "exemplar" and a.width == b.width and _have_same_stream(a, b):
        messages.quiet(
            "Both were streamed in one and the same order, so many exemplars are the same token of "
            "the same passage: "
            "they agree more than two seeds of one model do. Mean directions depend less on the "
            "order."
        )


def _have_same_stream(a: Dictionary, b: Dictionary) -> bool:
    """Return whether two builds read the same text in the same order."""
    digests = [(d.info.get("corpus") or {}).get("digest") for d in (a, b)]
    return (
        digests[0] is not None
        and digests[0] == digests[1]
        and a.info.get("seed") == b.info.get("seed")
        and a.info.get("family") != b.info.get("family")
    )
