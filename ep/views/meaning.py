"""Search by meaning: the regions nearest to the activations of a text, best first.

Nothing is learned and no words are compared: a region ranks high when many tokens of the text lie
near its exemplar. The functions take and return arrays; the model is run elsewhere. This module
does not depend on Streamlit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ep.errors import RequestError
from ep.method.dictionary import Dictionary
from ep.shapes import Bool, Float, Int
from ep.views.search import MEANING, Hits

CHUNK = 64
LIMIT = 200


@dataclass(frozen=True, eq=False)
class Ranked:
    """n regions ranked for a text, best first.

    regions: (n,) ids.
    score: (n,) sum over tokens of max(0, 1 − d/θ), where d is the cosine distance of the token's
        activation to the exemplar: a token at the exemplar counts 1, one at θ counts 0.
    tokens: (n,) number of tokens within θ of the exemplar.
    nearest: (n,) number of tokens for which this region is the nearest.
    of: number of tokens that were counted.
    """

    regions: Int[np.ndarray, " n"]
    score: Float[np.ndarray, " n"]
    tokens: Int[np.ndarray, " n"]
    nearest: Int[np.ndarray, " n"]
    of: int

    def __len__(self) -> int:
        return len(self.regions)

    def found(self) -> Hits:
        """The regions as a result of the search box, in the same order."""
        return Hits(self.regions, np.full(len(self), MEANING, np.int64))


def rank(
    dictionary: Dictionary,
    x: Float[np.ndarray, "t d"],
    content: Bool[np.ndarray, " t"] | None = None,
    limit: int | None = LIMIT,
) -> Ranked:
    """Rank the regions near a text by score, then by tokens they are nearest to, then by id.

    dictionary: the dictionary of the regions.
    x: (t, d) raw activations of the text's tokens.
    content: (t,) which tokens count, None for all. Leave out the beginning-of-sequence token and
        the tokens of a chat template, whose regions would otherwise rank first for every text.
    limit: largest number of regions, None for all.

    Regions that are farther than θ from every token are not listed. Raises RequestError when no
    token counts.
    """
    counted = x if content is None else x[np.asarray(content, bool)]
    if not len(counted):
        raise RequestError("the text has no token to rank by: enter some words")
    size = len(dictionary)
    score, tokens, nearest = np.zeros(size), np.zeros(size, np.int64), np.zeros(size, np.int64)
    for start in range(0, len(counted), CHUNK):  # bounds the (tokens, K) distances in memory
        distances = dictionary.distances(counted[start : start + CHUNK]).astype(np.float64)
        near = distances < dictionary.threshold
        score += np.where(near, 1 - distances / dictionary.threshold, 0).sum(0)
        tokens += near.sum(0)
        nearest += np.bincount(np.argmin(distances, axis=1), minlength=size)
    ids = np.flatnonzero(score > 0)
    ids = ids[np.lexsort((ids, -nearest[ids], -score[ids]))][:limit]
    return Ranked(ids, score[ids], tokens[ids], nearest[ids], len(counted))
