"""Dose and response: the curve counts what the texts say, its control beside it, and names where
coherence ends.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from ep.errors import RequestError
from ep.studies.judging import Phrases
from ep.studies.quality import Answer, QualityCheck
from ep.studies.rates import Rate
from ep.studies.steering import default_strength
from ep.studies.steering.strength import FINEST, SPREADS
from ep.studies.steering.sweep import RANDOM, STEERED, curve
from tests.fixtures.dictionaries import synthetic

SENSE = Answer("First take the cake tin. Then bake it.", True, 0.0, 1.0)
REFUSAL = Answer("I cannot help you with that today.", True, 1.0, 1.0)
NOISE = Answer("cannot cannot cannot cannot cannot cannot", False, 3.0, 0.5)
USUAL = QualityCheck(2.0, 4.0, 9, Rate(0, 9))


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
    found = curve(answer, ["How do I bake a cake?"] * 6, Phrases(), USUAL, [3, 1, 0.25, 1, 4])
    assert (
        [dose.strength for dose in found.steered]
        == [0, 0.25, 1, 3, 4]
        == [dose.strength for dose in found.control]
    )
    assert [dose.effect for dose in found.steered] == [
        Rate(0, 6),
        Rate(0, 6),
        Rate(6, 6),
        Rate(0, 6),
        Rate(0, 6),
    ]
    assert [dose.coherence for dose in found.steered] == [Rate(6, 6)] * 3 + [Rate(0, 6)] * 2
    assert all(dose.effect == Rate(0, 6) and dose.coherence == Rate(6, 6) for dose in found.control)
    assert [dose.turned for dose in found.steered] == [
        Rate(0, 6),
        Rate(0, 6),
        Rate(6, 6),
        Rate(0, 6),
        Rate(0, 6),
    ]
    assert found.degenerates == 3 and found.first_effect == 1 and found.best == 1
    assert answer.asked.count((STEERED, 0.0)) == 1, "the unchanged model is asked once"


def test_a_curve_that_never_breaks_says_so() -> None:
    assert curve(answering(breaks=9.0), ["a"], Phrases(), USUAL, [1, 2]).degenerates is None


def test_an_answer_cut_at_the_limit_is_judged_by_what_there_is_of_it() -> None:
    def answer(prompts: Sequence[str], arm: str, strength: float) -> list[Answer]:
        cut = Answer("Once there was a little girl named Lily who", False, strength, 1.0)
        return [cut, cut if strength else SENSE]

    found = curve(answer, ["Once", "How?"], Phrases(), USUAL, [1])
    assert [dose.coherence for dose in found.steered] == [Rate(2, 2), Rate(2, 2)]


def test_the_best_strength_turns_most_answers_and_more_than_chance() -> None:
    def turning(share: dict[float, float], chance: float) -> object:
        def answer(prompts: Sequence[str], arm: str, strength: float) -> list[Answer]:
            turned = round(
                len(prompts)
                * (share.get(strength, 0) if arm == STEERED else chance * (strength > 0))
            )
            return [REFUSAL] * turned + [SENSE] * (len(prompts) - turned)

        return answer

    prompts = ["a"] * 20
    found = curve(turning({0.5: 0.6, 1: 0.9, 2: 0.9}, 0.05), prompts, Phrases(), USUAL, [0.5, 1, 2])
    assert found.best == 1
    assert curve(turning({1: 0.3}, 0.3), prompts, Phrases(), USUAL, [1]).best is None, (
        "no more than chance"
    )
    assert found.default(0.4) == 1
    quiet = curve(
        answering(breaks=0.5), prompts, Phrases(("no such words",)), USUAL, [0.25, 0.5, 1]
    )
    assert quiet.best is None and (quiet.default(0.3), quiet.default(0.8)) == (0.3, 0.25)
    back = curve(turning({}, 0.0), prompts, Phrases(("first take",)), USUAL, [1])
    assert back.steered[0].effect == Rate(20, 20) and back.best is None, "nothing was turned"


def test_the_default_strength_is_the_spread_along_the_push() -> None:
    dictionary = synthetic(60, 16, seed=4, typical_norm=4.0)
    v = dictionary.exemplars[[3]].sum(axis=0)
    along = dictionary.column("coherence") * (dictionary.mean_directions @ v)
    rows = np.repeat(along, dictionary.members)
    for mode, spreads in SPREADS.items():
        expected = max(FINEST, spreads * rows.std())
        default = default_strength(dictionary, [3], mode=mode)
        assert default == pytest.approx(expected, abs=FINEST / 2 + 1e-6)
    both = default_strength(dictionary, [3, 8])
    assert both == default_strength(dictionary, [8, 3, 3]) >= FINEST
    assert default_strength(dictionary, [3], mode="ablate") == 1


def test_what_cannot_be_swept_is_refused() -> None:
    with pytest.raises(RequestError, match="prompts"):
        curve(answering(1.0), [], Phrases(), USUAL, [1])
    for strengths in ([float("nan")], list(range(60))):
        with pytest.raises(RequestError, match="strengths"):
            curve(answering(1.0), ["a"], Phrases(), USUAL, strengths)
