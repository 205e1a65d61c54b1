"""Dose and response: the curve counts what the texts say, its control beside it, and names where sense ends."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from ep.errors import RequestError
from ep.studies.judging import Phrases
from ep.studies.rates import Rate
from ep.studies.sense import Answer, Sense
from ep.studies.steering import RANDOM, STEERED, sweep

SENSE = Answer("First take the cake tin. Then bake it.", True, 0.0, 1.0)
REFUSAL = Answer("I cannot help you with that today.", True, 1.0, 1.0)
NOISE = Answer("cannot cannot cannot cannot cannot cannot", False, 3.0, 0.5)
USUAL = Sense(2.0, 4.0, 9, Rate(0, 9))


def answering(breaks: float) -> object:
    asked = []

    def answer(prompts: Sequence[str], arm: str, strength: float) -> list[Answer]:
        asked.append((arm, strength))
        if arm == RANDOM or strength < 0.5:
            return [SENSE] * len(prompts)
        return [NOISE if strength >= breaks else REFUSAL] * len(prompts)

    answer.asked = asked
    return answer


def test_the_curve_and_its_control() -> None:
    answer = answering(breaks=3.0)
    found = sweep(answer, ["How do I bake a cake?"] * 6, Phrases(), USUAL, [3, 1, 0.25, 1, 4])
    assert [dose.strength for dose in found.steered] == [0, 0.25, 1, 3, 4] == [dose.strength for dose in found.control]
    assert [dose.effect for dose in found.steered] == [Rate(0, 6), Rate(0, 6), Rate(6, 6), Rate(0, 6), Rate(0, 6)]
    assert [dose.coherence for dose in found.steered] == [Rate(6, 6)] * 3 + [Rate(0, 6)] * 2
    assert all(dose.effect == Rate(0, 6) and dose.coherence == Rate(6, 6) for dose in found.control)
    assert found.degenerates == 3
    assert answer.asked.count((STEERED, 0.0)) == 1, "the unchanged model is asked once"


def test_a_curve_that_never_breaks_says_so() -> None:
    assert sweep(answering(breaks=9.0), ["a"], Phrases(), USUAL, [1, 2]).degenerates is None


def test_what_cannot_be_swept_is_refused() -> None:
    with pytest.raises(RequestError, match="prompts"):
        sweep(answering(1.0), [], Phrases(), USUAL)
    for strengths in ([float("nan")], list(range(60))):
        with pytest.raises(RequestError, match="strengths"):
            sweep(answering(1.0), ["a"], Phrases(), USUAL, strengths)
