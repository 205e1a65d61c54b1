"""The check of an answer's quality: it does not loop, and it does not surprise the model too much.

The surprise is that of the unchanged model. Its limit lies between the answers that this model
itself gives when sampled and the same answers with their words in a random order, which must fail.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ep.errors import RequestError
from ep.studies.judging import fluency
from ep.studies.rates import Rate, rate_of

USUAL = 0.9
"""Share of the unchanged model's own sampled answers, and of their shuffled copies, that the limit
is taken between.
"""
WAY = 0.5
"""How far the limit lies on the way from the own answers to the shuffled ones, in [0, 1]."""


@dataclass(frozen=True)
class Answer:
    """One answer of a model.

    text: what the model wrote.
    ended: whether it closed its turn.
    moved: mean change of the stream per touched position, in typical norms.
    surprise: mean nats per token of the text under the unchanged model, after its first tokens; see
        `ep.models.answering`.
    worst: the same over its most surprising stretch, see `ep.models.answering.Surprise`.
    """

    text: str
    ended: bool
    moved: float
    surprise: float = 0.0
    worst: float = 0.0


@dataclass(frozen=True)
class QualityCheck:
    """Limits of surprise for one model, and the check whether an answer stays within them.

    mean: largest mean surprise of an answer, in nats per token.
    worst: largest surprise of its worst stretch, in nats per token.
    n: number of answers that the limits were measured on.
    spoiled: how many of the shuffled answers stay within the limits.
    """

    mean: float
    worst: float
    n: int
    spoiled: Rate

    def __call__(self, answer: Answer) -> bool:
        """Return whether an answer is coherent."""
        return fluency(answer.text, answer.ended).coherent and self.is_typical(answer)

    def is_typical(self, answer: Answer) -> bool:
        """Return whether an answer surprises the unchanged model no more than the limits allow."""
        return answer.surprise <= self.mean and answer.worst <= self.worst


def quality_check(own: Sequence[Answer], spoiled: Sequence[Answer]) -> QualityCheck:
    """Return the limits, measured on a model's own sampled answers.

    own: those answers.
    spoiled: the same with their words shuffled.

    Raises RequestError without any answer.
    """
    if not own:
        raise RequestError(
            "there is no answer of the unchanged model to measure quality on: give at least one "
            "prompt"
        )
    mean = _limit([one.surprise for one in own], [one.surprise for one in spoiled])
    worst = _limit([one.worst for one in own], [one.worst for one in spoiled])
    check = QualityCheck(mean, worst, len(own), Rate(0, 0))
    return replace(check, spoiled=rate_of([check.is_typical(one) for one in spoiled]))


def _limit(own: Sequence[float], spoiled: Sequence[float]) -> float:
    """Return a limit that most own answers stay below, and most spoiled ones exceed if they can."""
    usual = float(np.quantile(own, USUAL, method="higher"))
    broken = float(np.quantile(spoiled, 1 - USUAL, method="lower")) if spoiled else usual
    return usual + WAY * max(0.0, broken - usual)
