"""The places at which two readings of one text can be compared, whatever their tokenizers.

Draws nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ep.studies import inputs
from ep.studies.matching import Match
from ep.views.prompt import Reading


@dataclass(frozen=True, eq=False)
class Alignment:
    """The n places of one text that two readings share, in order.

    tokens_a: (n,) index of the token of A at each place. Where the tokenizers differ, a place is
        where a token of the text itself ends in both.
    tokens_b: (n,) the same for B.
    same_tokens: whether both readings have the same tokens.
    """

    tokens_a: np.ndarray
    tokens_b: np.ndarray
    same_tokens: bool

    def token_of_b(self, token: int) -> int | None:
        """Return the token of B at the place of this token of A, or at the next shared place.

        None where the readings share no place.
        """
        return _at_or_after(self.tokens_a, self.tokens_b, token)

    def token_of_a(self, token: int) -> int | None:
        """Return the token of A at the place of this token of B; see `token_of_b`."""
        return _at_or_after(self.tokens_b, self.tokens_a, token)


def _at_or_after(own: np.ndarray, other: np.ndarray, token: int) -> int | None:
    if not len(own):
        return None
    return int(other[min(int(np.searchsorted(own, token)), len(own) - 1)])


def align(first: Reading, second: Reading) -> Alignment:
    """Return the places at which two readings of one prompt can be compared."""
    if first.tokens == second.tokens:
        inside = np.flatnonzero(~(first.outside | second.outside))
        return Alignment(inside, inside, True)
    inside_text = [np.flatnonzero(~(one.outside | one.template)) for one in (first, second)]
    pieces = [
        [one.tokens[i] for i in ids] for one, ids in zip((first, second), inside_text, strict=True)
    ]
    at_a, at_b = inputs.meeting(*pieces)
    return Alignment(inside_text[0][at_a], inside_text[1][at_b], False)


def mismatched(match: Match, first: Reading, second: Reading, alignment: Alignment) -> np.ndarray:
    """(n,) True at shared places whose two regions are not each other's one-to-one partners."""
    return np.asarray(
        match.a.partner[first.region[alignment.tokens_a]] != second.region[alignment.tokens_b]
    )
