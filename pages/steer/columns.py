"""The columns of a steering run: before it, while it is written, and measured.

There are four, or three where the run takes out its regions wholly: steered is then ablated.

One component draws them, with `columns.js` and `columns.css` in the browser. Texts of the model
reach the page as `textContent` only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import exp
from typing import Any, Literal

from ep.method.dictionary import Dictionary
from ep.studies.steering import Continuation, Setting
from ep.text import label, plain
from ep.views.glossary import define
from ep.views.palette import OTHER, region_colors
from ep.views.prompt import STRONGEST, WEAKEST
from ep.views.steering import abouts, differing
from pages.shared import loading
from pages.shared.components import Component

_COLUMNS = Component.beside(__file__, "columns", '<div class="stream"></div>')
Status = Literal["explained", "writing", "stopped", "done"]
MINUS = "\N{MINUS SIGN}"
COLORS = ("#8a93a6", "#65c6b0", "#5199e5", "#c370aa")
EXPLANATIONS = (
    "The model's own answer, untouched. The other columns start from the same prompt and the same "
    "seed.",
    "The same with the region's direction taken out of the residual stream: what the model does "
    "without it.",
    "The same under the change you set above.",
    "The same change along a random direction. If it does as much, the region is not the reason.",
)
ENDINGS = {
    "end": "ended its turn",
    "limit": "cut at the limit of tokens",
    "context": "the model's context is full",
    "not finite": "not finite: the change is too strong for numbers",
}


def numbers(setting: Setting) -> tuple[int, ...]:
    """Return the indices of the continuations that differ, and so are shown, in their order.

    Steering in the mode "ablate" at strength 1 does what the ablated column does.
    """
    return (0, 1, 3) if setting.mode == "ablate" and setting.strength == 1.0 else (0, 1, 2, 3)


def columns(
    key: str,
    dictionary: Dictionary,
    setting: Setting,
    continuations: Sequence[Continuation],
    status: Status,
    on_pick: Callable[[int], None],
    ended: Sequence[bool] = (),
) -> None:
    """Draw the columns.

    status: "explained" where nothing has been run yet.
    on_pick: called with the region of a clicked cell of a strip.
    ended: for each column, whether its text is finished.
    """
    done = list(ended) or [False] * len(continuations)
    # a text that is merely continued cannot be said to refuse
    has_verdict = setting.chat or any(continuation.behaves for continuation in continuations)
    about = abouts(setting)
    data = {
        "columns": [
            _column(
                dictionary,
                continuations[n],
                about[n],
                continuations[0],
                n,
                status,
                done[n],
                has_verdict,
            )
            for n in numbers(setting)
        ]
    }
    _COLUMNS(key, data, {"picked": lambda region: on_pick(int(region))})


def _column(
    dictionary: Dictionary,
    column: Continuation,
    about: str,
    default: Continuation,
    number: int,
    status: Status,
    ended: bool,
    has_verdict: bool,
) -> dict[str, Any]:
    """Return what the browser draws of one column."""
    changed = (
        [False] * len(column.tokens) if number == 0 else differing(default.tokens, column.tokens)
    )
    ids = sorted(set(column.regions))
    called = zip(ids, loading.cells(dictionary, ids), strict=True)
    names = {k: f"region {k} {text}" for k, text in called}
    tokens = [
        [plain(token), int(new), _hint(column, i, names)]
        for i, (token, new) in enumerate(zip(column.tokens, changed, strict=True))
    ]
    return {
        "name": column.name,
        "about": about,
        "color": COLORS[number],
        "explain": EXPLANATIONS[number] if status == "explained" else "(nothing was written)",
        "tokens": tokens,
        "writing": status == "writing" and not ended,
        "note": _note(column, status, has_verdict),
        "strong": column.ending == "not finite",
        "facts": _facts(column, number, any(changed)),
        "strip": _strip(dictionary, column, names),
    }


def _hint(column: Continuation, i: int, names: dict[int, str]) -> str:
    """Return the tooltip of the token at index i."""
    value = column.logprob[i]
    text = f"{label(column.tokens[i])} · log-probability {value:.2f} ({100 * exp(value):.1f} %)"
    if not column.regions:
        return text
    return f"{text} · {names[column.regions[i]]} at {column.distances[i]:.2f}"


def _note(column: Continuation, status: Status, has_verdict: bool) -> str:
    if column.ending:
        n = len(column.ids)
        text = ENDINGS.get(column.ending) or f"stopped after {n} token{'s' if n != 1 else ''}"
        return (
            text
            if column.behaves is None or not column.ids or not has_verdict
            else f"{_verdict(column)} · {text}"
        )
    return "stopped" if status == "stopped" else ""


def _verdict(column: Continuation) -> str:
    return "refuses" if column.behaves else "does not refuse"


def _facts(column: Continuation, number: int, has_changed: bool) -> list[list[str]]:
    if column.mean_logprob is None:
        return []
    fluency = column.fluency
    facts = [
        [
            "log-prob",
            f"{column.mean_logprob:.2f}",
            define("log_prob"),
        ],
        [
            "repetition",
            f"{1 - fluency.distinct:.2f}",
            define(
                "repetition", f"the most frequent run of four words occurs {fluency.repeated} times"
            ),
        ],
        [
            "zipped",
            f"{fluency.compressed:.2f}",
            define("zipped"),
        ],
    ]
    if column.ending:
        name, kl, about = _kl(column, has_changed)
        facts.append([name, "—" if number == 0 else kl, about])
    return [[value.replace("-", MINUS), text, about] for text, value, about in facts]


def _kl(column: Continuation, has_changed: bool) -> list[str]:
    """Return the name, the value and the explanation of the divergence from the default.

    has_changed: whether the text differs from the default's. Where the divergence rounds to 0
        beside a changed text, it shows its first digit and is called a near-tie.
    """
    about = define("kl")
    if column.kl is None:
        return ["KL", "–", about]
    if not has_changed or round(column.kl, 2) > 0:
        return ["KL", f"{column.kl:.2f}", about]
    near = "; two tokens were almost equally probable, so that hardly any change swapped them"
    return ["KL, a near-tie", f"{column.kl:.1g}", about + near]


def _strip(dictionary: Dictionary, column: Continuation, names: dict[int, str]) -> list[list[Any]]:
    cells = []
    for i, color in enumerate(region_colors(dictionary, column.regions)):
        k, distance = column.regions[i], column.distances[i]
        far = distance > dictionary.threshold
        strength = min(STRONGEST, max(WEAKEST, STRONGEST * (1 - distance / dictionary.threshold)))
        where = f"{names[k]}, distance {distance:.2f}" + (" (beyond θ)" if far else "")
        title = f"{label(column.tokens[i])} · {where}"
        cells.append([OTHER if far else color, round(strength, 3), title, k])
    return cells
