"""Search by meaning: the regions nearest to the activations of a text, best first.

No words of the text are compared: a region ranks high when many tokens of the text lie near its
exemplar, and when its members say something. Every text has commas, articles and a first token, so
that their regions lie near all texts; `weights` holds them back. `benchmarks/meaning.py` measures
both. The functions take and return arrays; the model is run elsewhere. This module does not depend
on Streamlit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np

from ep.errors import RequestError
from ep.method.dictionary import Dictionary
from ep.shapes import Bool, Float, Float64, Int, Integer
from ep.studies.whole_words import flags, of_passages
from ep.studies.wording import events
from ep.views.search import MEANING, Hits

CHUNK = 64
LIMIT = 200
LEAST_CONTENT = 0.05
"""Weight of a region without content: it stays in the list, behind those that have some."""
_cache: WeakKeyDictionary[Dictionary, Float64[np.ndarray, " K"]] = WeakKeyDictionary()


@dataclass(frozen=True, eq=False)
class Ranked:
    """n regions ranked for a text, best first.

    regions: (n,) ids.
    score: (n,) the region's weight (see `weights`) times the sum over tokens of max(0, 1 − d/θ),
        where d is the distance of the token's activation to the exemplar: a token at the exemplar
        counts 1, one at θ counts 0.
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


def weights(dictionary: Dictionary) -> Float64[np.ndarray, " K"]:
    """Return how much a token near each region says: −log share · max(0.05, content), (K,) > 0.

    share: (n + 1) / (N + K + 1), where n of the N members of all K regions are the region's.
    content: the share of the region's excerpts whose marked token opens no text and belongs to a
        word of content: no punctuation or number, and no word of English grammar.

    A factor for which the file stores nothing is 1: the first without counts of members, the second
    without excerpts or their tokens, or for a region that has none. The weights are cached for the
    life of the dictionary.
    """
    if dictionary not in _cache:
        weight = np.maximum(LEAST_CONTENT, _content(dictionary))
        if dictionary.members_column is not None:
            count = dictionary.members.astype(np.float64)
            weight *= np.log(count.sum() + len(count) + 1) - np.log(count + 1)
        weight.setflags(write=False)
        _cache[dictionary] = weight
    return _cache[dictionary]


def _content(dictionary: Dictionary) -> Float64[np.ndarray, " K"]:
    """Return the share of each region's excerpts that mark content, 1 where there are none."""
    share = np.ones(len(dictionary))
    spelled = of_passages(dictionary)
    if spelled is None or "excerpt_offsets" not in dictionary:
        return share
    region, first, index = events(dictionary)
    place = index - first
    # position 0 is BOS where the model has one, and the text opens at 1
    opens = place <= min(1, int(place.min(initial=1)))
    empty = opens | flags(spelled.texts)[1][0][spelled.of_token[index]]
    total = np.bincount(region, minlength=len(share))
    has = total > 0
    share[has] -= np.bincount(region, empty, minlength=len(share))[has] / total[has]
    return share


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
        is_near = distances < dictionary.threshold
        score += np.where(is_near, 1 - distances / dictionary.threshold, 0).sum(0)
        tokens += is_near.sum(0)
        nearest += np.bincount(np.argmin(distances, axis=1), minlength=size)
    score *= weights(dictionary)
    ids = np.flatnonzero(tokens)
    ids = ids[np.lexsort((ids, -nearest[ids], -score[ids]))][:limit]
    return Ranked(ids, score[ids], tokens[ids], nearest[ids], len(counted))


def near(
    dictionary: Dictionary,
    x: Float[np.ndarray, "t d"],
    regions: Integer[np.ndarray, " n"],
    content: Bool[np.ndarray, " t"] | None = None,
) -> Sequence[Int[np.ndarray, " m"]]:
    """Return for each region the rows of x within θ of its exemplar, the nearest first.

    x, content: as for `rank`.
    """
    rows = np.arange(len(x)) if content is None else np.flatnonzero(content)
    parts = [
        dictionary.distances(x[rows[start : start + CHUNK]])[:, regions]
        for start in range(0, len(rows), CHUNK)
    ]
    distances = np.concatenate(parts) if parts else np.empty((0, len(regions)))
    found = []
    for column in distances.T:
        order = np.argsort(column, kind="stable")
        found.append(rows[order[column[order] < dictionary.threshold]])
    return found
