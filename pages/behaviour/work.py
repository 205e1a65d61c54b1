"""The jobs of the Behaviour page: prompts answered, a region ablated, orders of the stream.

Each loads the model, waits for its turn, and stores intermediate results.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from ep.errors import ModelError
from ep.models import LanguageModel, check_fits, model_of
from ep.models.answering import answer_length
from ep.models.interventions import Mode
from ep.progress import Report
from ep.studies import coarser, experiment
from ep.studies.experiment import Attempt, Bench, Observed
from ep.views import behaviour as plain
from ep.views.behaviour import Plain
from pages.behaviour import durations
from pages.behaviour.runs import Plan, store_choice
from pages.shared import jobs, loading, messages, models, state
from pages.shared.jobs import Job

OBSERVING = 0.3
"""Share of a job's progress bar for the prompts that choose the region."""


def start_trial(plan: Plan) -> None:
    """Start the missing parts of a trial: the prompts' answers, and the arms; for callbacks."""
    _start(plan, plan.trial, "Taking it out, on held-out prompts", partial(_trial, plan))


def start_streams(plan: Plan, share: float) -> None:
    """Start the attempts on dictionaries of the prompts alone; for callbacks.

    share: of behaving prompts in the stream of the centre.
    """
    title = f"{plan.inputs.settings.seeds} orders of the stream, {share:.0%} behaving"
    _start(plan, plan.streams[share], title, partial(_streams, plan, share))


def start_layers(plan: Plan) -> None:
    """Start the attempts at several layers; for callbacks."""
    _start(plan, plan.layers, "Layer by layer, on held-out prompts", partial(_layers, plan))


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
    with jobs.model_turn(job, model):
        tokens = _tokens(plan, model, job)
        observed = _observed(plan, model, tokens, job)
        placement = experiment.place(plan.dictionary, observed)
        store_choice(plan, observed, placement)
        if observed.alike or not (placement.candidates or plan.region is not None):
            return _nothing(plan, observed)
        mode: Mode = "swap" if inputs.settings.swap else "ablate"
        with durations.measured(plan, durations.attempt_seconds(plan)):
            attempt = _bench(plan, model, tokens).attempt(
                placement,
                plan.region,
                mode,
                report=_part(job, OBSERVING),
                wider=inputs.settings.wider,
            )
        return plain.trial(attempt, inputs.held, inputs.judge)


def _nothing(plan: Plan, observed: Observed) -> Plain:
    """Return a trial of no region, with how well other percentiles serve the same prompts."""
    trial = plain.trial(Attempt(plan.dictionary, None), plan.inputs.held, plan.inputs.judge)
    entry = loading.find(plan.key)
    if observed.alike or entry is None:
        return trial
    others = coarser.siblings(entry, loading.families().get(entry.family, ()))
    dictionaries = [loading.dictionary(one.key) for one in others]
    return {**trial, "served": plain.served(coarser.serving(observed, dictionaries))}


def _tokens(plan: Plan, model: LanguageModel, job: Job) -> int:
    """Return most tokens of an answer, by a trial of the model where they are not set."""
    if plan.tokens is not None:
        return plan.tokens
    message = "trying how long the answers are"
    texts = plan.inputs.held.choice.texts
    tried = answer_length(model, texts, lambda _: job.report(message, 0.0))
    jobs.put_result(plan.length, tried)
    return tried.tokens


def _streams(plan: Plan, share: float, job: Job) -> list[Plain]:
    model, inputs = _model(plan, job), plan.inputs
    with jobs.model_turn(job, model):
        tokens = _tokens(plan, model, job)
        attempts = experiment.repeat(
            _bench(plan, model, tokens),
            _observed(plan, model, tokens, job),
            inputs.settings.seeds,
            inputs.settings.percentile,
            share,
            report=_part(job, OBSERVING),
            metric=plan.dictionary.metric.name,
        )
        return [plain.trial(one, inputs.held, inputs.judge, texts=0) for one in attempts]


def _layers(plan: Plan, job: Job) -> tuple[Plain, ...]:
    model, inputs = _model(plan, job), plan.inputs
    with jobs.model_turn(job, model):
        tokens = _tokens(plan, model, job)
        observed = _observed(plan, model, tokens, job)
        attempts = experiment.by_layer(
            _bench(plan, model, tokens),
            observed,
            experiment.spread_layers(model.n_layers, observed.layer),
            inputs.settings.percentile,
            inputs.settings.share,
            report=_part(job, OBSERVING),
            metric=plan.dictionary.metric.name,
        )
        return tuple(plain.trial(one, inputs.held, inputs.judge, texts=0) for one in attempts)


def _model(plan: Plan, job: Job) -> LanguageModel:
    model = models.load_for(plan.dictionary, job.report)
    check_fits(model, plan.dictionary)
    return model


def _bench(plan: Plan, model: LanguageModel, tokens: int) -> Bench:
    inputs = plan.inputs
    return Bench(model, inputs.held, inputs.judge, tokens, inputs.settings.basis)


def _observed(plan: Plan, model: LanguageModel, tokens: int, job: Job) -> Observed:
    """Return the model's behaviour on the prompts that choose, observed unless it is stored."""
    observed: Observed | None = jobs.result(plan.observed)
    if observed is None:
        inputs, layer = plan.inputs, check_fits(model, plan.dictionary)
        with durations.measured(plan, durations.observation_seconds(plan)):
            observed = experiment.observe(
                model,
                inputs.held.choice,
                layer,
                inputs.reading_judge,
                tokens,
                _part(job, 0.0, OBSERVING),
            )
        jobs.put_result(plan.observed, observed)
    return observed


def _part(job: Job, start: float, end: float = 1.0) -> Report:
    """Return a report to a part of a job's progress bar.

    start, end: of the part, in [0, 1].
    """
    return lambda doing, share: job.report(doing, start + (end - start) * (share or 0.0))
