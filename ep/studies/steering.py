"""Dose and response: what grows, and what breaks, as a region's direction is added more and more strongly.

Every strength is tried on the same prompts, beside a random direction of the same length. The effect is the share of
answers a judge calls the behaviour, coherence the share that still makes sense. Knows texts and numbers; the model's
part comes in as a function that answers prompts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ep.errors import RequestError
from ep.studies.judging import Judge, fluency
from ep.studies.rates import Rate, rate_of
from ep.studies.sense import Answer, Sense

STRENGTHS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 4.0)
MOST_STRENGTHS = 40
STEERED, RANDOM = "steered", "random direction"
DEGENERATE = 0.5
"""A strength degenerates when coherence falls below this share of what it is without any change."""


@dataclass(frozen=True)
class Dose:
    """One strength of one arm, over n prompts.

    strength: in typical norms. effect, coherence: rates. repeated: mean count of the most frequent run of
    four words. moved: mean change of the stream per touched position, in typical norms. answers: the texts to read.
    """

    strength: float
    effect: Rate
    coherence: Rate
    repeated: float
    moved: float
    answers: tuple[Answer, ...]


@dataclass(frozen=True)
class Sweep:
    """A dose–response curve and its control, by rising strength.

    degenerates: the smallest strength from which the steered answers make sense less than half as often as those of
    the unchanged model; None when none does.
    """

    prompts: tuple[str, ...]
    steered: tuple[Dose, ...]
    control: tuple[Dose, ...]
    degenerates: float | None


Answering = Callable[[Sequence[str], str, float], Sequence[Answer]]
"""(prompts, arm, strength) → an answer to each; strength 0 is the unchanged model."""


def sweep(
    answer: Answering, prompts: Sequence[str], judge: Judge, sense: Sense, strengths: Sequence[float] = STRENGTHS
) -> Sweep:
    """The curve over `strengths`; 0 is always among them, since it says what the unchanged model does.

    sense: what counts as coherent, measured on the unchanged model. RequestError without prompts, or for
    strengths that are not finite or too many.
    """
    if not prompts:
        raise RequestError("a sweep needs prompts: give at least one")
    wanted = sorted({0.0, *map(float, strengths)})
    if not np.isfinite(wanted).all() or len(wanted) > MOST_STRENGTHS:
        raise RequestError(f"{len(wanted)} strengths were asked for: expected at most {MOST_STRENGTHS} finite numbers")
    default = tuple(answer(prompts, STEERED, 0.0))

    def curve(arm: str) -> tuple[Dose, ...]:
        said = {s: default if s == 0 else tuple(answer(prompts, arm, s)) for s in wanted}
        return tuple(_dose(strength, answers, judge, sense) for strength, answers in said.items())

    steered, control = curve(STEERED), curve(RANDOM)
    return Sweep(tuple(prompts), steered, control, degenerates(steered))


def degenerates(doses: Sequence[Dose]) -> float | None:
    """The smallest positive strength from which on coherence stays below half of what it is at 0; None for none."""
    floor = DEGENERATE * next(d.coherence.hits / d.coherence.n for d in doses if d.strength == 0)
    broken = None
    for dose in sorted((d for d in doses if d.strength > 0), key=lambda d: -d.strength):
        if dose.coherence.hits / dose.coherence.n >= floor:
            break
        broken = dose.strength
    return broken


def _dose(strength: float, answers: tuple[Answer, ...], judge: Judge, sense: Sense) -> Dose:
    return Dose(
        strength,
        rate_of([judge(one.text) for one in answers]),
        rate_of([sense(one) for one in answers]),
        float(np.mean([fluency(one.text, one.ended).repeated for one in answers])),
        float(np.mean([one.moved for one in answers])),
        answers,
    )
