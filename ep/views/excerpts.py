"""Excerpts as rows to print: keyword in context (left, marked token, right), or the whole passage;
by band.

It knows no HTML. The marked token is found by its index, never by a character offset; where a file
has no token ids, no token is marked.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from ep.method.dictionary import BANDS, Excerpt

LEFT_CHARACTERS = 110
RIGHT_CHARACTERS = 150


class Row(NamedTuple):
    """One excerpt cut in three: the pieces before the marked token, the token itself, the pieces
    after it.

    token: None in a file without token ids; `right` then holds the whole text, cut into words so
    that it can wrap.
    agrees: False where the model was asked and did not find the activation at that distance.
    """

    distance: float
    left: tuple[str, ...]
    token: str | None
    right: tuple[str, ...]
    passage: int
    position: int
    agrees: bool | None = None


def aligned(excerpt: Excerpt) -> Row:
    """The excerpt with as much context as one line can show: whole pieces, nearest to the token
    first.
    """
    if excerpt.marked is None:
        return _row(excerpt, (), _words(excerpt.pieces))
    before, after = excerpt.pieces[: excerpt.marked], excerpt.pieces[excerpt.marked + 1 :]
    left = _within(reversed(before), LEFT_CHARACTERS)[::-1]
    return _row(excerpt, left, _within(after, RIGHT_CHARACTERS))


def full(excerpt: Excerpt) -> Row:
    """The excerpt with its whole passage."""
    if excerpt.marked is None:
        return _row(excerpt, (), _words(excerpt.pieces))
    return _row(excerpt, excerpt.pieces[: excerpt.marked], excerpt.pieces[excerpt.marked + 1 :])


def by_band(excerpts: Iterable[Excerpt]) -> dict[str, tuple[Excerpt, ...]]:
    """Excerpts grouped into near, spread and far, each in its stored order; bands that hold none
    are left out.
    """
    groups: dict[str, list[Excerpt]] = {band: [] for band in BANDS}
    for excerpt in excerpts:
        groups[excerpt.band].append(excerpt)
    return {band: tuple(rows) for band, rows in groups.items() if rows}


def _row(excerpt: Excerpt, left: tuple[str, ...], right: tuple[str, ...]) -> Row:
    token = None if excerpt.marked is None else excerpt.token
    return Row(
        excerpt.distance, left, token, right, excerpt.passage, excerpt.position, excerpt.agrees
    )


def _words(pieces: Iterable[str]) -> tuple[str, ...]:
    """A text in words, each with the space before it, since a piece beyond a word's length is
    shortened on screen.
    """
    return tuple(word for piece in pieces for word in re.findall(r"\s*\S+|\s+", piece))


def _within(pieces: Iterable[str], characters: int) -> tuple[str, ...]:
    kept: list[str] = []
    for piece in pieces:
        if characters <= 0:
            break
        kept.append(piece)
        characters -= len(piece)
    return tuple(kept)
