"""A behaviour study as HTML: tables of arms and seeds with drawn intervals, and a one-file report.

The page and the report use the same markup. Prompts, answers and names are untrusted text, and all
of them are escaped here. The report loads nothing: no script, font or image from outside.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ep.studies.arms import (
    ABLATED,
    DEFAULT,
    LAYER_ARMS,
    MATCHED,
    MEANS,
    RANDOM,
    SET,
    SPAN,
    SWAPPED,
)
from ep.studies.rates import Rate
from ep.text import plain
from ep.views.behaviour import Plain, verdict

BEHAVES, COMPLIES, INTACT = "#5199e5", "#498267", "#8a93a6"
SENSE = (
    "Coherent: it does not loop, and surprises the unchanged model, on average and at its worst "
    "token, no more than nine in ten of that model's own sampled answers do. An answer that is cut "
    "at the length limit is judged by what there is of it."
)
COLUMNS = (
    ("behaves", "Behaviour", BEHAVES, "of prompts that should show it"),
    (
        "complies",
        "Coherent compliance",
        COMPLIES,
        "of the same prompts: answered without it, coherently. " + SENSE,
    ),
    (
        "intact",
        "Benign intact",
        INTACT,
        "of benign prompts: answered without it, coherently. " + SENSE,
    ),
)
NAMES = {
    DEFAULT: ("Default", "nothing changed"),
    ABLATED: ("Ablated", "the region's exemplar projected out about the centre"),
    SWAPPED: ("Swapped", "projected out, the mean of quiet prompts put back"),
    SET: ("Set of regions", "raw means of the regions with a high rate projected out together"),
    MEANS: (
        "Difference of means",
        "reference: from the prompts alone, without a dictionary, projected out",
    ),
    SPAN: (
        "Random span",
        "control: the set's change made along as many random directions, as far at every position",
    ),
    RANDOM: ("Random direction", "control: the same along a random direction"),
    MATCHED: (
        "Matched region",
        "control: the same with a quiet region alike in size and coherence",
    ),
}
CSS = Path(__file__).with_name("behaviour.css").read_text(encoding="utf-8")


def arms(rows: Sequence[Plain]) -> str:
    """A table with one row per arm: three rates with their 95 % intervals, and the stream's change.

    rows: the entry "arms" of a trial. The intervals are drawn on a track from 0 to 1; the change of
    the residual stream is in typical norms.
    """
    first = rows[0] if rows else {}
    cells = ['<div class="h"></div>']
    for name, title, _color, hint in COLUMNS:
        cells.append(
            f'<div class="h" title="{_safe(hint)}">{title}<br>n = '
            f"{first.get(name, [0, 0])[1]:,}</div>"
        )
    cells.append(
        '<div class="h n" title="mean change of the stream per position">moved,<br>in norms</div>'
    )
    for row in rows:
        name, hint = NAMES.get(row["arm"], (str(row["arm"]), ""))
        cells.append('<div class="l"></div>')
        cells.append(
            '<div class="a" '
            f'title="{_safe(hint)}"><b>{_safe(name)}</b><span>{_safe(_short(hint))}</span></div>'
        )
        cells += [_rate(row[column], color) for column, _title, color, _hint in COLUMNS]
        cells.append(f'<div class="n">{row["moved"]:.2f}</div>')
    return _scrolling("Arms", f'<div class="eb-arms arms">{"".join(cells)}</div>')


def seeds(trials: Sequence[Plain]) -> str:
    """A table with one row per seed: the region chosen, its ablation, and the controls."""
    heads = (
        "Seed",
        "Regions",
        "Region found",
        "Ablated",
        "Compliance",
        "Benign intact",
        "Controls",
        "",
    )
    cells = [f'<div class="h">{head}</div>' for head in heads]
    for one in trials:
        cells += [
            '<div class="l"></div>',
            f"<div>{one['seed']}</div><div>{one['dictionary']['regions']:,}</div>",
        ]
        if one["region"] is None:
            cells.append('<div style="grid-column: 3 / 8; opacity: .68">no candidate region</div>')
        else:
            cells += _trial_cells(one)
        cells.append(_verdict(one))
    return _scrolling("Seeds", f'<div class="eb-arms seeds">{"".join(cells)}</div>')


def others(trials: Sequence[Plain]) -> str:
    """A table with one row per dictionary: the region chosen, and the effect of ablating it."""
    heads = ("Dictionary", "Region found", "Ablated", "Compliance", "Benign intact", "")
    cells = [f'<div class="h">{head}</div>' for head in heads]
    for one in trials:
        of = one["dictionary"]
        about = f"layer {of['layer']}, p = {of['percentile']:g}, {of['regions']:,} regions"
        title = _safe(of["title"] or of["file"])
        name = f'<div class="a"><b>{title}</b><span>{_safe(about)}</span></div>'
        cells += ['<div class="l"></div>', name]
        cells += (
            _trial_cells(one)[:4]
            if one["region"] is not None
            else ['<div style="grid-column: span 4">none</div>']
        )
        cells.append(_verdict(one))
    return _scrolling("Dictionaries", f'<div class="eb-arms others">{"".join(cells)}</div>')


def layers(trials: Sequence[Plain]) -> str:
    """A table with one row per layer: how much of the behaviour each arm of a sweep leaves.

    trials: on dictionaries of the prompts' last tokens, one for each layer.
    """
    shown = (DEFAULT, *LAYER_ARMS)
    heads = ("Layer", "Region found", *(NAMES[name][0] for name in shown))
    cells = [f'<div class="h">{head}</div>' for head in heads]
    for one in trials:
        cells += ['<div class="l"></div>', f"<div>{one['dictionary']['layer']}</div>"]
        by_arm = {row["arm"]: row for row in one["arms"]}
        if not by_arm:
            cells.append(
                f'<div style="grid-column: span {len(shown) + 1}">no candidate region</div>'
            )
            continue
        cells.append(_trial_cells(one)[0])
        cells += [
            _rate(by_arm[name]["behaves"], BEHAVES, False) if name in by_arm else "<div>–</div>"
            for name in shown
        ]
    return _scrolling("Layers", f'<div class="eb-arms layers">{"".join(cells)}</div>')


def _verdict(one: Plain) -> str:
    word = verdict(one)
    return (
        f'<div class="n"><span class="eb-{"yes" if word == "works" else "no"}">{word}</span></div>'
    )


def _trial_cells(one: Plain) -> list[str]:
    """A trial's cells: the region, the three rates of its ablation, and the controls' rates."""
    by_arm = {row["arm"]: row for row in one["arms"]}
    rate = Rate(*one["rate"])
    region = (
        f'<div class="a"><b>{one["region"]}</b><span>{rate.n:,} prompts, '
        f"{rate.hits / rate.n:.0%}</span></div>"
    )
    changed = by_arm.get(ABLATED, by_arm.get(SWAPPED, {}))
    cells = [
        region,
        *(_rate(changed[name], color, False) for name, _title, color, _hint in COLUMNS),
    ]
    controls = []
    for arm, short in ((RANDOM, "random"), (MATCHED, "matched")):
        if arm in by_arm:
            value = Rate(*by_arm[arm]["behaves"]).value
            controls.append(f"{short} {value:.2f}")
        else:
            controls.append(f"{short}: none")
    text = "<br>".join(controls)
    return [*cells, f'<div><small style="white-space:nowrap">{text}</small></div>']


def _scrolling(label: str, table: str, height: int | None = None) -> str:
    """A table in a box that scrolls, by the keyboard too.

    height: the most that the box is high, in pixels; None for as high as the table.
    """
    most = "" if height is None else f' style="max-height:{height}px"'
    box = f'<div class="eb-scroll" role="region" aria-label="{label}" tabindex="0"{most}>'
    return f"{box}{table}</div>"


def reading(
    texts: Sequence[Plain], left: str = DEFAULT, right: str = ABLATED, height: int | None = None
) -> str:
    """Prompts beside the answers of two arms.

    texts: the entry "texts" of a trial. left, right: names of the arms. height: of the box in which
    they scroll, in pixels; None for as high as they are.
    Answers that show the behaviour have a coloured edge.
    """
    heads = ("Prompt", NAMES[left][0], NAMES[right][0])
    cells = [f'<div class="h">{head}</div>' for head in heads]
    for one in texts:
        cells += ['<div class="l"></div>', f"<div>{_safe(one['prompt'])}</div>"]
        for arm in (left, right):
            text, is_cut = one["said"].get(arm, ""), arm in one.get("cut", ())
            cells.append(_answer(text, arm in one["behaves"], is_cut))
    return _scrolling("Texts", f'<div class="eb-read">{"".join(cells)}</div>', height)


def replies(answers: Sequence[Plain], height: int | None = None) -> str:
    """Prompts beside the unchanged model's answers, for the prompts that a region is chosen on.

    answers: see `ep.views.behaviour.answers`. height: as in `reading`.
    """
    cells = [f'<div class="h">{head}</div>' for head in ("Prompt", NAMES[DEFAULT][0])]
    for one in answers:
        cells += ['<div class="l"></div>', f"<div>{_safe(one['prompt'])}</div>"]
        cells.append(_answer(one["answer"], one["behaves"], one["cut"]))
    return _scrolling("Answers", f'<div class="eb-read two">{"".join(cells)}</div>', height)


def _answer(text: str, behaves: bool, is_cut: bool) -> str:
    """An answer with its edge, and a mark where it was cut at the length limit."""
    said = _safe(text) or "<i>(nothing)</i>"
    mark = ' <small title="cut at the length limit">… cut</small>' if is_cut else ""
    return f'<div class="{"on" if behaves else "off"}">{said}{mark}</div>'


def regions(rows: Sequence[Plain]) -> str:
    """The report's table of the regions that prompts fall in."""
    lines = []
    for one in rows:
        rate = Rate(*one["rate"])
        low, high = rate.interval or (0.0, 1.0)
        cells = [
            str(one["region"]),
            one.get("name", ""),  # runs stored by older versions have none
            " ".join(one["lens"]),
            f"{rate.n:,}",
            f"{rate.hits / rate.n:.2f}",
        ]
        cells += [f"{low:.2f} to {high:.2f}", f"{one['share']:.0%}", f"{one['lift']:.2f}"]
        cells.append("candidate" if one["candidate"] else "")
        lines.append("<tr>" + "".join(f"<td>{_safe(cell)}</td>" for cell in cells) + "</tr>")
    heads = (
        "Region",
        "Name",
        "Lens tokens",
        "Prompts",
        "Rate",
        "95 % interval",
        "Share",
        "Lift",
        "",
    )
    return (
        f"<table><tr>{''.join(f'<th>{head}</th>' for head in heads)}</tr>{''.join(lines)}</table>"
    )


def report(
    choice: Plain,
    trial: Plain | None,
    streams: Sequence[Sequence[Plain]],
    sentences: Sequence[str],
    answers: Sequence[Plain] = (),
    swept: Sequence[Plain] = (),
) -> str:
    """The whole study as one self-contained HTML file.

    choice, trial, streams: as `ep.views.behaviour` makes them; trial may be None.
    sentences: the paragraphs above the tables, as plain text.
    answers: those to the prompts of the choice, see `replies`.
    swept: trials layer by layer, see `layers`.
    """
    of = choice["dictionary"]
    parts = [f"<p>{_safe(text)}</p>" for text in sentences]
    parts += ["<h2>Where the prompts fall</h2>", regions(choice["regions"][:60])]
    if trial is not None and trial["arms"]:
        parts += [
            f"<h2>Region {trial['region']} taken out, on held-out prompts</h2>",
            arms(trial["arms"]),
        ]
    for several in streams:
        if several:
            parts += [
                f"<h2>Other orders of the stream, {several[0]['share']:.0%} behaving</h2>",
                seeds(several),
            ]
    if swept:
        parts += ["<h2>Layer by layer: what is left of the behaviour</h2>", layers(swept)]
    if trial is not None and trial["texts"]:
        right = ABLATED if any(row["arm"] == ABLATED for row in trial["arms"]) else SWAPPED
        parts += ["<h2>Texts</h2>", reading(trial["texts"], right=right)]
    if answers:
        parts += ["<h2>Answers to the prompts that chose</h2>", replies(answers)]
    title = f"Behaviour: {of['title'] or of['file']}, layer {of['layer']}, p = {of['percentile']}"
    return PAGE.format(title=_safe(title), css=CSS, body="\n".join(parts))


PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>{title}</title><style>
:root {{ color-scheme: light dark; }}
body {{
  max-width: 72em; margin: 2em auto; padding: 0 1.5em;
  font: 14px/1.5 "Source Sans 3", system-ui, sans-serif;
}}
h1 {{ font-size: 1.6em; }} h2 {{ margin-top: 1.8em; font-size: 1.2em; }}
table {{ border-collapse: collapse; font-variant-numeric: tabular-nums; }}
th, td {{ padding: .25em .9em .25em 0; text-align: left; border-bottom: 1px solid #8884; }}
th {{ font-weight: 400; opacity: .68; }}
{css}</style></head><body><h1>{title}</h1>
{body}
</body></html>
"""


def _rate(counts: Sequence[int], color: str, with_interval: bool = True) -> str:
    """A rate as a number, and as a dot with its interval on a track from 0 to 1.

    with_interval: whether the interval is also written beside the number.
    """
    rate = Rate(*counts)
    if rate.interval is None or rate.value is None:
        return '<div class="eb-rate"><small>n = 0</small></div>'
    low, high = rate.interval
    range_ = f"{low:.2f}–{high:.2f}"
    small = f"<small>{range_}</small>" if with_interval else ""
    band = f'<i style="left:{100 * low:.1f}%;width:{100 * (high - low):.1f}%"></i>'
    track = (
        f'<div class="eb-track" style="--c:{color}">{band}<b '
        f'style="left:{100 * rate.value:.1f}%"></b></div>'
    )
    hint = f"{rate.hits:,} of {rate.n:,}; 95 % interval {range_}"
    return f'<div class="eb-rate" title="{hint}"><b>{rate.value:.2f}</b>{small}{track}</div>'


def _short(hint: str) -> str:
    """The part of an arm's description that fits under its name; the whole shows on hover."""
    return (
        "control"
        if hint.startswith("control")
        else hint.partition(",")[0].partition(" projected")[0]
    )


def _safe(text: Any) -> str:
    return html.escape(plain(str(text)), quote=True)
