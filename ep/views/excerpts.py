"""Excerpts as rows to print: the marked token in context, or within its whole passage.

The marked token is located by its index, never by a character offset; in a file without token ids
no token is marked. This module produces no HTML.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from ep.method.region import BANDS, Excerpt

LEFT_CHARACTERS = 110
RIGHT_CHARACTERS = 150
OMITTED = " … "
"""Stands for the tokens of a chat template that are left out."""


class Row(NamedTuple):
    """One excerpt in three parts: the pieces before the marked token, the token, those after it.

    distance: that of the token's activation to the exemplar.
    token: None in a file without token ids; `right` is then the whole text, divided into words so
        that it can wrap.
    passage: number of the passage in the corpus.
    position: index of the token in the model's input, the beginning-of-sequence token included.
    agrees: whether the model, run again, gave this distance; None where it was not run.
    """

    distance: float
    left: tuple[str, ...]
    token: str | None
    right: tuple[str, ...]
    passage: int
    position: int
    agrees: bool | None = None


def aligned(excerpt: Excerpt) -> Row:
    """The excerpt with as much context as fits on one line, in whole pieces around the token.

    For a token of a chat template the context is what the passage says, without the template.
    """
    if excerpt.marked is None:
        return _row(excerpt, (), _words(excerpt.pieces))
    if excerpt.content is not None:
        words = excerpt.pieces[slice(*excerpt.content)]
        left = _within(reversed(words), LEFT_CHARACTERS + RIGHT_CHARACTERS)[::-1]
        return _row(excerpt, (*left, OMITTED), ())
    before, after = excerpt.pieces[: excerpt.marked], excerpt.pieces[excerpt.marked + 1 :]
    left = _within(reversed(before), LEFT_CHARACTERS)[::-1]
    return _row(excerpt, left, _within(after, RIGHT_CHARACTERS))


def full(excerpt: Excerpt) -> Row:
    """The excerpt with its whole passage as context."""
    if excerpt.marked is None:
        return _row(excerpt, (), _words(excerpt.pieces))
    return _row(excerpt, excerpt.pieces[: excerpt.marked], excerpt.pieces[excerpt.marked + 1 :])


def by_band(excerpts: Iterable[Excerpt]) -> dict[str, tuple[Excerpt, ...]]:
    """Excerpts grouped by band ("near", "spread", "far"), each group in its stored order.

    Bands without an excerpt are left out.
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
    """The text divided into words, each with the whitespace before it.

    The page shortens pieces that are much longer than a word.
    """
    return tuple(word for piece in pieces for word in re.findall(r"\s*\S+|\s+", piece))


def _within(pieces: Iterable[str], characters: int) -> tuple[str, ...]:
    """The first pieces, up to the one that reaches the given number of characters."""
    selected: list[str] = []
    for piece in pieces:
        if characters <= 0:
            break
        selected.append(piece)
        characters -= len(piece)
    return tuple(selected)
