"""Which two dictionaries are compared, how, and what is known of both: the head of the Compare
page.

A is the open dictionary; B and the ways of comparing live in the URL (`cb`, `cbasis`, `ccentre`,
`ccut`, `cview`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import streamlit as st

from ep.method.dictionary import Dictionary
from ep.storage import Entry
from ep.studies import matching as study
from ep.studies.matching import Centres
from pages.shared import loading, messages, state, tokens

VERDICTS, FINAL, PROMPT, INPUTS = "verdicts", "final", "prompt", "inputs"
VIEWS = {VERDICTS: "Regions", FINAL: "Final token", PROMPT: "One prompt", INPUTS: "Shared inputs"}
BASES = {"mean": "Mean directions", "exemplar": "Exemplars"}
CENTRES = {"own": "Own centres", "common": "Common centre", "a": "Centre of A", "b": "Centre of B"}
LEAST_CUT, MOST_CUT = 0.3, 0.99


@dataclass(frozen=True)
class Asked:
    """a, b: keys of both dictionaries; view, basis, centre, cutoff: how they are compared."""

    a: str
    b: str
    view: str
    basis: str
    centre: str
    cutoff: float


def asked(a: str) -> Asked | None:
    """What the link or the session asks for, with good answers where it says nothing; None with no
    second one.
    """
    b = state.setting("cb")
    if loading.find(b) is None:
        if b:
            state.keep(cb=None)
            messages.note(
                "The dictionary this link compares with is not on the shelf: another one was "
                "chosen."
            )
        sibling = default(a)
        if sibling is None:
            return None
        b = sibling.key
    return Asked(
        a,
        b,
        state.setting("cview", VERDICTS, tuple(VIEWS)),
        state.setting("cbasis", "mean", tuple(BASES)),
        state.setting("ccentre", "own", tuple(CENTRES)),
        cutoff(),
    )


def cutoff() -> float:
    """The cosine from which a pair persists; 0.7 where the link makes no sense."""
    try:
        value = float(state.setting("ccut") or study.CUTOFF)
    except ValueError:
        return study.CUTOFF
    return value if math.isfinite(value) and LEAST_CUT <= value <= MOST_CUT else study.CUTOFF


def default(a: str) -> Entry | None:
    """What A is compared with until somebody chooses: the sibling of another model, else the
    nearest setting.
    """
    here = loading.find(a)
    others = [entry for entry in loading.entries() if entry.key != a]
    if here is None or not others:
        return None

    def far(entry: Entry) -> tuple[bool, ...]:
        names = ("model_name", "layer", "percentile", "positions")
        other_model, *same = (entry.info.get(name) != here.info.get(name) for name in names)
        folder = entry.path.parent != here.path.parent
        return (
            entry.width != here.width,
            *same,
            not other_model,
            entry.family == here.family,
            folder,
        )

    return min(others, key=far)


def title(key: str) -> str:
    """An entry in the list of dictionaries, as plain text."""
    entry = loading.find(key)
    if entry is None:
        return key
    parts = [loading.title(entry.family)]
    parts += [f"L{entry.layer}"] if entry.layer is not None else []
    parts += [f"p{entry.percentile:g}"] if entry.percentile is not None else []
    return " · ".join(parts)


def controls(ask: Asked, one_width: bool) -> None:
    """The row that chooses B, the view, and where directions are compared how."""
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        keys = [entry.key for entry in loading.entries()]
        _set(compare_b=ask.b)
        st.selectbox(
            "Compare with",
            keys,
            key="compare_b",
            format_func=lambda key: f"B: {title(key)}",
            label_visibility="collapsed",
            width=240,
            on_change=lambda: state.keep(cb=st.session_state["compare_b"], creg=None),
        )
        st.button(
            "",
            icon=":material/swap_horiz:",
            key="compare_swap",
            help="Exchange A and B",
            on_click=_swap,
            args=(ask,),
        )
        _choice("cview", "View", VIEWS, ask.view)
        if one_width and ask.view != PROMPT and ask.view != INPUTS:
            _box("cbasis", "Directions compared", BASES, ask.basis, 142)
            _box("ccentre", "About which centre", CENTRES, ask.centre, 136)


def facts(ask: Asked, a: Dictionary, b: Dictionary, centres: Centres | None) -> None:
    """One line for each dictionary, and how their centres lie to each other."""
    rows = "".join(_line(letter, key, d) for letter, key, d in (("A", ask.a, a), ("B", ask.b, b)))
    between = ""
    if centres is not None:
        apart = "" if centres.apart is None else f", {centres.apart:.3f} r apart"
        between = (
            '<div style="align-self:center;text-align:right" title="c is subtracted from every '
            "activation before "
            'directions are compared; r is the typical norm about it">'
            f'<b class="ep-num">cosine {centres.cosine:.3f}{apart}</b>'
            '<br><span class="ep-k">between the centres</span></div>'
        )
    st.html(
        '<div style="display:flex;flex-wrap:wrap;justify-content:space-between;gap:.2em 1.4em">'
        '<div style="display:grid;grid-template-columns:auto auto auto auto auto auto;gap:.05em '
        f'1.3em">{rows}</div>'
        f"{between}</div>"
    )


def _line(letter: str, key: str, d: Dictionary) -> str:
    info = d.info
    where = f"{info.get('model_name') or info.get('model') or 'unknown model'}"
    cells = (
        f'<b>{letter}</b> <span class="ep-clip">{tokens.escape(title(key))}</span>',
        tokens.escape(where.rsplit("/", 1)[-1]),
        f'<span class="ep-k">K</span> {len(d):,}',
        f'<span class="ep-k">θ</span> {d.threshold:.3f}',
        f'<span class="ep-k">seed</span> {tokens.escape(str(info.get("seed", "–")))}',
        f'<span class="ep-k">d</span> {d.width:,}',
    )
    return "".join(f'<span class="ep-num">{cell}</span>' for cell in cells)


def remarks(ask: Asked, a: Dictionary, b: Dictionary) -> None:
    """What one must know before believing the numbers."""
    digests = [(d.info.get("corpus") or {}).get("digest") for d in (a, b)]
    if ask.a == ask.b:
        messages.note(
            "A and B are the same dictionary: every region persists, at cosine 1. Choose another B."
        )
    elif study.same_setting(a.info, b.info):
        messages.note(
            "A and B are two seeds of one setting: what differs here is what the order of the text "
            "does."
        )
    elif (
        ask.basis == "exemplar"
        and a.width == b.width
        and digests[0] is not None
        and digests[0] == digests[1]
        and a.info.get("seed") == b.info.get("seed")
        and a.info.get("family") != b.info.get("family")
    ):
        messages.quiet(
            "Both were streamed in one and the same order, so many exemplars are the same token of "
            "the same passage: "
            "they agree more than two seeds of one model do. Mean directions depend less on the "
            "order."
        )


def _swap(ask: Asked) -> None:
    region = state.setting("creg")
    state.open_dictionary(
        ask.b, int(region) if region.isascii() and region.isdigit() and len(region) < 9 else None
    )
    state.keep(cb=ask.a, creg=None)


def _choice(name: str, title: str, options: dict[str, str], value: str) -> None:
    key = f"compare_{name}"
    st.session_state[key] = value
    st.segmented_control(
        title,
        list(options),
        format_func=options.__getitem__,
        key=key,
        label_visibility="collapsed",
        on_change=lambda: state.keep(**{name: st.session_state[key] or value}),
    )


def _box(name: str, title: str, options: dict[str, str], value: str, width: int) -> None:
    key = f"compare_{name}"
    st.session_state[key] = value
    st.selectbox(
        title,
        list(options),
        format_func=options.__getitem__,
        key=key,
        label_visibility="collapsed",
        width=width,
        on_change=lambda: state.keep(**{name: st.session_state[key] or value}),
    )


def _set(**values: str) -> None:
    for key, value in values.items():
        st.session_state[key] = value
