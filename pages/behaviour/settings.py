"""What the Behaviour page keeps in its link, beside the judge's settings (`pages.shared.judge`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from ep.method.dictionary import Basis
from ep.studies.behaviour import BEHAVING_SHARE
from ep.studies.experiment import TOKENS
from pages.shared.links import flag, number, one_of, whole

PromptSet = Literal["demo", "own"]
BASIS_CHOICES: tuple[Basis, ...] = ("exemplar", "mean")
"""The usual one first."""
LEAST_TOKENS, MOST_TOKENS = 4, 400
MOST_SEEDS = 16
LEAST_PERCENTILE, MOST_PERCENTILE = 0.5, 60.0
LEAST_SHARE, MOST_SHARE = 0.01, 0.9
HALF = 0.5
"""The other share of behaving prompts that streams can be tried with."""


@dataclass(frozen=True)
class Settings:
    """tokens: of an answer, at most. basis: the direction taken out; swap: whether the trial also
    puts the mean of a quiet region back. seeds, percentile, share: of the streams, share being that
    of behaving prompts; half: whether those with a half are looked at. prompts: the demo's or the
    visitor's own. region: the one tried, None for the best.
    """

    tokens: int = whole("btok", TOKENS, LEAST_TOKENS, MOST_TOKENS)
    basis: Basis = one_of("bbasis", BASIS_CHOICES, BASIS_CHOICES[0])
    swap: bool = flag("bswap", True)
    seeds: int = whole("bseeds", 4, 1, MOST_SEEDS)
    percentile: float = number("bpct", 4.0, LEAST_PERCENTILE, MOST_PERCENTILE)
    share: float = number("bshare", BEHAVING_SHARE, LEAST_SHARE, MOST_SHARE)
    half: bool = flag("bhalf")
    prompts: PromptSet = one_of("bset", get_args(PromptSet), "demo")
    region: int | None = whole("btry")

    @property
    def shares(self) -> tuple[float, ...]:
        """The shares of behaving prompts that streams can be tried with."""
        return tuple(dict.fromkeys((self.share, HALF)))
