"""Which region carries a behaviour, and what happens without it: selection on some prompts, trial
on others.

1 Score   every prompt's final token falls in a region; a region's rate is the share of its
          prompts that behave so
2 Select  regions with enough prompts and a high rate, by the prompts they cover (protocol 8.5,
          8.6); a matched region without the behaviour is the control (8.7)
3 Try     ablate or swap the region on prompts never used for the selection, beside a random
          direction and the matched region; count the behaviour, coherent compliance, and what is
          left of benign prompts
4 Repeat  with several orders of the stream, so that a lucky one is seen (8.11: half of the
          published seeds do nothing)

Knows arrays and texts; the model's part comes in as a function that answers prompts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Int64

from ep.errors import RequestError
from ep.method.calibration import CenterSum, Thresholds
from ep.method.dictionary import Dictionary, MemorySource
from ep.method.geometry import directions
from ep.method.leaders import Leaders
from ep.method.members import ArrivalMembers
from ep.studies.judging import Judge
from ep.studies.quality import Answer, QualityCheck
from ep.studies.rates import Rate, rate_of

FEWEST, LEAST_RATE = 5, 0.3
"""A candidate region holds so many prompts, and at least this share of them behaves so (protocol
8.6).
"""
NULL_RATE = 0.05
"""A control region behaves so at most this often (protocol 8.7)."""
MOST_SHARED = 0.2
"""|cosine| of a control region with the region tried: beyond that, ablating one takes off a part of
the other.
"""
BEHAVING_SHARE = 0.06
"""Share of behaving prompts in the stream the centre is taken from: a mostly ordinary stream; see
`stream`.
"""


@dataclass(frozen=True)
class Scored:
    """One region that holds prompts.

    rate: of its prompts, how many behave so. share: of all behaving prompts, how many it holds.
    lift: its rate over that of all prompts, 1 when the region says nothing. covered: behaving
    prompts it holds, what ranking goes by.
    """

    region: int
    rate: Rate
    share: float
    lift: float

    @property
    def covered(self) -> int:
        return self.rate.hits


def score(region: Int64[np.ndarray, " n"], behaves: Bool[np.ndarray, " n"]) -> list[Scored]:
    """Every region that holds a prompt: most behaving prompts first, then the higher rate, then the
    older region.
    """
    ids, inverse, count = np.unique(region, return_inverse=True, return_counts=True)
    hits = np.bincount(inverse, weights=behaves, minlength=len(ids)).astype(np.int64)
    total, overall = (
        max(1, int(behaves.sum())),
        max(float(behaves.mean()), 1e-12) if len(behaves) else 1.0,
    )
    order = np.lexsort((ids, -hits / count, -hits))
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
    """Regions that may carry the behaviour, the best first (protocol 8.6)."""
    return [one for one in scored if one.rate.n >= fewest and one.rate.hits >= least * one.rate.n]


def matched_control(dictionary: Dictionary, scored: Sequence[Scored], region: int) -> int | None:
    """A region that hardly ever behaves so and is most like `region` in size and coherence
    (protocol 8.7); or None.

    Unlike the published control it must also point elsewhere: in a space centred between two kinds
    of prompts the quiet regions are the other end of the same axis, and ablating them ablates the
    behaviour.
    """
    quiet = [
        one.region
        for one in scored
        if one.rate.n >= FEWEST and one.rate.hits <= NULL_RATE * one.rate.n
    ]
    shared = np.abs(dictionary.exemplars[quiet] @ dictionary.exemplars[region])
    quiet = [
        k for k, cosine in zip(quiet, shared, strict=True) if k != region and cosine <= MOST_SHARED
    ]
    if not quiet or "count_arrival" not in dictionary or "coherence" not in dictionary:
        return None
    size = np.log10(np.maximum(dictionary.column("count_arrival"), 1).astype(np.float64))
    coherence = dictionary.column("coherence").astype(np.float64)
    gap = (size[quiet] - size[region]) ** 2 + (coherence[quiet] - coherence[region]) ** 2
    return quiet[int(np.argmin(gap))]


# -- several orders of one stream ------------------------------------------------------------------


def stream(
    behaves: Bool[np.ndarray, " n"], seed: int, share: float = BEHAVING_SHARE
) -> Int64[np.ndarray, " m"]:
    """Rows for the centre and θ, in an order given by the seed: all ordinary rows, and as many
    behaving ones as make up `share` (fewer ordinary ones where there are not enough behaving ones).
    RequestError without rows of both kinds.

    An ablation parks the stream at the centre: from a half-behaving stream that is half-way to the
    behaviour.
    """
    if not 0 < share < 1:
        raise RequestError(f"a share of {share:g} was asked for: expected between 0 and 1")
    yes, no = np.flatnonzero(behaves), np.flatnonzero(~behaves)
    if not len(yes) or not len(no):
        raise RequestError(
            "the prompts all behave alike: give some that show the behaviour and some that do not"
        )
    wanted = max(1, round(len(no) * share / (1 - share)))
    if wanted > len(yes):
        wanted, kept = len(yes), max(1, round(len(yes) * (1 - share) / share))
    else:
        kept = len(no)
    rng = np.random.default_rng(seed)
    rows = np.concatenate(
        [rng.choice(yes, wanted, replace=False), rng.choice(no, kept, replace=False)]
    )
    return rng.permutation(rows)


def partition(
    x: Float32[np.ndarray, "n d"],
    behaves: Bool[np.ndarray, " n"],
    percentile: float,
    seed: int,
    layer: int,
    share: float = BEHAVING_SHARE,
) -> Dictionary:
    """A dictionary of the prompts' final-token activations x, streamed in an order of its own, in
    memory.

    Centre and θ come from `stream(behaves, seed, share)`, one global sample of pairs; then all rows
    are streamed.
    """
    sample = x[stream(behaves, seed, share)]
    total = CenterSum(x.shape[1])
    total.update(sample)
    thresholds = Thresholds(total.center(), (percentile,), "global", seed)
    thresholds.update(sample)
    calibration = thresholds.calibration()
    rows = directions(x[np.random.default_rng(seed).permutation(len(x))], calibration.center)
    leaders, members = Leaders(calibration.thresholds[percentile]), ArrivalMembers(x.shape[1])
    members.observe(leaders.partial_fit(rows), rows)
    info = {
        "threshold": calibration.thresholds[percentile],
        "percentile": percentile,
        "layer": layer,
        "seed": seed,
        "typical_norm": calibration.typical_norm,
        "n_activations": len(x),
        "behaving_share": share,
    }
    arrays = {"center": calibration.center, "exemplars": leaders.exemplars, **members.columns()}
    return Dictionary(MemorySource(arrays), info, len(leaders))


# -- the trial -------------------------------------------------------------------------------------


Answering = Callable[[Sequence[str], str], Sequence[Answer]]
"""(prompts, name of the arm) → an answer to each."""


@dataclass(frozen=True)
class Arm:
    """One condition of a trial: the answers, and what was counted.

    behaves: behaviour rate on prompts that should show it. complies: of the same prompts, how many
    get a coherent answer without the behaviour. intact: the same of benign prompts. moved: mean
    change of the stream per touched position, in typical norms: 0 says that nothing was done.
    """

    name: str
    target: tuple[Answer, ...]
    benign: tuple[Answer, ...]
    behaves: Rate
    complies: Rate
    intact: Rate
    moved: float


def trial(
    answer: Answering,
    arms: Sequence[str],
    target: Sequence[str],
    benign: Sequence[str],
    judge: Judge,
    quality: QualityCheck,
) -> dict[str, Arm]:
    """Every arm on the same prompts. target: prompts that should show the behaviour; benign: those
    that should not.

    quality: what counts as coherent, measured on the unchanged model. RequestError when there is
    nothing to try it on.
    """
    if not target:
        raise RequestError(
            "no held-out prompt is left to try this on: give prompts that were not used for the "
            "choice"
        )
    said = {
        name: (tuple(answer(target, name)), tuple(answer(benign, name)) if benign else ())
        for name in arms
    }

    def fine(one: Answer) -> bool:
        return not judge(one.text) and quality(one)

    return {
        name: Arm(
            name,
            answers,
            others,
            rate_of([judge(one.text) for one in answers]),
            rate_of([fine(one) for one in answers]),
            rate_of([fine(one) for one in others]),
            float(np.mean([one.moved for one in (*answers, *others)])),
        )
        for name, (answers, others) in said.items()
    }


def difference(
    changed: Sequence[bool], default: Sequence[bool], seed: int = 0
) -> tuple[float, float, float]:
    """(value, low, high): the mean paired difference of two lists of yes and no on the same
    prompts, bootstrapped.
    """
    gap = np.asarray(changed, np.float64) - np.asarray(default, np.float64)
    draws = np.random.default_rng(seed).integers(len(gap), size=(2000, len(gap)))
    low, high = np.percentile(gap[draws].mean(axis=1), [2.5, 97.5])
    return float(gap.mean()), float(low), float(high)


def by_name(arms: Mapping[str, Arm]) -> list[dict[str, object]]:
    """A trial as plain rows: for tables, reports and the command line."""
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
