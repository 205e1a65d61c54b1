"""What one shows a reader to have a region named: its own excerpts, look-alikes of its neighbours,
some held back.

Everything is seeded: the same dictionary and seed give the same snippets in the same order. It
knows no model.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, zip_longest

import numpy as np

from ep.method.dictionary import BANDS, Dictionary, Excerpt

SHOWN, AGAINST, HELD = 12, 6, 8
"""At most so many snippets of the region to read, of its neighbours beside them, and held back of
either.
"""
EVERY = 3
"""Every third excerpt is held back, so that near, spread and far ones are tested as they are
shown.
"""
LEFT, RIGHT = 220, 80
"""Characters of context before and after the marked token."""
OPEN, CLOSE = "[[", "]]"


@dataclass(frozen=True)
class Snippet:
    """A few words of a passage, the marked token between double brackets, on one line.

    band: "near", "spread" or "far". fits: whether it is of the region itself.
    """

    text: str
    band: str
    fits: bool


@dataclass(frozen=True)
class Evidence:
    """shown, against: what the reader gets to find a label. held: what tests it, shuffled, never
    shown before.
    """

    shown: tuple[Snippet, ...]
    against: tuple[Snippet, ...]
    held: tuple[Snippet, ...]

    @property
    def can_test(self) -> bool:
        """Whether enough was held back of both kinds for a score to mean anything."""
        fitting = sum(snippet.fits for snippet in self.held)
        return min(fitting, len(self.held) - fitting) >= 2


def gather(dictionary: Dictionary, region: int, negatives: bool = True, seed: int = 0) -> Evidence:
    """The evidence for one region.

    negatives: whether look-alikes are shown to the one who labels; they are always there to test
    the label. Look-alikes are excerpts of the nearest regions, those with one of this region's
    tokens first. A passage shown is never held back, whichever region it illustrates.
    """
    rng = np.random.default_rng([seed, region])
    own = _distinct(_mixed(dictionary.excerpts(region), rng), set())
    seen = {_snippet(excerpt, True).text for excerpt in own}
    others = _distinct(_lookalikes(dictionary, region, own, rng), seen)
    shown = [excerpt for i, excerpt in enumerate(own) if i % EVERY != EVERY - 1][:SHOWN]
    used = {excerpt.passage for excerpt in shown}
    tested = [e for i, e in enumerate(own) if i % EVERY == EVERY - 1 and e.passage not in used][
        :HELD
    ]
    against = others[::2][:AGAINST] if negatives else []
    used |= {excerpt.passage for excerpt in against}
    untold = [e for e in (others[1::2] if negatives else others) if e.passage not in used][
        : max(2, len(tested))
    ]
    held = [_snippet(e, True) for e in tested] + [_snippet(e, False) for e in untold]
    shown.sort(key=lambda excerpt: BANDS.index(excerpt.band))
    return Evidence(
        tuple(_snippet(e, True) for e in shown),
        tuple(_snippet(e, False) for e in against),
        tuple(held[i] for i in rng.permutation(len(held))),
    )


def _mixed(excerpts: Iterable[Excerpt], rng: np.random.Generator) -> Iterator[Excerpt]:
    """The excerpts in seeded order, the bands taking turns."""
    bands: dict[str, list[Excerpt]] = {band: [] for band in BANDS}
    for excerpt in excerpts:
        if excerpt.agrees is not False:  # else the model does not place that token here
            bands[excerpt.band].append(excerpt)
    drawn = [[rows[i] for i in rng.permutation(len(rows))] for rows in bands.values()]
    return (excerpt for turn in zip_longest(*drawn) for excerpt in turn if excerpt is not None)


def _lookalikes(
    dictionary: Dictionary, region: int, own: list[Excerpt], rng: np.random.Generator
) -> Iterator[Excerpt]:
    """Excerpts of the nearest regions, the regions taking turns; those with one of this region's
    tokens first.
    """
    if "nearest_ids" not in dictionary:
        return iter(())
    near = [int(k) for k in dictionary.row("nearest_ids", region) if k >= 0]
    turns = zip_longest(*(list(_mixed(dictionary.excerpts(k), rng)) for k in near))
    everything = [excerpt for turn in turns for excerpt in turn if excerpt is not None]
    tokens = {_word(excerpt) for excerpt in own}
    alike = [_word(excerpt) in tokens for excerpt in everything]
    return chain(
        (e for e, same in zip(everything, alike, strict=True) if same),
        (e for e, same in zip(everything, alike, strict=True) if not same),
    )


def _word(excerpt: Excerpt) -> str:
    return excerpt.token.strip().lower()


def _distinct(excerpts: Iterable[Excerpt], seen: set[str]) -> list[Excerpt]:
    """The excerpts whose snippets differ from all before them and from those seen."""
    known, out = set(seen), []
    for excerpt in excerpts:
        if (text := _snippet(excerpt, True).text) not in known:
            known.add(text)
            out.append(excerpt)
    return out


def _snippet(excerpt: Excerpt, fits: bool) -> Snippet:
    if excerpt.marked is None:
        return Snippet(_plain("".join(excerpt.pieces))[: LEFT + RIGHT], excerpt.band, fits)
    before = _plain("".join(excerpt.pieces[: excerpt.marked]))[-LEFT:]
    after = _plain("".join(excerpt.pieces[excerpt.marked + 1 :]))[:RIGHT]
    return Snippet(
        f"{before}{OPEN}{_plain(excerpt.token)[:LEFT]}{CLOSE}{after}", excerpt.band, fits
    )


def _plain(text: str) -> str:
    """The text on one line, its own double brackets apart so that only ours mark something."""
    for run, instead in (("\r\n", "⏎"), ("\n", "⏎"), ("\r", "⏎"), ("[[", "[ ["), ("]]", "] ]")):
        text = text.replace(run, instead)
    return text
