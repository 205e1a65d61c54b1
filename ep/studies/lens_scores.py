"""How well each stored read-out of the regions says what they are, and which is shown first.

Two scores, each beside the same with the read-outs of other regions, which is what a read-out gets
that says nothing of its region:

- *next token*: in how many regions is the members' most common next token among the five strongest
  tokens. It asks whether a direction predicts the output, which an early layer need not do.
- *words*: the ten strongest words (four letters or more); the share that occurs in the 30 tokens
  after the members' next one, in the stored excerpts. It asks what a region is about.

The scores need the stored arrays alone, no model. The excerpts are of the text of the build.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ep.errors import RequestError
from ep.method.dictionary import Dictionary
from ep.method.lenses import PAPER, UP
from ep.method.pairing import pair
from ep.studies.lens_words import Numbers, deranged, following, shared, strongest
from ep.studies.rates import Rate

STRONGEST, FEWEST_NEXT, FEWEST_WORDS = 5, 5, 10
"""Tokens of the next-token score, and the members a region must have for it and for the words."""
MOST_REGIONS = 2000
"""Regions whose texts are read; of more, a seeded choice."""
DRAWS, RESAMPLED = 8, 1000
"""Times that every region gets the read-out of another one; resamples behind an interval."""
LEAST_REGIONS = 30
"""Fewest regions on which the choice of the first lens may rest."""
STANDING = "jacobian_lift_up"
"""The lens to show first unless the scores decide on another, if it is stored."""
MATCHED = 0.8
"""Cosine of the mean directions above which two regions of two builds are matched."""


@dataclass(frozen=True)
class NextScore:
    """The next-token score of a lens.

    own: in how many regions the next token is among the strongest tokens.
    other: the share with the read-out of another region, averaged over draws.
    """

    own: Rate
    other: float


@dataclass(frozen=True)
class WordScore:
    """The word score of a lens.

    own, other: share of the words of all read-outs that occur in the texts of their region, and of
        another one, averaged over draws.
    ratio: own over other, with half an occurrence added to both, so that it is finite.
    low, high: 95 % interval of the ratio, from resampled regions.
    bits: evidence in a word of a read-out, see `_bits`; bits_low: lower end of its 95 % interval.
    n: regions; words: mean number of words in a read-out.
    """

    own: float
    other: float
    ratio: float
    low: float
    high: float
    bits: float
    bits_low: float
    n: int
    words: float


@dataclass(frozen=True)
class Agreement:
    """How far two builds agree on matched regions: mean share of common strongest tokens.

    other: the same for pairs that are not matched; n: matched pairs.
    """

    own: float
    other: float
    n: int


def lenses_of(dictionary: Dictionary) -> tuple[str, ...]:
    """Return the stored read-outs that are scored: those of promoted tokens."""
    return tuple(name for name in dictionary.lenses if name.endswith(f"_{UP}"))


# -- next token ------------------------------------------------------------------------------------


def next_scores(dictionary: Dictionary, seed: int = 0) -> dict[str, NextScore]:
    """Return the next-token score of every stored lens; empty where next tokens are not stored."""
    if "next_ids" not in dictionary:
        return {}
    token = dictionary.column("next_ids")[:, 0]
    asked = np.flatnonzero((dictionary.members >= FEWEST_NEXT) & (token >= 0))
    if len(asked) < 2:
        return {}
    others = list(deranged(len(asked), DRAWS, np.random.default_rng(seed)))
    scores = {}
    for lens in lenses_of(dictionary):
        ids = dictionary.column(f"lens_{lens}_ids")[asked, :STRONGEST]
        own = (ids == token[asked, None]).any(1)
        other = np.mean([(ids[o] == token[asked, None]).any(1).mean() for o in others])
        scores[lens] = NextScore(Rate(int(own.sum()), len(asked)), float(other))
    return scores


# -- words -----------------------------------------------------------------------------------------


def word_scores(dictionary: Dictionary, seed: int = 0) -> dict[str, WordScore]:
    """Return the word score of every stored lens.

    A lens without any word is left out. None is scored where the excerpts have no tokens, or fewer
    than two regions have enough members and words in their texts.
    """
    rng = np.random.default_rng(seed)
    regions = np.flatnonzero(dictionary.members >= FEWEST_WORDS)
    if len(regions) > MOST_REGIONS:
        regions = np.sort(rng.choice(regions, MOST_REGIONS, replace=False))
    numbers = Numbers()
    row, word = following(dictionary, regions, numbers)
    texts = np.unique(row)  # regions with words in their texts
    if len(texts) < 2:
        return {}
    asked = {
        lens: strongest(dictionary, lens, regions, numbers)[texts] for lens in lenses_of(dictionary)
    }
    row, size = np.searchsorted(texts, row), len(numbers)
    others = list(deranged(len(texts), DRAWS, rng))
    here = np.arange(len(texts))
    counts = rng.multinomial(len(texts), np.full(len(texts), 1 / len(texts)), RESAMPLED)

    def hits(words: np.ndarray, places: np.ndarray) -> np.ndarray:
        return shared(row, word, words, places, size)

    return {
        lens: _word_score(words, hits, here, others, counts)
        for lens, words in asked.items()
        if (words >= 0).any()
    }


def _word_score(
    words: np.ndarray,
    hits: Callable[[np.ndarray, np.ndarray], np.ndarray],
    here: np.ndarray,
    others: list[np.ndarray],
    counts: np.ndarray,
) -> WordScore:
    """Return the score of one lens.

    words: (n, w) of each region; hits: counts those in the texts of regions; others: derangements;
    counts: (resamples, n) how often each region was drawn.
    """
    n_words = (words >= 0).sum(1)
    own = hits(words, here)
    # of region k, the words of other regions' read-outs in its texts
    other = np.mean([hits(words[o], here) for o in others], axis=0)
    other_words = np.mean([n_words[o] for o in others], axis=0)
    columns = np.stack([own, n_words, other, other_words], 1).astype(np.float64)
    shares = _shares(counts @ columns)
    low, high = np.quantile(shares[0] / shares[1], (0.025, 0.975))
    plain = _shares(columns.sum(0, keepdims=True))
    total = columns.sum(0)
    return WordScore(
        own=float(total[0] / total[1]),
        other=float(total[2] / total[3]),
        ratio=float((plain[0] / plain[1])[0]),
        low=float(low),
        high=float(high),
        bits=float(_bits(*plain)[0]),
        bits_low=float(np.quantile(_bits(*shares), 0.025)),
        n=len(here),
        words=float(n_words.mean()),
    )


def _shares(sums: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return both shares, never 0 or 1; sums: (…, 4) own hits and words, other hits and words."""
    own, words, other, other_words = np.moveaxis(sums + [0.5, 1, 0.5, 1], -1, 0)
    return own / words, other / other_words


def _bits(own: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return the evidence of one word that a text is of its own region and not of another.

    It is the divergence of the two shares, the mean log likelihood ratio of "the word occurs, or
    not" in texts of the region, in bits; negative where words occur more often after others.
    """
    bits = own * np.log2(own / other) + (1 - own) * np.log2((1 - own) / (1 - other))
    return np.asarray(np.sign(own - other) * bits)


# -- agreement of two builds -----------------------------------------------------------------------


def agreement(
    a: Dictionary,
    b: Dictionary,
    seed: int = 0,
    report: Callable[[float], None] = lambda share: None,
) -> dict[str, Agreement]:
    """Return how far two builds agree on the strongest tokens of the regions they share.

    Regions are matched one to one by their mean directions, and count above a cosine of `MATCHED`.
    It is empty where fewer than two are. Raises RequestError for dictionaries of another width,
    layer or tokenizer.
    """
    for name, one, other in (
        ("width", a.width, b.width),
        ("layer", a.layer, b.layer),
        ("tokenizer", a.info.get("tokenizer_hash"), b.info.get("tokenizer_hash")),
    ):
        if one != other:
            raise RequestError(
                f"the two dictionaries differ in their {name} ({one} and {other}): give another "
                "build of the same model and layer"
            )
    pairs = pair(a.mean_directions, b.mean_directions, report)
    is_matched = pairs.cosine > MATCHED
    first, second = pairs.first[is_matched], pairs.second[is_matched]
    if len(first) < 2:
        return {}
    others = list(deranged(len(first), DRAWS, np.random.default_rng(seed)))
    found = {}
    for lens in lenses_of(a):
        if lens in b.lenses:
            one = a.column(f"lens_{lens}_ids")[first, :STRONGEST]
            two = b.column(f"lens_{lens}_ids")[second, :STRONGEST]
            other = np.mean([_common(one, two[o]) for o in others])
            found[lens] = Agreement(_common(one, two), float(other), len(first))
    return found


def _common(one: np.ndarray, two: np.ndarray) -> float:
    """Return the mean share of the tokens of `one` (n, k) that are in the same row of `two`."""
    is_common = (one[:, :, None] == two[:, None, :]).any(2) & (one >= 0)
    return float(is_common.sum() / max(1, (one >= 0).sum()))


# -- the choice ------------------------------------------------------------------------------------


def first_lens(scores: Mapping[str, WordScore], stored: tuple[str, ...]) -> tuple[str, str]:
    """Return the lens to show first, and in a few words why.

    It is the one whose words are the strongest evidence of their own region (`bits`), by the lower
    bound. The ratio of the shares alone would choose a lens of rare words that seldom occur at all
    (the shift, on the demo: .06 against .01, where the paper's rule has .18 against .05), and their
    difference one of common words that occur everywhere; the evidence weighs both. A bound, because
    of a few words little is known; words rather than the next token, because a reader asks what a
    region is about.

    The lift of the Jacobian lens, or without one the paper's rule, stands where nothing is decided:
    where there are too few regions, where no bound is above 0, and where the best bound does not
    exceed its own evidence. So the files of one build mostly show the same lens first.

    stored: the names of the stored lenses.
    """
    standing = STANDING if STANDING in stored else PAPER
    n = max((score.n for score in scores.values()), default=0)
    if n < LEAST_REGIONS:
        return standing, f"only {n} regions can be scored, of {LEAST_REGIONS} needed"
    best = max(scores, key=lambda name: scores[name].bits_low)
    if scores[best].bits_low <= 0:
        return standing, "no lens says more of its own region than of others"
    if standing in scores and scores[best].bits_low <= scores[standing].bits:
        best = standing
    score = scores[best]
    return best, (
        f"its words occur {score.ratio:.1f} times as often after its own region as after others "
        f"({score.low:.1f} to {score.high:.1f}, n = {score.n:,})"
    )


def choice(dictionary: Dictionary) -> dict[str, Any]:
    """Return the entries `first_lens` and `lens_scores` of the provenance of a dictionary."""
    scores = word_scores(dictionary)
    name, reason = first_lens(scores, dictionary.lenses)
    figures = {lens: _rounded(score) for lens, score in scores.items()}
    return {"first_lens": name, "lens_scores": {"why": reason, "lenses": figures}}


def _rounded(score: WordScore) -> dict[str, Any]:
    return {
        name: round(value, 4) if isinstance(value, float) else value
        for name, value in asdict(score).items()
    }
