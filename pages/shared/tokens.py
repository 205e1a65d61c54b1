"""Tokens and excerpts as HTML for `st.html`: chips, the marked token, keyword in context, whole
passages.

The only place where text from models and corpora becomes markup. Every character goes through
`html.escape`; colours come from `ep.views.palette`, never from data. The classes are in
`style.css`.
"""

from __future__ import annotations

import html
from collections.abc import Iterable
from urllib.parse import quote

from ep.text import label, plain, segments, shorten
from ep.views.excerpts import Row
from ep.views.palette import OTHER

NEWLINE = "↵"
DOUBT = "Not confirmed: the model finds the activation of the marked token at another distance."


def escape(text: str) -> str:
    """A sentence, name or number, safe between tags and inside quoted attributes; control
    characters become visible.
    """
    return html.escape(plain(text), quote=True)


def visible(token: str, spaces: bool = True, breaks: bool = False) -> str:
    """A token's characters as HTML: marks of invisible ones are faint; `breaks` also ends the line
    after a newline.
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
    """One token as a chip; `strength` in [0, 1] is the share of `color` in its tint, `title` shows
    on hover.
    """
    hint = title or (label(token) if len(token) > 24 else "")
    attribute = f' title="{escape(hint)}"' if hint else ""
    return (
        '<span class="ep-chip" '
        f'style="--c:{color};--a:{strength:.3f}"{attribute}>{visible(token)}</span>'
    )


def button_label(name: str) -> str:
    """A name from a file or a form as the label of a button, which would read it as Markdown."""
    kept = "".join(c if c.isalnum() or c in " -_.'" else " " for c in plain(name))
    return shorten(" ".join(kept.split()), 28) or "a file"


def hexagon(color: str) -> str:
    """A region's mark as the address of a picture, for image columns of tables."""
    picture = (
        "<svg xmlns='http://www.w3.org/2000/svg' viewBox='-4 -4 28 28'>"
        f"<path fill='{color}' d='M10 2l7 4v8l-7 4-7-4V6z'/></svg>"
    )
    return f"data:image/svg+xml;utf8,{quote(picture)}"


def chips(tokens: Iterable[str], color: str = OTHER, strength: float = 0.22) -> str:
    """A wrapping row of chips of one colour."""
    return row(chip(token, color, strength) for token in tokens)


def row(parts: Iterable[str], one_line: bool = False) -> str:
    """A wrapping row of ready HTML, such as chips with strengths of their own; `one_line` drops
    what does not fit.
    """
    clip = ' style="gap:1em .3em;max-height:1.4em;overflow:hidden"' if one_line else ""
    return f'<div class="ep-chips"{clip}>{"".join(parts)}</div>'


def heading(name: str, about: str = "", flush: bool = True) -> str:
    """A card's heading: its name and a grey half-sentence on one line; `flush` leaves no air below
    (for charts).
    """
    kind = "ep-band ep-flush" if flush else "ep-band"
    return f'<div class="{kind}"><b>{escape(name)}</b><span>{escape(about)}</span></div>'


def facts(*pairs: tuple[str, str] | tuple[str, str, str], grid: bool = False) -> str:
    """Key numbers, (label, value) or (label, value, hover text): the value over its label, in a row
    or 2 × 2.
    """
    cells = []
    for label_, value, *about in pairs:
        title = f' title="{escape(about[0])}"' if about else ""
        cells.append(f"<div{title}><b>{escape(value)}</b><span>{escape(label_)}</span></div>")
    return f'<div class="ep-facts{" ep-grid4" if grid else ""}">{"".join(cells)}</div>'


def marked(token: str, color: str) -> str:
    """The token an excerpt is about: tinted, underlined, bold, with its whitespace visible."""
    return f'<span class="ep-tok ep-mark" style="--c:{color}">{visible(token)}</span>'


def running(pieces: Iterable[str], breaks: bool = False) -> str:
    """Tokens as running text: spaces stay spaces, a newline shows its mark (and breaks the line if
    asked).
    """
    return "".join(
        f'<span class="ep-tok">{visible(p, spaces=False, breaks=breaks)}</span>'
        for p in pieces
        if p
    )


def aligned(rows: Iterable[Row], color: str) -> str:
    """Excerpts with their marked tokens in one column, distance in front.

    The left column reaches over the grid's gap: a token that is the middle of a word must touch
    what stands before it. Excerpts without a marked token (files without token ids) have no column
    to stand in: they are cut to one line each.
    """
    rows = list(rows)
    if any(r.token is None for r in rows):
        return one_line(rows, color)
    lines = (
        f'<span class="n">{_distance(r)}</span>'
        f'<span class="l"><span>{running(r.left)}</span></span>'
        f'<span class="r">{_marked(r, color)}{running(r.right)}</span>'
        for r in rows
    )
    return f'<div class="ep-kwic">{"".join(lines)}</div>'


def full_text(rows: Iterable[Row], color: str) -> str:
    """Excerpts with all their text, lines broken where the text breaks them, distance in front."""
    return _listed(rows, color, "ep-ex", breaks=True)


def one_line(rows: Iterable[Row], color: str) -> str:
    """Excerpts cut at the end of one line each, distance in front."""
    return _listed(rows, color, "ep-ex ep-one", breaks=False)


def _listed(rows: Iterable[Row], color: str, name: str, breaks: bool) -> str:
    lines = (
        f"<span>{_distance(r)}</span><div>{running(r.left, breaks)}{_marked(r, color)}"
        f"{running(r.right, breaks)}</div>"
        for r in rows
    )
    return f'<div class="{name}">{"".join(lines)}</div>'


def _distance(row_: Row) -> str:
    """The distance in front; with a quiet mark where the model does not find the marked token
    there.
    """
    if row_.agrees is False:
        return f'<span class="ep-doubt" title="{DOUBT}">?{row_.distance:.2f}</span>'
    return f"{row_.distance:.2f}"


def _marked(row_: Row, color: str) -> str:
    """The marked token, or nothing where a file without token ids does not know it."""
    return "" if row_.token is None else marked(row_.token, color)
