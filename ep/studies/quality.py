"""The check of an answer's quality: it ends, repeats little, and does not surprise the model.

The surprise is that of the unchanged model, and its limit is measured on answers that this model
itself gives when sampled. The same answers with two neighbouring tokens swapped are the control,
and should fail the check.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ep.errors import RequestError
from ep.studies.judging import fluency
from ep.studies.rates import Rate, rate_of

USUAL = 0.9
"""Share of the unchanged model's own sampled answers that stay below either limit.

Chosen on the demo's validation prompts, where neither 0.9 nor 0.95 let a spoiled answer pass; 0.9
is the stricter.
"""


@dataclass(frozen=True)
class Answer:
    """One answer of a model.

    text: what the model wrote.
    ended: whether it closed its turn.
    moved: mean change of the stream per touched position, in typical norms.
    surprise: mean nats per token of the text under the unchanged model, after its first tokens; see
        `ep.models.answering`.
    worst: nats of the most surprising of those tokens.
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
    worst: largest surprise of any one token, in nats.
    n: number of answers that the limits were measured on.
    spoiled: how many answers with two swapped tokens stay within the limits.
    """

    mean: float
    worst: float
    n: int
    spoiled: Rate

    def __call__(self, answer: Answer) -> bool:
        """Return whether an answer is coherent."""
        return fluency(answer.text, answer.ended).coherent and self.is_typical(answer)

    def is_typical(self, answer: Answer) -> bool:
        """Return whether an answer surprises the unchanged model no more than its own answers."""
        return answer.surprise <= self.mean and answer.worst <= self.worst


def quality_check(own: Sequence[Answer], spoiled: Sequence[Answer]) -> QualityCheck:
    """Return the limits, measured on a model's own sampled answers.

    own: those answers.
    spoiled: the same with two swapped tokens, see `QualityCheck.spoiled`.

    Raises RequestError without any answer.
    """
    if not own:
        raise RequestError(
            "there is no answer of the unchanged model to measure quality on: give at least one "
            "prompt"
        )
    mean = float(np.quantile([one.surprise for one in own], USUAL, method="higher"))
    worst = float(np.quantile([one.worst for one in own], USUAL, method="higher"))
    check = QualityCheck(mean, worst, len(own), Rate(0, 0))
    return QualityCheck(mean, worst, len(own), rate_of([check.is_typical(one) for one in spoiled]))
