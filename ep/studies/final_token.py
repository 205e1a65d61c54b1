"""How well two dictionaries separate behaving from other prompts at their last token.

The last token of each prompt falls in a region. The rate of a region is the share of prompts in it
that show the behaviour, measured on some prompts; it then scores prompts that were not used for it
(protocol 7.5). Everything is computed from arrays.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ep.errors import RequestError
from ep.shapes import Bool, Float64, Int64
from ep.studies.rates import Rate

DRAWS = 2000
"""Bootstrap draws behind an interval."""
PRIOR = 1.0
"""Weight of the overall rate in the rate of every region, in prompts.

A region of one prompt says little, so its rate is drawn towards that of all prompts.
"""


@dataclass(frozen=True, eq=False)
class Separation:
    """One dictionary's separation of behaving prompts from others at the last token.

    score: (n,) of each held-out prompt: the rate of its region.
    auroc: area under the ROC curve of the score; 0.5 is chance.
    interval: its 95 % bootstrap interval.
    region: the region with most behaving prompts of the choice.
    yes, no: how many of the held-out behaving and of the other prompts fall in it.
    used: number of regions with any prompt of the choice.
    """

    score: Float64[np.ndarray, " n"]
    auroc: float
    interval: tuple[float, float]
    region: int
    yes: Rate
    no: Rate
    used: int


def separate(
    chosen: Int64[np.ndarray, " m"],
    chosen_labels: Bool[np.ndarray, " m"],
    held: Int64[np.ndarray, " n"],
    labels: Bool[np.ndarray, " n"],
    size: int,
    seed: int = 0,
) -> Separation:
    """Score held-out prompts by the rates of their regions.

    chosen: (m,) region of the last token of each prompt of the choice.
    chosen_labels: (m,) whether the prompt shows the behaviour.
    held, labels: (n,) the same for held-out prompts.
    size: K.
    seed: of the bootstrap.

    Raises RequestError unless both sets contain prompts of both kinds.
    """
    for kinds in (chosen_labels, labels):
        if not kinds.any() or kinds.all():
            raise RequestError(
                "prompts of both kinds are needed: some that show the behaviour and some that do "
                "not"
            )
    hits = np.bincount(chosen, weights=chosen_labels, minlength=size)
    count = np.bincount(chosen, minlength=size)
    # drawn to the overall rate, which is also the score of regions without prompts
    rate = (hits + PRIOR * chosen_labels.mean()) / (count + PRIOR)
    score = rate[held]
    region = int(np.argmax(hits))
    inside = held == region
    draws = _draws(labels, seed)
    low, high = np.quantile(_aurocs(score, labels, draws), (0.025, 0.975))
    return Separation(
        score,
        auroc(score, labels),
        (float(low), float(high)),
        region,
        Rate(int(inside[labels].sum()), int(labels.sum())),
        Rate(int(inside[~labels].sum()), int((~labels).sum())),
        int((count > 0).sum()),
    )


def gap(
    one: Separation, other: Separation, labels: Bool[np.ndarray, " n"], seed: int = 0
) -> tuple[float, float, float]:
    """Return (value, low, high): the AUROC of `one` minus that of `other` on the same prompts.

    The interval is the 95 % of a bootstrap over prompts, paired: both use the same draws.
    """
    draws = _draws(labels, seed)
    values = _aurocs(one.score, labels, draws) - _aurocs(other.score, labels, draws)
    low, high = np.quantile(values, (0.025, 0.975))
    return one.auroc - other.auroc, float(low), float(high)


def auroc(score: Float64[np.ndarray, " n"], labels: Bool[np.ndarray, " n"]) -> float:
    """Return the chance that a behaving prompt scores above another, where ties count half."""
    return float(_aurocs(score, labels, np.arange(len(labels))[None])[0])


def _draws(labels: np.ndarray, seed: int) -> np.ndarray:
    """Return (DRAWS, n) prompts drawn with replacement, as many of each kind as there are."""
    rng = np.random.default_rng(seed)
    # stratified, since a draw without one of the kinds has no AUROC
    parts = [np.flatnonzero(labels == kind) for kind in (True, False)]
    return np.concatenate(
        [part[rng.integers(0, len(part), (DRAWS, len(part)))] for part in parts], axis=1
    )


def _aurocs(score: np.ndarray, labels: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """Return the AUROC of each draw, from the counts at each distinct score."""
    levels, level = np.unique(score, return_inverse=True)
    values = np.empty(len(draws))
    for i, draw in enumerate(draws):
        yes = np.bincount(level[draw[labels[draw]]], minlength=len(levels))
        no = np.bincount(level[draw[~labels[draw]]], minlength=len(levels))
        # the Mann–Whitney count: pairs in which the behaving prompt is above, ties half
        below = np.cumsum(no) - no
        values[i] = (yes * (below + no / 2)).sum() / max(1, yes.sum() * no.sum())
    return values


def from_end(
    region: Int64[np.ndarray, " t"],
    prompt: Int64[np.ndarray, " t"],
    back: Int64[np.ndarray, " t"],
    wanted: int,
    longest: int,
) -> Float64[np.ndarray, " longest"]:
    """Return the share of prompts in one region at each number of tokens before their end.

    region, prompt, back: (t,) of each token: its region, its prompt, and the number of tokens after
        it.
    wanted: the region.
    longest: length of the result, whose entry i is for i tokens before the last.

    Entries that no prompt reaches are NaN.
    """
    near = back < longest
    reached = np.bincount(back[near], minlength=longest).astype(np.float64)
    inside = np.bincount(back[near & (region == wanted)], minlength=longest)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(reached > 0, inside / reached, np.nan))
