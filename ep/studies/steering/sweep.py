"""Dose and response: what increases and what breaks down as a setting is applied more strongly.

Every strength is tried on the same prompts, beside a random direction of the same length. The
effect is the share of answers in which a judge finds the behaviour; coherence is the share that
passes the quality check of the unchanged model.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from ep.errors import RequestError
from ep.method.dictionary import Dictionary
from ep.models import LanguageModel, check_fits
from ep.models.answering import OWN, answers
from ep.models.generation import Sampling
from ep.models.interventions import PUSHING
from ep.models.pairing import warn_other_weights
from ep.progress import Report, silent
from ep.studies.experiment import judge_in_advance, quality_of
from ep.studies.judging import Judge, fluency
from ep.studies.quality import Answer, QualityCheck
from ep.studies.rates import Rate, rate_of
from ep.studies.steering.setting import Setting, changes, checked
from ep.studies.steering.strength import default_strength

STEPS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 2.5, 3.0, 4.0)
"""Strengths of a sweep that pushes, in units of the default strength."""
SHARES = (0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0)
"""Shares to project out in a sweep of the other modes; 2 mirrors."""
MOST_STRENGTHS = 40
"""Most strengths of one sweep."""
TOKENS = 32
"""Length limit of an answer: enough to be judged, since a sweep needs hundreds of answers."""
STEERED, RANDOM = "steered", "random direction"
"""Names of the two arms."""
DEGENERATE = 0.5
"""A strength degenerates when coherence falls below this share of its value without any change."""


@dataclass(frozen=True)
class Dose:
    """The results of one arm at one strength, over n prompts.

    strength: in typical norms, or a share.
    effect: rate of the behaviour.
    coherence: rate of coherent answers.
    turned: rate of answers that are coherent and judged differently from the unchanged model's
        answer to the same prompt.
    repeated: mean count of the most frequent run of four words.
    moved: mean change of the stream per touched position, in typical norms.
    answers: the answers themselves.
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
    """A dose–response curve and its control.

    prompts: what was answered.
    steered: the results along the setting's regions, by rising strength from 0.
    control: the same along a random direction.
    """

    prompts: tuple[str, ...]
    steered: tuple[Dose, ...]
    control: tuple[Dose, ...]

    @cached_property
    def degenerates(self) -> float | None:
        """The smallest strength from which on coherence stays below half of its value at 0.

        None without one.
        """
        floor = DEGENERATE * _share(self.steered[0].coherence)
        degenerate = None
        for dose in reversed(self.steered[1:]):  # from the strongest down to the first good one
            if _share(dose.coherence) >= floor:
                break
            degenerate = dose.strength
        return degenerate

    @cached_property
    def first_effect(self) -> float | None:
        """The smallest strength whose effect differs clearly from that of the unchanged model.

        Their 95 % intervals do not overlap. None without one.
        """
        unchanged = self.steered[0].effect.interval
        for dose in self.steered[1:]:
            span = dose.effect.interval
            if unchanged and span and (span[0] > unchanged[1] or span[1] < unchanged[0]):
                return dose.strength
        return None

    @cached_property
    def best(self) -> float | None:
        """The strength at which most answers are turned and still coherent, the smallest of equals.

        None when it does not turn clearly more of them than a random direction does: the lower end
        of its interval must exceed the rate of the control.
        """
        control = {dose.strength: dose.turned.value or 0.0 for dose in self.control}
        most = max(self.steered, key=lambda dose: (dose.turned.hits, -dose.strength))
        low, _ = most.turned.interval or (0.0, 0.0)
        return most.strength if low > control[most.strength] else None

    def default(self, own: float) -> float:
        """Return the strength to begin with after this sweep: its best one.

        own: the default without a sweep. It is used where no strength is best, but limited to the
            strongest one tried below where the answers degenerate.
        """
        if self.best is not None:
            return self.best
        if self.degenerates is None or own < self.degenerates:
            return own
        return max(dose.strength for dose in self.steered if dose.strength < self.degenerates)


def _share(rate: Rate) -> float:
    """Return the share of hits."""
    return rate.hits / rate.n


def default_strengths(dictionary: Dictionary, setting: Setting) -> tuple[float, ...]:
    """Return the strengths that a sweep of this setting tries by default.

    They go up to four default strengths for modes that push, and up to twice the whole for the
    others.
    """
    if setting.mode not in PUSHING:
        return SHARES
    unit = default_strength(dictionary, setting.regions, setting.basis, setting.mode)
    return tuple(round(step * unit, 4) for step in STEPS)


def sweep(
    dictionary: Dictionary,
    model: LanguageModel,
    setting: Setting,
    prompts: Sequence[str],
    judge: Judge,
    strengths: Sequence[float] | None = None,
    report: Report = silent,
    turn: Callable[[], AbstractContextManager[None]] = nullcontext,
    warn: bool = True,
) -> Sweep:
    """Answer the prompts at every strength, along the setting's regions and a random direction.

    Answers are greedy and have at most `TOKENS` tokens.

    setting: its prompt, strength and sampling are not used.
    judge: decides whether an answer shows the behaviour.
    strengths: by default `default_strengths`.
    report: called with the progress; an exception it raises ends the work.
    turn: returns a context manager that is held around the answers of one strength of one arm, so
        that others may use the model in between.
    warn: as in `steer`.

    Raises the errors of `changes` and `curve` before the model runs.
    """
    setting = checked(replace(setting, strength=1.0), dictionary)
    check_fits(model, dictionary)
    if warn:
        warn_other_weights(model, dictionary)
    changes(dictionary, setting, model.n_layers)
    tried = _checked_strengths(prompts, strengths or default_strengths(dictionary, setting))
    # the quality check, the unchanged model, and both arms at the other strengths
    parts, done = 2 * len(tried), 0

    def report_part(message: str, share: float) -> None:
        report(message, (done + share) / parts)

    def answer(texts: Sequence[str], arm: str, strength: float) -> list[Answer]:
        nonlocal done
        options = changes(dictionary, replace(setting, strength=strength), model.n_layers)
        interventions = (
            () if strength == 0 else options.steered if arm == STEERED else options.control
        )
        message = f"{arm}, strength {strength:g}"
        with turn():
            answered = answers(
                model,
                texts,
                interventions,
                Sampling(TOKENS),
                lambda n: report_part(message, n / len(texts)),
            )
        replies = [Answer(*one) for one in answered]
        judge_in_advance(judge, replies, lambda message, share: report_part(message, share or 0.0))
        done += 1
        return replies

    with turn():
        quality = quality_of(
            model, prompts, TOKENS, lambda n: report_part("answers of the unchanged model", n / OWN)
        )
    done += 1
    return curve(answer, prompts, judge, quality, tried)


Answering = Callable[[Sequence[str], str, float], Sequence[Answer]]
"""Called with prompts, the name of an arm and a strength; returns an answer to each prompt.

Strength 0 is the unchanged model.
"""


def curve(
    answer: Answering,
    prompts: Sequence[str],
    judge: Judge,
    quality: QualityCheck,
    strengths: Sequence[float],
) -> Sweep:
    """Return the sweep over `strengths`, with 0 always among them, for the unchanged model.

    answer: gives the answers of an arm at a strength.
    judge: decides whether an answer shows the behaviour.
    quality: measured on the unchanged model.

    Raises RequestError without prompts, and for strengths that are not finite or too many.
    """
    tried = _checked_strengths(prompts, strengths)
    default = tuple(answer(prompts, STEERED, 0.0))
    unchanged = [judge(one.text) for one in default]

    def arm(name: str) -> tuple[Dose, ...]:
        replies = {s: default if s == 0 else tuple(answer(prompts, name, s)) for s in tried}
        return tuple(_dose(s, answers, unchanged, judge, quality) for s, answers in replies.items())

    return Sweep(tuple(prompts), arm(STEERED), arm(RANDOM))


def _checked_strengths(prompts: Sequence[str], strengths: Sequence[float]) -> list[float]:
    """Return the strengths in rising order; RequestError when no sweep can be made of them."""
    if not prompts:
        raise RequestError("a sweep needs prompts: give at least one")
    rising = sorted({0.0, *map(float, strengths)})
    if not np.isfinite(rising).all() or len(rising) > MOST_STRENGTHS:
        raise RequestError(
            f"{len(rising)} strengths were asked for: expected at most {MOST_STRENGTHS} finite "
            "numbers"
        )
    return rising


def _dose(
    strength: float,
    answers: tuple[Answer, ...],
    unchanged: Sequence[bool],
    judge: Judge,
    quality: QualityCheck,
) -> Dose:
    """Return the results of one arm at one strength.

    unchanged: whether the unchanged model's answer to each prompt shows the behaviour.
    """
    shows = [judge(one.text) for one in answers]
    coherent = [quality(one) for one in answers]
    turned = [s and now != then for s, now, then in zip(coherent, shows, unchanged, strict=True)]
    return Dose(
        strength,
        rate_of(shows),
        rate_of(coherent),
        rate_of(turned),
        float(np.mean([fluency(one.text, one.ended).repeated for one in answers])),
        float(np.mean([one.moved for one in answers])),
        answers,
    )
