"""Token text as a reader may see it: whitespace made visible, controls made harmless, long tokens
shortened.

It knows no HTML and no screen. Text from models and corpora is hostile: what leaves this room is
still plain text, and whoever shows it must escape it for its own medium (`pages/shared/tokens.py`
for HTML, `figures.py` for plotly).
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from typing import NamedTuple

LONGEST = 48
NOTHING = "▯"
REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
WHITESPACE = {" ": "·", "\t": "→", "\n": "↵", "\r": "␍", "\u00a0": "⍽"}
JOINERS = "\u200c\u200d"
"""Invisible, but part of how scripts and emoji are written: left alone."""


class Segment(NamedTuple):
    """A run of text; `mark` is True where it stands for a character that cannot be seen."""

    text: str
    mark: bool


@lru_cache(maxsize=65536)
def segments(token: str, spaces: bool = True) -> tuple[Segment, ...]:
    """A token as runs of plain text and marks, in order.

    token: the token's text; an empty one (the later part of a split character) becomes a single
    mark.
    spaces: True marks every space as `·` (chips, strips, the marked token); False leaves spaces
    alone (running text).
    """
    if not token:
        return (Segment(NOTHING, True),)
    runs: list[Segment] = []
    for character in shorten(token):
        text, mark = _shown(character, spaces)
        if runs and runs[-1].mark == mark:
            runs[-1] = Segment(runs[-1].text + text, mark)
        else:
            runs.append(Segment(text, mark))
    return tuple(runs)


def label(token: str) -> str:
    """A token as one plain line, for tables, axes and tooltips: every space and control visible."""
    return "".join(segment.text for segment in segments(token))


def plain(text: str) -> str:
    """A whole sentence or name of any length: spaces and lines as they are, control characters
    visible.
    """
    return "".join(c if c == "\n" else _shown(c, spaces=False)[0] for c in text)


def shorten(token: str, longest: int = LONGEST) -> str:
    """The token itself, or its beginning and end around the number of characters left out."""
    if len(token) <= longest:
        return token
    head, tail = longest * 2 // 3, longest // 6
    return f"{token[:head]}…{len(token) - head - tail:,} more…{token[-tail:]}"


def _shown(character: str, spaces: bool) -> tuple[str, bool]:
    if character == " " and not spaces:
        return character, False
    if character in WHITESPACE:
        return WHITESPACE[character], True
    code = ord(character)
    if character == "\0" or 0x7F < code < 0xA0 or 0xD800 <= code < 0xE000:
        return REPLACEMENT, False
    if code < 0x20 or code == 0x7F:
        return chr(0x2400 + (0x21 if code == 0x7F else code)), True
    if character not in JOINERS and unicodedata.category(character) in ("Cf", "Zl", "Zp"):
        return f"‹{code:04X}›", True  # draws nothing, and reorders or hides what stands beside it
    return character, False
