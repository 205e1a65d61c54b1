"""How long behaviour runs take, told before they start.

Guessed from the prompts and the tokens of an answer; once a run was made on this server, by how far
it was from its guess.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

from ep.models.answering import AT_ONCE, OWN, OWN_AT_ONCE
from ep.studies.experiment import ABLATED, ARMS, MATCHED, RANDOM, SWAPPED
from pages.behaviour.runs import Plan
from pages.shared import estimates, jobs, models
from pages.shared.reading import token_count

ARMS_OF_A_SEED = (ABLATED, RANDOM, MATCHED)
"""Besides the unchanged model's answers, which all seeds share."""


def of_trial(plan: Plan) -> float:
    """Seconds for what is missing of a trial, guessed, once the model is loaded."""
    arms = [arm for arm in ARMS if arm != SWAPPED or plan.inputs.settings.swap]
    return _observing(plan) + _usual(plan) + len(arms) * _held_out(plan)


def of_streams(plan: Plan) -> float:
    """Seconds for what is missing of the attempts with one share, guessed, once the model is
    loaded.
    """
    attempts = 1 + plan.inputs.settings.seeds * len(ARMS_OF_A_SEED)
    return _observing(plan) + _usual(plan) + attempts * _held_out(plan)


def sentence(plan: Plan, name: str, guess: float) -> str:
    """How long the job of this name would take, for the screen; nothing where this visitor's is at
    work, or the model is gone and none can start.

    guess: of this module, in seconds.
    """
    if jobs.is_mine_running(name) or not plan.model:
        return ""
    if jobs.is_running(name):
        return jobs.FOR_SOMEBODY_ELSE
    takes = models.estimate(plan.dictionary, guess * estimates.rates().get(_kind(plan), 1.0))
    if plan.inputs.chosen.endpoint is not None:
        return f"{takes} What the judge needs comes on top."
    return takes


def measured(plan: Plan, guess: float) -> AbstractContextManager[None]:
    """Measures work against its guess; one that waits for a judge on the network says nothing."""
    if plan.inputs.chosen.endpoint is not None:
        return nullcontext()
    return estimates.rates().measured(_kind(plan), guess)


def _kind(plan: Plan) -> str:
    return f"behaviour {plan.model}"


def _observing(plan: Plan) -> float:
    """What the model does with the prompts of the choice; nothing where that is known."""
    if jobs.result(plan.observed) is not None:
        return 0.0
    texts = plan.inputs.held.choice.texts
    read = estimates.reading(plan.dictionary, token_count(*texts))
    return read if plan.inputs.reading_judge is None else read + _answers(plan, texts)


def _held_out(plan: Plan) -> float:
    """One arm of a trial."""
    held = plan.inputs.held
    return _answers(plan, held.target) + _answers(plan, held.benign)


def _answers(plan: Plan, texts: Sequence[str]) -> float:
    """An answer to each text, which the model then reads again to say how much it surprises."""
    tokens = plan.inputs.settings.tokens
    written = estimates.writing(plan.dictionary, len(texts), tokens, AT_ONCE)
    again = token_count(*texts) + len(texts) * tokens
    return written + estimates.reading(plan.dictionary, again)


def _usual(plan: Plan) -> float:
    """What is usual of the model: sampled answers, read again as they are and spoiled."""
    tokens = plan.inputs.settings.tokens
    written = estimates.writing(plan.dictionary, OWN, tokens, OWN_AT_ONCE)
    asked = plan.inputs.held.benign or plan.inputs.held.target
    each = token_count(*asked) / max(1, len(asked)) + tokens
    return written + estimates.reading(plan.dictionary, 2 * OWN * each)
