"""An answer-quality check: the answer ends, does not repeat itself, and does not surprise the
unchanged model.

How much surprise is too much is measured, not typed: from what the same model writes when it is
left alone and sampled from. The same answers with two neighbouring tokens swapped are the control:
they should fail it. Knows texts and numbers, no model.
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

Chosen on the demo's validation prompts, where 0.9 and 0.95 both let nothing spoiled through and 0.9
is the stricter.
"""


@dataclass(frozen=True)
class Answer:
    """What the model wrote.

    ended: whether it closed its turn by itself. moved: how far the stream was moved, in typical
    norms. surprise: mean nats per token that the unchanged model is surprised by the text after its
    first words; worst: nats of the token that surprises it most, see `ep.models.answering`.
    """

    text: str
    ended: bool
    moved: float
    surprise: float = 0.0
    worst: float = 0.0


@dataclass(frozen=True)
class QualityCheck:
    """Limits of surprise for one model, and whether an answer keeps within them.

    mean, worst: limits in nats, of a whole answer and of any one token. n: answers they were
    measured on. spoiled: how many answers with two tokens swapped pass all the same.
    """

    mean: float
    worst: float
    n: int
    spoiled: Rate

    def __call__(self, one: Answer) -> bool:
        """Whether this answer is coherent."""
        return fluency(one.text, one.ended).coherent and self.usual(one)

    def usual(self, one: Answer) -> bool:
        """Whether this answer surprises the unchanged model no more than its own answers do."""
        return one.surprise <= self.mean and one.worst <= self.worst


def quality_check(own: Sequence[Answer], spoiled: Sequence[Answer]) -> QualityCheck:
    """The limits, from a model's own sampled answers and the spoiled ones.

    RequestError without any answer.
    """
    if not own:
        raise RequestError(
            "no answer of the unchanged model is there to measure quality on: give at least one "
            "prompt"
        )
    mean = float(np.quantile([one.surprise for one in own], USUAL, method="higher"))
    worst = float(np.quantile([one.worst for one in own], USUAL, method="higher"))
    bare = QualityCheck(mean, worst, len(own), Rate(0, 0))
    return QualityCheck(mean, worst, len(own), rate_of([bare.usual(one) for one in spoiled]))
