"""Which region carries a behaviour, and what happens without it, on separate sets of prompts.

1 Score   every prompt's final token falls in a region; the rate of a region is the share of its
    prompts that show the behaviour
2 Select  regions with enough prompts and a high rate, ranked by the behaving prompts they contain
    (protocol 8.5, 8.6); a matched region without the behaviour is the control (8.7)
3 Try     ablate or swap the region on prompts never used for the selection, beside a random
    direction and the matched region; count the behaviour, coherent compliance, and how many benign
    prompts still get a good answer
4 Repeat  with several orders of the stream, so that a lucky one shows (8.11: half of the published
    seeds have no effect)

Everything here is computed from arrays and texts; a model takes part only as a function that
answers prompts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ep.config import MetricName
from ep.errors import RequestError
from ep.method.calibration import Thresholds
from ep.method.dictionary import Dictionary
from ep.method.laws import law_of
from ep.method.metrics import DEFAULT
from ep.method.moments import MetricSum
from ep.method.source import MemorySource
from ep.shapes import Bool, Float32, Int64
from ep.studies.judging import Judge
from ep.studies.quality import Answer, QualityCheck
from ep.studies.rates import Rate, rate_of

FEWEST, LEAST_RATE = 5, 0.3
"""Fewest prompts of a candidate region, and smallest share of them with the behaviour.

See protocol 8.6.
"""
NULL_RATE = 0.05
"""Largest share of the prompts of a control region that shows the behaviour (protocol 8.7)."""
MOST_COSINE = 0.2
"""Largest |cosine| of a control region with the region tried.

Beyond it, ablating the one removes part of the other.
"""
BEHAVING_SHARE = 0.06
"""Share of behaving prompts in the stream that the centre is taken from, which is mostly ordinary.

See `stream`.
"""


@dataclass(frozen=True)
class Scored:
    """The score of one region that contains prompts.

    region: its id.
    rate: how many of its prompts show the behaviour.
    share: the share of all behaving prompts that it contains, in [0, 1].
    lift: its rate divided by that of all prompts; 1 when the region tells nothing.
    """

    region: int
    rate: Rate
    share: float
    lift: float

    @property
    def covered(self) -> int:
        """Number of behaving prompts in the region, by which regions are ranked."""
        return self.rate.hits


def score(region: Int64[np.ndarray, " n"], behaves: Bool[np.ndarray, " n"]) -> list[Scored]:
    """Return the score of every region that contains a prompt.

    region: (n,) region of each prompt.
    behaves: (n,) whether the prompt shows the behaviour.

    Regions with most behaving prompts come first, then those with the higher rate, then the older
    ones.
    """
    ids, inverse, count = np.unique(region, return_inverse=True, return_counts=True)
    hits = np.bincount(inverse, weights=behaves, minlength=len(ids)).astype(np.int64)
    total, overall = (
        max(1, int(behaves.sum())),
        max(float(behaves.mean()), 1e-12) if len(behaves) else 1.0,
    )
    order = np.lexsort((ids, -hits / count, -hits))  # the last key sorts first
    return [
        Scored(
            int(ids[i]),
            Rate(int(hits[i]), int(count[i])),
            hits[i] / total,
            hits[i] / count[i] / overall,
        )
        for i in order
    ]


def candidates(
    scored: Sequence[Scored], fewest: int = FEWEST, least: float = LEAST_RATE
) -> list[Scored]:
    """Return the regions that may carry the behaviour, in the order of `scored` (protocol 8.6).

    scored: from `score`.
    fewest: smallest number of prompts in a region.
    least: smallest rate, in [0, 1].
    """
    return [one for one in scored if one.rate.n >= fewest and one.rate.hits >= least * one.rate.n]


def matched_control(dictionary: Dictionary, scored: Sequence[Scored], region: int) -> int | None:
    """Return a region without the behaviour, otherwise most like `region` (protocol 8.7).

    scored: from `score`.

    The regions compared hardly ever show the behaviour; the nearest in size and coherence is taken.
    Unlike the published control it must also point elsewhere. In a space that is centred between
    two kinds of prompts, the regions without the behaviour lie at the other end of the same axis,
    and ablating them ablates the behaviour. None where no region qualifies, or where the dictionary
    lacks counts or coherence.
    """
    quiet = [
        one.region
        for one in scored
        if one.rate.n >= FEWEST and one.rate.hits <= NULL_RATE * one.rate.n
    ]
    # among the activations, where an ablation acts
    exemplars = dictionary.raw_basis("exemplar", [*quiet, region])
    cosines = np.abs(exemplars[:-1] @ exemplars[-1])
    quiet = [
        k for k, cosine in zip(quiet, cosines, strict=True) if k != region and cosine <= MOST_COSINE
    ]
    if not quiet or "count_arrival" not in dictionary or "coherence" not in dictionary:
        return None
    # squared distance in log10 of the size and in coherence
    size = np.log10(np.maximum(dictionary.column("count_arrival"), 1).astype(np.float64))
    coherence = dictionary.column("coherence").astype(np.float64)
    gap = (size[quiet] - size[region]) ** 2 + (coherence[quiet] - coherence[region]) ** 2
    return quiet[int(np.argmin(gap))]


# -- several orders of one stream ------------------------------------------------------------------


def stream(
    behaves: Bool[np.ndarray, " n"], seed: int, share: float = BEHAVING_SHARE
) -> Int64[np.ndarray, " m"]:
    """Return the rows (m,) that the centre and θ are taken from, in an order given by the seed.

    behaves: (n,) whether each prompt shows the behaviour.
    share: share of behaving rows in the result, in (0, 1).

    All ordinary rows are used, with as many behaving ones as make up `share`, or fewer ordinary
    ones where there are not enough behaving ones. An ablation moves the stream to the centre, and
    the centre of a half-behaving stream lies half-way to the behaviour. Raises RequestError without
    rows of both kinds.
    """
    if not 0 < share < 1:
        raise RequestError(f"a share of {share:g} was given: expected between 0 and 1")
    behaving, ordinary = np.flatnonzero(behaves), np.flatnonzero(~behaves)
    if not len(behaving) or not len(ordinary):
        raise RequestError(
            "the prompts all behave alike: give some that show the behaviour and some that do not"
        )
    n_behaving = max(1, round(len(ordinary) * share / (1 - share)))
    if n_behaving > len(behaving):
        n_behaving, n_ordinary = len(behaving), max(1, round(len(behaving) * (1 - share) / share))
    else:
        n_ordinary = len(ordinary)
    rng = np.random.default_rng(seed)
    rows = np.concatenate(
        [
            rng.choice(behaving, n_behaving, replace=False),
            rng.choice(ordinary, n_ordinary, replace=False),
        ]
    )
    return rng.permutation(rows)


def partition(
    x: Float32[np.ndarray, "n d"],
    behaves: Bool[np.ndarray, " n"],
    percentile: float,
    seed: int,
    layer: int,
    share: float = BEHAVING_SHARE,
    metric: MetricName = DEFAULT,
) -> Dictionary:
    """Return a dictionary, in memory, of the prompts' final-token activations.

    x: (n, d) activations.
    behaves: (n,) whether each prompt shows the behaviour.
    percentile: p, which sets θ.
    seed: of the sample and of the order of the stream.
    layer: recorded in the provenance.
    share: see `stream`.
    metric: name of the metric, measured on the same sample.

    The centre and θ come from `stream(behaves, seed, share)` with the "global" protocol; then all
    rows are streamed.
    """
    sample = x[stream(behaves, seed, share)]
    sums = MetricSum(x.shape[1], metric)
    sums.update(sample)
    thresholds = Thresholds(sums.metric(), (percentile,), "global", seed)
    thresholds.update(sample)
    calibration = thresholds.calibration()
    # the sample sets the centre and θ only; every prompt founds or joins a region
    order = np.random.default_rng(seed).permutation(len(x))
    rows = calibration.metric.rows(x[order])
    law = law_of(metric)
    leaders = law.leaders(calibration.thresholds[percentile])
    members = law.arrival(x.shape[1])
    members.observe(leaders.partial_fit(rows), rows)
    info = {
        "threshold": calibration.thresholds[percentile],
        "percentile": percentile,
        "layer": layer,
        "seed": seed,
        "typical_norm": calibration.typical_norm,
        "n_activations": len(x),
        "behaving_share": share,
        **calibration.provenance(),
    }
    arrays = {
        **calibration.metric.arrays(),
        **law.columns(leaders.exemplars),
        **members.columns(),
    }
    return Dictionary(MemorySource(arrays), info, len(leaders))


# -- the trial -------------------------------------------------------------------------------------


Answering = Callable[[Sequence[str], str], Sequence[Answer]]
"""Called with prompts and the name of an arm; returns an answer to each prompt."""


@dataclass(frozen=True)
class Arm:
    """One condition of a trial: the answers, and what was counted in them.

    name: of the condition.
    target, benign: the answers to prompts that should show the behaviour, and to those that should
        not.
    behaves: rate of the behaviour on the target prompts.
    complies: rate of coherent answers without the behaviour on the target prompts.
    intact: the same rate on the benign prompts.
    moved: mean change of the stream per touched position, in typical norms; 0 shows that nothing
        was done.
    cut: rate of answers, to either, that are cut at the length limit.
    """

    name: str
    target: tuple[Answer, ...]
    benign: tuple[Answer, ...]
    behaves: Rate
    complies: Rate
    intact: Rate
    moved: float
    cut: Rate


def trial(
    answer: Answering,
    arms: Sequence[str],
    target: Sequence[str],
    benign: Sequence[str],
    judge: Judge,
    quality: QualityCheck,
) -> dict[str, Arm]:
    """Return the results of every arm, by name, on the same prompts.

    answer: gives the answers of an arm.
    arms: names of the conditions.
    target: prompts that should show the behaviour.
    benign: prompts that should not.
    judge: decides whether an answer shows the behaviour.
    quality: decides whether an answer is coherent; measured on the unchanged model.

    Raises RequestError without target prompts.
    """
    if not target:
        raise RequestError(
            "no held-out prompt is left to try this on: give prompts that were not used for the "
            "choice"
        )
    answers_of = {
        name: (tuple(answer(target, name)), tuple(answer(benign, name)) if benign else ())
        for name in arms
    }

    def complies(one: Answer) -> bool:
        return not judge(one.text) and quality(one)

    return {
        name: Arm(
            name,
            answers,
            others,
            rate_of([judge(one.text) for one in answers]),
            rate_of([complies(one) for one in answers]),
            rate_of([complies(one) for one in others]),
            float(np.mean([one.moved for one in (*answers, *others)])),
            rate_of([not one.ended for one in (*answers, *others)]),
        )
        for name, (answers, others) in answers_of.items()
    }


def difference(
    changed: Sequence[bool], default: Sequence[bool], seed: int = 0
) -> tuple[float, float, float]:
    """Return (value, low, high): the mean paired difference between two lists of yes and no.

    changed, default: (n,) outcomes on the same prompts.

    The interval is the bootstrapped 95 % over prompts.
    """
    differences = np.asarray(changed, np.float64) - np.asarray(default, np.float64)
    draws = np.random.default_rng(seed).integers(len(differences), size=(2000, len(differences)))
    low, high = np.percentile(differences[draws].mean(axis=1), [2.5, 97.5])
    return float(differences.mean()), float(low), float(high)


def by_name(arms: Mapping[str, Arm]) -> list[dict[str, object]]:
    """Return the arms of a trial as plain rows, for tables, reports and the command line."""
    return [
        {
            "arm": arm.name,
            "behaves": arm.behaves.value,
            "behaves_interval": arm.behaves.interval,
            "complies": arm.complies.value,
            "complies_interval": arm.complies.interval,
            "intact": arm.intact.value,
            "intact_interval": arm.intact.interval,
            "n": arm.behaves.n,
            "n_benign": arm.intact.n,
            "moved": arm.moved,
        }
        for arm in arms.values()
    ]
