"""What a comparison of texts found: curves, table, and the regions of one text alone."""

from __future__ import annotations

from functools import partial
from typing import Any

import streamlit as st

from ep.config import BuildConfig
from ep.studies.saturation_result import Comparison, Domain, Saturation
from ep.views import export, figures_saturation
from ep.views import saturation as views
from ep.views.figures import CONFIG
from ep.views.figures_growth import LINES
from pages.shared import frame, messages, tokens

MOST_SHOWN = 24
"""Regions of one text that are listed with their text."""
LEFT, RIGHT = 14, 12
"""Tokens shown before and after an exemplar."""
TABLES = {"Table": views.summary, "Curves": views.points, "Own regions": views.own}


def show(key: str, config: BuildConfig, found: Saturation) -> None:
    """Draw the result of a study of one layer and percentile."""
    (one,) = found.comparisons
    for note in found.notes:
        messages.quiet(messages.sentence(note))
    left, right = st.columns([10, 11], gap="medium")
    with left:
        chosen = _curves(key, one)
    with right:
        _table(one)
    _own(key, one, chosen)
    with st.expander("What the figures mean"):
        for line in views.remarks(one):
            messages.quiet(messages.sentence(line))
    _export(key, config, one)


def _curves(key: str, one: Comparison) -> int | None:
    """Draw the curves; return the number of the text whose end was clicked."""
    about = f"{views.title(one)}; {one.n:,} of each; click a curve"
    st.html(tokens.heading("Regions", about))
    log = st.toggle("Logarithmic axes", key=f"{key} log")
    figure = figures_saturation.curves(one, frame.is_dark(), log)
    event: Any = st.plotly_chart(
        figure,
        key=f"{key} curves",
        theme=None,
        config=CONFIG,
        on_select="rerun",
        selection_mode="points",
    )
    traces = [int(point["curve_number"]) for point in event["selection"]["points"]]
    return traces[0] % len(one.domains) if traces else None


def _table(one: Comparison) -> None:
    """Draw the table, a column for each text."""
    st.html(tokens.heading("Texts", "intervals of 95 %; a limit has its range over three orders"))
    rows = [views.row(domain) for domain in one.domains]
    names = [name for name in views.COLUMNS if name != "name"]
    columns = {"": [views.COLUMNS[name] for name in names]}
    columns |= {row["name"]: [row[name] for name in names] for row in rows}
    st.dataframe(columns, hide_index=True, height="content")


def _own(key: str, one: Comparison, clicked: int | None) -> None:
    """Draw the regions that are of one text alone: the one clicked, or chosen by its button."""
    names = [domain.name for domain in one.domains]
    held, last = f"{key} own", f"{key} clicked"
    if clicked is not None and st.session_state.get(last) != clicked:
        st.session_state[held] = clicked
    st.session_state[last] = clicked
    about = f"no activation of the others, {one.n:,} of each, lies within θ of their exemplars"
    st.html(tokens.heading("Regions of one text alone", about))
    number = st.segmented_control(
        "Regions of one text alone",
        range(len(names)),
        key=held,
        format_func=lambda n: tokens.button_label(f"{names[n]} · {len(one.domains[n].own):,}"),
        label_visibility="collapsed",
    )
    if number is None:
        messages.quiet("Choose a text.")
        return
    _listed(one, one.domains[number], LINES[number])


def _listed(one: Comparison, domain: Domain, color: str) -> None:
    rows = list(views.own_rows(one, domain))
    if not rows:
        messages.quiet("None: the others come within θ of all its exemplars.")
        return
    lines = []
    for row in rows[:MOST_SHOWN]:
        if (founder := row["founder"]) is None:
            continue
        at, pieces = founder.position, founder.pieces
        title = f"{row['members']:,} members; nearest of another text {row['nearest']:.3f}"
        lines.append(
            f'<span class="n" title="{tokens.escape(title)}">{row["region"]}</span>'
            f'<span class="l"><span>{tokens.running_text(pieces[max(0, at - LEFT) : at])}</span>'
            f'</span><span class="r">{tokens.marked_token(pieces[at], color)}'
            f"{tokens.running_text(pieces[at + 1 : at + 1 + RIGHT])}</span>"
        )
    st.html(f'<div class="ep-kwic ep-wide">{"".join(lines)}</div>')
    if len(rows) > MOST_SHOWN:
        messages.quiet(f"{MOST_SHOWN} of {len(rows):,}, those with most members; export has all.")


def _export(key: str, config: BuildConfig, one: Comparison) -> None:
    built = {"model_name": config.model_name, "layer": one.layer, "percentile": one.percentile}
    with st.container(horizontal=True, horizontal_alignment="right", gap="small"):
        for name, columns in TABLES.items():
            about = {"dictionary": "domains", "table": name, "built": built}
            st.download_button(
                f"{name} (CSV)",
                partial(_csv, columns, one, about),
                file_name=export.file_name(about, "csv"),
                mime="text/csv",
                key=f"{key} {name}",
                on_click="ignore",
                type="tertiary",
            )


def _csv(columns: Any, one: Comparison, about: dict[str, Any]) -> bytes:
    return export.write(export.table(columns(one)), "csv", about)
