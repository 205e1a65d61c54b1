"""The jobs of the Behaviour page: the prompts answered, a region taken out, orders of the stream.

Each loads the model, waits for its turn at it, and keeps what it finds out on the way.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from ep.errors import ModelError
from ep.models import LanguageModel, check_fits, model_of
from ep.progress import Report
from ep.studies import experiment
from ep.studies.experiment import Bench, Observed
from ep.views import behaviour as plain
from ep.views.behaviour import Plain
from pages.behaviour import durations
from pages.behaviour.runs import Plan, keep_choice
from pages.shared import jobs, messages, models, state
from pages.shared.jobs import Job

OBSERVING = 0.3
"""Share of a run's bar that goes to the prompts of the choice."""


def start_trial(plan: Plan) -> None:
    """Starts what is missing of: the prompts' answers, and the trial of the region with its
    controls; for callbacks.
    """
    _start(plan, plan.trial, "Taking it out, on held-out prompts", partial(_trial, plan))


def start_streams(plan: Plan, share: float) -> None:
    """Starts the attempts on the prompts' own dictionaries, with the centre from `share` behaving
    prompts; for callbacks.
    """
    title = f"{plan.inputs.settings.seeds} orders of the stream, {share:.0%} behaving"
    _start(plan, plan.streams[share], title, partial(_streams, plan, share))


def _start(plan: Plan, name: str, title: str, work: Callable[[Job], object]) -> None:
    try:
        model_of(plan.dictionary)
    except ModelError as error:
        state.note(f"This cannot be tried here. {messages.sentence(error)}")
        return
    jobs.start(name, title, work)


# -- the work --------------------------------------------------------------------------------------


def _trial(plan: Plan, job: Job) -> Plain:
    model, inputs = _model(plan, job), plan.inputs
    with jobs.turn(job, model), durations.measured(plan, durations.of_trial(plan)):
        observed = _observed(plan, model, job)
        found = experiment.place(plan.dictionary, observed)
        keep_choice(plan, observed, found)
        swaps = inputs.settings.swap and experiment.quiet_region(found.scored) is not None
        mode = "swap" if swaps else "ablate"
        report = _part(job, OBSERVING)
        attempt = _bench(plan, model).attempt(found, plan.region, mode, report=report)
        return plain.trial(attempt, inputs.held, inputs.judge)


def _streams(plan: Plan, share: float, job: Job) -> list[Plain]:
    model, inputs = _model(plan, job), plan.inputs
    with jobs.turn(job, model), durations.measured(plan, durations.of_streams(plan)):
        observed = _observed(plan, model, job)
        attempts = experiment.repeat(
            _bench(plan, model),
            observed,
            inputs.settings.seeds,
            inputs.settings.percentile,
            share,
            report=_part(job, OBSERVING),
        )
        return [plain.trial(one, inputs.held, inputs.judge, texts=0) for one in attempts]


def _model(plan: Plan, job: Job) -> LanguageModel:
    model = models.load_for(plan.dictionary, job.report)
    check_fits(model, plan.dictionary)
    return model


def _bench(plan: Plan, model: LanguageModel) -> Bench:
    inputs, now = plan.inputs, plan.inputs.settings
    return Bench(model, inputs.held, inputs.judge, now.tokens, now.basis)


def _observed(plan: Plan, model: LanguageModel, job: Job) -> Observed:
    """What the model does with the prompts of the choice, found out unless it is known."""
    observed: Observed | None = jobs.result(plan.observed)
    if observed is None:
        inputs, layer = plan.inputs, check_fits(model, plan.dictionary)
        observed = experiment.observe(
            model,
            inputs.held.choice,
            layer,
            inputs.reading_judge,
            inputs.settings.tokens,
            _part(job, 0.0, OBSERVING),
        )
        jobs.keep(plan.observed, observed)
    return observed


def _part(job: Job, start: float, end: float = 1.0) -> Report:
    """Reports to a part of a job's bar, in [0, 1]."""
    return lambda doing, share: job.report(doing, start + (end - start) * (share or 0.0))
