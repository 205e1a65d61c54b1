"""The places of one text that two readings share, whatever their tokenizers. Draws nothing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ep.studies import inputs
from ep.studies.matching import Match
from ep.views.prompt import Reading


@dataclass(frozen=True, eq=False)
class Aligned:
    """The n places of one text that two readings share: token ids in either, in order.

    here, there: (n,) each token where the tokens are the same; else those of the text itself that
    end at one place.
    """

    here: np.ndarray
    there: np.ndarray
    same: bool

    def beside(self, token: int) -> int | None:
        """The token of B that has read as far as this one of A, or the next that has; None where
        nothing is shared.
        """
        return _next(self.here, self.there, token)

    def before(self, token: int) -> int | None:
        """The token of A to one of B."""
        return _next(self.there, self.here, token)


def _next(mine: np.ndarray, other: np.ndarray, token: int) -> int | None:
    if not len(mine):
        return None
    return int(other[min(int(np.searchsorted(mine, token)), len(mine) - 1)])


def aligned(first: Reading, second: Reading) -> Aligned:
    """Where two readings of one prompt are compared."""
    if first.tokens == second.tokens:
        inside = np.flatnonzero(~(first.outside | second.outside))
        return Aligned(inside, inside, True)
    words = [np.flatnonzero(~(one.outside | one.template)) for one in (first, second)]
    cut = [[one.tokens[i] for i in at] for one, at in zip((first, second), words, strict=True)]
    here, there = inputs.meeting(*cut)
    return Aligned(words[0][here], words[1][there], False)


def parted(match: Match, first: Reading, second: Reading, places: Aligned) -> np.ndarray:
    """(n,) True where the two regions of a shared place are not each other's one-to-one
    partners.
    """
    return np.asarray(match.a.partner[first.region[places.here]] != second.region[places.there])
