"""Dose and response: what grows, and what breaks, as a region's direction is added more and more
strongly.

Every strength is tried on the same prompts, beside a random direction of the same length. The
effect is the share of answers a judge calls the behaviour, coherence the share that still makes
sense. Knows texts and numbers; the model's part comes in as a function that answers prompts. Where
no sweep was made, the dictionary alone gives a careful dose.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from ep.errors import RequestError
from ep.method.dictionary import Dictionary
from ep.models.interventions import of_regions
from ep.studies.judging import Judge, fluency
from ep.studies.rates import Rate, rate_of
from ep.studies.sense import Answer, Sense

STRENGTHS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 4.0)
MOST_STRENGTHS = 40
STEERED, RANDOM = "steered", "random direction"
DEGENERATE = 0.5
"""A strength degenerates when coherence falls below this share of what it is without any change."""
SPREADS = {"add": 2.0, "clamp": 1.0}
"""A careful step, in standard deviations of where activations lie along the push: further than
most, not than all.

For add chosen on two demo dictionaries (15 regions, 12 harmless prompts each), where it kept sense
in 10 to 12 answers of 12 and changed 7 to 12 of them; twice as much left sense in less than half of
the answers in most regions. A model of stories that took no part in the choice agreed: 5 or 6
answers of 6 as usual as its own, 0 to 6 at twice as much. A clamp leaves no token where it was, so
it bears half of that: on 15 regions of three demo dictionaries sense was kept in 10 to 12 answers
of 12 in all but one region, against 0 to 7 in four of them at two deviations.
"""
MOST_REGIONS = 4096
"""So many regions, the largest, say where activations lie; more change nothing and take seconds."""
FINEST = 0.05
"""Careful strengths are rounded to this, the step of a slider."""


@dataclass(frozen=True)
class Dose:
    """One strength of one arm, over n prompts.

    strength: in typical norms. effect, coherence: rates. turned: the rate of answers that make
    sense and are judged otherwise than the unchanged model's answer to the same prompt. repeated:
    mean count of the most frequent run of four words. moved: mean change of the stream per touched
    position, in typical norms. answers: the texts to read.
    """

    strength: float
    effect: Rate
    coherence: Rate
    turned: Rate
    repeated: float
    moved: float
    answers: tuple[Answer, ...]


@dataclass(frozen=True)
class Sweep:
    """A dose–response curve and its control, by rising strength.

    degenerates: the smallest strength from which the steered answers make sense less than half as
    often as those of the unchanged model; None when none does.
    """

    prompts: tuple[str, ...]
    steered: tuple[Dose, ...]
    control: tuple[Dose, ...]
    degenerates: float | None


Answering = Callable[[Sequence[str], str, float], Sequence[Answer]]
"""(prompts, arm, strength) → an answer to each; strength 0 is the unchanged model."""


def sweep(
    answer: Answering,
    prompts: Sequence[str],
    judge: Judge,
    sense: Sense,
    strengths: Sequence[float] = STRENGTHS,
) -> Sweep:
    """The curve over `strengths`; 0 is always among them, since it says what the unchanged model
    does.

    sense: what counts as coherent, measured on the unchanged model; an answer that is cut at the
    limit of tokens is no worse for it where the unchanged model's was cut too. RequestError without
    prompts, or for strengths that are not finite or too many.
    """
    if not prompts:
        raise RequestError("a sweep needs prompts: give at least one")
    wanted = sorted({0.0, *map(float, strengths)})
    if not np.isfinite(wanted).all() or len(wanted) > MOST_STRENGTHS:
        raise RequestError(
            f"{len(wanted)} strengths were asked for: expected at most {MOST_STRENGTHS} finite "
            "numbers"
        )
    default = tuple(answer(prompts, STEERED, 0.0))
    before = _Before([judge(one.text) for one in default], [not one.ended for one in default])

    def curve(arm: str) -> tuple[Dose, ...]:
        said = {s: default if s == 0 else tuple(answer(prompts, arm, s)) for s in wanted}
        return tuple(
            _dose(strength, answers, before, judge, sense) for strength, answers in said.items()
        )

    steered, control = curve(STEERED), curve(RANDOM)
    return Sweep(tuple(prompts), steered, control, degenerates(steered))


def degenerates(doses: Sequence[Dose]) -> float | None:
    """The smallest positive strength from which on coherence stays below half of what it is at 0;
    None for none.
    """
    floor = DEGENERATE * next(d.coherence.hits / d.coherence.n for d in doses if d.strength == 0)
    broken = None
    for dose in sorted((d for d in doses if d.strength > 0), key=lambda d: -d.strength):
        if dose.coherence.hits / dose.coherence.n >= floor:
            break
        broken = dose.strength
    return broken


def first_effect(found: Sweep) -> float | None:
    """The smallest strength whose effect lies clearly off that of the unchanged model; None when
    none does.
    """
    none = found.steered[0].effect.interval
    for dose in found.steered[1:]:
        span = dose.effect.interval
        if none and span and (span[0] > none[1] or span[1] < none[0]):
            return dose.strength
    return None


def best(found: Sweep) -> float | None:
    """The strength at which most answers are turned and still make sense, the smallest of equals.

    None when no strength turns clearly more of them than a random direction does: its interval must
    lie above.
    """
    control = {dose.strength: dose.turned.value or 0.0 for dose in found.control}
    most = max(found.steered, key=lambda dose: (dose.turned.hits, -dose.strength))
    low, _ = most.turned.interval or (0.0, 0.0)
    return most.strength if low > control[most.strength] else None


def advised(found: Sweep | None, usual: float) -> float:
    """The strength to begin with: the one at which a sweep turned most answers, else the usual one,
    as far as the sweep found sense there: at the most the strongest it tried below where answers
    degenerate.
    """
    most = None if found is None else best(found)
    if most is not None:
        return most
    if found is None or found.degenerates is None or usual < found.degenerates:
        return usual
    return max(dose.strength for dose in found.steered if dose.strength < found.degenerates)


def careful(
    dictionary: Dictionary, regions: Sequence[int], basis: str = "exemplar", kind: str = "add"
) -> float:
    """A strength for pushing along these regions before any sweep, in typical norms: `SPREADS`
    standard deviations.

    Of where activations lie along the push u: c + r·‖Σû‖/N·m of each region, weighted by its
    members. What varies inside a region is not stored, so the spread is rather too small, and a
    push along a direction in which activations hardly differ is a short one. kind: "add" or
    "clamp". It holds for one layer and knows nothing of the model. UnknownRegion, ConfigError.
    """
    push = of_regions(dictionary, "add", regions, basis=basis).push
    column = next((name for name in ("count_voronoi", "count_arrival") if name in dictionary), None)
    members = (
        np.ones(len(dictionary)) if column is None else dictionary.column(column).astype(np.float64)
    )
    chosen = np.sort(np.argsort(-members, kind="stable")[:MOST_REGIONS])
    along = dictionary.mean_directions[chosen] @ push
    if "coherence" in dictionary:
        along = along * dictionary.column("coherence")[chosen]
    weights = members[chosen] + 1e-9  # a dictionary whose counts are all zero still has a spread
    middle = np.average(along, weights=weights)
    step = SPREADS[kind] * float(np.sqrt(np.average((along - middle) ** 2, weights=weights)))
    return max(FINEST, round(round(step / FINEST) * FINEST, 2))


class _Before(NamedTuple):
    """The unchanged model's answers, prompt by prompt: whether they show the behaviour, and whether
    they were cut.
    """

    shows: list[bool]
    cut: list[bool]


def _dose(
    strength: float, answers: tuple[Answer, ...], before: _Before, judge: Judge, sense: Sense
) -> Dose:
    shows = [judge(one.text) for one in answers]
    whole = [
        replace(one, ended=one.ended or cut) for one, cut in zip(answers, before.cut, strict=True)
    ]
    sound = [sense(one) for one in whole]
    return Dose(
        strength,
        rate_of(shows),
        rate_of(sound),
        rate_of(
            [
                good and now != then
                for good, now, then in zip(sound, shows, before.shows, strict=True)
            ]
        ),
        float(np.mean([fluency(one.text, one.ended).repeated for one in answers])),
        float(np.mean([one.moved for one in answers])),
        answers,
    )
