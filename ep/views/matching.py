"""Presentation of two matched dictionaries: colourings of maps, a table of pairs, and a report.

The report is one page of HTML, in which every text is escaped. This module does not depend on
Streamlit.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np
import pyarrow as pa

from ep.method.dictionary import Dictionary
from ep.method.metrics import DEFAULT, name_of
from ep.studies import matching as study
from ep.studies.matching import MOVED, NO_NULLS, ONLY, PERSISTED, Match, Nulls, Side, Summary
from ep.studies.rates import Rate
from ep.text import label, plain
from ep.views import palette
from ep.views.colorings import Coloring, Entry, Ramp
from ep.views.export import table
from ep.views.tables import cells, lens_tokens

COLORS = {PERSISTED: "#65c6b0", MOVED: "#edd362", ONLY: "#f38d65"}
THERE = "#c370aa"
"""The colour of regions found in B only."""
WORDS = {PERSISTED: "persisted", MOVED: "moved", ONLY: "only here"}
VERDICT, COSINE = "verdict", "cosine"


def words(kind: int, is_b: bool = False) -> str:
    """A verdict in words, for a region of A or, with `is_b`, of B."""
    return "only there" if is_b and kind == ONLY else WORDS[kind]


def color(kind: int, is_b: bool = False) -> str:
    """The colour of a verdict on maps, cards and tables, "#rrggbb"."""
    return THERE if is_b and kind == ONLY else COLORS[kind]


def by_verdict(verdicts: np.ndarray, is_b: bool = False) -> Coloring:
    """Colour a map's cells by verdict, with the count of each verdict in the legend.

    verdicts: (K,) of the regions. is_b: whether they are regions of B.
    """
    count = np.bincount(verdicts, minlength=3)
    kinds = (PERSISTED, MOVED, ONLY)
    cells = palette.rgb([color(kind, is_b) for kind in kinds])[verdicts]
    legend = tuple(Entry(color(kind, is_b), words(kind, is_b), int(count[kind])) for kind in kinds)
    return Coloring(VERDICT, "Verdict", cells, cells, legend, entry=verdicts.astype(np.int64))


def by_cosine(side: Side) -> Coloring:
    """Colour a map's cells by the cosine with their one-to-one partner; grey without a partner."""
    share = np.clip(side.cosine.astype(np.float64), 0, 1)
    ramps = palette.sequential(), palette.sequential(True)
    light, dark = (palette.on_ramp(share, steps) for steps in ramps)
    low = "≤ 0" if (side.matched < 0).any() else "0"
    ramp = Ramp("cosine with the partner", low, "1", *ramps, missing=int(np.isnan(share).sum()))
    return Coloring(COSINE, "Matched cosine", light, dark, ramp=ramp)


def name(dictionary: Dictionary) -> str:
    """A short name of a dictionary, with its model, layer and percentile, on one line of text."""
    info = dictionary.info
    model = str(info.get("model_name") or info.get("model") or "unknown model").rsplit("/", 1)[-1]
    final = ", last token" if info.get("positions") == "final" else ""
    p, metric = info.get("percentile"), name_of(info)
    kind = "" if metric == DEFAULT else f", {metric}"
    return label(
        f"{model} L{info.get('layer', '?')}{'' if p is None else f' p{p:g}'}{final}{kind}"
    ).replace("·", " ")


def pairs(
    a: Dictionary,
    b: Dictionary,
    match: Match,
    cutoff: float,
    nulls: Nulls = NO_NULLS,
    names: Sequence[Sequence[str]] | None = None,
) -> pa.Table:
    """One row per region of A with its one-to-one partner, then one per region of B without one.

    match: the matching.
    cutoff: the cosine from which a pair persists.
    nulls: each side matched with another seed of itself, or None.
    names: the names of all regions of A and of B; by default those by the files alone.

    Every row has the verdicts, the ids, the names, the cosine of the pair, its distance in units
    of either side's θ (see `Side.threshold`), the nearest region of the other side with its
    cosine, the members and the first lens tokens. another_seed_a and another_seed_b are the cosine
    of the region of A, or of B, with its partner in another seed of its own dictionary. Values that
    do not exist are null or NaN.
    """
    near = study.levels(nulls) or (cutoff, cutoff)
    kinds = [
        study.verdicts(side, cutoff, level)
        for side, level in zip((match.a, match.b), near, strict=True)
    ]
    unpaired = np.flatnonzero(match.b.partner < 0)
    # Ids of each row's regions, -1 for none.
    ids_a = np.concatenate([np.arange(len(match.a)), np.full(len(unpaired), -1)])
    ids_b = np.concatenate([match.a.partner, unpaired])
    cosine = np.concatenate([match.a.cosine, np.full(len(unpaired), np.nan, np.float32)]).astype(
        np.float64
    )
    near_a, near_b = match.a.nearest, match.b.nearest
    seeds = [
        np.full(len(side), np.nan) if null is None else null.match.a.cosine.astype(np.float64)
        for side, null in zip((match.a, match.b), nulls, strict=True)
    ]
    called = names or (cells(a), cells(b))
    columns: dict[str, Any] = {
        "verdict_a": [None if k < 0 else words(int(kinds[0][k])) for k in ids_a],
        "verdict_b": [None if k < 0 else words(int(kinds[1][k]), True) for k in ids_b],
        "region_a": _ids(ids_a),
        "name_a": _texts(called[0], ids_a),
        "region_b": _ids(ids_b),
        "name_b": _texts(called[1], ids_b),
        "cosine": cosine,
        "distance_in_theta_a": (1 - cosine) / match.a.threshold,
        "distance_in_theta_b": (1 - cosine) / match.b.threshold,
        "nearest_b": _ids(_take(near_a, ids_a)),
        "nearest_b_cosine": _take(match.a.nearest_cosine.astype(np.float64), ids_a, np.nan),
        "nearest_a": _ids(_take(near_b, ids_b)),
        "nearest_a_cosine": _take(match.b.nearest_cosine.astype(np.float64), ids_b, np.nan),
        "another_seed_a": _take(seeds[0], ids_a, np.nan),
        "another_seed_b": _take(seeds[1], ids_b, np.nan),
        "members_a": _ids(_take(a.members.astype(np.int64), ids_a)),
        "members_b": _ids(_take(b.members.astype(np.int64), ids_b)),
        "lens_a": _lens(a, ids_a),
        "lens_b": _lens(b, ids_b),
    }
    return table(columns)


def _ids(values: np.ndarray) -> pa.Array:
    return pa.array(values.astype(np.int64), mask=values < 0)


def _take(values: np.ndarray, ids: np.ndarray, missing: float = -1) -> np.ndarray:
    """The values at the given ids, and `missing` where the id is negative."""
    return np.where(ids >= 0, values[np.maximum(ids, 0)], missing)


def _texts(texts: Sequence[str], ids: np.ndarray) -> pa.Array:
    """The text of each region; null where the id is negative."""
    return pa.array([texts[k] if k >= 0 else None for k in ids.tolist()], pa.string())


def _lens(dictionary: Dictionary, regions: np.ndarray) -> pa.Array:
    """The first lens tokens of each region; null where the id is negative."""
    tokens = iter(lens_tokens(dictionary, regions[regions >= 0]))
    return pa.array(
        [list(next(tokens)) if k >= 0 else None for k in regions], pa.list_(pa.string())
    )


# -- the report ------------------------------------------------------------------------------------

_STYLE = (
    "body{font:14px/1.5 system-ui,sans-serif;max-width:74em;margin:2em auto;padding:0 1em;"
    "color:#1d2433;background:#fff}"
    "table{border-collapse:collapse;width:100%;font-size:13px}"
    "td,th{padding:.25em .6em;border-bottom:1px solid #dde1e9;text-align:left;vertical-align:top}"
    ".n{text-align:right;font-variant-numeric:tabular-nums}h1{font-size:1.5em}"
    "code{background:#f1f3f7;padding:0 .3em;border-radius:3px;white-space:pre}small{color:#5b6477}"
    "@media(prefers-color-scheme:dark){body{color:#e4e8f0;background:#11141b}"
    "td,th{border-color:#2c3340}code{background:#1c222d}small{color:#9aa4b6}}"
)
MOST_ROWS = 2000


def report(
    a: Dictionary, b: Dictionary, match: Match, cutoff: float, nulls: Nulls = NO_NULLS
) -> str:
    """The matching as one self-contained HTML page.

    It lists both dictionaries, the verdicts beside each side's null, the distances, and at most
    2,000 rows of pairs. Parameters as in `pairs`.
    """
    counted = study.summary(match, cutoff, study.levels(nulls))
    rows = pairs(a, b, match, cutoff, nulls).to_pylist()
    shown = "".join(_report_row(row) for row in rows[:MOST_ROWS])
    cut = (
        f"<p><small>The first {MOST_ROWS:,} of {len(rows):,} rows.</small></p>"
        if len(rows) > MOST_ROWS
        else ""
    )
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        "<title>Two dictionaries matched</title>"
        f"<style>{_STYLE}</style><h1>Two dictionaries matched</h1>{_settings(a, b)}"
        f"<p>{escape(method(match))}</p><p>{escape(result_sentence(match, counted, nulls))}</p>"
        f"{_verdict_table(counted, nulls)}"
        f"<h2>Distances</h2>{_distance_table(match, nulls)}"
        "<h2>Pairs</h2><table><tr><th>verdict<th class=n>A<th>name<th>lens"
        "<th class=n>B<th>name<th>lens"
        "<th class=n>cosine<th class=n>distance, θ of A<th class=n>distance, θ of B</tr>"
        f"{shown}</table>{cut}</html>\n"
    )


def method(match: Match) -> str:
    """How the regions were compared, in two sentences."""
    basis = "exemplars" if match.basis == "exemplar" else "mean directions"
    where = {
        "own": "each about its own centre",
        "common": "recentred on the middle of both centres, an approximation",
        "a": "recentred on the centre of A, an approximation",
        "b": "recentred on the centre of B, an approximation",
    }[match.centre]
    apart = "" if match.centres.apart is None else f", {match.centres.apart:.3f} r apart"
    return (
        f"Compared by {basis}, {where}. The centres have cosine {match.centres.cosine:.3f}{apart} "
        f"(r: typical norm about the centre).{spaces(match)}"
    )


def spaces(match: Match) -> str:
    """What to know where a metric is not the paper's, as a sentence after a space; else nothing."""
    a, b = match.metrics
    if a == b == DEFAULT:
        return ""
    which = f"Both are {a}" if a == b else f"A is {a} and B {b}"
    return (
        f" {which}: cosines are those of directions among the activations, not in the space of a "
        "dictionary."
    )


def result_sentence(match: Match, counted: Summary, nulls: Nulls = NO_NULLS) -> str:
    """The result in one or two sentences, with the null of each side.

    match: the matching. counted: its summary. nulls: each side matched with another seed of itself,
    or None.
    """
    shares = counted.a[PERSISTED], counted.b[PERSISTED]
    text = f"{share(shares[0])} of A's regions persist in B at a cosine of {counted.cutoff:.2f}"
    if counted.pairs == len(match.a) == len(match.b) and match.a.matched.min(initial=1) > 1 - 1e-4:
        return f"{text}: both have the same regions."
    if nulls == NO_NULLS:
        return (
            f"{text}. Without another seed it is unknown how many would persist if only the "
            "order of the stream changed."
        )
    if nulls[0] is not None:
        text += f"; {share(nulls[0].persisted(counted.cutoff))} persist in another seed of A itself"
    if nulls[1] is not None:
        text += (
            f". Of B's, {share(shares[1])} persist in A and "
            f"{share(nulls[1].persisted(counted.cutoff))} in another seed of B"
        )
    return f"{text}."


def percent(one: Rate) -> str:
    """A rate as a percentage, such as "48 %", or a dash where n is 0."""
    return "–" if one.value is None else f"{100 * one.value:.0f} %"


def share(one: Rate) -> str:
    """A rate as a percentage with its 95 % interval, such as "48 % (45 to 51)"."""
    span = one.interval
    return percent(one) + ("" if span is None else f" ({100 * span[0]:.0f} to {100 * span[1]:.0f})")


def where(by: str) -> str:
    """Which positions of texts were compared, in words. by: as in `ep.comparing.Shared`."""
    return {
        "tokens": "every position",
        "ends": "where tokens of both end",
        "last": "the last token of each text",
    }[by]


def _settings(a: Dictionary, b: Dictionary) -> str:
    def row(letter: str, d: Dictionary) -> str:
        return (
            f"<tr><td>{letter}<td>{escape(plain(str(d.info.get('title') or '')))}"
            f"<td>{escape(name(d))}"
            f"<td class=n>{len(d):,}<td class=n>{d.threshold:.3f}"
            f"<td class=n>{escape(str(d.info.get('seed', '–')))}</tr>"
        )

    head = "<tr><th><th>dictionary<th>model<th class=n>K<th class=n>θ<th class=n>seed</tr>"
    return f"<table>{head}{row('A', a)}{row('B', b)}</table>"


def _verdict_table(counted: Summary, nulls: Nulls) -> str:
    rows = ""
    counted_nulls = [None if null is None else null.counted(counted.cutoff) for null in nulls]
    for kind in (PERSISTED, MOVED, ONLY):
        cells = ""
        for side, counted_null in zip((counted.a, counted.b), counted_nulls, strict=True):
            null = "–" if counted_null is None else share(counted_null[kind])
            cells += (
                f"<td class=n>{side[kind].hits:,}<td class=n>{share(side[kind])}<td class=n>{null}"
            )
        rows += f"<tr><td>{'only in one' if kind == ONLY else words(kind)}{cells}</tr>"
    head = "".join(
        f"<th class=n>of {letter}<th class=n>share<th class=n>another seed of {letter}"
        for letter in "AB"
    )
    return f"<table><tr><th>verdict{head}</tr>{rows}</table>"


def _distance_table(match: Match, nulls: Nulls) -> str:
    rows = ""
    for letter, side, null in zip("AB", (match.a, match.b), nulls, strict=True):
        rows += _distances(f"partners, θ of {letter}", study.distances(side))
        if null is not None:
            rows += _distances(f"{letter} and {null.name} of it", study.distances(null.match.a))
    head = "<tr><th>cosine of<th class=n>lowest tenth<th class=n>median<th class=n>highest tenth"
    return f"<table>{head}<th class=n>median distance, θ<th class=n>within θ</tr>{rows}</table>"


def _distances(text: str, measured: dict[str, float]) -> str:
    """A row of the table of distances. measured: as `study.distances` gives it, maybe empty."""
    cells = ["–"] * 5
    if measured:
        cells[:3] = [format(measured[name], ".3f") for name in ("p10", "median", "p90")]
    if "theta_median" in measured:
        cells[3:] = [f"{measured['theta_median']:.2f}", f"{measured['within_theta']:.0%}"]
    return f"<tr><td>{escape(text)}{''.join(f'<td class=n>{cell}' for cell in cells)}</tr>"


def _report_row(row: dict[str, Any]) -> str:
    def tokens(lens: list[str] | None) -> str:
        return " ".join(f"<code>{escape(label(token))}</code>" for token in (lens or [])[:4])

    def called(name: str | None) -> str:
        return escape(plain(name or "–"))

    def number(value: Any, form: str) -> str:
        return "–" if value is None or np.isnan(value) else format(value, form)

    verdict = row["verdict_a"] or row["verdict_b"]
    return (
        f"<tr><td>{escape(verdict)}"
        f"<td class=n>{number(row['region_a'], 'd')}<td>{called(row['name_a'])}"
        f"<td>{tokens(row['lens_a'])}"
        f"<td class=n>{number(row['region_b'], 'd')}<td>{called(row['name_b'])}"
        f"<td>{tokens(row['lens_b'])}"
        f"<td class=n>{number(row['cosine'], '.3f')}"
        f"<td class=n>{number(row['distance_in_theta_a'], '.2f')}"
        f"<td class=n>{number(row['distance_in_theta_b'], '.2f')}</tr>"
    )
