"""Region: everything about one region. Its decode, where it came from, its passages, its shape and its surroundings."""

from __future__ import annotations

import numpy as np
import streamlit as st

from ep.method.dictionary import Dictionary, Region, TokenScore
from ep.views import excerpts, figures
from ep.views.palette import OTHER, region_color
from ep.views.tables import name
from pages.shared import frame, labelling, messages, state, tokens
from pages.shared.chart import chart
from pages.shared.chips import Chip, chips

BARS_SHOWN = 6
DIRECTION, SHIFT = "Direction", "Shift"
LENS_ROWS = {
    DIRECTION: (
        ("exemplar ↑", "exemplar_up"),
        ("mean ↑", "mean_up"),
        ("exemplar ↓", "exemplar_down"),
        ("mean ↓", "mean_down"),
    ),
    SHIFT: (("shift ↑", "exemplar_shift_up"), ("shift ↓", "exemplar_shift_down")),
}
LENS_ABOUT = {
    DIRECTION: "Logit lens: final norm and unembedding of the unit direction; hover for logits.",
    SHIFT: "lens(c + r·v) − lens(c): what a step of the typical length r along it adds.",
}
BANDS = {
    "near": ("Near", "closest members, cosine distance to the exemplar in front"),
    "spread": ("Spread", "two from each fifth of the distance range"),
    "far": ("Far", "at the edge"),
}


def show() -> None:
    found = state.opened()
    if found is None or found[0].region is None:
        frame.page("Region", "What one cell is: its decode, its passages and its surroundings.")
        messages.nothing_open()
        return
    dictionary = found[1]
    region = dictionary.region(found[0].region)
    color = region_color(dictionary, region.id)
    head, walk = st.columns([13, 8], gap="medium", vertical_alignment="top")
    with head:
        frame.page(f"Region {region.id}", "Its decode, its passages from closest to farthest, and its surroundings.")
    with walk:
        _walk(dictionary, region.id)
    left, right = st.columns([13, 8], gap="medium")
    with left:
        labelling.card(found[0].dictionary, dictionary, region.id)
        _decode(dictionary, region, color)
        _nearest(dictionary, region)
        _founder(region, color)
        _excerpts(dictionary, region, color)
    with right:
        _shape(dictionary, region, color)
        _members(dictionary, region, color)


# -- the way from region to region -----------------------------------------------------------------------------------


def _walk(dictionary: Dictionary, region: int) -> None:
    last = len(dictionary) - 1
    with st.container(horizontal=True, horizontal_alignment="right", vertical_alignment="center", gap="small"):
        for key, icon, target in (("previous", "chevron_left", region - 1), ("next", "chevron_right", region + 1)):
            st.button(
                key.capitalize(),
                icon=f":material/{icon}:",
                key=f"region_{key}",
                on_click=state.select_region,
                args=(target,),
                disabled=not 0 <= target <= last,
            )
        st.session_state["region_id"] = str(region)
        st.text_input("Region id", key="region_id", on_change=_jump, label_visibility="collapsed", width=76)
        st.html(f'<span class="ep-k">0 to {last:,}</span>', width="content")


def _jump() -> None:
    text = str(st.session_state["region_id"]).strip().replace(",", "")
    if text.isascii() and text.isdigit() and len(text) < 12:
        state.select_region(int(text))
    else:
        state.note(f"{text[:20]!r} is not a region id: type a whole number.")


def _nearest(dictionary: Dictionary, region: Region) -> None:
    with st.container(border=True, gap="xsmall"):
        st.html(tokens.heading("Nearest regions", "cosine distance between exemplars, full space"))
        if not region.nearest:
            messages.quiet(
                "This is the only region there is." if len(dictionary) == 1 else "This file does not list neighbours."
            )
            return
        items = [
            Chip(k, name(dictionary, k), region_color(dictionary, k), 0.24, before=str(k), after=f"{distance:.2f}")
            for k, distance in region.nearest
        ]
        chips(items, "region_nearest", state.select_region)


# -- what it is ------------------------------------------------------------------------------------------------------


def _decode(dictionary: Dictionary, region: Region, color: str) -> None:
    with st.container(border=True, gap="small"):
        if region.lens:
            kind = DIRECTION
            if "exemplar_shift_up" in region.lens:
                kind = st.session_state.get("region_lens") or DIRECTION
            st.html(_lens(region, kind, color))
            if "exemplar_shift_up" in region.lens:
                with st.container(horizontal=True, vertical_alignment="center", gap="small"):
                    st.segmented_control(
                        "Lens", [DIRECTION, SHIFT], default=DIRECTION, key="region_lens", label_visibility="collapsed"
                    )
                    st.html(f'<span class="ep-k">{tokens.escape(LENS_ABOUT[kind])}</span>')
        else:
            messages.quiet("This file holds no logit lens: it was written without its model.")
        st.html(tokens.facts(*_facts(dictionary, region)))


def _lens(region: Region, kind: str, color: str) -> str:
    rows = []
    for title, lens in LENS_ROWS[kind]:
        if lens in region.lens:
            shade = color if lens.endswith("up") else OTHER
            rows.append(f'<span class="ep-k">{title}</span>{_lens_chips(region.lens[lens], shade)}')
    return f'<div class="ep-lens">{"".join(rows)}</div>'


def _lens_chips(scores: tuple[TokenScore, ...], color: str) -> str:
    """Chips tinted by the size of the logit, the strongest most."""
    sizes = np.abs([score.value for score in scores])
    spread = max(1e-6, float(sizes.max(initial=0) - sizes.min(initial=np.inf)))
    top = 0.54 if color != OTHER else 0.26
    strengths = 0.12 + (top - 0.12) * (sizes - sizes.min(initial=np.inf)) / spread
    chips_ = (
        tokens.chip(score.token, color, float(strength), title=f"logit {score.value:+.2f}")
        for score, strength in zip(scores, strengths, strict=True)
    )
    return tokens.row(chips_, one_line=True)


def _facts(dictionary: Dictionary, region: Region) -> list[tuple[str, str, str]]:
    """What the file knows of the region, in one row: label, value, and what it means."""
    columns, n = region.columns, int(dictionary.info.get("n_activations") or 0)
    facts = []
    if "count_voronoi" in columns:
        members = region.count_voronoi
        facts.append(("members, Voronoi", f"{members:,}", "activations nearest to it in the finished dictionary"))
    if "count_arrival" in columns:
        facts.append(("at arrival", f"{region.count_arrival:,}", "activations that joined it while the build ran"))
    if n and "count_voronoi" in columns:
        facts.append(("share of all", _percent(members / n), f"share of Voronoi members among {n:,} activations"))
    if "coherence" in columns:
        about = "length of the mean unit direction of its arrival members; 1: all alike"
        facts.append(("coherence", f"{region.coherence:.2f}", about))
    if "mean_distance" in columns:
        value = "–" if columns.get("count_voronoi") == 0 else f"{float(columns['mean_distance']):.2f}"
        facts.append(("mean distance", value, "mean cosine distance of Voronoi members to the exemplar"))
    if region.nearest:
        facts.append(("nearest", f"{region.nearest[0][1]:.2f}", "cosine distance to the nearest other exemplar"))
    if "exemplar_mean_cosine" in columns:
        value = f"{float(columns['exemplar_mean_cosine']):.2f}"
        facts.append(("cos to mean", value, "cosine of the exemplar with the mean direction"))
    return facts


def _percent(share: float) -> str:
    return f"{100 * share:.2g} %" if share < 0.1 else f"{100 * share:.0f} %"


def _founder(region: Region, color: str) -> None:
    with st.container(border=True, gap="xsmall"):
        at = region.columns.get("founded_at")
        stream = "" if at is None else f"activation {int(at):,} of the stream"
        if region.founder is None:
            st.html(tokens.heading("Founded by", stream))
            messages.quiet("This file does not hold the passage that founded the region.")
            return
        event = region.founder
        where = f"token {event.position} of passage {event.passage:,}"
        st.html(tokens.heading("Founded by", f"{where}, {stream}: this event is the exemplar" if stream else where))
        st.html(tokens.aligned([excerpts.aligned(event)], color))


# -- its passages ----------------------------------------------------------------------------------------------------


@frame.fragment
def _excerpts(dictionary: Dictionary, region: Region, color: str) -> None:
    with st.container(border=True, gap="small"):
        groups = excerpts.by_band(region.excerpts)
        if not groups:
            st.html(tokens.heading("Excerpts"))
            messages.quiet(_why_no_excerpts(dictionary, region))
            return
        with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
            band = st.segmented_control(
                "Bands",
                ["All bands", *(BANDS[b][0] for b in groups)],
                default="All bands",
                key="region_band",
                label_visibility="collapsed",
            )
            layout = st.segmented_control(
                "Layout", ["Aligned", "Full text"], default="Aligned", key="region_layout", label_visibility="collapsed"
            )
        for key, rows in groups.items():
            title, about = BANDS[key]
            if band in (None, "All bands", title):
                about = f"{about}: θ = {dictionary.threshold:.2f}" if key == "far" else about
                st.html(tokens.heading(title, about, flush=False) + _printed(rows, color, layout == "Full text"))


def _printed(rows: tuple[excerpts.Excerpt, ...], color: str, whole: bool) -> str:
    if whole:
        return tokens.full_text(map(excerpts.full, rows), color)
    return tokens.aligned(map(excerpts.aligned, rows), color)


def _why_no_excerpts(dictionary: Dictionary, region: Region) -> str:
    if "excerpt_offsets" not in dictionary:
        return "This file holds no passages, so no excerpt can be shown."
    if region.columns.get("count_voronoi") == 0:
        return (
            "No activation is nearest to this exemplar any more: every member it had at arrival, its founder's passage "
            "included, lies nearer to a region founded later."
        )
    return "No excerpt of this region was kept."


# -- its shape -------------------------------------------------------------------------------------------------------


def _shape(dictionary: Dictionary, region: Region, color: str) -> None:
    theta, context = dictionary.threshold, int(dictionary.info.get("context") or 0)
    with st.container(border=True, gap="xsmall"):
        st.html(tokens.heading("Distance to the exemplar", _n(region)))
        if (counts := _counted(dictionary, region, "distance_histogram", "distances")) is not None:
            edges = np.linspace(0, theta, len(counts) + 1)
            figure = figures.histogram(
                counts, edges, color, frame.is_dark(), x_title="cosine distance", noun="members", threshold=theta
            )
            chart(figure, "region_chart_distance")
        st.html(tokens.heading("Position", "tokens from the start of the passage"))
        if (counts := _counted(dictionary, region, "position_histogram", "positions")) is not None:
            edges = np.linspace(0, context or len(counts), len(counts) + 1)
            figure = figures.histogram(counts, edges, OTHER, frame.is_dark(), noun="members", digits=0, height=112)
            chart(figure, "region_chart_position")


def _members(dictionary: Dictionary, region: Region, color: str) -> None:
    for title, about, column, scores, shade in (
        ("Tokens", "most common at the marked place, of all members", "token_counts", region.tokens, color),
        ("Next tokens", "most common one place later", "next_counts", region.next_tokens, OTHER),
    ):
        with st.container(border=True, gap="xsmall"):
            st.html(tokens.heading(title, about))
            if _counted(dictionary, region, column, "token counts") is not None:
                share = np.array([score.value for score in scores[:BARS_SHOWN]]) / region.count_voronoi
                names = [score.token for score in scores[:BARS_SHOWN]]
                chart(figures.shares(names, share, shade, frame.is_dark()), f"region_chart_{column}")


def _n(region: Region) -> str:
    known = region.columns.get("count_voronoi")
    return "Voronoi members" if known is None else f"n = {int(known):,} Voronoi members"


def _counted(dictionary: Dictionary, region: Region, column: str, what: str) -> np.ndarray | None:
    """The region's counts; None, and a line that says why, where there is nothing to draw."""
    if column not in dictionary or "count_voronoi" not in dictionary:
        messages.quiet(f"This file holds no {what}.")
        return None
    counts = np.asarray(dictionary.row(column, region.id))
    if not counts.sum():
        messages.quiet("No activation is nearest to this exemplar any more, so there is nothing to count.")
        return None
    return counts


show()
