"""Dose and response: what grows, and what breaks, as a setting is applied more and more strongly.

Every strength is tried on the same prompts, beside a random direction of the same length. The
effect is the share of answers a judge calls the behaviour, coherence the share that passes the
quality check of the unchanged model.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np

from ep.errors import RequestError
from ep.method.dictionary import Dictionary
from ep.models import LanguageModel, check_fits
from ep.models.answering import OWN, answers
from ep.models.generation import Sampling
from ep.models.interventions import PUSHING
from ep.progress import Report, silent
from ep.studies.experiment import ask_in_advance, quality_of
from ep.studies.judging import Judge, fluency
from ep.studies.quality import Answer, QualityCheck
from ep.studies.rates import Rate, rate_of
from ep.studies.steering.setting import Setting, changes, checked
from ep.studies.steering.strength import default_strength

STEPS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 2.5, 3.0, 4.0)
"""Strengths of a sweep that pushes, in units of the default strength."""
SHARES = (0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0)
"""Shares that are projected out; 2 mirrors."""
MOST_STRENGTHS = 40
TOKENS = 32
"""Tokens of an answer: enough to be judged, and a sweep asks for hundreds."""
STEERED, RANDOM = "steered", "random direction"
DEGENERATE = 0.5
"""A strength degenerates when coherence falls below this share of what it is without any change."""


@dataclass(frozen=True)
class Dose:
    """One strength of one arm, over n prompts.

    strength: in typical norms. effect, coherence: rates. turned: the rate of answers that are
    coherent and judged otherwise than the unchanged model's answer to the same prompt. repeated:
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
    """A dose–response curve and its control, by rising strength from 0."""

    prompts: tuple[str, ...]
    steered: tuple[Dose, ...]
    control: tuple[Dose, ...]

    @cached_property
    def degenerates(self) -> float | None:
        """The smallest positive strength from which on coherence stays below half of what it is at
        0; None for none.
        """
        floor = DEGENERATE * _share(self.steered[0].coherence)
        broken = None
        for dose in reversed(self.steered[1:]):
            if _share(dose.coherence) >= floor:
                break
            broken = dose.strength
        return broken

    @cached_property
    def first_effect(self) -> float | None:
        """The smallest strength whose effect lies clearly off that of the unchanged model; None
        when none does.
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

        None when no strength turns clearly more of them than a random direction does: its interval
        must lie above.
        """
        control = {dose.strength: dose.turned.value or 0.0 for dose in self.control}
        most = max(self.steered, key=lambda dose: (dose.turned.hits, -dose.strength))
        low, _ = most.turned.interval or (0.0, 0.0)
        return most.strength if low > control[most.strength] else None


    def default(self, own: float) -> float:
        """The strength to begin with after this sweep: its best one.

        own: the default without a sweep, which stands where no strength is best, as far as the
        answers stayed coherent: at most the strongest one tried below where they degenerate.
        """
        if self.best is not None:
            return self.best
        if self.degenerates is None or own < self.degenerates:
            return own
        return max(dose.strength for dose in self.steered if dose.strength < self.degenerates)


def _share(rate: Rate) -> float:
    return rate.hits / rate.n


def default_strengths(dictionary: Dictionary, setting: Setting) -> tuple[float, ...]:
    """The strengths a sweep of this setting tries: up to four default strengths, or twice all."""
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
) -> Sweep:
    """Answers the prompts at every strength, along the setting's regions and along a random
    direction, greedily and in at most `TOKENS` tokens.

    setting: its prompt, strength and sampling play no part. strengths: by default
    `default_strengths`. turn: held around the answers of one strength of one arm, so that others
    may use the model in between. Errors as `changes` and `curve`, before the model has answered.
    """
    setting = checked(replace(setting, strength=1.0), dictionary)
    check_fits(model, dictionary)
    changes(dictionary, setting, model.n_layers)
    tried = _tried(prompts, strengths or default_strengths(dictionary, setting))
    parts, done = 2 * len(tried), 0  # the quality check, the unchanged model, both arms at others

    def part(said: str, share: float) -> None:
        report(said, (done + share) / parts)

    def answer(texts: Sequence[str], arm: str, strength: float) -> list[Answer]:
        nonlocal done
        made = changes(dictionary, replace(setting, strength=strength), model.n_layers)
        change = () if strength == 0 else made.steered if arm == STEERED else made.control
        said = f"{arm}, strength {strength:g}"
        with turn():
            found = answers(
                model, texts, change, Sampling(TOKENS), lambda n: part(said, n / len(texts))
            )
        given = [Answer(*one) for one in found]
        ask_in_advance(judge, given, lambda said, share: part(said, share or 0.0))
        done += 1
        return given

    with turn():
        quality = quality_of(
            model, prompts, TOKENS, lambda n: part("answers of the unchanged model", n / OWN)
        )
    done += 1
    return curve(answer, prompts, judge, quality, tried)


Answering = Callable[[Sequence[str], str, float], Sequence[Answer]]
"""(prompts, arm, strength) → an answer to each; strength 0 is the unchanged model."""


def curve(
    answer: Answering,
    prompts: Sequence[str],
    judge: Judge,
    quality: QualityCheck,
    strengths: Sequence[float],
) -> Sweep:
    """The sweep over `strengths`; 0 is always among them, since it says what the unchanged model
    does.

    quality: measured on the unchanged model; an answer that is cut at the limit of tokens is no
    worse for it where the unchanged model's was cut too. RequestError without prompts, and for
    strengths that are not finite or too many.
    """
    tried = _tried(prompts, strengths)
    default = tuple(answer(prompts, STEERED, 0.0))
    before = _Before([judge(one.text) for one in default], [not one.ended for one in default])

    def arm(name: str) -> tuple[Dose, ...]:
        said = {s: default if s == 0 else tuple(answer(prompts, name, s)) for s in tried}
        return tuple(_dose(s, given, before, judge, quality) for s, given in said.items())

    return Sweep(tuple(prompts), arm(STEERED), arm(RANDOM))


def _tried(prompts: Sequence[str], strengths: Sequence[float]) -> list[float]:
    """The strengths in rising order, once it is known that a sweep can be made of them."""
    if not prompts:
        raise RequestError("a sweep needs prompts: give at least one")
    wanted = sorted({0.0, *map(float, strengths)})
    if not np.isfinite(wanted).all() or len(wanted) > MOST_STRENGTHS:
        raise RequestError(
            f"{len(wanted)} strengths were asked for: expected at most {MOST_STRENGTHS} finite "
            "numbers"
        )
    return wanted


class _Before(NamedTuple):
    """The unchanged model's answers, prompt by prompt: whether they show the behaviour, and whether
    they were cut.
    """

    shows: list[bool]
    cut: list[bool]


def _dose(
    strength: float,
    given: tuple[Answer, ...],
    before: _Before,
    judge: Judge,
    quality: QualityCheck,
) -> Dose:
    shows = [judge(one.text) for one in given]
    whole = [
        replace(one, ended=one.ended or cut) for one, cut in zip(given, before.cut, strict=True)
    ]
    sound = [quality(one) for one in whole]
    turned = [s and now != then for s, now, then in zip(sound, shows, before.shows, strict=True)]
    return Dose(
        strength,
        rate_of(shows),
        rate_of(sound),
        rate_of(turned),
        float(np.mean([fluency(one.text, one.ended).repeated for one in given])),
        float(np.mean([one.moved for one in given])),
        given,
    )
