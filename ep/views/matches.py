"""Why a region is a hit of a search: the field that matched and the words around the match.

The index of `ep.views.search` finds regions without looking at each; this module looks again at the
few that are shown. Texts are plain: whoever draws them escapes them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ep.method.dictionary import Dictionary
from ep.studies.names import names, one_line, short
from ep.text import label
from ep.views.search import EXCERPTS, LABEL, LENS, MEMBERS, REASONS, Hits, lens_columns

LEFT, RIGHT = 24, 48
"""Characters shown before and after a match, so that the match itself is in view."""
LEFT_IN_LINE = 10
"""Characters before a match in a column of a table."""
LONGEST_NAME = 48
NEAR_TOKENS = 6
"""Tokens of a text that are shown beside a region near them."""
NEAR = "near"


@dataclass(frozen=True)
class Match:
    """One hit: its region and name, the field that matched, and the text around the match.

    before, match, after: on one line; all empty where there is no text to show, as for an id, and
    `match` alone where the words of a query occur apart.
    """

    region: int
    name: str
    field: str
    before: str = ""
    match: str = ""
    after: str = ""

    def line(self) -> str:
        """Return the field and the text around the match as plain text, on one line.

        Little stands before the match, so that a narrow column shows the match itself.
        """
        cut = "…" if len(self.before) > LEFT_IN_LINE else ""
        around = f"{cut}{self.before[-LEFT_IN_LINE:]}{self.match}{self.after}"
        return f"{self.field}: {around}" if around else self.field


def matches(
    dictionary: Dictionary,
    hits: Hits,
    query: str,
    labels: Mapping[int, str] | None = None,
    n: int = 5,
) -> list[Match]:
    """Return the first n hits of a query with what matched.

    labels: texts by region, as they were given to the search.
    """
    phrase = " ".join(query.split())
    result = []
    for (region, name), reason in zip(
        _named(dictionary, hits, labels, n), hits.reasons[:n].tolist(), strict=True
    ):
        around = _around(_texts(dictionary, region, reason, name), phrase)
        result.append(Match(region, short(name, LONGEST_NAME), REASONS[reason], *around))
    return result


def explained(
    dictionary: Dictionary,
    hits: Hits,
    near: Sequence[Sequence[str]],
    labels: Mapping[int, str] | None = None,
) -> list[Match]:
    """Return the first hits of a search by meaning with the tokens of the text near each.

    near: for each of the first hits the tokens within θ, the nearest first.
    """
    named = _named(dictionary, hits, labels, len(near))
    return [
        Match(
            region,
            short(name, LONGEST_NAME),
            NEAR,
            match=" ".join(tokens[:NEAR_TOKENS]),
            after=" …" if len(tokens) > NEAR_TOKENS else "",
        )
        for (region, name), tokens in zip(named, near, strict=True)
    ]


def _named(
    dictionary: Dictionary, hits: Hits, labels: Mapping[int, str] | None, n: int
) -> list[tuple[int, str]]:
    """Return the first n hits with the label of each, or its name where it has none."""
    regions = hits.regions[:n]
    pairs = zip(regions.tolist(), names(dictionary, regions), strict=True)
    return [(region, (labels or {}).get(region, name)) for region, name in pairs]


def _texts(dictionary: Dictionary, region: int, reason: int, name: str) -> list[str]:
    """Return the texts of the field that matched, in their order."""
    if reason == LABEL:
        return [one_line(name)]
    if reason == LENS:
        columns = [dictionary.column(name)[region] for name in lens_columns(dictionary)]
        return [label(dictionary.piece(i)) for ids in columns for i in ids.tolist() if i >= 0]
    if reason == MEMBERS:
        return [label(score.token) for score in dictionary.region(region).tokens]
    if reason != EXCERPTS:
        return []
    # the marked token stands in the middle of a window of about one line, as in the search
    windows = []
    for excerpt in dictionary.excerpts(region):
        first = 0 if excerpt.is_plain else max(0, excerpt.position - 24)
        last = None if excerpt.is_plain else excerpt.position + 24
        windows.append(" ".join("".join(excerpt.pieces[first:last]).split()))
    return windows


def _around(texts: Sequence[str], phrase: str) -> tuple[str, str, str]:
    """Return the text before, at and after the first place of a phrase, or of one of its words."""
    for wanted in (phrase, *phrase.split()):
        for text in texts:
            place = text.lower().find(wanted.lower())
            if place >= 0:
                stop = place + len(wanted)
                cut = max(0, place - LEFT)
                before = ("…" if cut else "") + text[cut:place]
                after = text[stop : stop + RIGHT] + ("…" if len(text) > stop + RIGHT else "")
                return before, text[place:stop], after
    return "", "", ""
