"""Search by meaning: the regions a text's own activations fall into or come near, best first.

Arrays in, arrays out: the text is read elsewhere. Nothing is learned and no words are compared: a
region ranks high when many tokens of the text lie near its exemplar. Knows no model and no screen.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from ep.errors import RequestError
from ep.method.dictionary import Dictionary
from ep.views.search import MEANING, Found

CHUNK = 64
LIMIT = 200


@dataclass(frozen=True, eq=False)
class Ranked:
    """n regions, best first.

    score: Σ over tokens of max(0, 1 − d/θ), d the cosine distance of a token's activation to the
    exemplar: a token on the exemplar counts 1, one at θ nothing. tokens: how many tokens lie within
    θ. nearest: to how many it is nearest.
    of: the number of tokens that counted.
    """

    regions: Int[np.ndarray, " n"]
    score: Float[np.ndarray, " n"]
    tokens: Int[np.ndarray, " n"]
    nearest: Int[np.ndarray, " n"]
    of: int

    def __len__(self) -> int:
        return len(self.regions)

    def found(self) -> Found:
        """The same regions as the search box hands them out."""
        return Found(self.regions, np.full(len(self), MEANING, np.int64))


def rank(
    dictionary: Dictionary,
    x: Float[np.ndarray, "t d"],
    content: Bool[np.ndarray, " t"] | None = None,
    limit: int | None = LIMIT,
) -> Ranked:
    """The regions a text comes near: by score, then by tokens it is nearest to, then by id; at most
    `limit`.

    x: raw activations of its tokens. content: which of them count; leave out the token that begins
    every text and what a chat template wrote, or their regions win everywhere. Regions beyond θ of
    every token are not listed. RequestError when no token counts.
    """
    kept = x if content is None else x[np.asarray(content, bool)]
    if not len(kept):
        raise RequestError("the text has no token of its own to rank by: give some words")
    size = len(dictionary)
    score, tokens, nearest = np.zeros(size), np.zeros(size, np.int64), np.zeros(size, np.int64)
    for start in range(0, len(kept), CHUNK):
        distances = dictionary.distances(kept[start : start + CHUNK]).astype(np.float64)
        near = distances < dictionary.threshold
        score += np.where(near, 1 - distances / dictionary.threshold, 0).sum(0)
        tokens += near.sum(0)
        nearest += np.bincount(np.argmin(distances, axis=1), minlength=size)
    ids = np.flatnonzero(score > 0)
    ids = ids[np.lexsort((ids, -nearest[ids], -score[ids]))][:limit]
    return Ranked(ids, score[ids], tokens[ids], nearest[ids], len(kept))
