"""The excerpts that a region is labelled by, and those held back to test the label.

Besides a region's own excerpts there are look-alikes from its neighbours. Everything is seeded: the
same dictionary and seed give the same snippets in the same order.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, zip_longest

import numpy as np

from ep.method.dictionary import Dictionary
from ep.method.region import BANDS, Excerpt

SHOWN, AGAINST, HELD = 12, 6, 8
"""Most snippets of the region to show, of its neighbours to show beside them, and to hold back."""
EVERY = 3
"""Every third excerpt is held back.

The bands take turns in that order, so near, spread and far excerpts are tested in the proportion in
which they are shown.
"""
LEFT, RIGHT = 220, 80
"""Characters of context before and after the marked token."""
OPEN, CLOSE = "[[", "]]"
"""Marks around the token."""


@dataclass(frozen=True)
class Snippet:
    """A few words of a passage on one line, with the marked token between double brackets.

    text: the words.
    band: "near", "spread" or "far".
    fits: whether it belongs to the region itself, and not to a neighbour.
    """

    text: str
    band: str
    fits: bool


@dataclass(frozen=True)
class Evidence:
    """The snippets of one region.

    shown: snippets of the region, to find a label from.
    against: look-alikes to contrast with them.
    held: snippets of both kinds that test the label, shuffled, none of them shown before.
    """

    shown: tuple[Snippet, ...]
    against: tuple[Snippet, ...]
    held: tuple[Snippet, ...]

    @property
    def can_test(self) -> bool:
        """Whether enough snippets of both kinds were held back for a meaningful score."""
        fitting = sum(snippet.fits for snippet in self.held)
        return min(fitting, len(self.held) - fitting) >= 2


def gather(dictionary: Dictionary, region: int, negatives: bool = True, seed: int = 0) -> Evidence:
    """Return the evidence for one region.

    negatives: whether look-alikes are shown while a label is sought; they always serve to test it.
    seed: of the order of the excerpts.

    Look-alikes are excerpts of the nearest regions, those with one of this region's tokens first. A
    passage that is shown is never held back, whichever region it belongs to.
    """
    rng = np.random.default_rng([seed, region])
    own = _distinct(_mixed(dictionary.excerpts(region), rng), set())
    own_texts = {_snippet(excerpt, True).text for excerpt in own}
    lookalikes = _distinct(_lookalikes(dictionary, region, own, rng), own_texts)
    # fixed positions in the seeded order, so what is held back does not depend on how much is shown
    shown = [excerpt for i, excerpt in enumerate(own) if i % EVERY != EVERY - 1][:SHOWN]
    shown_passages = {excerpt.passage for excerpt in shown}
    held_own = [
        e for i, e in enumerate(own) if i % EVERY == EVERY - 1 and e.passage not in shown_passages
    ][:HELD]
    # every other look-alike is shown, the rest test; all of them test when none is shown
    against = lookalikes[::2][:AGAINST] if negatives else []
    shown_passages |= {excerpt.passage for excerpt in against}
    held_others = [
        e
        for e in (lookalikes[1::2] if negatives else lookalikes)
        if e.passage not in shown_passages
    ][: max(2, len(held_own))]
    held = [_snippet(e, True) for e in held_own] + [_snippet(e, False) for e in held_others]
    shown.sort(key=lambda excerpt: BANDS.index(excerpt.band))
    return Evidence(
        tuple(_snippet(e, True) for e in shown),
        tuple(_snippet(e, False) for e in against),
        tuple(held[i] for i in rng.permutation(len(held))),
    )


def _mixed(excerpts: Iterable[Excerpt], rng: np.random.Generator) -> Iterator[Excerpt]:
    """Return an iterator over the excerpts in seeded order, the bands taking turns."""
    bands: dict[str, list[Excerpt]] = {band: [] for band in BANDS}
    for excerpt in excerpts:
        if excerpt.agrees is not False:  # the model that completed the file found another distance
            bands[excerpt.band].append(excerpt)
    drawn = [[rows[i] for i in rng.permutation(len(rows))] for rows in bands.values()]
    return (excerpt for turn in zip_longest(*drawn) for excerpt in turn if excerpt is not None)


def _lookalikes(
    dictionary: Dictionary, region: int, own: list[Excerpt], rng: np.random.Generator
) -> Iterator[Excerpt]:
    """Return an iterator over excerpts of the nearest regions, the regions taking turns.

    Those with one of this region's tokens come first.
    """
    if "nearest_ids" not in dictionary:
        return iter(())
    near = [int(k) for k in dictionary.row("nearest_ids", region) if k >= 0]
    turns = zip_longest(*(list(_mixed(dictionary.excerpts(k), rng)) for k in near))
    excerpts = [excerpt for turn in turns for excerpt in turn if excerpt is not None]
    tokens = {_word(excerpt) for excerpt in own}
    shares_token = [_word(excerpt) in tokens for excerpt in excerpts]
    return chain(
        (e for e, same in zip(excerpts, shares_token, strict=True) if same),
        (e for e, same in zip(excerpts, shares_token, strict=True) if not same),
    )


def _word(excerpt: Excerpt) -> str:
    return excerpt.token.strip().lower()


def _distinct(excerpts: Iterable[Excerpt], seen: set[str]) -> list[Excerpt]:
    """Return the excerpts whose snippets differ from all before them and from those in `seen`."""
    texts, out = set(seen), []
    for excerpt in excerpts:
        if (text := _snippet(excerpt, True).text) not in texts:
            texts.add(text)
            out.append(excerpt)
    return out


def _snippet(excerpt: Excerpt, fits: bool) -> Snippet:
    """Return an excerpt as a snippet, cut around its marked token where it has one."""
    if excerpt.marked is None:
        return Snippet(_plain("".join(excerpt.pieces))[: LEFT + RIGHT], excerpt.band, fits)
    before = _plain("".join(excerpt.pieces[: excerpt.marked]))[-LEFT:]
    after = _plain("".join(excerpt.pieces[excerpt.marked + 1 :]))[:RIGHT]
    return Snippet(
        f"{before}{OPEN}{_plain(excerpt.token)[:LEFT]}{CLOSE}{after}", excerpt.band, fits
    )


def _plain(text: str) -> str:
    """Return the text on one line, with its own double brackets separated by spaces."""
    for run, instead in (("\r\n", "⏎"), ("\n", "⏎"), ("\r", "⏎"), ("[[", "[ ["), ("]]", "] ]")):
        text = text.replace(run, instead)
    return text
