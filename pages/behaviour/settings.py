"""The settings of the Behaviour page that its link keeps.

Those of the judge are in `pages.shared.judge`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from ep.method.dictionary import Basis
from ep.studies.behaviour import BEHAVING_SHARE
from pages.shared.links import flag, integer, number, one_of

PromptSet = Literal["auto", "demo", "real", "own"]
"""The prompts of a run: those that belong to the open dictionary, the tiny or the real demo's
requests, or the visitor's own.
"""
BASIS_CHOICES: tuple[Basis, ...] = ("exemplar", "mean")
"""The default comes first."""
LEAST_TOKENS, MOST_TOKENS = 4, 400
MOST_SEEDS = 16
LEAST_PERCENTILE, MOST_PERCENTILE = 0.5, 60.0
LEAST_SHARE, MOST_SHARE = 0.01, 0.9
HALF = 0.5
"""The other share of behaving prompts with which streams can be tried."""


@dataclass(frozen=True)
class Settings:
    """What is tried.

    tokens: most tokens of an answer; None for what most answers need, from a trial of the model.
    basis: the direction that is ablated.
    swap: whether the trial also puts the mean of a quiet region in its place.
    wider: whether the trial also takes out a set of regions and the difference of means.
    seeds, percentile: of the streams.
    share: share of behaving prompts in the stream of the centre.
    half: whether the streams with a share of one half are shown.
    prompts: whose prompts.
    region: the one to try; None for the best.
    """

    tokens: int | None = integer("btok", None, LEAST_TOKENS, MOST_TOKENS)
    basis: Basis = one_of("bbasis", BASIS_CHOICES, BASIS_CHOICES[0])
    swap: bool = flag("bswap", True)
    wider: bool = flag("bwider", True)
    seeds: int = integer("bseeds", 4, 1, MOST_SEEDS)
    percentile: float = number("bpct", 4.0, LEAST_PERCENTILE, MOST_PERCENTILE)
    share: float = number("bshare", BEHAVING_SHARE, LEAST_SHARE, MOST_SHARE)
    half: bool = flag("bhalf")
    prompts: PromptSet = one_of("bset", get_args(PromptSet), "auto")
    region: int | None = integer("btry")

    @property
    def shares(self) -> tuple[float, ...]:
        """The shares of behaving prompts with which streams can be tried."""
        return tuple(dict.fromkeys((self.share, HALF)))
