"""Token text: decoded from bytes, and made ready for display.

For display whitespace becomes visible, control characters harmless, and long tokens short.

Text from models and corpora must be treated as hostile. The results here are plain text: code that
displays them must escape them for its medium (`pages/shared/tokens.py` does so for HTML,
`ep/views/figures.py` for plotly).
"""

from __future__ import annotations

import unicodedata
from codecs import getincrementaldecoder
from functools import lru_cache
from typing import NamedTuple

LONGEST = 48
"""Characters of a token that are shown; `shorten` leaves out the middle of longer ones."""
NOTHING = "▯"
"""Stands for an empty token."""
REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
WHITESPACE = {" ": "·", "\t": "→", "\n": "↵", "\r": "␍", "\u00a0": "⍽"}
JOINERS = "\u200c\u200d"
"""Invisible characters that are part of how scripts and emoji are written; left as they are."""


class Segment(NamedTuple):
    """A run of text; `mark` is True where it stands in for invisible characters."""

    text: str
    mark: bool


@lru_cache(maxsize=65536)
def segments(token: str, spaces: bool = True) -> tuple[Segment, ...]:
    """Split a token into runs of plain text and of marks, in order.

    token: the token's text; an empty one (a later byte of a character) becomes a single mark.
    spaces: whether spaces are marked as `·`, as in chips and strips, or left as in running text.
    """
    if not token:
        return (Segment(NOTHING, True),)
    runs: list[Segment] = []
    for character in shorten(token):
        text, mark = _visible(character, spaces)
        if runs and runs[-1].mark == mark:
            runs[-1] = Segment(runs[-1].text + text, mark)
        else:
            runs.append(Segment(text, mark))
    return tuple(runs)


def label(token: str) -> str:
    """Return a token as one line for tables, axes and tooltips, with all whitespace visible."""
    return "".join(segment.text for segment in segments(token))


def plain(text: str) -> str:
    """Return a text of any length with control characters made visible.

    Spaces and line feeds stay as they are.
    """
    return "".join(c if c == "\n" else _visible(c, spaces=False)[0] for c in text)


def one_line(text: str, longest: int = 160) -> str:
    """Return a foreign text as one line of at most `longest` characters, for messages."""
    line = plain(" ".join(text[: 4 * longest].split()))
    return line if len(line) <= longest else f"{line[: longest - 1]}…"


def shorten(token: str, longest: int = LONGEST) -> str:
    """Return the token, or its beginning and end around the number of characters left out."""
    if len(token) <= longest:
        return token
    head, tail = longest * 2 // 3, longest // 6
    return f"{token[:head]}…{len(token) - head - tail:,} more…{token[-tail:]}"


def _visible(character: str, spaces: bool) -> tuple[str, bool]:
    """Return the text to display for one character, and whether it is a mark."""
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
        # Cf, Zl and Zp characters are not drawn, and may reorder or hide the text beside them.
        return f"‹{code:04X}›", True
    return character, False


def split_text(pieces: list[bytes]) -> tuple[str, ...]:
    """Decode token bytes into strings whose concatenation is the decoded text.

    A character split over several tokens goes to the first of them. Bytes that are not UTF-8 become
    U+FFFD, as in bytes.decode("utf-8", "replace").
    """
    # The decoder keeps the bytes of an unfinished character. The bytes that complete it belong to
    # `owner`, the token with the character's first byte.
    decoder = getincrementaldecoder("utf-8")("replace")
    texts, owner = [""] * len(pieces), 0
    for i, piece in enumerate(pieces):
        for byte in piece:
            is_continued = decoder.getstate()[0] != b""
            text = decoder.decode(bytes([byte]))
            if is_continued:
                texts[owner] += text[:1]
                texts[i] += text[1:]
            else:
                texts[i] += text
            if text or not is_continued:
                owner = i
    if pieces:
        texts[owner] += decoder.decode(b"", final=True)
    return tuple(texts)
