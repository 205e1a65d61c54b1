"""Do two models tell harmful-style from ordinary prompts apart at their last token? By which
region, and by how much.

Each prompt's last token falls in a region; on some prompts every region gets the rate at which
prompts in it behave, and on prompts never used for that the rate of their region scores them
(protocol 7.5). Knows arrays, no model.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int64

from ep.errors import RequestError
from ep.studies.rates import Rate

DRAWS = 2000
PRIOR = 1.0
"""Prompts' worth of the overall rate that every region's rate is drawn to: a region of one prompt
says little.
"""


@dataclass(frozen=True, eq=False)
class Separation:
    """One dictionary's separation of behaving prompts from others at the last token.

    score: (n,) of each held-out prompt: the rate of its region on the other prompts. auroc: of the
    score, with its 95 % bootstrap interval; 0.5 says nothing. region: the one that holds most
    behaving prompts of the choice;
    yes, no: held-out behaving and other prompts in it. used: regions that hold any prompt of the
    choice.
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
    """chosen, held: region of each prompt's last token, on the prompts of the choice and on those
    held out.

    size: K. RequestError unless both sets hold prompts of both kinds.
    """
    for said in (chosen_labels, labels):
        if not said.any() or said.all():
            raise RequestError(
                "prompts of both kinds are needed: some that show the behaviour and some that do "
                "not"
            )
    hits = np.bincount(chosen, weights=chosen_labels, minlength=size)
    count = np.bincount(chosen, minlength=size)
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
    """(value, low, high): AUROC of `one` minus that of `other` on the same prompts, paired
    bootstrap over prompts.
    """
    draws = _draws(labels, seed)
    values = _aurocs(one.score, labels, draws) - _aurocs(other.score, labels, draws)
    low, high = np.quantile(values, (0.025, 0.975))
    return one.auroc - other.auroc, float(low), float(high)


def auroc(score: Float64[np.ndarray, " n"], labels: Bool[np.ndarray, " n"]) -> float:
    """The chance that a behaving prompt scores above another, equals counting half."""
    return float(_aurocs(score, labels, np.arange(len(labels))[None])[0])


def _draws(labels: np.ndarray, seed: int) -> np.ndarray:
    """(DRAWS, n) prompts drawn again with replacement, as many of each kind as there are."""
    rng = np.random.default_rng(seed)
    parts = [np.flatnonzero(labels == kind) for kind in (True, False)]
    return np.concatenate(
        [part[rng.integers(0, len(part), (DRAWS, len(part)))] for part in parts], axis=1
    )


def _aurocs(score: np.ndarray, labels: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """AUROC of each draw, from counts at each distinct score."""
    levels, at = np.unique(score, return_inverse=True)
    values = np.empty(len(draws))
    for i, draw in enumerate(draws):
        yes = np.bincount(at[draw[labels[draw]]], minlength=len(levels))
        no = np.bincount(at[draw[~labels[draw]]], minlength=len(levels))
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
    """Share of prompts that fall in the region `wanted` at 0, 1, … `longest` − 1 tokens before
    their last.

    region, prompt, back: of each of t tokens, its region, its prompt, and how many tokens come
    after it. A place that no prompt reaches is NaN.
    """
    near = back < longest
    reached = np.bincount(back[near], minlength=longest).astype(np.float64)
    inside = np.bincount(back[near & (region == wanted)], minlength=longest)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(reached > 0, inside / reached, np.nan))
