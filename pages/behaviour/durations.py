"""How long behaviour runs take, shown before they start.

The estimate comes from the prompts and the number of tokens of an answer. Once a run was made on
this server, it is scaled by the ratio of measured to estimated time.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

from ep.models.answering import AT_ONCE, LEAST_LONG, LONGEST_TRIED, OWN, OWN_AT_ONCE, TRIED
from ep.studies.arms import ARMS, LAYER_ARMS, SEED_ARMS, SWAPPED, WIDER_ARMS
from ep.studies.experiment import MOST_LAYERS
from pages.behaviour.runs import Plan
from pages.shared import estimates, jobs, models
from pages.shared.reading import estimated_tokens


def trial_seconds(plan: Plan) -> float:
    """Estimate the seconds for the missing parts of a trial, once the model is loaded."""
    return _length_seconds(plan) + observation_seconds(plan) + attempt_seconds(plan)


def attempt_seconds(plan: Plan) -> float:
    """Estimate the seconds for trying the region, after the prompts that chose it are answered."""
    settings = plan.inputs.settings
    left_out = ((SWAPPED,) if not settings.swap else ()) + (() if settings.wider else WIDER_ARMS)
    arms = [arm for arm in ARMS if arm not in left_out]
    return _quality_seconds(plan) + len(arms) * _arm_seconds(plan)


def streams_seconds(plan: Plan) -> float:
    """Estimate the seconds for the missing attempts with one share, once the model is loaded."""
    attempts = 1 + plan.inputs.settings.seeds * len(SEED_ARMS)
    parts = _length_seconds(plan) + observation_seconds(plan) + _quality_seconds(plan)
    return parts + attempts * _arm_seconds(plan)


def layers_seconds(plan: Plan) -> float:
    """Estimate the seconds for the missing attempts at several layers, once the model is loaded."""
    attempts = 1 + MOST_LAYERS * len(LAYER_ARMS)
    parts = _length_seconds(plan) + observation_seconds(plan) + _quality_seconds(plan)
    return parts + attempts * _arm_seconds(plan)


def sentence(plan: Plan, name: str, guess: float) -> str:
    """Return, for the screen, how long the job of this name would take.

    Empty while this visitor's own job is running, and where the model is missing so that none can
    start.

    guess: seconds, estimated by this module.
    """
    if jobs.is_own_running(name) or not plan.model:
        return ""
    if jobs.is_running(name):
        return jobs.RUNNING_FOR_ANOTHER
    takes = models.estimate(plan.dictionary, guess * estimates.rates().get(_rate_name(plan), 1.0))
    if plan.inputs.judge_choice.endpoint is not None:
        return f"{takes} What the judge needs comes on top."
    return takes


def measured(plan: Plan, guess: float) -> AbstractContextManager[None]:
    """Measure work against its estimate, except where a judge on the network distorts it."""
    if plan.inputs.judge_choice.endpoint is not None:
        return nullcontext()
    return estimates.rates().measured(_rate_name(plan), guess)


def _rate_name(plan: Plan) -> str:
    return f"behaviour {plan.model}"


def _tokens(plan: Plan) -> int:
    """Return most tokens of an answer; a guess until a trial of the model has set them."""
    return plan.tokens or LEAST_LONG


def _length_seconds(plan: Plan) -> float:
    """Estimate the seconds for the trial that sets the length of the answers, if it is to come."""
    if plan.tokens is not None:
        return 0.0
    return estimates.writing(plan.dictionary, TRIED, LONGEST_TRIED, TRIED)


def observation_seconds(plan: Plan) -> float:
    """Estimate the seconds for observing the prompts that choose the region; 0 where that is
    stored.
    """
    if jobs.result(plan.observed) is not None:
        return 0.0
    texts = plan.inputs.held.choice.texts
    read = estimates.reading(plan.dictionary, estimated_tokens(*texts))
    return read if plan.inputs.reading_judge is None else read + _answers_seconds(plan, texts)


def _arm_seconds(plan: Plan) -> float:
    """Estimate the seconds for one arm of a trial."""
    held = plan.inputs.held
    return _answers_seconds(plan, held.target) + _answers_seconds(plan, held.benign)


def _answers_seconds(plan: Plan, texts: Sequence[str]) -> float:
    """Estimate the seconds for an answer to each text.

    The model then reads each answer again to measure how surprising it is.
    """
    tokens = _tokens(plan)
    written = estimates.writing(plan.dictionary, len(texts), tokens, AT_ONCE)
    tokens_read = estimated_tokens(*texts) + len(texts) * tokens
    return written + estimates.reading(plan.dictionary, tokens_read)


def _quality_seconds(plan: Plan) -> float:
    """Estimate the seconds for the reference of answer quality.

    These are sampled answers, read again as they are and spoiled.
    """
    tokens = _tokens(plan)
    written = estimates.writing(plan.dictionary, OWN, tokens, OWN_AT_ONCE)
    prompts = plan.inputs.held.benign or plan.inputs.held.target
    tokens_each = estimated_tokens(*prompts) / max(1, len(prompts)) + tokens
    return written + estimates.reading(plan.dictionary, 2 * OWN * tokens_each)
