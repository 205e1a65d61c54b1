"""Tokens and excerpts as HTML for `st.html`: chips, marked tokens, keyword in context, and full
text.

Text from models and corpora becomes markup only here. Every character goes through `html.escape`,
and colours come from `ep.views.palette`, never from data. The CSS classes are in `style.css`.
"""

from __future__ import annotations

import html
from collections.abc import Iterable
from urllib.parse import quote

from ep.text import label, plain, segments, shorten
from ep.views import glossary
from ep.views.excerpts import Row
from ep.views.palette import OTHER

NEWLINE = "↵"
DOUBT = "Not confirmed: the model finds the activation of the marked token at another distance."


def escape(text: str) -> str:
    """Return text that is safe between tags and inside quoted attributes, with control characters
    made visible.
    """
    return html.escape(plain(text), quote=True)


def visible(token: str, spaces: bool = True, breaks: bool = False) -> str:
    """Return a token as HTML, with faint marks for its invisible characters.

    spaces: whether spaces are marked. breaks: whether a newline also breaks the line.
    """
    out = []
    for text, mark in segments(token, spaces):
        escaped = html.escape(text, quote=True)
        if mark:
            escaped = f'<span class="ep-ws">{escaped}</span>'
            if breaks:
                escaped = escaped.replace(NEWLINE, NEWLINE + "<br>")
        out.append(escaped)
    return "".join(out)


def chip(token: str, color: str = OTHER, strength: float = 0.22, title: str = "") -> str:
    """Return a token as a chip.

    strength: the share of `color` in its tint, in [0, 1]. title: the tooltip; by default the whole
    token, if it is long.
    """
    hint = title or (label(token) if len(token) > 24 else "")
    attribute = f' title="{escape(hint)}"' if hint else ""
    return (
        '<span class="ep-chip" '
        f'style="--c:{color};--a:{strength:.3f}"{attribute}>{visible(token)}</span>'
    )


def button_label(name: str) -> str:
    """Return a name from a file or a form as the label of a button.

    Streamlit renders labels as Markdown, so all characters that could be markup are removed.
    """
    safe = "".join(c if c.isalnum() or c in " -_.'" else " " for c in plain(name))
    return shorten(" ".join(safe.split()), 28) or "a file"


def hexagon(color: str) -> str:
    """Return a hexagon of this colour as a data URL, for image columns of tables."""
    svg = (
        "<svg xmlns='http://www.w3.org/2000/svg' viewBox='-4 -4 28 28'>"
        f"<path fill='{color}' d='M10 2l7 4v8l-7 4-7-4V6z'/></svg>"
    )
    return f"data:image/svg+xml;utf8,{quote(svg)}"


def chips(tokens: Iterable[str], color: str = OTHER, strength: float = 0.22) -> str:
    """Return tokens as a row of chips of one colour, which wraps."""
    return row(chip(token, color, strength) for token in tokens)


def row(parts: Iterable[str], one_line: bool = False) -> str:
    """Return HTML fragments, such as chips, as a row that wraps.

    one_line: show only the first line and hide the rest.
    """
    clip = ' style="gap:1em .3em;max-height:1.4em;overflow:hidden"' if one_line else ""
    return f'<div class="ep-chips"{clip}>{"".join(parts)}</div>'


def heading(name: str, about: str = "", flush: bool = True) -> str:
    """Return a card's heading: its name and a grey phrase on one line.

    flush: without space below, as above a chart.
    """
    kind = "ep-band ep-flush" if flush else "ep-band"
    return f'<div class="{kind}"><b>{escape(name)}</b><span>{escape(about)}</span></div>'


def facts(*pairs: tuple[str, str] | tuple[str, str, str], grid: bool = False) -> str:
    """Return key numbers, each with its value above its label.

    A label that stands for a term of the glossary has its definition as tooltip.

    pairs: (label, value) or (label, value, detail); the detail follows in the tooltip. grid: in
    two columns rather than in a row.
    """
    cells = []
    for label_, value, *detail in pairs:
        hint = glossary.hint(label_, *detail)
        title = f' title="{escape(hint)}"' if hint else ""
        cells.append(f"<div{title}><b>{escape(value)}</b><span>{escape(label_)}</span></div>")
    return f'<div class="ep-facts{" ep-grid4" if grid else ""}">{"".join(cells)}</div>'


def marked_token(token: str, color: str) -> str:
    """Return the marked token of an excerpt: tinted, underlined, bold, with visible whitespace."""
    return f'<span class="ep-tok ep-mark" style="--c:{color}">{visible(token)}</span>'


def running_text(pieces: Iterable[str], breaks: bool = False) -> str:
    """Return tokens as running text, with a mark for each newline but none for spaces.

    breaks: whether a newline also breaks the line.
    """
    return "".join(
        f'<span class="ep-tok">{visible(p, spaces=False, breaks=breaks)}</span>'
        for p in pieces
        if p
    )


def aligned(rows: Iterable[Row], color: str) -> str:
    """Return excerpts with their marked tokens aligned in one column, distances in front.

    The left column extends over the gap of the grid, so that a marked token in the middle of a word
    touches the text before it. If an excerpt has no marked token, as in files without token ids,
    nothing can be aligned, and `one_line` is used.
    """
    rows = list(rows)
    if any(r.token is None for r in rows):
        return one_line(rows, color)
    lines = (
        f'<span class="n">{_distance(r)}</span>'
        f'<span class="l"><span>{running_text(r.left)}</span></span>'
        f'<span class="r">{_marked(r, color)}{running_text(r.right)}</span>'
        for r in rows
    )
    # where nothing follows the tokens, as at the ends of prompts, the text before has all the width
    name = "ep-kwic" if any(r.right for r in rows) else "ep-kwic ep-ends"
    return f'<div class="{name}">{"".join(lines)}</div>'


def full_text(rows: Iterable[Row], color: str) -> str:
    """Return excerpts with all their text and its line breaks, distances in front."""
    return _listed(rows, color, "ep-ex", breaks=True)


def one_line(rows: Iterable[Row], color: str) -> str:
    """Return excerpts cut to one line each, distances in front."""
    return _listed(rows, color, "ep-ex ep-one", breaks=False)


def _listed(rows: Iterable[Row], color: str, name: str, breaks: bool) -> str:
    lines = (
        f"<span>{_distance(r)}</span><div>{running_text(r.left, breaks)}{_marked(r, color)}"
        f"{running_text(r.right, breaks)}</div>"
        for r in rows
    )
    return f'<div class="{name}">{"".join(lines)}</div>'


def _distance(row_: Row) -> str:
    """Return an excerpt's distance, with a question mark where the model did not confirm it."""
    if row_.agrees is False:
        return f'<span class="ep-doubt" title="{DOUBT}">?{row_.distance:.2f}</span>'
    return f"{row_.distance:.2f}"


def _marked(row_: Row, color: str) -> str:
    """Return the marked token as HTML; empty where a file without token ids does not contain it."""
    return "" if row_.token is None else marked_token(row_.token, color)
